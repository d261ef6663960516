"""Steps stay short whatever the machine: how many prompt tokens fit in one, and who gets them."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.engine.pace import LEAST, TARGET_S, Pace, passes, share

# What each prompt still needs, the room of the step, and what each gets.
SHARES = [
    ("nobody reads", [], 64, []),
    ("a lone prompt gets all of it", [500], 64, [64]),
    ("but no more than it needs", [20], 64, [20]),
    ("two long ones get equal parts", [500, 400], 64, [32, 32]),
    ("a short one is read whole, the rest goes to the long one", [500, 10], 64, [54, 10]),
    ("two short ones beside a long one", [10, 500, 12], 64, [10, 42, 12]),
    ("what cannot be halved goes to somebody", [500, 500], 65, [33, 32]),
    ("more prompts than room", [9, 9, 9], 2, [1, 1, 0]),
    ("no room", [9, 9], 0, [0, 0]),
]


@pytest.mark.parametrize(("remaining", "room", "given_to"), [case[1:] for case in SHARES], ids=[c[0] for c in SHARES])
def test_the_room_is_shared(remaining: list[int], room: int, given_to: list[int]) -> None:
    assert share(remaining, room) == given_to


@settings(derandomize=True, database=None, deadline=None)
@given(remaining=st.lists(st.integers(1, 1_000), max_size=12), room=st.integers(0, 600))
def test_no_room_is_wasted_or_given_twice_and_nobody_gets_less_for_asking_less(remaining: list[int], room: int) -> None:
    parts = share(remaining, room)
    assert sum(parts) == min(room, sum(remaining))
    for needed, part in zip(remaining, parts, strict=True):
        # Whoever is not read whole has, but for the rounding, as much as anybody.
        assert 0 <= part <= needed
        assert part == needed or part + 1 >= max(parts)


# How many tokens each slot has in a step, and the passes over the weights that llama.cpp makes of it.
PASSES = [
    ("nothing", [], 0),
    ("nobody", [0, 0], 0),
    ("all talk", [1, 1, 1, 1], 1),
    ("all read as much", [3, 3, 3], 1),
    ("one reads beside talkers", [1, 1, 17, 1], 2),
    ("two neighbours read beside talkers", [1, 5, 5, 1], 2),
    ("two who are no neighbours", [5, 1, 5, 1], 3),
    ("a gap", [1, 0, 1, 1], 2),
    ("all read differently", [3, 5, 2, 7, 4], 5),
]


@pytest.mark.parametrize(("counts", "made"), [case[1:] for case in PASSES], ids=[case[0] for case in PASSES])
def test_neighbours_with_as_many_tokens_share_a_pass(counts: list[int], made: int) -> None:
    assert passes(counts) == made


def taught(pass_s: float, said_s: float, read_s: float) -> Pace:
    """A pace that has seen steps of all shapes on a machine on which this is what a pass and a token cost."""
    pace, source = Pace(), random.Random(1)
    for _ in range(2_000):
        made, said, read = source.randint(1, 3), source.randint(0, 8), source.choice([0, 0, 8, 16, 24])
        pace.learn(made, said, read, made * pass_s + said * said_s + read * read_s)
    return pace


@pytest.mark.parametrize("costs", [(0.007, 0.0044, 0.0032), (0.001, 0.0005, 0.0004), (0.03, 0.001, 0.001)])
def test_it_learns_what_passes_and_tokens_cost(costs: tuple[float, float, float]) -> None:
    a_pass, an_answer, a_prompt = costs
    pace = taught(*costs)
    for made, said, read in ((1, 8, 0), (1, 0, 24), (2, 7, 16)):
        cost = made * a_pass + said * an_answer + read * a_prompt
        assert pace.seconds(made, said, read) == pytest.approx(cost, rel=0.02)


COSTS = (0.007, 0.0044, 0.0032)
# Who talks, what the others still have to read, and who reads how much, on a machine that costs this much.
STEPS = [
    ("a lone prompt", [0], [500], [25]),
    ("the end of one", [0], [9], [9]),
    ("eight at once read the same number", [0] * 8, [37, 40, 36, 99, 41, 37, 37, 2000], [3] * 8),
    ("a long one beside seven talkers", [1] * 7 + [0], [0] * 7 + [2000], [0] * 7 + [14]),
    ("a short one has its end, a long one the rest", [0, 0], [4, 2000], [4, 18]),
    ("nobody reads", [1, 1], [0, 0], [0, 0]),
]


@pytest.mark.parametrize(("talking", "remaining", "reads"), [c[1:] for c in STEPS], ids=[c[0] for c in STEPS])
def test_a_step_takes_its_time_and_no_more(talking: list[int], remaining: list[int], reads: list[int]) -> None:
    pace = taught(*COSTS)
    given_to = pace.shares(talking, remaining, 512)
    assert given_to == [pytest.approx(wanted, abs=1 if wanted > 9 else 0) for wanted in reads]
    made = passes([one + other for one, other in zip(talking, given_to, strict=True)])
    assert pace.seconds(made, sum(talking), sum(given_to)) <= TARGET_S


@settings(derandomize=True, database=None, deadline=None)
@given(
    slots=st.lists(st.tuples(st.booleans(), st.integers(0, 3_000)), min_size=1, max_size=10),
    most=st.integers(32, 600),
)
def test_somebody_reads_nobody_more_than_is_left_and_all_in_one_batch(slots: list[tuple[bool, int]], most: int) -> None:
    talking = [int(talks) for talks, _ in slots]
    remaining = [0 if talks else left for talks, left in slots]
    given_to = taught(*COSTS).shares(talking, remaining, most)
    assert all(part <= left for part, left in zip(given_to, remaining, strict=True))
    assert sum(given_to) >= min(LEAST, sum(remaining))
    assert sum(given_to) + sum(talking) <= most


def test_a_slow_machine_still_reads() -> None:
    slow = taught(0.5, 0.5, 0.5)
    assert sum(slow.shares([0, 0], [500, 500], 256)) == LEAST
    assert slow.shares([1, 0], [0, 500], 256) == [0, LEAST]
    assert slow.room(256) == LEAST


def test_a_step_never_holds_more_than_its_batch() -> None:
    fast = taught(0.000_001, 0.000_001, 0.000_001)
    assert fast.room(256) == 256
    assert fast.shares([0], [5_000], 256) == [256]
    assert fast.shares([1, 1, 0], [0, 0, 5_000], 256) == [0, 0, 254]
    assert fast.shares([1, 1, 1], [0, 0, 0], 3) == [0, 0, 0]


def test_a_step_that_takes_no_measurable_time_is_no_error() -> None:
    assert taught(0.0, 0.0, 0.0).shares([0], [5_000], 256) == [256]


def test_one_slow_step_does_not_turn_everything_over_and_many_do() -> None:
    pace = taught(*COSTS)
    before = pace.room(512)
    pace.learn(1, 0, 24, 20.0)  # the machine slept
    assert pace.room(512) > before / 2
    for _ in range(50):
        pace.learn(1, 0, 8, 2 * (0.007 + 8 * 0.0032))
    assert pace.room(512) == pytest.approx(before / 2, abs=3)
