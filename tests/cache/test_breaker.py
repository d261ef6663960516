"""The breaker opens early, stays quiet while open, and closes at the first answer."""

from __future__ import annotations

import pytest

from router.cache.breaker import Breaker


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_three_failures_in_a_row_open_it() -> None:
    breaker = Breaker(timeout=0.05)
    for expected in (False, False, True):
        breaker.fail(0.05)
        assert breaker.is_open is expected


def test_an_answer_in_between_starts_the_count_again() -> None:
    breaker = Breaker(timeout=0.05)
    for _ in range(10):
        breaker.fail(0.05)
        breaker.fail(0.05)
        breaker.succeed()
    assert not breaker.is_open


@pytest.mark.parametrize(("timeout", "calls"), [(1.0, 1), (0.6, 1), (0.5, 2), (0.4, 2), (0.3, 3), (0.05, 3)])
def test_it_opens_before_a_second_has_been_wasted(timeout: float, calls: int) -> None:
    breaker = Breaker(timeout=timeout)
    wasted = 0.0
    for _ in range(calls):
        assert not breaker.is_open
        breaker.fail(timeout)
        wasted += timeout
    assert breaker.is_open
    assert wasted <= 1.0


def test_probes_come_more_and_more_seldom_up_to_five_seconds() -> None:
    clock = Clock()
    breaker = Breaker(timeout=1.0, clock=clock)
    breaker.fail(1.0)
    pauses = []
    for _ in range(6):
        began = clock.now
        while not breaker.wants_probe():
            clock.now += 0.25
        pauses.append(clock.now - began)
        breaker.fail_probe()
    assert pauses == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]


def test_late_failures_of_calls_under_way_do_not_delay_the_probe() -> None:
    clock = Clock()
    breaker = Breaker(timeout=1.0, clock=clock)
    breaker.fail(1.0)
    for _ in range(100):
        breaker.fail(1.0)
    clock.now = 0.5
    assert breaker.wants_probe()


def test_closed_again_it_opens_as_quickly_as_the_first_time() -> None:
    clock = Clock()
    breaker = Breaker(timeout=1.0, clock=clock)
    breaker.fail(1.0)
    breaker.fail_probe()
    breaker.succeed()
    assert not breaker.is_open
    breaker.fail(1.0)
    clock.now = 0.5
    assert breaker.wants_probe()
