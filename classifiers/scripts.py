"""Stretches of text in a script other than Latin that are long enough to say something. Never keeps the text.

A symbol, a word or a short name in another script inside Latin text is not a stretch; a full name with an address is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from classifiers.detectors.base import WALL, Piece, pattern

# How much one letter says, in letters of an alphabet: a Han character is a word or half of one.
_DENSE: Final = (("Han", 2.5), ("Hangul", 2.0), ("Hiragana", 1.2), ("Katakana", 1.2))
_LEAST: Final = 12.0  # in letters: five Han characters, six Hangul syllables, a first and a last name in Cyrillic
_LONE: Final = 24.0  # for one single word of an alphabet
_MOST: Final = 4.0  # in a string that is mostly of another script this little is enough: two Han characters
_FORMULA: Final = 2  # a Greek word of at most so many letters is a symbol
_LETTER: Final = "(?:[^\\PL\\p{Latin}\\p{Common}\\p{Inherited}]\\pM*)"
_EDGES: Final = WALL[1:2]
_ASCII: Final = bytes(range(128))
_ASCII_LETTERS: Final = bytes(code for code in range(128) if chr(code).isalpha())


class Stretch(NamedTuple):
    """A stretch in other scripts, in bytes, and its weight in letters of an alphabet."""

    start: int
    end: int
    weight: float
    words: int


class Scripts:
    """Finds the stretches. Built once; its patterns are RE2's."""

    def __init__(self) -> None:
        self._word = pattern(f"{_LETTER}+")
        self._greek = pattern("^(?:\\p{Greek}\\pM*)+$")
        self._dense = [(pattern(f"[\\p{{{name}}}]"), weight) for name, weight in _DENSE]
        self._latin = pattern("\\p{Latin}")

    def unmeasured(self, piece: Piece) -> Iterator[tuple[int, int]]:
        """Byte spans of stretches in a script other than Latin; nothing for ASCII."""
        at = piece.start
        for string in piece.data[piece.start : piece.stop].split(_EDGES):
            end = at + len(string)
            if not string.isascii():
                yield from self._in_string(piece.data, at, end)
            at = end + len(_EDGES)

    def _in_string(self, data: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
        stretches = list(self._stretches(data, start, end))
        if not stretches:
            return
        weight = sum(stretch.weight for stretch in stretches)
        if weight >= _MOST:
            share = weight / (weight + self._count_latin(data[start:end]))
            if share >= 0.5 or (share >= 0.3 and weight >= _LEAST):
                yield stretches[0].start, stretches[-1].end
                return
        for stretch in stretches:
            if stretch.weight >= (_LEAST if stretch.words > 1 else _LONE):
                yield stretch.start, stretch.end

    def _count_latin(self, string: bytes) -> int:
        """The Latin letters of a string; those outside ASCII are few where there are others."""
        high = string.translate(None, _ASCII)
        return len(string) - len(string.translate(None, _ASCII_LETTERS)) + sum(1 for _ in self._latin.finditer(high))

    def _stretches(self, data: bytes, start: int, end: int) -> Iterator[Stretch]:
        """Neighbouring words with no Latin letter between them."""
        current: Stretch | None = None
        for hit in self._word.finditer(data, start, end):
            low, high = hit.span()
            word = self._weigh(data[low:high], low, high)
            if word is None:
                continue
            if current is None:
                current = word
            elif self._latin.search(data, current.end, low) is None:
                weight, words = current.weight + word.weight, current.words + word.words
                current = Stretch(current.start, high, weight, words)
            else:
                yield current
                current = word
        if current is not None:
            yield current

    def _weigh(self, word: bytes, start: int, end: int) -> Stretch | None:
        letters = sum(1 for character in word.decode("utf-8", "replace") if character.isalpha())
        if letters <= _FORMULA and self._greek.search(word):
            return None
        weight, dense = float(letters), 0
        for script, each in self._dense:
            found = sum(1 for _ in script.finditer(word))
            weight += (each - 1) * found
            dense += found
        return Stretch(start, end, weight, max(1, dense))
