"""A circuit breaker: when to stop asking somebody who does not answer, and when to look again. Reads only its clock."""

from __future__ import annotations

import time
from collections.abc import Callable

_MAX_FAILURES = 3
_FIRST_PAUSE_SECONDS = 0.5
_LAST_PAUSE_SECONDS = 5.0


class Breaker:
    """Opens after three failures in a row, or as soon as one more could waste more than `budget` seconds in all.

    Open, it asks for a probe after half a second, then after twice as long each time, up to five seconds.
    """

    def __init__(self, *, timeout: float, budget: float = 1.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._timeout = timeout
        self._budget = budget
        self._clock = clock
        self._failures = 0
        self._wasted = 0.0
        self._pause = _FIRST_PAUSE_SECONDS
        self._next_probe = 0.0
        self.is_open = False

    def fail(self, seconds: float) -> None:
        """A call failed after waiting `seconds`. Calls that were under way when it opened change nothing more."""
        if self.is_open:
            return
        self._failures += 1
        self._wasted += seconds
        if self._failures >= _MAX_FAILURES or self._wasted + self._timeout > self._budget:
            self.is_open = True
            self._pause = _FIRST_PAUSE_SECONDS
            self._next_probe = self._clock() + self._pause

    def fail_probe(self) -> None:
        """The probe failed: wait twice as long until the next."""
        self._pause = min(self._pause * 2, _LAST_PAUSE_SECONDS)
        self._next_probe = self._clock() + self._pause

    def succeed(self) -> None:
        """A call or a probe was answered: closed."""
        self._failures = 0
        self._wasted = 0.0
        self.is_open = False

    def wants_probe(self) -> bool:
        """Open, and the pause is over."""
        return self.is_open and self._clock() >= self._next_probe
