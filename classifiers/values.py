"""The form in which a value is compared with what a policy lists: case, width, blanks and dashes do not count.

Also the salted hash of that form, for values that must not stand in a file. Never keeps or shows a value.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import NamedTuple

_WORD = re.compile(r"(?:[^\W_]|[\u0300-\u036f])+")  # with accents that stand apart
_BLANKS = re.compile(r"[\s_()\u2010-\u2015\u2212-]*")
_WALL = "\x00"  # between two strings: no value goes across it


class Word(NamedTuple):
    """One run of letters and digits: where it stands, how it is compared, and what joins it to the word before."""

    start: int
    end: int
    text: str
    joint: str


def words_of(text: str) -> list[Word]:
    """The words of a text with what stands between them, reduced to what counts.

    One sign (`.`, `@`, `/`, …) counts as it is; blanks and dashes beside a digit count for nothing, as people group
    numbers at will; everything else counts as one blank.
    """
    words: list[Word] = []
    for hit in _WORD.finditer(text):
        start, end = hit.span()
        folded = _fold(hit.group())
        joint = ""
        if words:
            before = words[-1]
            joint = _joint(before.text[-1:], text[before.end : start], folded[:1])
        words.append(Word(start, end, folded, joint))
    return words


def comparable(text: str) -> str:
    """The whole text in the form in which values are compared: equal forms are the same value."""
    return "".join(word.joint + word.text for word in words_of(text))


def salted_hash(salt: str, text: str) -> str:
    """SHA-256 (hex) of the salt, a colon and the comparable form: `printf '%s:%s' SALT FORM | sha256sum`."""
    return hashlib.sha256(f"{salt}:{comparable(text)}".encode("utf-8", "surrogatepass")).hexdigest()


def _fold(word: str) -> str:
    return word.lower() if word.isascii() else unicodedata.normalize("NFKC", word).casefold()


def _joint(left: str, between: str, right: str) -> str:
    if _WALL in between:
        return _WALL
    if _BLANKS.fullmatch(between):
        return "" if left.isdigit() or right.isdigit() else " "
    return between if len(between) == 1 else " "
