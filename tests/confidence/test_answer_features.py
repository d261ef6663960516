"""Features of answers: each says what its name says, of whole answers and of their first tokens; numbers only."""

from __future__ import annotations

import math
from typing import Any

import pytest

from router.confidence.answer_features import NAMES, features
from router.confidence.asked import asked_of
from router.confidence.trace import HEAD, TokenTrace


def trace_of(*tokens: str, logprob: float = -0.1, reason: str | None = "stop") -> TokenTrace:
    trace = TokenTrace()
    trace.add([{"token": token, "logprob": logprob} for token in tokens])
    trace.finish_reason = reason
    return trace


def of(trace: TokenTrace, question: str = "", **fields: Any) -> dict[str, float]:
    asked = asked_of({"messages": [{"role": "user", "content": question}], **fields})
    return dict(zip(NAMES, features(trace, asked), strict=True))


def test_how_unlikely_the_tokens_were_is_there_in_several_measures() -> None:
    trace = TokenTrace()
    trace.add([{"token": text, "logprob": value} for text, value in ((" one", -0.2), (" two", -3.0), (" one", -0.1))])
    found = of(trace, "Say one")
    assert found["log_of_sum"] == pytest.approx(math.log(4.3), abs=1e-4)
    assert found["mean"] == pytest.approx(-1.1, abs=1e-4)
    assert found["least"] == pytest.approx(math.log(4), abs=1e-4)
    assert found["doubtful"] == pytest.approx(1 / 3, abs=1e-4)
    assert found["new_mean"] == -3.0  # "one" stands in the question


def test_the_first_sentence_and_the_words_that_carry_the_answer_are_looked_at_alone() -> None:
    trace = TokenTrace()
    parts = (
        ("The", -0.1),
        (" capital", -0.2),
        (" is", -0.1),
        (" Paris", -1.0),
        (".", -0.1),
        (" It", -2.0),
        (" 7", -4.0),
    )
    trace.add([{"token": text, "logprob": value} for text, value in parts])
    found = of(trace, "What is the capital?")
    assert found["sentence"] == pytest.approx(math.log(2.5), abs=1e-4)
    assert found["sentence_mean"] == pytest.approx(-0.3, abs=1e-4)
    assert found["rest"] == pytest.approx(math.log(3), abs=1e-4)
    assert found["key"] == pytest.approx(math.log(2), abs=1e-4)
    assert found["key_least"] == found["digits"] == pytest.approx(math.log(5), abs=1e-4)
    assert found["sentences"] == pytest.approx(math.log(2), abs=1e-4)


@pytest.mark.parametrize(
    ("question", "answer", "name", "value"),
    [
        ("Give me JSON with a name.", '{"name": 1}', "no_json", 0.0),
        ("Give me JSON with a name.", '```json\n{"name": 1}\n```', "no_json", 0.0),
        ("Give me JSON with a name.", "Sure! The name is 1.", "no_json", 1.0),
        ("Give me JSON with a name.", '{"name": ', "no_json", 1.0),
        ("Hello", "Sure!", "no_json", 0.0),
        ("How many legs?", "Eight.", "no_number", 1.0),
        ("How many legs?", "8", "no_number", 0.0),
        ("What is 19 + 1?", "19 + 1 is 19.", "copied_number", 1.0),
        ("What is 19 + 1?", "19 + 1 is 20.", "copied_number", 0.0),
        ("Is it true?", "Yes, it is.", "constant", 1.0),
        ("Is it true?", "Yesterday.", "constant", 0.0),
        ("The cat sat", "the CAT sat.", "echo_all", 1.0),
        ("The cat sat", "the dog sat.", "echo_all", 0.0),
        ("One word only.", "two words", "wordy", round(math.log(3), 4)),
        ("Tell me.", "two words", "wordy", 0.0),
    ],
)
def test_what_kind_of_answer_it_is(question: str, answer: str, name: str, value: float) -> None:
    assert of(trace_of(answer), question)[name] == value


def test_the_first_tokens_know_nothing_of_what_came_after() -> None:
    same = [f" w{number}" for number in range(HEAD)]
    short, long = trace_of(*same, reason=None), trace_of(*same, *same, *same, reason="length")
    assert features(long.head(), asked_of({})) == features(short.head(), asked_of({}))
    found = of(long.head())
    assert (found["cut"], found["ended"], found["repetition"]) == (0.0, 0.0, 0.0)
    assert of(long)["repetition"] > 0.5


def test_an_answer_that_was_over_by_then_is_known_whole() -> None:
    trace = trace_of("Paris", ".")
    assert trace.head() is trace
    assert of(trace.head())["ended"] == 1.0


def test_json_that_has_only_begun_is_not_held_against_the_first_tokens() -> None:
    begun = trace_of('{"a"', *(f": {number}" for number in range(HEAD)), reason=None)
    assert of(begun.head(), "Give me JSON.")["no_json"] == 0.0


@pytest.mark.parametrize("trace", [TokenTrace(), trace_of(""), trace_of("x" * 5000), trace_of(*["[" * 500] * 40)])
def test_any_answer_has_finite_numbers(trace: TokenTrace) -> None:
    found = features(trace, asked_of({"messages": [{"role": "user", "content": "Give me JSON. How many?"}]}))
    assert len(found) == len(NAMES)
    assert all(isinstance(value, float) and math.isfinite(value) for value in found)
