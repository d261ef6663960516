"""Amounts on their way into the metrics: added up in this process, written down together a moment later.

Writing one down takes a lock and a mapped file. Most series are written by every request, so that of a moment's worth
of requests one sum says the same. Where no event loop runs, each is written at once.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from typing import TYPE_CHECKING

from router.telemetry.metrics import observe_many

if TYPE_CHECKING:
    from router.telemetry.metrics import Counter, Gauge, Histogram

SECONDS = 0.05


class Tally:
    """For the thread in which it is made: what is counted waits where that runs an event loop."""

    def __init__(self) -> None:
        # Asked once: each time it costs a call of the system.
        self._loop = asyncio._get_running_loop()  # None where none runs; the public form raises
        self._timer: asyncio.TimerHandle | None = None
        self._amounts: dict[Counter, float] = {}
        self._seen: dict[Histogram, tuple[list[float], list[int]]] = {}
        self._levels: dict[Gauge, float] = {}

    def add(self, counter: Counter, amount: float = 1.0) -> None:
        """So much more."""
        if self._timer is not None or self._may_wait():
            self._amounts[counter] = self._amounts.get(counter, 0.0) + amount
        else:
            counter.inc(amount)

    def see(self, histogram: Histogram, value: float) -> None:
        """One more observation."""
        if self._timer is None and not self._may_wait():
            histogram.observe(value)
            return
        seen = self._seen.get(histogram)
        if seen is None:
            seen = self._seen[histogram] = ([0.0], [0] * len(histogram._upper_bounds))
        seen[0][0] += value
        seen[1][bisect_left(histogram._upper_bounds, value)] += 1

    def set(self, gauge: Gauge, value: float) -> None:
        """How it stands now; what it was in between is not kept."""
        if self._timer is not None or self._may_wait():
            self._levels[gauge] = value
        else:
            gauge.set(value)

    def write(self) -> None:
        """Write down what waits."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        amounts, self._amounts = self._amounts, {}
        for counter, amount in amounts.items():
            counter.inc(amount)
        seen, self._seen = self._seen, {}
        for histogram, (total, counts) in seen.items():
            observe_many(histogram, counts, total[0])
        levels, self._levels = self._levels, {}
        for gauge, value in levels.items():
            gauge.set(value)

    def _may_wait(self) -> bool:
        """Whether a loop writes it down in a moment; asked by the first amount of each moment."""
        if self._loop is None or self._loop.is_closed():
            return False
        self._timer = self._loop.call_later(SECONDS, self.write)
        return True
