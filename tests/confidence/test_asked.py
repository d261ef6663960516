"""What was known before an answer: read from any shape of body, and what it asks for told from what it speaks of."""

from __future__ import annotations

import math
from typing import Any

import pytest

from classifiers.types import Scan, Signal, Signals
from router.confidence.asked import Asked, asked_of


def body(text: str, **fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], **fields}


@pytest.mark.parametrize(
    ("text", "json", "number", "brief"),
    [
        ("Give me JSON with name and city.", True, False, False),
        ("Write a JSON object for this person.", True, False, False),
        ("Answer with JSON only, please", True, False, False),
        ("What is JSON good for?", False, False, False),
        ("How many days are in a week?", False, True, False),
        ("What is 3 + 4? Answer with the number only.", False, True, True),
        ("Tell me about the number seven.", False, False, False),
        ("Is this true? Answer yes or no.", False, False, True),
        ("I only wanted to say hello", False, False, True),
        ("Write a poem about autumn.", False, False, False),
    ],
)
def test_what_is_asked_for_is_told_by_its_words(text: str, json: bool, number: bool, brief: bool) -> None:
    asked = asked_of(body(text))
    assert (asked.wants_json, asked.wants_number, asked.wants_brief) == (json, number, brief)


def test_a_response_format_asks_for_json_whatever_the_words() -> None:
    assert asked_of(body("Hello", response_format={"type": "json_object"})).wants_json
    assert not asked_of(body("Hello", response_format={"type": "text"})).wants_json


def test_signals_are_taken_where_they_were_measured() -> None:
    signals = Signals(
        {
            "complexity": Signal("complexity", 0.75),
            "task": Signal("task", "maths"),
            "domain": Signal("domain", error="x"),
        },
        Scan(),
    )
    asked = asked_of(body("2 + 2?", max_tokens=9), signals)
    assert (asked.complexity, asked.task, asked.domain, asked.most_tokens) == (0.75, "maths", None, 9)
    assert asked.complexity_logit == pytest.approx(math.log(3))
    assert asked_of(body("2 + 2?")).complexity_logit == 0.0


@pytest.mark.parametrize("strange", [{}, {"messages": 3}, {"messages": [3]}, {"messages": [], "response_format": 1}])
def test_a_body_of_a_strange_shape_is_one_of_which_nothing_is_known(strange: dict[str, Any]) -> None:
    assert asked_of(strange) == Asked()


def test_the_question_is_not_in_what_is_printed_of_it() -> None:
    assert "SECRET" not in repr(asked_of(body("SECRET")))
