"""Where a known value is mentioned again in a text, in whatever case and with whatever blanks and dashes.

A short single word is looked for as it is written or in capitals only: `Will` is a name, `will` is not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple

_SHORT_WORD = 6  # letters; a longer name is hardly an everyday word in lower case
_FEWEST = 4  # characters of a value without letters: a shorter number stands everywhere
_TELLING = 8  # letters and digits: so many in a row are the same value, whatever stands between them
_BETWEEN = re.compile(r"[\W_]+")


def fold(value: str) -> str:
    """What is equal for two spellings of one value."""
    return " ".join(value.split()).casefold()


def _squeeze(text: str) -> str:
    return _BETWEEN.sub("", text.casefold())


class Needle(NamedTuple):
    """A value made ready for being looked for: what any mention of it holds, in a text that was flattened like it."""

    value: str
    form: Literal["written", "folded", "squeezed"]
    wanted: tuple[str, ...]


def needle_of(value: str) -> Needle | None:
    """None for a value that is too short to be looked for."""
    characters = sum(map(str.isalnum, value))
    if characters < 2 or (characters < _FEWEST and not any(map(str.isalpha, value))):
        return None
    if value.isalpha() and len(value) < _SHORT_WORD:
        return Needle(value, "written", tuple({value, value.upper()}))
    squeezed = _squeeze(value)
    if len(squeezed) >= _TELLING:
        return Needle(value, "squeezed", (squeezed,))
    return Needle(value, "folded", (fold(value),))


@dataclass(frozen=True)
class Flat:
    """One text, made ready for being searched for several values."""

    text: str = field(repr=False)

    @cached_property
    def folded(self) -> str:
        """Case and blanks evened out."""
        return fold(self.text)

    @cached_property
    def squeezed(self) -> str:
        """Letters and digits alone."""
        return _squeeze(self.text)

    @cached_property
    def _with_blanks(self) -> tuple[str, list[int]]:
        """The folded text character by character, and where each stands in the text."""
        folded: list[str] = []
        offsets: list[int] = []
        after_blank = False
        for index, char in enumerate(self.text):
            is_blank = char.isspace()
            if not (is_blank and after_blank):
                each = " " if is_blank else char.casefold()
                folded.append(each)
                offsets += [index] * len(each)
            after_blank = is_blank
        return "".join(folded), offsets

    @cached_property
    def _without(self) -> tuple[str, list[int]]:
        """The squeezed text character by character, and where each stands in the text."""
        squeezed: list[str] = []
        offsets: list[int] = []
        for index, char in enumerate(self.text):
            each = _squeeze(char)
            squeezed.append(each)
            offsets += [index] * len(each)
        return "".join(squeezed), offsets

    def count(self, needle: Needle) -> int:
        """At least as many as there are mentions, in a moment."""
        text = self.text if needle.form == "written" else self.folded if needle.form == "folded" else self.squeezed
        return sum(map(text.count, needle.wanted))

    def spans(self, needle: Needle) -> list[tuple[int, int]]:
        """The spans that mention the value as a word of its own, left to right, without overlaps."""
        if not self.count(needle):
            return []
        if needle.form == "written":
            return sorted({span for each in needle.wanted for span in _find(self.text, each)})
        text, offsets = self._with_blanks if needle.form == "folded" else self._without
        found = [(offsets[start], offsets[end - 1] + 1) for start, end in _all(text, needle.wanted[0])]
        return [self._with_ends(needle.value, *span) for span in found if _is_free(self.text, *span)]

    def _with_ends(self, value: str, start: int, end: int) -> tuple[int, int]:
        """With the signs that the value begins and ends with, where they stand here too."""
        first = next(index for index, char in enumerate(value) if char.isalnum())
        last = next(index for index, char in enumerate(reversed(value)) if char.isalnum())
        if first and self.text[max(0, start - first) : start] == value[:first]:
            start -= first
        if last and self.text[end : end + last] == value[-last:]:
            end += last
        return start, end


def _all(text: str, wanted: str) -> list[tuple[int, int]]:
    spans = []
    at = text.find(wanted)
    while at >= 0:
        spans.append((at, at + len(wanted)))
        at = text.find(wanted, at + len(wanted))
    return spans


def _find(text: str, wanted: str) -> list[tuple[int, int]]:
    return [(start, end) for start, end in _all(text, wanted) if _is_free(text, start, end)]


def _is_free(text: str, start: int, end: int) -> bool:
    """Whether no letter, digit or underscore of the text goes on where the value begins or ends with one."""
    left = start > 0 and _is_word(text[start - 1]) and _is_word(text[start])
    right = end < len(text) and _is_word(text[end]) and _is_word(text[end - 1])
    return not (left or right)


def _is_word(char: str) -> bool:
    return char.isalnum() or char == "_"
