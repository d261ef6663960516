"""The seam of ids with a form, often a check digit, and often a word beside them: a table of kinds in, findings out.

A number whose check digit one in ten random numbers would pass is reported only beside a word that names it. A new kind
of number is one row of a table.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from classifiers.detectors.base import GAP, Piece, pattern
from classifiers.types import Match

S = GAP + "?"
HEAD = "\\b(?:[A-Z]{1,4}[ -]?|[A-Za-z]{0,4}-?)"  # the letters that many numbers begin with
Check = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Kind:
    """One row: what it is called, where it is used, how it looks, what checks it.

    `check` is a module of `stdnum`, a function over letters and digits alone, or None where there is no check digit.
    `needs`: whether a word of `context` must stand nearby: `always`, `bare` (when there is no separator), or `never`;
    `follows`: right in front of it, in the same sentence. `country` empty: everywhere.
    """

    entity: str
    country: str
    regex: str
    check: str | Check | None
    needs: Literal["always", "bare", "never", "follows"]
    context: str = ""
    trigger: str = ""  # cheaper than the context or the expression, where that matters


class NumberedDetector:
    """The kinds of a table: of the countries that the policy lists, or all of them. US_SSN is always looked for."""

    def __init__(self, kinds: tuple[Kind, ...]) -> None:
        self._kinds = kinds
        self._numbers = tuple(pattern(kind.regex) for kind in kinds)
        self._contexts = tuple(pattern(_named(kind.context)) if kind.context else None for kind in kinds)
        self._checks = tuple(_check(kind.check) for kind in kinds)

    def detect(self, piece: Piece, hits: Sequence[int]) -> list[Match]:
        """Valid numbers of the kinds in `hits`."""
        found = []
        for index in hits:
            kind = self._kinds[index]
            foreign = kind.country and piece.countries and kind.country not in piece.countries
            if foreign and kind.entity != "US_SSN":
                continue
            for hit in self._candidates(piece, index):
                start, end = hit.span(min(1, self._numbers[index].groups))
                score = self._score(piece, start, end, index)
                if score:
                    found.append(Match(kind.entity, start, end, score))
        return found

    def _candidates(self, piece: Piece, index: int) -> Any:
        """Where a number must follow its name, only what stands behind a name; else every number of the piece."""
        if self._kinds[index].needs != "follows":
            return list(piece.find(self._numbers[index]))
        context: Any = self._contexts[index]
        found = []
        for name in piece.find(context):
            stop = min(len(piece.data), name.end() + 72)
            wall = piece.data.find(b"\x00", name.end(), stop)
            hit = self._numbers[index].search(piece.data, name.end(), wall if wall >= 0 else stop)
            between = piece.data[name.end() : hit.start()] if hit else b""
            if hit and len(between) <= 40 and not _ENDS.search(between):
                found.append(hit)
        return found

    def _score(self, piece: Piece, start: int, end: int, index: int) -> float:
        """0 when it is not one; higher where its name stands nearby."""
        kind, context = self._kinds[index], self._contexts[index]
        text = piece.data[start:end].decode("utf-8", "replace")
        if not piece.is_free(start, end) or _continues(piece, start, end):
            return 0.0
        number = "".join(character for character in text if character.isalnum())
        if kind.needs == "always" and not _is_named(piece, context, start, end):
            return 0.0
        if not self._checks[index](_dashed(kind.entity, number)):
            return 0.0
        if kind.needs in ("always", "follows") or _is_named(piece, context, start, end):
            return 1.0
        return 0.0 if kind.needs == "bare" and len(number) == len(text) else 0.85


_ENDS = pattern(
    "[.;!?]\\s|\\d{3}|\\n\\s*\\n"
)  # between a name and its number stands no end of a sentence, no other number


def _is_named(piece: Piece, context: Any, start: int, end: int) -> bool:
    return bool(context and (context.search(piece.before(start, 64)) or context.search(piece.after(end, 32))))


def _continues(piece: Piece, start: int, end: int) -> bool:
    """Whether the number is only a part of a longer one: digits go on behind a dash, dot or slash."""
    data = piece.data
    return (data[start - 1 : start] in (b"-", b".", b"/") and data[max(start - 2, 0) : start - 1].isalnum()) or (
        data[end : end + 1] in (b"-", b".", b"/") and data[end + 1 : end + 2].isalnum()
    )


def _dashed(entity: str, number: str) -> str:
    """The separators that a validator insists on, because they carry meaning (the century of a Finnish code)."""
    if entity == "FI_PERSONAL_IDENTITY_CODE" and len(number) == 10:
        return number[:6] + "-" + number[6:]
    return number


def _check(check: str | Check | None) -> Check:
    if check is None:
        return lambda number: True
    if not isinstance(check, str):
        return check
    is_valid: Check = importlib.import_module("stdnum." + check).is_valid
    return is_valid


def _named(context: str) -> str:
    """The words as an expression, also where they are parts of a member's name: `nhs_number`, `nhsNumber`."""
    parts = context.split("\\b")
    result = parts[0]
    for left, right in pairwise(parts):
        ends = left[-1:].isalnum() or left[-1:] == "]"
        result += ("(?:\\b|_|number|nummer|nr)" if ends else "(?:\\b|_)") + right
    return "(?i)" + result


def triggers_of(kinds: tuple[Kind, ...]) -> tuple[str, ...]:
    """What to look for first: a number that needs its word is not even looked for where the word does not occur."""
    return tuple(
        kind.trigger or (_named(kind.context) if kind.needs in ("always", "follows") else kind.regex) for kind in kinds
    )
