"""One pass over a text that tells which families of views it may need: for plain prose none.

A family that is not named here for a text would change nothing in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from classifiers.patterns import Patterns
from classifiers.views.blobs import DIGITS_IN_BASE64, SHORT
from classifiers.views.separators import GROUP_SEEDS, SEEDS
from classifiers.views.spoken import ADDRESS_SEEDS, DIGIT_SEEDS
from classifiers.views.structured import HEADER, LITERAL_SEEDS

TRIGGERS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "blobs": (
            r"[A-Za-z0-9+/_\-]{16}",
            DIGITS_IN_BASE64,
            *SHORT,
            r"(?i)(?:(?:0x|\\x|%)?[0-9a-f]{2}(?:[ :\-\n]|, ?)){6}",
        ),
        "url": (r"%[0-9A-Fa-f]{2}",),
        "html": (r"&(?:#|[A-Za-z][A-Za-z0-9]{1,31};)",),
        "quoted": (r"=[0-9A-F]{2}", r"=[ \t]*\r?\n"),
        "code": (
            r"\\(?:[uU][0-9a-fA-F{]|x[0-9a-fA-F]|[0-3][0-7]{2}|[nrt/][0-9A-Za-z+(])",
            r"(?i)u\+[0-9a-f]{4}",
        ),
        "separators": (*SEEDS, *GROUP_SEEDS),
        "digits": DIGIT_SEEDS,
        "address": ADDRESS_SEEDS,
        "markup": (r"[0-9A-Za-z@.:+_\- ]<[/a-zA-Z!?]", r"\]\]>"),
        "literals": LITERAL_SEEDS,
        "table": (HEADER,),
        "letters": (r"\d[ .\-/]?[OoIl]{1,3}[ .\-/]?\d",),
    }
)
# Families whose triggers have an automaton of their own, in groups: with the others in one they have many times the
# states, which text that is unlike the text before pays for. The rest share one.
_APART: Final = (("digits", "address"), ("blobs",))


class Triggers:
    """The triggers of all families behind one question."""

    def __init__(self) -> None:
        apart = {family for group in _APART for family in group}
        groups = (tuple(family for family in TRIGGERS if family not in apart), *_APART)
        self._owners = [family for group in groups for family in group for _ in TRIGGERS[family]]
        self._patterns = Patterns([trigger for family in group for trigger in TRIGGERS[family]] for group in groups)

    def wanted(self, data: bytes) -> frozenset[str] | set[str]:
        """The families whose triggers occur; all of them when that cannot be said."""
        try:
            return {self._owners[number] for number in self._patterns.matching(data)}
        except RuntimeError:
            return set(TRIGGERS)
