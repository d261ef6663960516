"""Ends a piece of work from outside, or at a moment: `asyncio.timeout` for what is begun with every request.

Without the coroutines and the enum of `asyncio.Timeout`, which take longer than the timer itself.
"""

from __future__ import annotations

import asyncio
from types import TracebackType


class Cutoff:
    """A block (`with`) that is cancelled by `now`, or `seconds` after it was entered. Raises `TimeoutError` then.

    For one block, in a task. A cancellation that comes from elsewhere stays one.
    """

    __slots__ = ("_before", "_has_come", "_seconds", "_task", "_timer")

    def __init__(self, seconds: float | None = None) -> None:
        self._seconds = seconds
        self._task: asyncio.Task[object] | None = None  # while the block lasts
        self._timer: asyncio.TimerHandle | None = None
        self._before = 0
        self._has_come = False

    def now(self) -> None:
        """Cancel the block. Does nothing outside of it, nor a second time."""
        if self._task is not None and not self._has_come:
            self._has_come = True
            self._task.cancel()

    def __enter__(self) -> Cutoff:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a cutoff belongs to a task")
        self._task, self._before = task, task.cancelling()
        if self._seconds is not None:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self.now)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        task, self._task = self._task, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._has_come and task is not None:
            is_ours_alone = task.uncancel() <= self._before
            if is_ours_alone and kind is asyncio.CancelledError:
                raise TimeoutError from error
