"""Ends a process whose decode thread does not come back from native code: nothing else can end such a call.

It never ends one that is idle, that was stopped and continued, or that loads a model: only a decode call counts.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable

from router.engine.process import say

HUNG = 4  # the exit status
_LOOK_S = 0.25


class Watchdog:
    """Watches one native call after the other, in a thread of its own."""

    def __init__(
        self,
        step_started: Callable[[], float | None],
        *,
        limit_s: float,
        thread: str = "decode",
        look_s: float = _LOOK_S,
    ) -> None:
        """`step_started` says when (`time.monotonic`) the native call in progress began, None when there is none.

        `thread` is the name of the thread that makes the calls, for the line that names what hung.
        """
        self._step_started = step_started
        self._limit_s = limit_s
        self._named = thread
        self._look_s = look_s
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def _watch(self) -> None:
        watched: float | None = None
        seen_s = 0.0  # how long the same call has been seen, without the time in which nobody could look
        last = time.monotonic()
        while True:
            time.sleep(self._look_s)
            now = time.monotonic()
            gap, last = now - last, now
            started = self._step_started()
            if started is None or started != watched:
                watched, seen_s = started, 0.0
                continue
            seen_s += min(gap, 2 * self._look_s)
            if seen_s >= self._limit_s:
                self._end()

    def _end(self) -> None:
        say(f"{self._place()} has not returned for {self._limit_s:g} s; this engine ends and is started anew")
        os._exit(HUNG)

    def _place(self) -> str:
        """The Python function whose native call hangs, by name and line; it says nothing of what is decoded."""
        frames = sys._current_frames()
        for thread in threading.enumerate():
            frame = frames.get(thread.ident or 0)
            if thread.name == self._named and frame is not None:
                return f"a native call in {frame.f_code.co_name}, line {frame.f_lineno},"
        return "a native call"
