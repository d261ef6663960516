"""Members that a protocol makes opaque on purpose: signatures of thoughts and encrypted reasoning, by dialect.

Nobody but their issuer can read them, so each is an Unknown of the kind `undecodable`. They could pass where this very
gateway relayed them from the issuer; that is not built.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

# Dialect -> the object's `type` (`*`: any) -> its opaque members.
OPAQUE_FIELDS: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = MappingProxyType(
    {
        "anthropic": {
            "thinking": ("signature",),
            "redacted_thinking": ("data",),
            "web_search_result": ("encrypted_content",),
        },
        "openai-responses": {"reasoning": ("encrypted_content",), "compaction": ("encrypted_content",)},
        "openai-chat": {"*": ("thought_signature", "encrypted_content")},
    }
)
_BY_TYPE: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        kind: frozenset(
            member for dialect in OPAQUE_FIELDS.values() for member in (*dialect.get(kind, ()), *dialect.get("*", ()))
        )
        for kind in {kind for dialect in OPAQUE_FIELDS.values() for kind in dialect}
    }
)
_MEMBERS: Final = frozenset(member for members in _BY_TYPE.values() for member in members)


def opaque_members(value: Mapping[str, Any]) -> Iterator[str]:
    """The members of an object that its protocol makes opaque, where they hold something."""
    if _MEMBERS.isdisjoint(value):
        return
    kind = value.get("type")
    for member in _BY_TYPE.get(kind if isinstance(kind, str) else "*", _BY_TYPE["*"]):
        held = value.get(member)
        if held and isinstance(held, str):
            yield member
