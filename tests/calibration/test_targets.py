"""Standards: from a target and a model's graded answers to what an answer is held against, or why nothing is."""

from __future__ import annotations

import random
from typing import Any

import pytest

from router.calibration.targets import (
    ALL,
    GradedAnswers,
    Volume,
    complaints,
    explain,
    is_good_enough,
    read_graded,
    standard_for,
    standards,
    write_graded,
)
from router.calibration.thresholds import Graded, Promise

MODEL = "llama3.2:3b"


def answers(size: int, good: float, seed: int = 1) -> tuple[Graded, ...]:
    source = random.Random(seed)
    return tuple(Graded(source.random(), source.random() < good) for _ in range(size))


def card(volume: Volume | None = None, **by_task: tuple[Graded, ...]) -> GradedAnswers:
    return GradedAnswers(MODEL, "d1", by_task, volume)


def test_a_task_with_labels_enough_has_a_threshold_of_its_own_and_the_others_share_one() -> None:
    made = standards(
        "max_bad_local",
        0.1,
        MODEL,
        card(chat=answers(200, 1.0), code=answers(200, 0.3), sums=answers(150, 1.0)[:60], facts=answers(80, 1.0)),
    )
    chat, code = standard_for(made, "chat"), standard_for(made, "code")
    assert (chat.task, chat.promise.labels, chat.promise.threshold) == ("chat", 200, 0.0)
    assert (code.task, code.promise.threshold) == ("code", None)
    sums, facts = standard_for(made, "sums"), standard_for(made, "facts")
    assert sums == facts
    assert (sums.task, sums.promise.labels, sums.promise.threshold) == (ALL, 140, 0.0)
    assert sums.digest == "d1"


def test_a_task_that_was_never_graded_is_uncalibrated_and_one_that_was_not_measured_counts_among_the_others() -> None:
    made = standards("max_bad_local", 0.1, MODEL, card(chat=answers(120, 1.0), sums=answers(110, 1.0)))
    unseen = standard_for(made, "translate")
    assert unseen.promise.threshold is None
    assert "no answer of llama3.2:3b to this kind of task was graded" in explain(unseen)
    undivided = standards("max_bad_local", 0.1, MODEL, GradedAnswers(MODEL, "d1", {ALL: answers(120, 1.0)}))
    assert standard_for(undivided, "translate").promise.threshold == 0.0
    assert standard_for(undivided, None).promise.threshold == 0.0


@pytest.mark.parametrize("graded", [None, card()])
def test_without_a_card_nothing_is_promised(graded: GradedAnswers | None) -> None:
    for kind in ("max_bad_local", "max_cloud_share", "max_usd_per_month"):
        made = standards(kind, 0.05, MODEL, graded)  # type: ignore[arg-type]
        standard = standard_for(made, "chat")
        assert standard.promise.threshold is None
        assert standard.promise.kind == kind
        assert complaints(made) == [explain(standard)]
        assert "has no graded answers" in explain(standard)


@pytest.mark.parametrize(
    ("kind", "confidence", "stays"),
    [
        ("max_bad_local", None, False),
        ("max_bad_local", 0.59, False),
        ("max_bad_local", 0.6, True),
        ("max_cloud_share", None, True),
        ("max_cloud_share", 0.59, False),
        ("max_usd_per_month", None, True),
        ("max_usd_per_month", 0.6, True),
    ],
)
def test_an_answer_that_cannot_be_judged_goes_the_way_that_keeps_the_target(
    kind: Any, confidence: float | None, stays: bool
) -> None:
    assert is_good_enough(Promise(kind, 0.1, 0.6, 200), confidence) is stays
    assert is_good_enough(Promise(kind, 0.1, None, 0), 0.99) is (kind != "max_bad_local")


def test_a_share_is_one_promise_over_all_tasks_and_spent_on_the_least_sure() -> None:
    made = standards("max_cloud_share", 0.2, MODEL, card(chat=answers(200, 0.9), code=answers(200, 0.3, seed=2)))
    assert standard_for(made, "chat") == standard_for(made, "code") == standard_for(made, "never-graded")
    threshold = standard_for(made, None).promise.threshold
    assert threshold is not None
    assert 0.1 < threshold < 0.2
    assert complaints(made) == []


def test_a_budget_needs_to_know_what_a_month_brings() -> None:
    without = standards("max_usd_per_month", 50, MODEL, card(chat=answers(200, 0.9)))
    assert standard_for(without, "chat").promise.threshold is None
    assert "how many requests a month" in complaints(without)[0]
    known = standards("max_usd_per_month", 50, MODEL, card(Volume(10_000, 0.02), chat=answers(200, 0.9)))
    promise = standard_for(known, "chat").promise
    assert promise.threshold is not None
    assert 0.15 < promise.threshold < 0.25
    assert (promise.kind, promise.target) == ("max_usd_per_month", 50)
    rich = standards("max_usd_per_month", 500, MODEL, card(Volume(10_000, 0.02), chat=answers(200, 0.9)))
    assert standard_for(rich, "chat").promise.threshold == 1.0


def test_a_card_holds_scores_and_grades_and_gives_them_back() -> None:
    rows = [("chat", each) for each in answers(50, 0.7)] + [("code", each) for each in answers(5, 0.2)]
    section = write_graded(rows)
    back = read_graded(MODEL, "d1", section, {"requests": 100, "usd_each": 0.01, "source": "declared"})
    assert back.volume == Volume(100.0, 0.01, "declared")
    assert {task: len(found) for task, found in back.by_task.items()} == {"chat": 50, "code": 5}
    assert sorted((round(each.score, 4), each.good) for task, each in rows if task == "chat") == list(
        back.by_task["chat"]
    )


@pytest.mark.parametrize(
    "section",
    [
        {"chat": {"score": [0.1], "good": ""}},
        {"chat": {"score": [0.1], "good": "2"}},
        {"chat": {"score": [1.1], "good": "1"}},
        {"chat": {"score": [float("nan")], "good": "1"}},
        {"chat": {"score": ["x"], "good": "1"}},
        {"chat": {"good": "1"}},
        {"chat": []},
    ],
)
def test_a_card_that_was_altered_is_refused(section: dict[str, Any]) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        read_graded(MODEL, "d1", section, None)


@pytest.mark.parametrize(
    "volume", [{"requests": -1, "usd_each": 1}, {"requests": 1}, {"requests": 1, "usd_each": "inf"}]
)
def test_a_volume_that_is_none_is_refused(volume: dict[str, Any]) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        read_graded(MODEL, "d1", {}, volume)
