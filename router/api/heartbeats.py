"""Bytes while a model is silent, so that neither a client nor a proxy between takes its stream for dead.

What is written are whole events, so a heartbeat stands between events and never in one.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Protocol, Self


class Written(Protocol):
    """A stream that has begun."""

    @property
    def last_write(self) -> float:
        """Loop time at which something was last handed on."""
        ...

    @property
    def is_writing(self) -> bool:
        """Whether a write waits for a caller that does not read."""
        ...

    async def beat(self) -> None:
        """Write one heartbeat."""
        ...


class Heartbeats:
    """One after each `seconds` without a write, inside the `async with`; after it none is under way."""

    def __init__(self, stream: Written, seconds: float) -> None:
        self._stream = stream
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._beat: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        self._timer = self._loop.call_later(self._seconds, self._look)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._beat is not None and not self._beat.done():
            self._beat.cancel()
            await asyncio.wait({self._beat})

    def _look(self) -> None:
        left = self._stream.last_write + self._seconds - self._loop.time()
        if left <= 0:
            left = self._seconds
            # A caller that does not read gets no more to read; it has a deadline of its own.
            if not self._stream.is_writing and (self._beat is None or self._beat.done()):
                self._beat = self._loop.create_task(self._stream.beat())
                self._beat.add_done_callback(_seen)
        self._timer = self._loop.call_later(left, self._look)


def _seen(beat: asyncio.Task[None]) -> None:
    """A caller that has gone is noticed by whoever writes the answer."""
    if not beat.cancelled():
        beat.exception()
