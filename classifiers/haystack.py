"""Lays the strings of a body out as one run of bytes with a table, and takes spans in it back to their strings.

One pass over one haystack is what makes the scan fast; a span never loses the string that it came from.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from classifiers.detectors.base import WALL
from classifiers.normalize import views
from classifiers.walk import Cell

_NAMES = b"\n:\n"  # between a member's name and its value: read by rules as an assignment, by anchors as two lines
_WINDOW = 256  # code points at each end of a string in which a value may go on in its neighbour


class Entry(NamedTuple):
    """One stretch of the haystack: bytes `start` to `end` are the cell's characters from `offset` on."""

    start: int
    end: int
    cell: int
    offset: int
    offsets: tuple[int, ...] | None  # for another view of the cell: where its characters stand in the cell


class Span(NamedTuple):
    """A stretch of one cell, in code points."""

    cell: int
    start: int
    end: int


@dataclass(slots=True)
class Haystack:
    """The bytes and the table. Entries are in order; between them stand walls and member names."""

    data: bytes = field(default=b"", repr=False)
    entries: list[Entry] = field(default_factory=list, repr=False)
    viewed: set[int] = field(default_factory=set)  # cells that stand here in more than one view
    _starts: list[int] = field(default_factory=list, repr=False)
    _is_ascii: bool = True
    _characters: Any = field(default=None, repr=False)

    def seal(self, parts: Iterable[bytes]) -> None:
        """Join the bytes; after it spans can be placed."""
        self.data = b"".join(parts)
        self._starts = [entry.start for entry in self.entries]
        self._is_ascii = self.data.isascii()

    def place(self, start: int, end: int) -> list[Span]:
        """The stretches of cells under bytes `start` to `end`; more than one when the span crosses a border."""
        spans = []
        index = max(0, bisect_right(self._starts, start) - 1)
        while index < len(self.entries) and self.entries[index].start < end:
            entry = self.entries[index]
            index += 1
            low, high = max(start, entry.start), min(end, entry.end)
            if low < high:
                first, last = self._count(entry.start, low), self._count(entry.start, high)
                spans.append(_span(entry, first, last))
        return spans

    def borders(self, start: int, end: int) -> list[int]:
        """Where one string begins right behind another inside bytes `start` to `end`."""
        found = []
        index = bisect_right(self._starts, start)
        while index < len(self.entries) and self.entries[index].start < end:
            if self.entries[index - 1].end == self.entries[index].start:
                found.append(self.entries[index].start)
            index += 1
        return found

    def _count(self, start: int, end: int) -> int:
        """Code points in a stretch of the bytes."""
        if self._is_ascii:
            return end - start
        if self._characters is None:
            leading = (np.frombuffer(self.data, dtype=np.uint8) & 0xC0) != 0x80
            self._characters = np.concatenate(([0], np.cumsum(leading)))
        return int(self._characters[end] - self._characters[start])


def _span(entry: Entry, first: int, last: int) -> Span:
    if entry.offsets is None:
        return Span(entry.cell, entry.offset + first, entry.offset + last)
    return Span(entry.cell, entry.offsets[first], entry.offsets[last - 1] + 1)


class _Builder:
    def __init__(self) -> None:
        self.haystack = Haystack()
        self._parts: list[bytes] = []
        self._at = 0

    def put(self, raw: bytes) -> None:
        self._parts.append(raw)
        self._at += len(raw)

    def put_text(self, text: str, cell: int, offset: int = 0, offsets: tuple[int, ...] | None = None) -> None:
        raw = text.encode("utf-8", "surrogatepass")
        self.haystack.entries.append(Entry(self._at, self._at + len(raw), cell, offset, offsets))
        self.put(raw)

    def finish(self) -> Haystack:
        self.haystack.seal(self._parts)
        return self.haystack


def lay_out(cells: Sequence[Cell], wanted: Iterable[int]) -> Haystack:
    """The wanted cells one after the other, each with its member's name in front and its other views behind."""
    builder = _Builder()
    for index in wanted:
        cell = cells[index]
        if cell.key:
            builder.put(cell.key.encode("utf-8", "surrogatepass") + _NAMES)
        builder.put_text(cell.text, index)
        builder.put(WALL)
        for view in views(cell.text):
            builder.haystack.viewed.add(index)
            if cell.key:
                builder.put(cell.key.encode("utf-8", "surrogatepass") + _NAMES)
            builder.put_text(view.text, index, offsets=view.offsets)
            builder.put(WALL)
    return builder.finish()


def lay_out_joins(cells: Sequence[Cell]) -> Haystack:
    """Neighbours run together, once without and once with a blank between them: only the ends of long ones."""
    columns: dict[int, list[int]] = {}
    for index, cell in enumerate(cells):
        if cell.column >= 0 and cell.text:
            columns.setdefault(cell.column, []).append(index)
    builder = _Builder()
    for neighbours in columns.values():
        if len(neighbours) < 2:
            continue
        for glue in (b"", b" "):
            for position, index in enumerate(neighbours):
                if position:
                    builder.put(glue)
                _put_ends(builder, cells[index].text, index, position > 0, position < len(neighbours) - 1)
            builder.put(WALL)
    return builder.finish()


def _put_ends(builder: _Builder, text: str, index: int, has_left: bool, has_right: bool) -> None:
    """The parts of a neighbour that may belong to a value which crosses one of its borders."""
    if len(text) <= 2 * _WINDOW:
        builder.put_text(text, index)
        return
    if has_left:
        builder.put_text(text[:_WINDOW], index)
        builder.put(WALL)
    if has_right:
        builder.put_text(text[-_WINDOW:], index, offset=len(text) - _WINDOW)
