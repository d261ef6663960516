"""Steps stay short whatever the machine: how many prompt tokens fit in one, and who gets them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.engine.pace import LEAST, TARGET_S, Pace, share

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


def learned(seconds_a_token: float) -> Pace:
    pace = Pace()
    for _ in range(50):
        pace.learn(64, 64 * seconds_a_token)
    return pace


@pytest.mark.parametrize("token_s", [0.0005, 0.001, 0.004])
def test_a_step_takes_its_time_and_no_more(token_s: float) -> None:
    room = learned(token_s).room(0, 4_096)
    assert TARGET_S - 1.5 * token_s < room * token_s <= TARGET_S


def test_those_who_talk_have_their_tokens_first() -> None:
    pace = learned(0.002)
    assert pace.room(8, 256) == pace.room(0, 256) - 8


def test_a_slow_machine_still_reads() -> None:
    assert learned(0.5).room(0, 256) == LEAST
    assert learned(0.5).room(8, 256) == LEAST


def test_a_step_never_holds_more_than_its_batch() -> None:
    assert learned(0.000_001).room(0, 256) == 256
    assert learned(0.000_001).room(8, 256) == 248
    assert learned(0.5).room(252, 256) == 4
    assert learned(0.5).room(256, 256) == 0


def test_a_step_that_takes_no_measurable_time_is_no_error() -> None:
    assert learned(0.0).room(0, 256) == 256


def test_steps_of_few_tokens_teach_nothing() -> None:
    """What they cost is the reading of the weights, which more tokens would share."""
    pace = Pace()
    before = pace.room(0, 4_096)
    pace.learn(LEAST - 1, 10.0)
    assert pace.room(0, 4_096) == before


def test_one_slow_step_does_not_turn_everything_over_and_many_do() -> None:
    pace = learned(0.001)
    pace.learn(64, 64 * 0.002)
    assert pace.room(0, 4_096) > 60
    for _ in range(50):
        pace.learn(64, 64 * 0.002)
    assert pace.room(0, 4_096) == pytest.approx(40, abs=1)
