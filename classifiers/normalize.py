"""Every reading of a string besides itself: folded, decoded, put together; each a view with its way back.

What may not be read to its end (too much, too deep, too long, not decodable) is a gap, never nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from classifiers.types import UnknownKind
from classifiers.views.blobs import blobs
from classifiers.views.characters import CONTROLS, folded, reads_as_itself, with_plain_blanks
from classifiers.views.confusables import Confusables, letters_for_digits
from classifiers.views.escapes import code_escapes, html_entities, quoted_printable, url_escapes
from classifiers.views.room import OutOfRoom, Room
from classifiers.views.separators import without_separators
from classifiers.views.spoken import spoken_addresses, spoken_digits
from classifiers.views.structured import joined_literals, table_cells, without_markup
from classifiers.views.triggers import Triggers
from classifiers.views.view import Change, View, excerpts, merged

MAX_DECODINGS = 3  # one inside the other
_BLOCK = 8192  # characters that are read at a time; cut at a blank
_OVERLAP = 1024
_Family = Callable[[str], list[Change]]
_ESCAPES: Final[Mapping[str, _Family]] = MappingProxyType(
    {"url": url_escapes, "html": html_entities, "quoted": quoted_printable, "code": code_escapes}
)
_FORMS: Final[Mapping[str, _Family]] = MappingProxyType(
    {
        "separators": without_separators,
        "digits": spoken_digits,
        "address": spoken_addresses,
        "markup": without_markup,
        "literals": joined_literals,
        "letters": letters_for_digits,
    }
)
# What may still be read in a view, by the step that made it: each way of hiding is undone once on the way down.
_DECODED: Final = frozenset({"characters", "alike", "escapes", "blobs", "forms", "table"})
_NEXT: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "characters": _DECODED - {"characters"},
        "alike": frozenset({"forms"}),
        "forms": frozenset({"blobs", "escapes"}),
        "escapes": _DECODED,
        "blobs": _DECODED,
    }
)


@dataclass(slots=True)
class Reading:
    """The views of one string, and what of it could not be read: (kind, first, last character)."""

    views: list[View] = field(default_factory=list, repr=False)
    gaps: list[tuple[UnknownKind, int, int]] = field(default_factory=list)


class Normalizer:
    """All families behind one pass of triggers. Raises `ArtifactError` when its table of look-alikes is broken."""

    def __init__(self) -> None:
        self._triggers = Triggers()
        self._confusables = Confusables()

    def is_plain(self, data: bytes, walls: int) -> bool:
        """Whether strings laid out with so many walls between them read as nothing but themselves."""
        if not data.isascii() or len(data) - len(data.translate(None, CONTROLS)) != walls:
            return False
        return not self._triggers.wanted(data)

    def wanted(self, data: bytes) -> frozenset[str] | set[str]:
        """The families of views that a string may need."""
        return self._triggers.wanted(data)

    def read(self, text: str, room: Room, wanted: frozenset[str] | set[str] | None = None) -> Reading:
        """All views of the string, within the room. `wanted`: the families that it may need, where that is known."""
        reading = Reading()
        try:
            whole = View(with_plain_blanks(text))
            walk = _Walk(self._triggers, self._confusables, room, reading)
            for block in _blocks(whole):
                room.check()
                if block is whole:
                    walk.expand(block, _DECODED, wanted)
                else:
                    walk.expand(block, _DECODED - {"table"})
            if walk.has_table and len(text) > _BLOCK + _OVERLAP:  # a header speaks for all rows behind it
                reading.views.extend(table_cells(whole, room))
        except OutOfRoom as error:
            reading.gaps.append((error.kind, 0, len(text)))
        return reading


def _blocks(whole: View) -> Iterator[View]:
    """The text, a stretch at a time, cut at white space and overlapping."""
    text, start = whole.text, 0
    if len(text) <= _BLOCK + _OVERLAP:
        yield whole
        return
    while start < len(text):
        end = _next_blank(text, start + _BLOCK)
        yield View(text[start:end], whole, start)
        if end == len(text):
            return
        start = max(start + 1, _next_blank(text, max(start + 1, end - _OVERLAP)))


def _next_blank(text: str, at: int) -> int:
    found = [place for mark in (" ", "\n") if (place := text.find(mark, at, at + _BLOCK)) >= 0]
    if found:
        return min(found)
    while at < len(text) and not text[at].isspace():
        at += 1
    return at


class _Walk:
    """One string's views, made depth first."""

    def __init__(self, triggers: Triggers, confusables: Confusables, room: Room, reading: Reading) -> None:
        self._triggers, self._confusables = triggers, confusables
        self._room, self._reading = room, reading
        self._seen: set[tuple[str, int]] = set()
        self.has_table = False

    def expand(self, view: View, allowed: frozenset[str], wanted: frozenset[str] | set[str] | None = None) -> None:
        """Add all views of a view."""
        text = view.text
        wanted = self._wanted(text) if wanted is None else wanted
        if not reads_as_itself(text):
            if "characters" in allowed and self._replace(view, allowed):
                return
            if "alike" in allowed:
                for changes in self._confusables.readings(text):
                    self._add(view, changes, "alike")
        if not wanted:
            return
        self.has_table |= "table" in wanted
        if "escapes" in allowed:
            self._add(view, merged(*(family(text) for name, family in _ESCAPES.items() if name in wanted)), "escapes")
        if "blobs" in allowed and "blobs" in wanted:
            self._decode(view)
        if "forms" in allowed:
            for name, family in _FORMS.items():
                if name in wanted:
                    self._add(view, merged(family(text)), "forms")
        if "table" in allowed and "table" in wanted:
            self._reading.views.extend(table_cells(view, self._room))

    def _wanted(self, text: str) -> frozenset[str] | set[str]:
        return self._triggers.wanted(text.encode("utf-8", "surrogatepass"))

    def _replace(self, view: View, allowed: frozenset[str]) -> bool:
        """Add the views with plain characters. Whether one shows the whole text, so that it stands for it from here."""
        changes = folded(view.text)
        views = excerpts(view, changes) if changes else []
        if len(views) != 1 or not views[0].text or not views[0].is_complete or any(change.via for change in changes):
            self._add(view, changes, "characters")
            return False
        views[0].stands_for = True
        self._room.take(len(views[0].text))
        self._reading.views.append(views[0])
        self.expand(views[0], allowed - {"characters"})
        return True

    def _decode(self, view: View) -> None:
        changes, gaps = blobs(view.text, self._room)
        self._add(view, merged(changes), "blobs")
        for kind, start, end in gaps:
            if view.stands_for or view.touches(start, end):
                found = view.locate(start, end)
                self._reading.gaps.append((kind, found.start, found.end))

    def _add(self, view: View, changes: Sequence[Change], step: str) -> None:
        """Views of what changed, where that was not to be seen in the parent; and their own views."""
        changes = [change for change in changes if view.is_near(change.start, change.end)]
        if not changes:
            return
        is_decoding = step in ("escapes", "blobs")
        if is_decoding and view.depth >= MAX_DECODINGS:
            found = view.locate(changes[0].start, changes[-1].end)
            self._reading.gaps.append(("too_deep", found.start, found.end))
            return
        for child in excerpts(view, changes, view.depth + is_decoding):
            self._room.take(len(child.text))
            place = (child.text, child.locate(0, len(child.text)).start if child.text else 0)
            if child.text and place not in self._seen:
                self._seen.add(place)
                self._reading.views.append(child)
                self.expand(child, _NEXT[step])
