"""JSON that stands in a string, read as any of its readers might: nothing that one of them keeps is dropped here.

Receivers differ over duplicate keys, NaN, control characters and lone surrogates; each reading counts.
"""

from __future__ import annotations

import json
from typing import Any

import orjson

_STARTS = frozenset('{["')
_ENDS = {"{": "}", "[": "]", '"': '"'}


class TooDeeply(Exception):
    """The text is nested more deeply than it can be read."""


def may_be_json(text: str) -> bool:
    """Whether `json_in` would look at the text at all: most begin with a letter."""
    return text[:1] in _STARTS or text[:1].isspace()


def json_in(text: str) -> Any:
    """The object, array or escaped string that the text is, or None when it is none of these.

    The value of a key that stands more than once is the list of its values. Raises `TooDeeply`.
    """
    if not may_be_json(text):
        return None
    stripped = text.strip()
    if not stripped or _ENDS.get(stripped[0]) != stripped[-1] or (stripped[0] == '"' and "\\" not in stripped):
        return None
    try:
        value = orjson.loads(stripped)
    except ValueError:
        return _lenient(stripped)
    if stripped[0] != '"' and _quotes(stripped) != _quotes(orjson.dumps(value).decode()):
        return _lenient(stripped)
    return value


def _lenient(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_gathered, strict=False)
    except RecursionError:
        raise TooDeeply from None
    except ValueError:
        return None


def _gathered(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values: dict[str, list[Any]] = {}
    for key, value in pairs:
        values.setdefault(key, []).append(value)
    return {key: found[0] if len(found) == 1 else found for key, found in values.items()}


def _quotes(text: str) -> int:
    """The quotes that no backslash escapes: fewer in what was read than in what was written show a lost key."""
    unpaired = text.replace("\\\\", "")
    return unpaired.count('"') - unpaired.count('\\"')
