"""Values written one character at a time (`4 1 1 1`, `J-o-h-n`), and digits in unusual groups, without the marks.

Ordinary grouping (blanks, dots, dashes between groups of digits) is what detectors read themselves.
"""

from __future__ import annotations

import re
from typing import Final

from classifiers.detectors.base import pattern
from classifiers.views.finding import around, spans
from classifiers.views.view import Change

_ONE = r"[^\s\x00]"
_NAME = r"[0-9A-Za-z@.+_:/#!?$&%=~()\-]|[^\W\x00-\x7f]"
_BEGIN, _END = r"(?:(?<!\S)|(?<=[(\[\"'{:=>]))", r"(?=[.,;:!?)\]}\"'<]{0,2}(?:\s|$))"
# One mark between single characters, each kind for itself; a wider gap stands between words.
_RUNS = re.compile(
    rf"{_BEGIN}{_ONE}(?:[ \t]{{1,3}}{_ONE}){{3,}}{_END}"
    rf"|{_BEGIN}{_ONE}(?:[ \t]?\r?\n[ \t]?{_ONE}){{3,}}{_END}"
    + "".join(
        rf"|(?<![^\W_])(?<!{mark})(?:{_NAME})(?:{mark}(?:{_NAME})){{3,}}(?![^\W_])"
        for mark in ("-", r"\.", "_", r"\*", "/", r"\|", "~")
    )
    + r"|(?<![\w.])\d(?:[,;]\s?\d){8,}(?![\w.])"
)
_GAPS = re.compile(r"\s+")
_PRECISE = 256  # a longer run is one change
# Groups of digits with the same mark, of which nobody makes dates, lists or large numbers.
_GROUPS = re.compile(
    r"(?<![\w.])\d{1,6}(?:_\d{1,6}){2,}(?![\w.])|(?<![\w.])\d{1,6}(?:[*|~]\d{1,6}){2,}(?![\w.])"
    r"|(?<![\w.,])\d{4}(?:(?:[,;:]\s?|\s?\r?\n\s?)\d{4}){3}(?![\w.,])"
)
# Where to look: three letters or digits in a row that stand alone; two groups of digits.
SEEDS: Final = (
    r"(?:^|[^0-9A-Za-z])[0-9A-Za-z@](?:[ \t]{1,3}[0-9A-Za-z@:]){2}(?:[^0-9A-Za-z]|$)",
    r"(?:^|[^0-9A-Za-z])[0-9A-Za-z](?:[ \t]?\r?\n[ \t]?[0-9A-Za-z]){2}(?:[^0-9A-Za-z]|$)",
    r"(?:^|[^0-9A-Za-z])(?:[0-9A-Za-z@:]-){3}|(?:^|[^0-9A-Za-z])(?:[0-9A-Za-z@]\.){3}|(?:^|[^0-9A-Za-z])(?:[0-9A-Za-z@]\*){3}",
    r"(?:^|[^0-9A-Za-z_])(?:[0-9A-Za-z@]_){3}|(?:^|[^0-9A-Za-z/])(?:[0-9A-Za-z@]/){3}|(?:^|[^0-9A-Za-z])(?:[0-9A-Za-z@][|~]){3}",
    r"(?:^|[^\w.])\d[,;]\s?\d[,;]\s?\d[,;]\s?\d[,;]\s?\d[,;]",
    r"(?:^|[ \n\-._*/|~])[^\s\x00-\x7f](?:[ \n\-._*/|~]{1,3}[^\s\x00-\x7f]){2}(?:[ \n\-._*/|~]|$)",
)
GROUP_SEEDS: Final = (
    r"\d[_*|~]\d{1,6}[_*|~]\d",
    r"\d{4}(?:[,;:]\s?|\s?\r?\n\s?)\d{4}(?:[,;:]\s?|\s?\r?\n\s?)\d{4}",
)
_SEEDS, _GROUP_SEEDS = pattern("|".join(SEEDS)), pattern("|".join(GROUP_SEEDS))
_NOT_DIGITS = re.compile(r"\D+")


def without_separators(text: str) -> list[Change]:
    """Runs of single characters, put together; and digits in unusual groups, put into usual ones."""
    changes: list[Change] = []
    for hit in around(_RUNS, text, spans(_SEEDS, text), 24, 48):
        run = hit.group()
        if len(run) <= _PRECISE:
            changes.extend(_gaps(text, hit.start(), hit.end()))
        else:
            changes.append(Change(hit.start(), hit.end(), _put_together(run)))
    for hit in around(_GROUPS, text, spans(_GROUP_SEEDS, text), 24, 48):
        if sum(character.isdigit() for character in hit.group()) >= 9:
            changes.extend(
                Change(hit.start() + m.start(), hit.start() + m.end(), "-") for m in _NOT_DIGITS.finditer(hit.group())
            )
    return changes


def _gaps(text: str, start: int, end: int) -> list[Change]:
    """Every mark between two characters as a change of its own, so that a finding covers no more than its value."""
    at, changes = start + 1, []
    while at < end:
        stop = at + 1
        if text[at].isspace() or text[at] in ",;":
            while text[stop].isspace():
                stop += 1
        wide = stop - at > 1 and text[at] in " \t"
        changes.append(Change(at, stop, " " if wide else ""))
        at = stop + 1
    if sum(bool(change.text) for change in changes) * 2 > len(changes):  # evenly wide: no gap between words
        return [change._replace(text="") for change in changes]
    return changes


def _put_together(run: str) -> str:
    if run[1].isspace():
        return _GAPS.sub(lambda gap: " " if len(gap.group()) > 1 and "\n" not in gap.group() else "", run)
    return _GAPS.sub("", run)[0::2]
