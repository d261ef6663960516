"""When a call outside is made once more: only where nothing was sent or it was refused, and within a budget.

What an upstream may have worked on is never asked for twice: an answer costs money, and tools may have run.
"""

from __future__ import annotations

from router.errors import UpstreamError

MOST = 2  # times that one call is made once more
SHARE = 5  # of so many calls one may be made once more: 20 %
_KEPT = 10 * SHARE  # calls that count towards later ones
_REFUSED = (429, 503, 529)  # not taken: too many requests, overloaded
_FIRST_S = 0.2  # the longest wait before the first time without a `Retry-After`; twice as long each time
_LONGEST_S = 4.0


class RetryBudget:
    """A token bucket for one model in one worker: a call puts in a fifth of what one more takes out.

    It begins with room for the first, so that of N calls at most N/5, rounded up, are made once more.
    """

    def __init__(self) -> None:
        self._tokens = SHARE - 1

    def earn(self) -> None:
        """A call is made for the first time."""
        self._tokens = min(self._tokens + 1, _KEPT)

    def spend(self) -> bool:
        """Take out what one more costs; False where there is not enough."""
        if self._tokens < SHARE:
            return False
        self._tokens -= SHARE
        return True


def pause_before(error: UpstreamError, times: int, left: float | None, chance: float) -> float | None:
    """Seconds to wait before the call is made once more; None: it is not.

    `times` is how often that was done already, `left` the seconds that the request has (None: no limit), `chance` a
    number in [0, 1) by which calls that failed together do not come back together.
    """
    is_refused = error.upstream_status in _REFUSED
    if times >= MOST or not (is_refused or (error.unsent and error.curable)):
        return None
    pause = chance * _FIRST_S * (1 << times) + (error.retry_after or 0.0)
    if pause > _LONGEST_S or (left is not None and pause >= left):
        return None
    return pause
