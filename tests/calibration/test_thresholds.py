"""Thresholds: exact tails, promises that hold as often as they say, and none where the labels do not carry one."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from scipy.stats import beta, binom

from router.calibration.thresholds import (
    DELTA,
    Graded,
    Promise,
    at_most_bad,
    at_most_escalated,
    budget_share,
    fewest_labels,
    lower_bound,
    tail,
    upper_bound,
)

_TRIALS = 300


@pytest.mark.parametrize(("bad", "total", "chance"), [(0, 59, 0.05), (3, 100, 0.1), (40, 1000, 0.05), (7, 7, 0.5)])
def test_tails_and_bounds_are_those_of_the_binomial_distribution(bad: int, total: int, chance: float) -> None:
    assert tail(bad, total, chance) == pytest.approx(binom.cdf(bad, total, chance), abs=1e-12)
    high = beta.ppf(1 - DELTA, bad + 1, total - bad) if bad < total else 1.0
    low = beta.ppf(DELTA, bad, total - bad + 1) if bad else 0.0
    assert upper_bound(bad, total) == pytest.approx(high, abs=1e-9)
    assert lower_bound(bad, total) == pytest.approx(low, abs=1e-9)


def test_tails_at_the_edges() -> None:
    assert tail(-1, 10, 0.3) == 0.0
    assert (tail(3, 10, 0.0), tail(3, 10, 1.0), tail(10, 10, 1.0)) == (1.0, 0.0, 1.0)


def drawn(source: random.Random, size: int, good_at: Callable[[float], float], digits: int) -> list[Graded]:
    """Scores uniform in [0, 1]; `good_at` is the true chance at a score; few digits make ties."""
    scores = [source.random() for _ in range(size)]
    return [Graded(round(score, digits), source.random() < good_at(score)) for score in scores]


def bad_above(threshold: float, good_at: Callable[[float], float]) -> float:
    parts = 2000
    places = [threshold + (1 - threshold) * (part + 0.5) / parts for part in range(parts)]
    return sum(1 - good_at(place) for place in places) / parts


def smooth(score: float) -> float:
    return 1 - 0.3 * (1 - score) ** 2


def step(score: float) -> float:
    return 0.97 if score > 0.6 else 0.5


@pytest.mark.parametrize("good_at", [smooth, step])
@pytest.mark.parametrize(("size", "digits"), [(150, 6), (400, 6), (400, 1)])
def test_the_bad_share_of_what_is_kept_exceeds_the_target_at_most_as_often_as_delta(
    good_at: Callable[[float], float], size: int, digits: int
) -> None:
    source = random.Random(f"{size}/{digits}")
    broken = 0
    for _ in range(_TRIALS):
        promise = at_most_bad(drawn(source, size, good_at, digits), 0.05)
        # a score of one digit stands for what rounds to it
        edge = 0.0 if not promise.threshold else promise.threshold + (0.05 if digits == 1 else 0.0)
        broken += promise.threshold is not None and bad_above(min(edge, 1.0), good_at) > 0.05
    assert binom.sf(broken - 1, _TRIALS, DELTA) > 0.001, f"{broken} of {_TRIALS}"


def test_with_labels_enough_the_promise_keeps_much_at_home() -> None:
    """The safe answer, never to promise anything, is no answer."""
    promise = at_most_bad(drawn(random.Random(1), 1000, smooth, 4), 0.05)
    assert promise.threshold is not None
    assert promise.kept_share > 0.4
    assert promise.bad / promise.kept < promise.bound <= 0.05 + 1e-9
    everything = at_most_bad(drawn(random.Random(1), 300, lambda score: 1.0, 4), 0.05)
    assert (everything.threshold, everything.kept) == (0.0, 300)


def test_no_threshold_says_why() -> None:
    few = at_most_bad([Graded(0.9, True)] * 99, 0.05)
    assert few.threshold is None
    assert few.why == "there are 99 graded answers, and at least 100 are needed"
    strict = at_most_bad([Graded(0.9, True)] * 150, 0.01)
    assert str(fewest_labels(0.01)) in strict.why
    hopeless = at_most_bad(drawn(random.Random(1), 400, lambda score: 0.5, 4), 0.05)
    assert hopeless.threshold is None
    assert "even among the 80 surest answers" in hopeless.why
    assert hopeless.kept_share == 0.0


def test_answers_with_the_same_score_are_kept_or_escalated_together() -> None:
    """150 good ones at 0.9, and 150 at 0.5 of which half are bad: the threshold lies between, whatever the order."""
    graded = [Graded(0.9, True)] * 150 + [Graded(0.5, place % 2 == 0) for place in range(150)]
    for seed in range(5):
        random.Random(seed).shuffle(graded)
        promise = at_most_bad(graded, 0.05)
        assert promise.threshold is not None
        assert 0.5 < promise.threshold <= 0.9
        assert (promise.kept, promise.bad) == (150, 0)


@pytest.mark.parametrize("digits", [6, 1])
def test_the_share_that_escalates_exceeds_its_target_at_most_as_often_as_delta(digits: int) -> None:
    source = random.Random(digits)
    broken = 0
    for _ in range(_TRIALS):
        promise = at_most_escalated([round(source.random(), digits) for _ in range(100)], 0.2)
        assert promise.threshold is not None
        edge = promise.threshold if digits > 1 else max(promise.threshold - 0.05, 0.0)
        broken += edge > 0.2
    assert binom.sf(broken - 1, _TRIALS, DELTA) > 0.001, f"{broken} of {_TRIALS}"


def test_a_share_uses_most_of_what_it_may() -> None:
    promise = at_most_escalated([place / 1000 for place in range(1000)], 0.2)
    assert promise.threshold is not None
    assert 0.17 < promise.threshold < 0.2
    assert promise.kept == 1000 - round(promise.threshold * 1000)
    assert promise.bound <= 0.2 + 1e-9


@pytest.mark.parametrize(("target", "threshold"), [(0.0, 0.0), (1.0, 1.0)])
def test_shares_of_nothing_and_of_everything_need_no_answers(target: float, threshold: float) -> None:
    assert at_most_escalated([], target).threshold == threshold


def test_too_few_scores_for_a_share_say_how_many_are_needed() -> None:
    assert at_most_escalated([0.5] * 13, 0.2) == Promise(
        "max_cloud_share", 0.2, None, 13, why="there are 13 graded answers, and at least 14 are needed"
    )
    assert at_most_escalated([place / 14 for place in range(14)], 0.2).threshold == 0.0


@pytest.mark.parametrize(
    ("budget", "requests", "price", "share"),
    [(50, 10_000, 0.01, 0.5), (50, 1000, 0.01, 1.0), (0, 1000, 0.01, 0.0), (50, 0, 0.01, 1.0), (0, 1000, 0.0, 1.0)],
)
def test_a_budget_pays_for_a_share_of_the_requests(budget: float, requests: float, price: float, share: float) -> None:
    assert budget_share(budget, requests, price) == share


@pytest.mark.parametrize("target", [0.0, 1.0, -0.1, float("nan")])
def test_a_target_that_is_no_share_is_refused(target: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        at_most_bad([Graded(0.5, True)] * 200, target)
