"""The time that one scan has worked, and its turns on the event loop: others' work is not its overrun."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

PATIENCE: Final = 2.5
_SLICE_SECONDS: Final = 0.004  # the loop is given way to at least this often


@dataclass(slots=True)
class Timer:
    """Counts only the time that this request works: neither others' turns on the loop nor preemption are its overrun.

    `clock` is the wall's, `work` this thread's own CPU time. Over is what has worked for longer than `limit`, or has
    taken `PATIENCE` times as long by the wall (a detector that waits works not at all).
    """

    clock: Callable[[], float]
    work: Callable[[], float]
    limit: float = float("inf")
    spent: float = 0.0
    worked: float = 0.0
    since: float = 0.0
    working_since: float = 0.0

    def resume(self) -> None:
        self.since, self.working_since = self.clock(), self.work()

    def pause(self) -> None:
        self.spent += self.clock() - self.since
        self.worked += self.work() - self.working_since

    def is_over(self) -> bool:
        taken = self.spent + self.clock() - self.since
        if taken <= self.limit:
            return False
        return taken > self.limit * PATIENCE or self.worked + self.work() - self.working_since > self.limit

    def deadline(self) -> Callable[[], bool]:
        """The same by the wall alone, from now on, for work in another thread."""
        end = self.clock() + self.limit * PATIENCE
        return lambda: self.clock() > end

    def is_slice_over(self) -> bool:
        """Whether it is time to let others on."""
        return self.clock() - self.since > _SLICE_SECONDS

    async def give_way(self, *, always: bool = False) -> None:
        """Let others on when a slice is over; `always`: now."""
        if always or self.is_slice_over():
            self.pause()
            await asyncio.sleep(0)
            self.resume()
