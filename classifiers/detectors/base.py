"""The seam of every detector: the piece of text that it is given and the protocol that it follows.

A detector is linear in the length of its piece, reports byte offsets, and never keeps, logs or returns the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import re2

from classifiers.frozen import quickly_made
from classifiers.types import Gap, Match

# Stands between two strings of a haystack; no shipped pattern matches across it, and `^` and `$` in (?m) match at it.
WALL = b"\n\x00\n"

# What people put between the digits of one number: blanks of every width, dots, dashes of every width, brackets, slash.
GAP = "[ \\t.\\-/()\\x{a0}\\x{2000}-\\x{200a}\\x{2010}-\\x{2015}\\x{202f}\\x{2212}\\x{3000}]"

# Seven digits with small gaps: below it there is no phone, card or national id. Few states, so safe inside the set.
SEVEN_DIGITS = "\\d(?:" + GAP + "{0,3}\\d){6}"


def pattern(regex: str, *, max_mem: int = 8 << 20, longest: bool = False) -> Any:
    """Compile with RE2, without its own logging (a pattern may be an admin's). Raises `re2.error`."""
    options = re2.Options()
    options.log_errors = False
    options.max_mem = max_mem
    options.longest_match = longest
    return re2.compile(regex, options)


# Python's own engine where an expression is one repeated class: linear there too, and a tenth of the cost of a call.
_DIGITS = re.compile(rb"[0-9]+")


def digit_groups(data: bytes, start: int, end: int) -> list[tuple[int, int]]:
    """Where the runs of digits between two offsets begin and end."""
    return [hit.span() for hit in _DIGITS.finditer(data, start, end)]


@quickly_made
@dataclass(frozen=True, slots=True)
class Piece:
    """At most 4 KB of a haystack: `data[start:stop]`. A detector searches there and may look at `data` around it.

    `countries` are the ISO codes that the policy lists; empty means the shipped defaults.
    """

    data: bytes = field(repr=False)
    start: int
    stop: int
    countries: tuple[str, ...] = ()

    def find(self, regex: Any) -> Iterator[Any]:
        """Matches of a compiled pattern inside the piece, left to right; offsets are those of `data`."""
        found: Iterator[Any] = regex.finditer(self.data, self.start, self.stop)
        return found

    def before(self, at: int, width: int = 48) -> bytes:
        """Up to `width` bytes in front of `at`, in lower case, from the same string (or the key that names it)."""
        return self.data[max(0, at - width) : at].rpartition(b"\x00")[2].lower()

    def after(self, at: int, width: int = 32) -> bytes:
        """Up to `width` bytes from `at` on, in lower case, from the same string."""
        return self.data[at : at + width].partition(b"\x00")[0].lower()

    def is_free(self, start: int, end: int, glue: bytes = b"") -> bool:
        """Whether the span touches no letter, digit, underscore or byte of `glue` on either side."""
        left, right = self.data[start - 1 : start] if start else b"", self.data[end : end + 1]
        return not (_is_word(left) or _is_word(right) or (left and left in glue) or (right and right in glue))


def _is_word(byte: bytes) -> bool:
    return byte.isalnum() or byte == b"_"


class Detector(Protocol):
    """One kind of sensitive item (or a family that shares its patterns).

    `triggers` are RE2 patterns with few states, matched for all detectors in one pass; `detect` is called for a piece
    in which one of them occurs, with their indices in `hits`. No triggers: called for every piece. Raising is allowed:
    the pipeline turns it into an Unknown.
    """

    name: str
    entities: frozenset[str]
    triggers: tuple[str, ...]

    def detect(self, piece: Piece, hits: Sequence[int]) -> Sequence[Match | Gap]:
        """Every item in the piece, and what of it could not be read, as byte offsets of `piece.data`."""
        ...
