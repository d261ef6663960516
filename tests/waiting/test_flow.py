"""How requests side by side are worked off: against a step-by-step count of what the engine does."""

from __future__ import annotations

import pytest

from router.waiting.flow import Costs, Job, advance, rates, seconds_to_last

COSTS = Costs(a_pass=0.010, answer=0.002, prompt=0.003)
MANY = 100


def stepped(work: list[tuple[int, int]], slots: int) -> float:
    """The same, one step after the other: whoever talks says a token, readers share what else fits into 90 ms."""
    line = [[float(prompt), float(answer)] for prompt, answer in work]
    last, seconds = line[-1], 0.0
    while True:
        served = line[:slots]
        readers, talkers = [job for job in served if job[0] > 0], [job for job in served if job[0] <= 0]
        besides = COSTS.a_pass * (2 if talkers and readers else bool(talkers)) + COSTS.answer * len(talkers)
        room = max(8.0, (0.09 - besides) / COSTS.prompt) if readers else 0.0
        read = min(room, sum(job[0] for job in readers))
        for job in readers:
            job[0] -= room / len(readers)
            job[1] -= job[0] <= 0
        for job in talkers:
            job[1] -= 1
        seconds += besides + read * COSTS.prompt
        line = [job for job in line if job[1] > 0]
        if last not in line:
            return seconds


@pytest.mark.parametrize(
    ("work", "slots"),
    [
        ([(30, 100)], MANY),
        ([(1000, 16)], MANY),
        ([(30, 64)] * 8, MANY),
        ([(900, 32), (30, 256), (30, 16)], MANY),
        ([(30, 200)] * 4 + [(1200, 32)], MANY),
        ([(30, 64)] * 9, 4),
        ([(500, 64), (30, 200), (300, 20), (40, 128), (30, 64)], 2),
    ],
)
def test_the_flow_takes_as_long_as_the_steps(work: list[tuple[int, int]], slots: int) -> None:
    assert seconds_to_last(work, COSTS, slots) == pytest.approx(stepped(work, slots), rel=0.12)


def test_one_alone_takes_its_prompt_and_its_answer() -> None:
    assert seconds_to_last([(100, 51)], COSTS, MANY) == pytest.approx(100 * 0.003 + 50 * 0.012)


def test_whoever_comes_later_is_not_waited_for_and_whoever_was_there_is() -> None:
    alone = seconds_to_last([(30, 50)], COSTS, MANY)
    beside = seconds_to_last([(30, 50), (30, 50)], COSTS, MANY)
    behind = seconds_to_last([(30, 50), (30, 50)], COSTS, 1)
    assert alone < beside < behind
    assert behind == pytest.approx(2 * alone)


def test_nobody_reads_or_talks_in_an_empty_house() -> None:
    assert rates(COSTS, 0, 0) == (0.0, 0.0)


def test_time_moves_those_who_are_served_on_and_ends_none() -> None:
    jobs = [Job(prompt=10, cap=20), Job(prompt=0, cap=5), Job(prompt=30, cap=20)]
    advance(jobs, COSTS, 2, 60.0)
    assert [job.prompt for job in jobs] == [0.0, 0.0, 30]
    assert [job.said for job in jobs] == [20.0, 5.0, 0.0]


def test_many_little_whiles_are_one_long_while() -> None:
    often, once = [Job(200, 50), Job(0, 50)], [Job(200, 50), Job(0, 50)]
    for _ in range(100):
        advance(often, COSTS, MANY, 0.01)
    advance(once, COSTS, MANY, 1.0)
    assert [(job.prompt, job.said) for job in often] == [pytest.approx((job.prompt, job.said)) for job in once]
