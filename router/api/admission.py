"""Who may come in: the bounds of one worker over all its endpoints, and the end of what is in it when it drains.

A request that is turned away has cost next to nothing: it is asked before its body is read, and again once it is in.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from router.errors import GatehouseError, Unavailable
from router.exchange import Exchange
from router.telemetry.telemetry import Telemetry

SHUTTING_DOWN = "shutting_down"


def stopping() -> GatehouseError:
    """What is said to whoever comes, or is still there, while the process ends."""
    return Unavailable("This gateway is being shut down. Retry in a moment.", code=SHUTTING_DOWN)


def full() -> GatehouseError:
    """What is said when no more requests fit."""
    return Unavailable("Too many requests are in flight. Retry shortly.", code="local_overloaded")


@dataclass(eq=False, slots=True)
class Visit:
    """One request in the worker, from its first line to its last byte. Whoever begins one calls `leave`."""

    admission: Admission
    task: asyncio.Task[object]
    exchange: Exchange | None = None
    is_ended: bool = False  # the process could not wait for it any longer
    held: int = field(default=0)  # bytes of its body
    is_in: bool = field(default=False)

    def hold(self, size: int) -> None:
        """So much more of its body has come. Raises `Unavailable` when all bodies together are too large."""
        self.held += size
        self.admission.take(size)

    def enter(self) -> None:
        """Its body is in: from now on it counts as in flight. Raises `Unavailable`."""
        self.admission.check()
        self.is_in = True
        self.admission.count(1)

    def end(self) -> None:
        """Cancel it, for the process ends; whoever serves it tells its caller."""
        self.is_ended = True
        if self.exchange is not None:
            self.exchange.cut_by = (SHUTTING_DOWN, 503)
        self.task.cancel()

    def leave(self) -> None:
        """It is over."""
        self.admission.gone(self)


class Admission:
    """One a worker. `most` requests are in flight at the same time; those whose bodies are still coming do not count.

    `most_bytes` bounds what the bodies of all of them take together.
    """

    def __init__(self, most: int, most_bytes: int, telemetry: Telemetry) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._telemetry = telemetry
        self._visits: set[Visit] = set()
        self._in_flight = self._bytes = 0
        self._idle = asyncio.Event()
        self.is_draining = False

    @property
    def is_closed(self) -> bool:
        """Whether whoever came now would be turned away."""
        return self.is_draining or self._in_flight >= self._most

    def check(self) -> None:
        """Raises `Unavailable` when nobody may come in now."""
        if self.is_draining:
            raise stopping()
        if self._in_flight >= self._most:
            self.turned_away()
            raise full()

    def turned_away(self) -> None:
        """Count one that was refused for want of room."""
        self._telemetry.request_shed("concurrency")

    def begin(self) -> Visit:
        """The visit of the task that calls."""
        task = asyncio.current_task()
        assert task is not None
        visit = Visit(self, task)
        self._visits.add(visit)
        return visit

    def take(self, size: int) -> None:
        """See `Visit.hold`."""
        self._bytes += size
        if self._bytes > self._most_bytes:
            self._telemetry.request_shed("memory")
            raise full()

    def count(self, change: int) -> None:
        """One more in flight, or one less."""
        self._in_flight += change
        self._telemetry.in_flight(self._in_flight)
        if not self._in_flight:
            self._idle.set()

    def gone(self, visit: Visit) -> None:
        """See `Visit.leave`. Idempotent."""
        if visit in self._visits:
            self._visits.remove(visit)
            self._bytes -= visit.held
            if visit.is_in:
                self.count(-1)

    # -- the end ---------------------------------------------------------------------------------------------------

    async def drain(self) -> None:
        """Turn everybody away from now on; return when nothing is in flight any more."""
        self.is_draining = True
        while self._in_flight:
            self._idle.clear()
            await self._idle.wait()

    async def end(self, seconds: float) -> None:
        """End what is still there, bodies that are coming included; return when all have gone, or after `seconds`."""
        tasks = {visit.task for visit in self._visits}
        for visit in list(self._visits):
            visit.end()
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)
