"""Tokens of a text, and what one token looks like as a few bucket numbers; what follows from neighbours is learned.

Pure functions, equal in training and serving. Nothing of a text is kept here.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Final, Protocol
from zlib import crc32

HASHED: Final = 1 << 15  # buckets of words and their parts
RESERVED: Final = 1 << 10  # buckets behind them, for shapes and lists of names: nothing collides there
BUCKETS: Final = HASHED + RESERVED
LIST_SLOTS: Final = 1 << 23  # of the table of names: with 150,000 entries one unlisted word in sixty looks listed

# Bits of the table of names.
FIRST, LAST, PLACE, COUNTRY, NATION, STREET, COMMON, USUAL = (1 << bit for bit in range(8))

# A token is a run of letters or of digits, or one other character, each with the blank before it; or white space.
_TOKEN = re.compile(r" ?[^\W\d_]+| ?\d+| ?[^\w\s]|_|\s+")
_MASK = HASHED - 1
_LENGTHS = 16
_LONG_NUMBER = 15  # digits; from here on all lengths look the same
_WORD, _END, _BEGIN = crc32(b"w"), crc32(b"s"), crc32(b"b")


class Listed(Protocol):
    """A table of names: the bits of each slot."""

    def __getitem__(self, slot: int, /) -> int: ...


tokenize: Callable[[str], list[str]] = _TOKEN.findall  # the tokens joined are the text


def slot(word: str) -> int:
    """Where a word stands in the table of names: case, accents and compatibility forms do not matter."""
    low = word.lower() if word.isascii() else plain(word)
    return crc32(low.encode("utf-8", "replace")) & (LIST_SLOTS - 1)


def plain(word: str) -> str:
    """Lower case without accents."""
    if word.isascii():
        return word.lower()
    parts = unicodedata.normalize("NFKD", word.lower())
    return "".join(character for character in parts if not unicodedata.combining(character))


def shape(word: str) -> int:
    """0 lower case, 1 first letter large, 2 all large, 3 mixed, 4 one large letter, 5 a script without case."""
    if word.islower():
        return 0
    if word.isupper():
        return 4 if len(word) == 1 else 2
    if not word[0].isupper():
        return 5 if word == word.upper() == word.lower() else 3
    return 1 if word[1:].islower() else 3


def alike(token: str) -> str:
    """A token that has the same features: of the numbers of more than four digits there are only so many kinds."""
    word = token[1:] if token[0] == " " else token
    if len(word) > 4 and word.isdecimal():
        return (
            token[: len(token) - len(word)]
            + ("0" if word[0] == "0" else "1")
            + "1" * (min(len(word), _LONG_NUMBER) - 1)
        )
    return token


def features(token: str, listed: Listed, known: Sequence[int] = ()) -> list[int]:
    """The buckets of a token; `listed` is the table of names, `known` the slots of known words, in order.

    The buckets of known words come behind all others, one each.
    """
    word = token.lstrip(" ")
    if not word or word.isspace():
        return [HASHED + 1 + min(token.count("\n"), 3) * 4 + min(len(token), 3)]
    spaced = token[0] == " "
    if word[0].isdecimal():
        return _digits(word, spaced)
    if not word[0].isalpha():
        return [_hash("p" + word), _hash("ps" + token), HASHED + 32 + spaced]
    place = slot(word)
    found = _letters(word, spaced, listed[place])
    if (row := bisect_left(known, place)) < len(known) and known[row] == place:
        found.append(BUCKETS + row)
    return found


def _hash(text: str) -> int:
    return crc32(text.encode("utf-8", "replace")) & _MASK


def _digits(word: str, spaced: bool) -> list[int]:
    size = min(len(word), _LONG_NUMBER)
    found = [HASHED + 40 + size, HASHED + 64 + size * 2 + spaced]
    if len(word) <= 4:
        value = int(word)
        found.append(_hash("d" + word))
        found.append(HASHED + 100 + min(value // 10, 30) if len(word) < 4 else HASHED + 140 + min(value // 50, 60))
    else:
        found.append(HASHED + 210 + (word[0] == "0"))
    return found


def _letters(word: str, spaced: bool, bits: int) -> list[int]:
    low, kind, size = word.lower(), shape(word), min(len(word), _LENGTHS - 1)
    found = [
        0,
        HASHED + 220 + kind * 2 + spaced,
        HASHED + 240 + kind * _LENGTHS + size,
        HASHED + 340 + (bits & 63) * 2 + (kind == 0),
        HASHED + 480 + (bits >> 6) * 8 + kind,
        HASHED + 520 + (bits & 7) * 32 + (bits >> 6) * 8 + kind,
    ]
    raw = low.encode("utf-8", "replace")
    if len(raw) == len(low):  # a part's bytes are a slice of the word's, and the checksum goes on from its kind's
        found[0] = crc32(raw, _WORD) & _MASK
        if size > 4:  # most words; written out, since this is what a word not met before costs
            found += (
                crc32(raw[-1:], _END) & _MASK,
                crc32(raw[-2:], _END) & _MASK,
                crc32(raw[:2], _BEGIN) & _MASK,
                crc32(raw[-3:], _END) & _MASK,
                crc32(raw[:3], _BEGIN) & _MASK,
                crc32(raw[-4:], _END) & _MASK,
                crc32(raw[:4], _BEGIN) & _MASK,
            )
        else:
            for length in range(1, size):
                found.append(crc32(raw[-length:], _END) & _MASK)
                if length > 1:
                    found.append(crc32(raw[:length], _BEGIN) & _MASK)
        if size > 6:
            found.append(crc32(raw[-6:], _END) & _MASK)
    else:
        found[0] = _hash("w" + low)
        for length in range(1, min(size - 1, 4) + 1):
            found.append(_hash("s" + low[-length:]))
            if length > 1:
                found.append(_hash("b" + low[:length]))
        if size > 6:
            found.append(_hash("s" + low[-6:]))
    if kind != 1:
        found.append(_hash(f"c{kind}{low}"))
    return found
