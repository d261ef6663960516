"""Drift: a broken promise is noticed within hundreds of answers, a kept one is not called broken by chance."""

from __future__ import annotations

import random
from typing import Any

import pytest

from router.calibration.drift import LEAST, WINDOW, Drift, DriftWatch, Pledge, promise_in_record
from router.calibration.targets import Standard
from router.calibration.thresholds import Promise

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


def record(number: int, promise: Promise, verdict: str, card: str = "card-1") -> dict[str, Any]:
    return {
        "id": f"gh-{number}",
        "promise": promise_in_record(Standard(promise, "", card), "home"),
        "outcome": {"judgement": {"verdict": verdict}},
    }


def test_records_of_a_share_are_counted_whether_the_exit_came_about_or_not() -> None:
    watch = DriftWatch()
    promise = Promise("max_cloud_share", 0.2, 0.5, 200)
    for number in range(40):
        watch.take(record(number, promise, "escalate" if number % 4 == 0 else "keep"))
    (seen,) = watch.observed()
    assert (seen.count, seen.total, seen.pledge.share) == (10, 40, 0.2)


def test_each_rules_promise_is_watched_by_itself() -> None:
    watch, promise = DriftWatch(), Promise("max_cloud_share", 0.2, 0.5, 200)
    for number in range(40):
        own = record(number, promise, "escalate" if number % 2 else "keep")
        own["promise"] = promise_in_record(Standard(promise, "", "card-1"), "home", "support" if number % 2 else "")
        watch.take(own)
    assert [(each.pledge.rule, each.count, each.total) for each in watch.observed()] == [
        ("", 0, 20),
        ("support", 20, 20),
    ]


def test_bad_answers_are_known_from_feedback_alone_once_each_and_only_of_those_that_were_kept() -> None:
    watch = DriftWatch()
    promise = Promise("max_bad_local", 0.05, 0.5, 200)
    for number in range(10):
        watch.take(record(number, promise, "keep" if number < 8 else "escalate"))
    assert watch.observed() == []
    for number in (0, 0, 1, 2, 9, 77):
        watch.take_feedback(f"gh-{number}", number != 1)
    (seen,) = watch.observed()
    assert (seen.count, seen.total) == (1, 3)


def test_a_budget_is_held_against_the_share_that_it_pays_for() -> None:
    watch = DriftWatch()
    watch.take(record(1, Promise("max_usd_per_month", 50, 0.3, 200, bound=0.12), "escalate"))
    assert watch.observed()[0].pledge.share == 0.12


@pytest.mark.parametrize(
    "strange",
    [
        {},
        {"outcome": None, "decision": None},
        {**record(1, Promise("max_cloud_share", 0.2, 0.5, 200), "keep"), "outcome": {"judgement": None}},
        {**record(1, Promise("max_cloud_share", 0.2, 0.5, 200), "keep"), "promise": None},
        {**record(1, Promise("max_cloud_share", 0.2, 0.5, 200), "keep"), "promise": {"threshold": 0.5}},
        record(1, Promise("max_cloud_share", 0.2, None, 0), "unmeasured"),
        record(1, Promise("max_bad_local", 0.2, 0.5, 200), "unmeasured"),
        record(1, Promise("max_bad_local", 0.2, 0.5, 200), "escalate"),
    ],
)
def test_a_record_under_no_promise_counts_for_none(strange: dict[str, Any]) -> None:
    watch = DriftWatch()
    watch.take(strange)
    watch.take_feedback("gh-1", False)
    assert watch.observed() == []


def test_a_promise_in_a_record_is_names_and_numbers_only() -> None:
    made = promise_in_record(Standard(Promise("max_bad_local", 0.05, 0.5, 200), "chat", "card-1"), "home", "support")
    assert made == {
        "model": "home",
        "rule": "support",
        "kind": "max_bad_local",
        "target": 0.05,
        "share": 0.05,
        "threshold": 0.5,
        "task": "chat",
        "card": "card-1",
    }
