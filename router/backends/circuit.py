"""A circuit breaker for one model: when not to ask somebody who fails, and when to look again. Reads only its clock.

Closed, it lets every call through, and opens after so many failures in a row. Open, it lets none through until its
pause is over; then one alone, whose outcome closes it or opens it again for twice as long.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

from router.errors import GatehouseError, Unavailable, UpstreamError

State = Literal["closed", "half_open", "open"]
Verdict = Literal["failed", "answered", "neither"]

FAILURES = 5  # in a row
FIRST_PAUSE_S = 2.0
LONGEST_PAUSE_S = 30.0
_ANSWERED = (400, 413, 422)  # about this request alone: the upstream is well
_SERVER_FAULTS = 500
_TIMED_OUT = 408


def verdict_of(error: BaseException) -> Verdict:
    """What an error says of the upstream itself.

    A key that is refused, a model that is not known, a redirect and a full queue are answers that no pause cures, or
    that say by themselves how long to wait: they move nothing. Nor do callers who go away, locks and our own refusals.
    """
    if isinstance(error, Unavailable):
        return "failed" if type(error) is Unavailable and error.code == "local_unavailable" else "neither"
    if not isinstance(error, UpstreamError):
        return "neither"
    status = error.upstream_status
    if status is None or status >= _SERVER_FAULTS or status == _TIMED_OUT:
        return "failed"
    return "answered" if status in _ANSWERED else "neither"


class Circuit:
    """One breaker. A call takes a ticket from `enter` and gives it back with what became of it, once."""

    def __init__(
        self,
        longest_pause: float = LONGEST_PAUSE_S,
        on_change: Callable[[State], None] = lambda state: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.state: State = "closed"
        self._longest = longest_pause
        self._on_change = on_change
        self._clock = clock
        self._failures = 0
        self._pause = FIRST_PAUSE_S
        self._until = 0.0
        self._round = 0  # tickets of earlier rounds say nothing any more

    @property
    def wait(self) -> float:
        """Seconds until a call may be let through; 0: now. While one alone is tried, nobody else may."""
        if self.state == "closed":
            return 0.0
        if self.state == "half_open":
            return FIRST_PAUSE_S
        return max(0.0, self._until - self._clock())

    def enter(self) -> int | None:
        """A ticket for one call, or None where none may be made."""
        if self.wait > 0:
            return None
        if self.state == "open":
            self._become("half_open")
        return self._round

    def give_back(self, ticket: int, verdict: Verdict, retry_after: float | None = None) -> None:
        """What became of the call. Of the one that was tried alone, `neither` leaves the next one to be tried."""
        if ticket != self._round:
            return
        if verdict == "answered":
            self._failures = 0
            if self.state == "half_open":
                self._pause = FIRST_PAUSE_S
                self._become("closed")
        elif self.state == "half_open":
            self._pause = min(self._pause * 2, self._longest) if verdict == "failed" else self._pause
            self._open(retry_after if verdict == "failed" else 0.0, self._pause if verdict == "failed" else 0.0)
        elif verdict == "failed":
            self._failures += 1
            if self._failures >= FAILURES:
                self._open(retry_after, self._pause)

    def _open(self, retry_after: float | None, pause: float) -> None:
        self._until = self._clock() + min(max(pause, retry_after or 0.0), self._longest)
        self._become("open")

    def _become(self, state: State) -> None:
        self.state = state
        self._failures = 0
        self._round += 1
        self._on_change(state)


def refusal(name: str, locality: str, wait: float) -> GatehouseError:
    """What a call is told that may not be made."""
    message = f"Model `{name}` has failed {FAILURES} times in a row and is not asked for now. Retry in a few seconds."
    if locality == "local":
        return Unavailable(message, retry_after=wait)
    return UpstreamError(message, status=503, unsent=True, curable=False, retry_after=wait)
