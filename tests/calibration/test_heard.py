"""What callers said: only of local answers of this model that they got, with features of this version."""

from __future__ import annotations

from typing import Any

import pytest

from router.calibration.heard import Heard, heard
from router.confidence.answer_features import NAMES

FEATURES = [0.5] * len(NAMES)


def decision(number: int, *, route: str = "local", model: str = "home", **outcome: Any) -> dict[str, Any]:
    return {
        "kind": "decision",
        "id": f"gh-{number}",
        "signals": {"task": {"value": "chat"}},
        "outcome": {"route": route, "model": model, "answer_features": FEATURES, **outcome},
    }


def verdict(number: int, said: str) -> dict[str, Any]:
    return {"kind": "feedback", "id": f"gh-{number}", "verdict": said}


def test_the_last_verdict_counts_and_a_question_that_was_asked_again_counts_as_bad() -> None:
    rows = [decision(1), verdict(1, "bad"), verdict(1, "good"), decision(2), {**decision(3), "reask_of": "gh-2"}]
    assert heard(rows, "home") == [
        Heard("chat", tuple(FEATURES), good=True, is_reask=False),
        Heard("chat", tuple(FEATURES), good=False, is_reask=True),
    ]


@pytest.mark.parametrize(
    "row",
    [
        decision(1, route="cloud", model="cloud"),  # it escalated: what was said is of the cloud's answer
        decision(1, route="cache"),
        decision(1, model="other"),
        decision(1, answer_features=None),
        decision(1, answer_features=FEATURES[1:]),
        decision(1, answer_features=[*FEATURES[1:], None]),
        decision(1, answer_features=[*FEATURES[1:], float("nan")]),
    ],
)
def test_what_says_nothing_of_this_model_s_answers_is_left_out(row: dict[str, Any]) -> None:
    assert heard([row, verdict(1, "bad")], "home") == []


def test_a_task_that_was_not_measured_is_not_told() -> None:
    row = {**decision(1), "signals": {"task": {"error": "not_available"}}}
    assert heard([row, verdict(1, "good")], "home")[0].task == ""
