"""A view: an excerpt of a text in which some stretches read otherwise, with the way back to the text's own offsets.

Only the neighbourhood of what changed is laid out again; a view never holds what its parent shows already elsewhere.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

BEFORE = 128  # characters of the parent's text that stand in front of a change, and
BEHIND = 96  # behind it: more than any detector looks around for
_REACH_BEFORE = 64  # how far in front of a hit a change may be that made it one, and
_REACH_BEHIND = 40  # how far behind it
_WORD = 48  # an excerpt begins and ends at a blank where one is this near


class Change(NamedTuple):
    """`start` to `end` of a text reads as `text`. `via` names a decoding; it is empty for mere folding."""

    start: int
    end: int
    text: str
    via: tuple[str, ...] = ()


class Found(NamedTuple):
    """Where a stretch of a view stands in the string itself; the decodings that it went through, outermost first."""

    start: int
    end: int
    via: tuple[str, ...]


@dataclass(slots=True)
class View:
    """An excerpt after its changes. Without a parent it is the string itself."""

    text: str = field(repr=False)
    parent: View | None = None
    origin: int = 0  # where the excerpt begins in the parent's text
    changes: Sequence[Change] = field(default=(), repr=False)
    starts: Sequence[int] = field(default=(), repr=False)  # where each change begins in `text`
    name: str = ""  # the member's name that stands in front of it: a table's header
    depth: int = 0  # decodings on the way here
    is_complete: bool = False  # the parent's whole text,
    stands_for: bool = False  # and read in its stead from here on

    def locate(self, start: int, end: int) -> Found:
        """The string's own stretch under `start` to `end` of this view."""
        if self.parent is None:
            return Found(start, end, ())
        first, last = self._source(start, False), self._source(end - 1, True)
        found = self.parent.locate(first, max(first + 1, last))
        touched = self.changes[self._first(start) : bisect_left(self.starts, end)]
        via = next((change.via for change in touched if change.via), ())
        return Found(found.start, found.end, (*found.via, *via))

    def touches(self, start: int, end: int) -> bool:
        """Whether some of these characters are read otherwise here than in the parent."""
        return not self.changes or self._first(start) < bisect_left(self.starts, end)

    def is_near(self, start: int, end: int) -> bool:
        """Whether a change lies under these characters, or so near that they may mean something else through it."""
        if not self.changes or self.stands_for:
            return True
        return self._first(start - _REACH_BEFORE) < bisect_left(self.starts, end + _REACH_BEHIND)

    def _first(self, at: int) -> int:
        """The first change that ends behind `at`."""
        index = max(0, bisect_right(self.starts, at) - 1)
        while index < len(self.changes) and self.starts[index] + len(self.changes[index].text) <= at:
            index += 1
        return index

    def _source(self, at: int, is_end: bool) -> int:
        """Where the character at `at` begins, or ends, in the parent's text."""
        index = bisect_right(self.starts, at) - 1
        if index < 0:
            return self.origin + at + is_end
        change, inside = self.changes[index], at - self.starts[index]
        if inside >= len(change.text):
            return change.end + inside - len(change.text) + is_end
        if len(change.text) == change.end - change.start and not change.via:
            return change.start + inside + is_end
        return change.end if is_end else change.start


def excerpts(parent: View, changes: Sequence[Change], depth: int | None = None) -> list[View]:
    """Views of the neighbourhoods of the changes, which are in order and do not overlap."""
    views: list[View] = []
    first, text = 0, parent.text
    while first < len(changes):
        last = first
        while last + 1 < len(changes) and changes[last + 1].start - changes[last].end <= BEFORE + BEHIND:
            last += 1
        low = _at_blank(text, max(0, changes[first].start - BEFORE), -1)
        high = _at_blank(text, min(len(text), changes[last].end + BEHIND), 1)
        views.append(_applied(parent, changes[first : last + 1], low, high, parent.depth if depth is None else depth))
        first = last + 1
    return views


def _at_blank(text: str, at: int, step: int) -> int:
    """The border, moved outwards to a blank if one is near."""
    if step < 0:
        blank = text.rfind(" ", max(0, at - _WORD), at)
        return 0 if at < _WORD else blank + 1 if blank >= 0 else at
    blank = text.find(" ", at, at + _WORD)
    return len(text) if len(text) - at < _WORD else blank if blank >= 0 else at


def _applied(parent: View, changes: Sequence[Change], low: int, high: int, depth: int) -> View:
    parts: list[str] = []
    starts: list[int] = []
    at, length = low, 0
    for change in changes:
        parts.append(parent.text[at : change.start])
        length += change.start - at
        starts.append(length)
        parts.append(change.text)
        length += len(change.text)
        at = change.end
    parts.append(parent.text[at:high])
    is_complete = low == 0 and high == len(parent.text)
    return View("".join(parts), parent, low, changes, starts, parent.name, depth, is_complete)


def merged(*families: Sequence[Change]) -> list[Change]:
    """The changes of several families in order; of two that overlap the one that begins first, then the longer."""
    kept: list[Change] = []
    end = 0
    for change in sorted((change for family in families for change in family), key=lambda c: (c.start, -c.end)):
        if change.start >= end:
            kept.append(change)
            end = change.end
    return kept
