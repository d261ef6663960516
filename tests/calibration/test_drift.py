"""Drift: a broken promise is noticed within hundreds of answers, a kept one is not called broken by chance."""

from __future__ import annotations

import random

from router.calibration.drift import LEAST, WINDOW, Drift, Pledge

BAD = Pledge("home", "max_bad_local", 0.05, "card-1")
SHARE = Pledge("home", "max_cloud_share", 0.2, "card-1")


def first_warning(pledge: Pledge, true_share: float, answers: int, seed: int) -> int | None:
    """After how many answers the window warns; None: it never does."""
    source, drift = random.Random(seed), Drift()
    for number in range(1, answers + 1):
        drift.add(pledge, source.random() < true_share)
        if drift.observed()[0].is_broken:
            return number
    return None


def test_traffic_that_just_keeps_the_promise_does_not_warn() -> None:
    """At exactly the promised share, which is its worst case, 10 windows' length, looked at after every answer."""
    warned = [first_warning(BAD, 0.05, 10 * WINDOW, seed) is not None for seed in range(6)]
    assert sum(warned) <= 1


def test_traffic_that_breaks_the_promise_warns_soon() -> None:
    for seed in range(5):
        when = first_warning(BAD, 0.15, WINDOW, seed)
        assert when is not None
        assert LEAST <= when < 400
        assert first_warning(SHARE, 0.4, WINDOW, seed) is not None


def test_the_window_is_counted_exactly_and_forgets_what_is_old() -> None:
    drift = Drift(window=10)
    for happened in [True] * 10 + [False] * 4:
        drift.add(SHARE, happened)
    (seen,) = drift.observed()
    assert (seen.count, seen.total, seen.share) == (6, 10, 0.6)
    assert 0.2 < seen.least < 0.6


def test_a_new_card_begins_anew_and_models_and_kinds_are_told_apart() -> None:
    drift = Drift()
    for _ in range(30):
        drift.add(BAD, True)
        drift.add(SHARE, True)
    assert [seen.is_broken for seen in drift.observed()] == [True, True]
    drift.add(Pledge("home", "max_bad_local", 0.05, "card-2"), False)
    bad, share = drift.observed()
    assert (bad.count, bad.total, bad.is_broken) == (0, 1, False)
    assert share.is_broken
    drift.keep(frozenset({"other"}))
    assert drift.observed() == []


def test_a_few_answers_warn_of_nothing() -> None:
    drift = Drift()
    for _ in range(LEAST - 1):
        drift.add(BAD, True)
    assert not drift.observed()[0].is_broken
