"""The second look: what is asked, and the one number that is made of what comes back, whatever shape that has."""

from __future__ import annotations

import math
from typing import Any

import pytest

from router.confidence.looks import LOOKS, can_look, content, look_bodies, look_value

BODY: dict[str, Any] = {
    "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "The capital of France?"}],
    "temperature": 0,
    "max_tokens": 9,
    "stream": True,
    "logprobs": True,
    "user": "somebody",
    "response_format": {"type": "json_object"},
}


def said(text: str, *tokens: tuple[str, float]) -> dict[str, Any]:
    """A choice whose first token had these alternatives; the first is the one that was taken."""
    entries = [{"token": token, "logprob": math.log(chance)} for token, chance in tokens]
    content = [entries[0] | {"top_logprobs": entries}] if entries else []
    return {"message": {"content": text}, "logprobs": {"content": content}}


def test_verify_asks_after_the_whole_conversation_whether_the_answer_is_right() -> None:
    (asked,) = look_bodies("verify", BODY, "Paris", 4)
    assert asked["messages"][:2] == BODY["messages"]
    assert asked["messages"][2] == {"role": "assistant", "content": "Paris"}
    assert "yes or no" in asked["messages"][3]["content"]
    assert (asked["max_tokens"], asked["logprobs"]) == (1, True)
    assert not asked.keys() & {"response_format", "stream", "user"}


def test_agreement_asks_the_same_again_warmer_and_each_time_with_another_seed() -> None:
    asked = look_bodies("agreement", BODY, "Paris", 3)
    assert [each["seed"] for each in asked] == [1, 2, 3]
    for each in asked:
        assert (each["messages"], each["max_tokens"]) == (BODY["messages"], 9)
        assert each["temperature"] > 0
        assert not each.keys() & {"stream", "user", "logprobs"}


@pytest.mark.parametrize(
    ("choice", "value"),
    [
        (said("yes", ("yes", 0.8), ("No", 0.2)), math.log(4)),
        (said("Sure", ("Sure", 0.7), (" Yes", 0.1), ("yes", 0.1), ("no", 0.1)), math.log(2)),
        (said("no", ("no", 1.0)), -6.0),
        (said("yes.", ("Yes.", 0.3)), 6.0),
        (said("Maybe", ("Maybe", 1.0)), None),
        (said(""), None),
        ({}, None),
        ({"logprobs": {"content": [{"token": 3, "logprob": None}]}}, None),
        ({"logprobs": {"content": [{"token": "yes", "logprob": float("nan"), "top_logprobs": None}]}}, None),
    ],
)
def test_only_yes_and_no_are_compared(choice: dict[str, Any], value: float | None) -> None:
    found = look_value("verify", "Paris", [choice])
    assert found == (None if value is None else pytest.approx(value, abs=0.02))


@pytest.mark.parametrize(
    ("others", "value"),
    [
        (["Paris", "paris."], 1.0),
        (["Paris", "London"], 0.5),
        (["France is big, Paris", ""], 0.4),
        (["", ""], None),
        ([], None),
    ],
)
def test_agreement_is_the_share_of_words_in_common(others: list[str], value: float | None) -> None:
    found = look_value("agreement", "Paris", [said(text) for text in others])
    assert found == (None if value is None else pytest.approx(value))


def test_words_in_another_order_are_not_the_same_answer() -> None:
    assert look_value("agreement", "two then one", [said("one then two")]) == pytest.approx(0.9)


@pytest.mark.parametrize(("more", "answer"), [({"tools": [{}]}, "Paris"), ({"n": 2}, "Paris"), ({}, " ")])
def test_tool_calls_several_choices_and_empty_answers_are_not_looked_at(more: dict[str, Any], answer: str) -> None:
    assert can_look(BODY, "Paris")
    assert not can_look(BODY | more, answer)


@pytest.mark.parametrize(
    "choice", [{}, {"message": None}, {"message": {"content": None}}, {"message": {"content": []}}]
)
def test_a_choice_without_text_has_none(choice: dict[str, Any]) -> None:
    assert content(choice) == ""
    for kind in LOOKS:
        assert look_value(kind, "Paris", [choice]) is None
