"""Asking: questions become greedy bodies with log-probabilities, choices become graded traces."""

from __future__ import annotations

from typing import Any

import pytest

from classifiers.types import Scan, Signal, Signals
from router.calibration.asking import NotMeasured, body_for, graded
from router.calibration.questions import Question

QUESTION = Question("a", "facts", "Capital of France?", "Paris", "mention", system="Be brief.", max_tokens=9)


def choice(text: str, *, reason: str = "stop", logprob: float | None = -0.1) -> dict[str, Any]:
    entries = [] if logprob is None else [{"token": text, "logprob": logprob, "top_logprobs": []}]
    return {"index": 0, "message": {"content": text}, "finish_reason": reason, "logprobs": {"content": entries}}


def test_a_body_is_greedy_bounded_and_asks_for_log_probabilities() -> None:
    body = body_for(QUESTION, "small")
    assert body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Capital of France?"},
    ]
    assert (body["model"], body["temperature"], body["max_tokens"]) == ("small", 0, 9)
    assert body["logprobs"] is True
    assert "top_logprobs" not in body


def test_answers_are_graded_with_what_was_known_before_and_refused_ones_left_out() -> None:
    questions = [QUESTION, QUESTION, QUESTION]
    choices = [choice("Paris"), {"refused": "context_length_exceeded"}, choice("Rome")]
    signals = Signals({"complexity": Signal("complexity", 0.25)}, Scan())
    found = graded(questions, choices, lambda body: signals)
    assert [(each.task, each.good, each.asked.complexity) for each in found] == [
        ("facts", True, 0.25),
        ("facts", False, 0.25),
    ]
    assert found[0].asked.text == "Capital of France?"


def test_a_server_without_log_probabilities_is_told_apart() -> None:
    with pytest.raises(NotMeasured):
        graded([QUESTION], [choice("Paris", logprob=None)])
