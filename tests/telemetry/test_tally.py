"""What is added up before it is written down comes to the same as what is written down each time."""

from __future__ import annotations

import asyncio

from router.telemetry.metrics import MetricStore
from router.telemetry.tally import SECONDS, Tally

VALUES = (0.0, 0.005, 0.0100001, 3.0, 1e9)  # on a bound, between two, beyond the last


def samples(store: MetricStore) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample that is not 0."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for _, metric in store.collect()
        for sample in metric.samples
        if sample.value
    }


def fill(store: MetricStore, tally: Tally) -> None:
    """A few requests."""
    for value in VALUES:
        tally.see(store.histogram("gatehouse.overhead", "local"), value)
        tally.add(store.counter("gatehouse.tokens", "home", "input"), 7)
        tally.set(store.gauge("gatehouse.requests.in_flight"), value)
    tally.set(store.gauge("gatehouse.requests.in_flight"), 2)


def test_sums_written_later_are_those_of_single_amounts_written_at_once():
    at_once = MetricStore()
    fill(at_once, Tally())  # no loop runs: nothing waits
    later = MetricStore()

    async def on_a_loop() -> None:
        tally = Tally()
        fill(later, tally)
        assert not samples(later)
        tally.write()

    asyncio.run(on_a_loop())
    assert samples(at_once)
    assert samples(later) == samples(at_once)


def test_what_waits_is_written_by_itself_a_moment_later_again_and_again():
    store = MetricStore()

    async def on_a_loop() -> list[int]:
        tally, seen = Tally(), list[int]()
        for _ in range(2):
            fill(store, tally)
            await asyncio.sleep(SECONDS * 2)
            seen.append(len(samples(store)))
        return seen

    first, second = asyncio.run(on_a_loop())
    assert first == second > 0
    assert max(value for (name, _), value in samples(store).items() if "tokens" in name) == 7 * 2 * len(VALUES)


def test_what_waits_when_its_loop_ends_is_written_with_the_last_word():
    store = MetricStore()

    async def on_a_loop() -> Tally:
        tally = Tally()
        tally.add(store.counter("gatehouse.egress", "cloud"))
        return tally

    tally = asyncio.run(on_a_loop())  # it ends before the moment is over
    assert not samples(store)
    tally.write()
    tally.add(store.counter("gatehouse.egress", "cloud"))  # nobody would write it later: it is written now
    assert list(samples(store).values()) == [2]
