"""The decode thread: steps every model's lane in turn, and runs what must not run beside a step."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from typing import Protocol, TypeVar

from router.engine.native import NativeError
from router.engine.types import EngineError

T = TypeVar("T")


class Steppable(Protocol):
    """What the loop needs of a lane."""

    @property
    def is_busy(self) -> bool:
        """Whether there is something to do."""
        ...

    def step(self, others_wait: Callable[[], bool]) -> bool:
        """One step; `others_wait` tells whether another lane has something to do. False: there was nothing to do."""
        ...

    def interrupt(self) -> None:
        """There is news: a step that can be given up is given up. May be called from any thread, at any time."""
        ...

    def end(self) -> None:
        """Fail whatever is unfinished: the loop stops."""
        ...


class StoppedError(Exception):
    """The loop takes no more work."""


class NativeClock:
    """When the native call in progress began: what a watchdog looks at. None between calls."""

    def __init__(self) -> None:
        self.started: float | None = None

    @contextmanager
    def running(self) -> Iterator[None]:
        """Around one native call, or a few that belong together."""
        self.started = time.monotonic()
        try:
            yield
        finally:
            self.started = None


class DecodeLoop:
    """`run` is the decode thread; everything else may be called from any thread."""

    def __init__(self) -> None:
        self.clock = NativeClock()
        self._changed = threading.Condition()
        self._lanes: tuple[Steppable, ...] = ()
        self._calls: deque[Callable[[], None]] = deque()
        self._has_news = False
        self._is_stopped = False
        self._stepping: Steppable | None = None

    @property
    def step_started(self) -> float | None:
        """Monotonic start of the native call in progress, in seconds; None between calls."""
        return self.clock.started

    def wake(self) -> None:
        """There is something new to do."""
        with self._changed:
            self._has_news = True
            self._tell()

    def attach(self, lane: Steppable) -> None:
        """Step `lane` from now on. Raises StoppedError."""
        with self._changed:
            if self._is_stopped:
                raise StoppedError
            self._lanes = (*self._lanes, lane)
            self._has_news = True
            self._tell()

    def detach(self, lane: Steppable) -> Future[None]:
        """Step `lane` no more; done when no step of it is in progress."""

        def remove() -> None:
            with self._changed:  # another thread may be attaching one
                self._lanes = tuple(other for other in self._lanes if other is not lane)

        return self.call(remove)

    def call(self, work: Callable[[], T]) -> Future[T]:
        """Run `work` on the decode thread between two steps; one such call a round. Raises StoppedError.

        The future holds what `work` returns, or the NativeError or EngineError that it raises.
        """
        future: Future[T] = Future()

        def run() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                with self.clock.running():
                    result = work()
            except (NativeError, EngineError) as error:
                future.set_exception(error)
            else:
                future.set_result(result)

        with self._changed:
            if self._is_stopped:
                raise StoppedError
            self._calls.append(run)
            self._tell()
        return future

    def stop(self) -> None:
        """End `run` after the present step; what is unfinished fails."""
        with self._changed:
            self._is_stopped = True
            self._tell()

    def run(self) -> None:
        """The loop itself. Returns after `stop`."""
        while self._wait():
            self._has_news = False  # before the steps: what is submitted from here on is seen by the next round
            for lane in self._lanes:
                self._stepping = lane
                if lane.step(partial(self._others_wait, lane)):
                    self._has_news = True
            self._stepping = None
            if self._calls:
                self._calls.popleft()()
        for lane in self._lanes:
            lane.end()
        while self._calls:
            self._calls.popleft()()

    def _tell(self) -> None:
        """Wake the thread, or the step that it is at."""
        self._changed.notify()
        stepping = self._stepping
        if stepping is not None:
            stepping.interrupt()

    def _others_wait(self, stepping: Steppable) -> bool:
        others = (lane.is_busy for lane in self._lanes if lane is not stepping)
        return self._is_stopped or bool(self._calls) or any(others)

    def _wait(self) -> bool:
        """Sleep while there is nothing to do. False: stopped."""
        with self._changed:
            while not (self._has_news or self._calls or self._is_stopped):
                self._changed.wait()
            return not self._is_stopped
