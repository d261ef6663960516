"""Text to rows of a vocabulary, as BERT's uncased tokeniser does it, but cheaply: a usual word is one look-up.

Unknown words are cut greedily into the longest known pieces. Those of letters alone are remembered, some thousands and
never where they stood: what might be a number or a secret is cut anew each time.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Final

_WORDS: Final = re.compile(r"[^\W_]+|[^\w\s]|_")
_WIDE: Final = re.compile(r"([\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002fa1f])")
_MOST: Final = 100  # characters: a longer word is no word
_REMEMBERED: Final = 1 << 13  # words; then all are forgotten at once
_SHORT: Final = 20  # letters: a longer word is not remembered
_LATER: Final = "##"  # marks a piece that continues a word


class _Parted(dict[int, str]):
    """A character of small letters -> what `plain` leaves of it, parted from others unless it is part of a word."""

    def __missing__(self, code: int) -> str:
        if len(self) >= _REMEMBERED:
            self.clear()
        letters = plain(chr(code))
        parts = (letter if letter.isalnum() else " " if letter.isspace() else f" {letter} " for letter in letters)
        self[code] = "".join(parts)
        return self[code]


_PARTED: Final = _Parted()


def parted(text: str) -> bytes:
    """The text for the kernel, which parts and makes small what is ASCII by itself."""
    return text.encode() if text.isascii() else text.lower().translate(_PARTED).encode("utf-8", "replace")


def by_row(vocabulary: Iterable[str]) -> tuple[bytes, bytes]:
    """The vocabulary for the kernel: pieces that begin a word, and those that go on, a line a row each."""
    pieces = list(vocabulary)
    first = ("" if piece.startswith(_LATER) else piece for piece in pieces)
    later = (piece[len(_LATER) :] if piece.startswith(_LATER) else "" for piece in pieces)
    return "\n".join(first).encode(), "\n".join(later).encode()


class WordPiece:
    """Rows for the words of a text; a word that cannot be put together from known pieces has none."""

    def __init__(self, vocabulary: Iterable[str]) -> None:
        """`vocabulary`: one piece a row, in order; pieces that continue a word begin with `##`."""
        rows = {piece: row for row, piece in enumerate(vocabulary)}
        self._first: Mapping[str, int] = {piece: row for piece, row in rows.items() if not piece.startswith(_LATER)}
        self._later: Mapping[str, int] = {
            piece[len(_LATER) :]: row for piece, row in rows.items() if piece.startswith(_LATER)
        }
        self._cut: dict[str, list[int]] = {}
        self._longest = max(map(len, rows), default=0)

    def rows(self, text: str) -> list[int]:
        """The row of each piece, in order. Linear in the text."""
        words = _WORDS.findall(text.lower() if text.isascii() else plain(text))
        found = list(map(self._first.get, words))
        if None not in found:
            return found  # type: ignore[return-value]  # just checked; a copy would cost more than all else here
        rows: list[int] = []
        for word, row in zip(words, found, strict=True):
            if row is not None:
                rows.append(row)
            elif (known := self._cut.get(word)) is not None:
                rows.extend(known)
            elif len(word) <= _MOST:
                rows.extend(self._new(word))
        return rows

    def _new(self, word: str) -> list[int]:
        pieces = self._pieces(word)
        if len(word) <= _SHORT and word.isalpha():
            if len(self._cut) >= _REMEMBERED:
                self._cut.clear()
            self._cut[word] = pieces
        return pieces

    def _pieces(self, word: str) -> list[int]:
        rows: list[int] = []
        table, start = self._first, 0
        while start < len(word):
            for end in range(min(len(word), start + self._longest), start, -1):
                row = table.get(word[start:end])
                if row is not None:
                    break
            else:
                return []
            rows.append(row)
            table, start = self._later, end
        return rows


def plain(text: str) -> str:
    """Lower case without accents and control characters; each Chinese character is a word of its own."""
    letters = []
    for letter in unicodedata.normalize("NFD", text.lower()):
        kind = unicodedata.category(letter)
        if kind != "Mn" and (kind[0] != "C" or letter in "\t\n\r"):
            letters.append(letter)
    return _WIDE.sub(r" \1 ", "".join(letters))
