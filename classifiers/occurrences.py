"""Where a known value is mentioned again in a text, in whatever case and with whatever blanks.

A short single word is looked for as it is written or in capitals only: `Will` is a name, `will` is not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

_SHORT_WORD = 6  # letters; a longer name is hardly an everyday word in lower case
_FEWEST = 4  # characters of a value without letters: a shorter number stands everywhere


def fold(value: str) -> str:
    """What is equal for two spellings of one value."""
    return " ".join(value.split()).casefold()


@dataclass(frozen=True)
class Flat:
    """One text, made ready for being searched for several values."""

    text: str = field(repr=False)

    @cached_property
    def folded(self) -> str:
        """The text as values are compared."""
        return fold(self.text)

    @cached_property
    def _offsets(self) -> tuple[str, list[int]]:
        """The folded text character by character, blanks at its ends included, and where each stands in the text."""
        folded: list[str] = []
        offsets: list[int] = []
        after_blank = False
        for index, char in enumerate(self.text):
            is_blank = char.isspace()
            if is_blank and after_blank:
                continue
            after_blank = is_blank
            for each in " " if is_blank else char.casefold():
                folded.append(each)
                offsets.append(index)
        return "".join(folded), offsets

    def spans(self, value: str) -> list[tuple[int, int]]:
        """The spans that mention the value as a word of its own, left to right, without overlaps."""
        characters = sum(map(str.isalnum, value))
        if characters < 2 or (characters < _FEWEST and not any(map(str.isalpha, value))):
            return []
        if value.isalpha() and len(value) < _SHORT_WORD:
            found = {span for form in {value, value.upper()} for span in _find(self.text, form)}
            return sorted(found)
        wanted = fold(value)
        if wanted not in self.folded:
            return []
        folded, offsets = self._offsets
        return [(offsets[start], offsets[end - 1] + 1) for start, end in _find(folded, wanted)]


def _find(text: str, wanted: str) -> list[tuple[int, int]]:
    spans = []
    at = text.find(wanted)
    while at >= 0:
        end = at + len(wanted)
        if _is_free(text, at, end):
            spans.append((at, end))
        at = text.find(wanted, end)
    return spans


def _is_free(text: str, start: int, end: int) -> bool:
    """Whether no letter, digit or underscore of the text goes on where the value begins or ends with one."""
    left = start > 0 and _is_word(text[start - 1]) and _is_word(text[start])
    right = end < len(text) and _is_word(text[end]) and _is_word(text[end - 1])
    return not (left or right)


def _is_word(char: str) -> bool:
    return char.isalnum() or char == "_"
