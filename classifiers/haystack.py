"""Lays the strings of a body out as one run of bytes with a table, and takes spans in it back to their strings.

One pass over one haystack is what makes the scan fast; a span never loses the string that it came from.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice, takewhile
from typing import Any, Literal, NamedTuple

import numpy as np

from classifiers.boundary import Failure, attempt
from classifiers.detectors.base import WALL
from classifiers.joins import Stretch, glues, is_id_of_a_call, runs
from classifiers.normalize import Normalizer, Reading
from classifiers.types import UnknownKind
from classifiers.views.characters import reads_as_itself, with_plain_blanks
from classifiers.views.opaque import LONGER_THAN, is_digest
from classifiers.views.room import Room
from classifiers.views.view import View
from classifiers.walk import Cell

_NAMES = b"\n:\n"  # between a member's name and its value: read by rules as an assignment, by anchors as two lines

_FEW = 4  # strings that are asked one by one what they need; of more, all together whether any needs anything

Need = Literal["near", "touched", "decoded"]


class Span(NamedTuple):
    """A stretch of one cell, in code points; `via` names what it was decoded from."""

    cell: int
    start: int
    end: int
    via: tuple[str, ...] = ()


class Entry(NamedTuple):
    """One stretch of the haystack: bytes `start` to `end` are the cell's characters from `offset` on, or a view's."""

    start: int
    end: int
    cell: int
    offset: int
    view: View | None
    pieces: Sequence[Entry]  # of a view of several cells put together: the stretches of its text, in characters


@dataclass(frozen=True, slots=True)
class Unviewed:
    """A cell that could not be read to its end."""

    kind: UnknownKind
    cell: int
    detail: str
    beside: tuple[int, ...] = ()  # where several put together could not be read: all of them


@dataclass(slots=True)
class Haystack:
    """The bytes and the table. Entries are in order; between them stand walls and member names."""

    data: bytes = field(default=b"", repr=False)
    entries: list[Entry] = field(default_factory=list, repr=False)
    viewed: set[int] = field(default_factory=set)  # cells that stand here in more than one view
    unread: list[Unviewed] = field(default_factory=list)
    errors: set[str] = field(default_factory=set)
    runs: dict[bytes, list[tuple[int, int]]] = field(default_factory=dict)  # of joins: key -> the bytes that show one
    _starts: list[int] = field(default_factory=list, repr=False)
    _is_ascii: bool = True
    _characters: Any = field(default=None, repr=False)

    def seal(self, parts: Iterable[bytes]) -> None:
        """Join the bytes; after it spans can be placed."""
        self.data = b"".join(parts)
        self._starts = [entry.start for entry in self.entries]
        self._is_ascii = self.data.isascii()

    def place(self, start: int, end: int, need: Need = "near") -> list[Span]:
        """The stretches of cells under bytes `start` to `end`; more than one when the span crosses a border.

        In a view only what is new there counts: `near` a change, `touched` by one, or `decoded` from something.
        """
        spans = []
        index = max(0, bisect_right(self._starts, start) - 1)
        while index < len(self.entries) and self.entries[index].start < end:
            entry = self.entries[index]
            index += 1
            low, high = max(start, entry.start), min(end, entry.end)
            if low < high:
                first, last = self._count(entry.start, low), self._count(entry.start, high)
                spans += _spans(entry, first, last, need)
        return spans

    def crossed(self, start: int, end: int) -> set[int]:
        """The cells under bytes `start` to `end`, where these are more than one."""
        cells = {span.cell for span in self.place(start, end)}
        return cells if len(cells) > 1 else set()

    def borders(self, start: int, end: int) -> list[int]:
        """Where one string begins right behind another inside bytes `start` to `end`."""
        found = []
        index = bisect_right(self._starts, start)
        while index < len(self.entries) and self.entries[index].start < end:
            if self.entries[index - 1].end == self.entries[index].start:
                found.append(self.entries[index].start)
            index += 1
        return found

    def is_in_view(self, start: int, end: int) -> bool:
        """Whether bytes `start` to `end` belong to another view of a string."""
        entries = islice(self.entries, max(0, bisect_right(self._starts, start) - 1), None)
        return any(
            entry.view is not None and entry.end > start for entry in takewhile(lambda e: e.start < end, entries)
        )

    def _count(self, start: int, end: int) -> int:
        """Code points in a stretch of the bytes."""
        if self._is_ascii:
            return end - start
        if self._characters is None:
            leading = (np.frombuffer(self.data, dtype=np.uint8) & 0xC0) != 0x80
            self._characters = np.concatenate(([0], np.cumsum(leading)))
        return int(self._characters[end] - self._characters[start])


def _spans(entry: Entry, first: int, last: int, need: Need) -> list[Span]:
    """The stretches of cells under characters `first` to `last` of an entry; none where a view shows nothing new."""
    if entry.view is None:
        return [Span(entry.cell, entry.offset + first, entry.offset + last)]
    if not (entry.view.is_near if need == "near" else entry.view.touches)(first, last):
        return []
    start, end, via = entry.view.locate(first, last)
    if need == "decoded" and not via:
        return []
    if not entry.pieces:
        return [Span(entry.cell, start, end, via)]
    within = [piece for piece in entry.pieces if piece.start < end and start < piece.end]
    return [
        Span(
            piece.cell,
            piece.offset + max(start - piece.start, 0),
            piece.offset + min(end, piece.end) - piece.start,
            via,
        )
        for piece in within
    ]


class _Builder:
    def __init__(self) -> None:
        self.haystack = Haystack()
        self.walls = 0
        self._parts: list[bytes] = []
        self.at = 0

    def put(self, raw: bytes) -> None:
        self._parts.append(raw)
        self.at += len(raw)

    def put_text(self, text: str, cell: int, offset: int = 0) -> bytes:
        raw = text.encode("utf-8", "surrogatepass")
        self.haystack.entries.append(Entry(self.at, self.at + len(raw), cell, offset, None, ()))
        self.put(raw)
        return raw

    def put_view(self, view: View, cell: int, key: str, pieces: Sequence[Entry] = ()) -> None:
        self.put_name(view.name or key)
        raw = view.text.encode("utf-8", "surrogatepass")
        self.haystack.entries.append(Entry(self.at, self.at + len(raw), cell, 0, view, pieces))
        self.put(raw)
        self.put_wall()

    def put_name(self, name: str) -> None:
        if name:
            self.put(name.encode("utf-8", "surrogatepass") + _NAMES)

    def put_wall(self) -> None:
        self.put(WALL)
        self.walls += 1

    def note_run(self, key: bytes, began: int) -> None:
        if key:
            self.haystack.runs.setdefault(key, []).append((began, self.at))

    def joined(self) -> bytes:
        data = b"".join(self._parts)
        self._parts = [data]
        return data

    def finish(self) -> Haystack:
        self.haystack.seal(self._parts)
        return self.haystack


def lay_out(cells: Sequence[Cell], wanted: Iterable[int], normalizer: Normalizer | None, room: Room) -> Haystack:
    """The wanted cells one after the other, each with its member's name in front, and behind them their other views."""
    builder, laid = _Builder(), []
    for index in wanted:
        cell = cells[index]
        builder.put_name(cell.key)
        plain = with_plain_blanks(cell.text)
        laid.append((index, plain, builder.put_text(plain, index)))
        builder.put_wall()
    if normalizer is None or (len(laid) > _FEW and normalizer.is_plain(builder.joined(), builder.walls)):
        return builder.finish()
    for index, plain, raw in laid:
        cell = cells[index]
        families = normalizer.wanted(raw)
        if cell.is_opened or (not families and reads_as_itself(plain)):
            continue
        for view in _read(builder, normalizer, room, cell.text, index, families=families).views:
            builder.haystack.viewed.add(index)
            builder.put_view(view, index, cell.key)
    return builder.finish()


def lay_out_joins(
    cells: Sequence[Cell],
    normalizer: Normalizer | None,
    room: Room,
    key_of: Callable[[Sequence[str]], bytes | None] = lambda texts: b"",
    is_known: Callable[[Sequence[Stretch]], bool] = lambda run: False,
) -> Haystack:
    """Neighbours run together, once without and once with a blank between them; the first with its other views.

    Those that are known are left out. `key_of` gives the key of a run for `Haystack.runs` (b"": none is wanted), or
    None for one that is to be left out.
    """
    builder = _Builder()
    bare: list[tuple[list[Stretch], bytes, bool]] = []
    for run in runs(cells, is_known):
        are_ids = all(is_id_of_a_call(cells[stretch.cell]) for stretch in run)
        # The same texts elsewhere may be a blob: what is said of ids is not remembered.
        key = b"" if are_ids else key_of([stretch.text for stretch in run])
        if key is None:
            continue
        bare.append((run, key, are_ids))
        began = builder.at
        for glue in glues(run):
            for position, stretch in enumerate(run):
                if position and glue:
                    builder.put(glue.encode())
                builder.put_text(with_plain_blanks(stretch.text), stretch.cell, stretch.offset)
            builder.put_wall()
        builder.note_run(key, began)
    if not bare or normalizer is None or normalizer.is_plain(builder.joined(), builder.walls):
        return builder.finish()
    for run, key, are_ids in bare:
        pieces, at, began = [], 0, builder.at
        for stretch in run:
            pieces.append(Entry(at, at + len(stretch.text), stretch.cell, stretch.offset, None, ()))
            at += len(stretch.text)
        text = "".join(stretch.text for stretch in run)
        for view in _read(builder, normalizer, room, text, run[0].cell, pieces, are_ids=are_ids).views:
            builder.put_view(view, run[0].cell, "", pieces)
        builder.note_run(key, began)
    return builder.finish()


def _is_blob(text: str, start: int, end: int, parts: Sequence[Entry]) -> bool:
    """Whether neighbours make a blob together without those that are digests by themselves."""
    shares = [text[max(start, part.start) : min(end, part.end)] for part in parts]
    return sum(len(share) for share in shares if not is_digest(share)) > LONGER_THAN


def _read(
    builder: _Builder,
    normalizer: Normalizer,
    room: Room,
    text: str,
    cell: int,
    pieces: Sequence[Entry] = (),
    *,
    are_ids: bool = False,
    families: frozenset[str] | set[str] | None = None,
) -> Reading:
    """The views of a string, or of several put together. What cannot be read is noted (not: ids side by side); so is a
    failure."""
    reading = attempt(normalizer.read, text, room, families)
    if isinstance(reading, Failure):
        builder.haystack.errors.add(f"normalize: {reading.error}")
        return Reading()
    for kind, start, end in reading.gaps:
        if are_ids and kind == "undecodable":
            continue
        parts = [piece for piece in pieces if piece.start < end and start < piece.end]
        within = [piece.cell for piece in parts]
        if kind == "undecodable" and pieces and not _is_blob(text, start, end, parts):
            continue
        if not pieces or len(within) > 1:
            builder.haystack.unread += [Unviewed(kind, index, "normalize", tuple(within)) for index in within or [cell]]
    return reading
