"""How long answers are expected to get, from answers that ended by themselves or at their limit."""

from __future__ import annotations

import random
import statistics

import pytest

from router.waiting.lengths import AnswerLengths


def taught(lengths: list[int], limit: int = 1 << 20) -> AnswerLengths:
    known = AnswerLengths()
    for length in lengths:
        known.learn(min(length, limit), was_cut=length > limit)
    return known


def test_before_any_answer_a_limit_that_is_short_is_what_is_expected() -> None:
    assert AnswerLengths().left(0, 16) == pytest.approx(16, rel=0.1)


@pytest.mark.parametrize("limit", [16, 64, 256])
def test_the_mean_within_a_limit_is_learned(limit: int) -> None:
    dice = random.Random(5)
    lengths = [max(1, round(dice.expovariate(1 / 60))) for _ in range(300)]
    mean = statistics.fmean(min(length, limit) for length in lengths)
    assert taught(lengths).left(0, limit) == pytest.approx(mean, rel=0.25)


def test_answers_cut_by_their_limit_do_not_make_long_ones_look_short() -> None:
    dice = random.Random(6)
    lengths = [max(1, round(dice.expovariate(1 / 200))) for _ in range(300)]
    cut, whole = taught(lengths, limit=32).left(0, 256), taught(lengths).left(0, 256)
    assert cut == pytest.approx(whole, rel=0.35)
    assert cut > 100


def test_one_that_has_said_much_says_less_than_its_limit_leaves_and_at_least_a_token() -> None:
    known = taught([40] * 50)
    assert 1.0 <= known.left(60, 64) <= 4.0
    assert known.left(64, 64) == 1.0
    assert known.left(10, 256) < known.left(0, 256)


def test_what_was_learned_fades() -> None:
    known = taught([10] * 100)
    before = known.left(0, 512)
    for _ in range(200):
        known.learn(300, was_cut=False)
    assert known.left(0, 512) > 4 * before
