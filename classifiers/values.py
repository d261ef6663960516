"""The form in which a value is compared with what a policy lists: case, width, blanks and dashes do not count.

Also the salted hash of that form, for values that must not stand in a file. Never keeps or shows a value.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata

_WORD = re.compile(r"(?:[^\W_]|[\u0300-\u036f])+")  # with accents that stand apart
_PLAIN_WORD = re.compile(r"[a-z0-9]+")  # the same, in ASCII and lower case: many times faster
_BLANKS = re.compile(r"[\s_()\u2010-\u2015\u2212-]*")
_WALL = "\x00"  # between two strings: no value goes across it


# One run of letters and digits: where it stands, how it is compared, and what joins it to the word before.
Word = tuple[int, int, str, str]


def words_of(text: str) -> list[Word]:
    """The words of a text with what stands between them, reduced to what counts.

    One sign (`.`, `@`, `/`, …) counts as it is; blanks and dashes beside a digit count for nothing, as people group
    numbers at will; everything else counts as one blank.
    """
    plain = text.isascii()
    source = text.lower() if plain else text  # in ASCII alone no character changes its length
    words: list[Word] = []
    end, left = -1, ""
    for hit in (_PLAIN_WORD if plain else _WORD).finditer(source):
        start = hit.start()
        folded = hit.group() if plain else _fold(hit.group())
        joint = _joint(left, source[end:start], folded) if end >= 0 else ""
        end, left = hit.end(), folded
        words.append((start, end, folded, joint))
    return words


def comparable(text: str) -> str:
    """The whole text in the form in which values are compared: equal forms are the same value."""
    return "".join(joint + word for _, _, word, joint in words_of(text))


def salted_hash(salt: str, text: str) -> str:
    """SHA-256 (hex) of the salt, a colon and the comparable form: `printf '%s:%s' SALT FORM | sha256sum`."""
    return hashlib.sha256(f"{salt}:{comparable(text)}".encode("utf-8", "surrogatepass")).hexdigest()


def _fold(word: str) -> str:
    return word.lower() if word.isascii() else unicodedata.normalize("NFKC", word).casefold()


def _joint(left: str, between: str, right: str) -> str:
    """What of the characters between two words counts."""
    if between == " " or (_WALL not in between and _BLANKS.fullmatch(between)):
        return "" if left[-1].isdigit() or right[0].isdigit() else " "
    if _WALL in between:
        return _WALL
    return between if len(between) == 1 else " "
