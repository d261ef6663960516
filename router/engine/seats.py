"""Who holds which model: one seat for each entry of the manifest that anybody asked for. Bookkeeping without I/O.

A seat that is claimed is never emptied, whoever else wants its memory.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field, fields

from router.engine.figures import LaneFigures
from router.engine.loading import Checked, LoadedModel
from router.engine.manifest import Entry
from router.engine.types import EngineError

_MOST_BACK_OFF_S = 60.0

Key = tuple[Entry, Entry | None]  # the entry, and that of the model that it is an adapter of
Stamp = tuple[int, int, int] | None


def stamp(path: str) -> Stamp:
    """What changes when a file does; None while there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a model is not here. It is not tried again before `until` (monotonic), unless its file has changed."""

    error: EngineError
    until: float = 0.0
    stamp: Stamp = None
    times: int = 1

    @classmethod
    def of_file(cls, error: EngineError, path: str, before: Failure | None) -> Failure:
        """A file that cannot be loaded: tried again after 1 s, 2 s, 4 s, …, or when it has changed."""
        now = stamp(path)
        times = before.times + 1 if before is not None and before.stamp == now else 1
        return cls(error, time.monotonic() + min(_MOST_BACK_OFF_S, 2.0 ** (times - 1)), now, times)

    def fresh(self) -> EngineError:
        """The error to raise: an exception that is raised again and again would keep all its callers' frames."""
        error = self.error
        return EngineError(error.status, error.code, error.message, param=error.param, retry_after=error.retry_after)

    def holds(self, path: str) -> bool:
        """Whether trying again is of no use yet."""
        return time.monotonic() < self.until and self.stamp == stamp(path)


@dataclass(eq=False, slots=True)
class Seat:
    """One entry's place. Everything but `key` changes under the pool's lock only."""

    key: Key
    base: Seat | None = None  # of an adapter: whose weights it changes
    claims: int = 0
    used: float = 0.0
    bytes: int = 0
    checked: tuple[Stamp, Checked] | None = None  # the file as it was when its header was read
    loaded: LoadedModel | None = None
    adapter: str | None = None  # of an adapter that is here: its key in the base's Adapters
    arriving: Future[None] | None = None
    failure: Failure | None = None
    past: LaneFigures = field(default_factory=LaneFigures)  # counters of earlier loads

    @property
    def entry(self) -> Entry:
        """What the manifest says of it."""
        return self.key[0]

    @property
    def is_here(self) -> bool:
        """Whether it can serve now."""
        return self.loaded is not None or self.adapter is not None

    def empty(self) -> None:
        """What it held is not here any more."""
        if self.loaded is not None and self.loaded.lane is not None:
            self.past = added(self.past, self.loaded.lane.figures())
        self.loaded, self.adapter, self.bytes = None, None, 0

    def figures(self) -> LaneFigures:
        """Counters of all loads together, and the present state."""
        if self.loaded is None or self.loaded.lane is None:
            return self.past
        return added(self.past, self.loaded.lane.figures(), with_state=True)


def added(past: LaneFigures, now: LaneFigures, *, with_state: bool = False) -> LaneFigures:
    """The counters of both; the state is that of `now`, or nothing."""
    total = LaneFigures()
    for each in fields(LaneFigures):
        if each.name.endswith("_total"):
            setattr(total, each.name, getattr(past, each.name) + getattr(now, each.name))
        elif with_state:
            setattr(total, each.name, getattr(now, each.name))
    return total


def to_empty(seats: Iterable[Seat], needed: int, budget: int) -> list[Seat] | None:
    """The seats whose emptying makes room for `needed` bytes, the least recently used first; None: it would not do."""
    seats = list(seats)
    free = budget - sum(seat.bytes for seat in seats)
    chosen: list[Seat] = []
    idle = sorted((seat for seat in seats if seat.is_here and not seat.claims), key=lambda seat: seat.used)
    for seat in idle:
        if free >= needed:
            break
        if seat not in chosen:
            together = [seat, *(other for other in seats if other.base is seat and other.is_here)]
            free += sum(other.bytes for other in together if other not in chosen)
            chosen += [other for other in together if other not in chosen]
    return chosen if free >= needed else None
