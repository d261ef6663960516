"""Confidence: read from whole answers and from chunks alike, calibrated by model, unmeasured rather than guessed."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from router.confidence.answer_features import features, is_degenerate
from router.confidence.asked import Asked, asked_of
from router.confidence.confidence import FEATURES, HEAD, AnswerTrace, CalibrationError, Confidence, TokenTrace

SLM = "smollm2-135m-instruct"
ROOT = Path(__file__).parents[2]


def entries(*logprobs: float, words: str = "abcdefghijklmnopqrstuvwxyz") -> list[dict[str, Any]]:
    return [
        {"token": words[place % len(words)], "bytes": None, "logprob": logprob, "top_logprobs": []}
        for place, logprob in enumerate(logprobs)
    ]


def trace_of(*logprobs: float, reason: str | None = "stop") -> TokenTrace:
    trace = TokenTrace()
    trace.add(entries(*logprobs))
    trace.finish_reason = reason
    return trace


def test_a_whole_answer_and_its_chunks_give_the_same_trace() -> None:
    content = entries(-0.1, -0.5, -2.0, -0.01)
    whole, chunked = TokenTrace(), TokenTrace()
    message = {"role": "assistant", "content": "abcd"}
    whole.add_choice({"index": 0, "message": message, "logprobs": {"content": content}, "finish_reason": "stop"})
    chunked.add_choice({"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None})
    for entry in content:
        chunked.add_choice({"delta": {"content": entry["token"]}, "logprobs": {"content": [entry]}})
    chunked.add_choice({"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"})
    assert whole == chunked
    assert (whole.count, whole.finish_reason, whole.complete) == (4, "stop", True)
    assert [whole.total, whole.least, whole.mean] == pytest.approx([-2.61, -2.0, -0.6525])


def test_a_surer_answer_scores_higher_under_calibration_and_without_one() -> None:
    confidence = Confidence()
    sure, doubtful = trace_of(-0.01, -0.02, -0.01), trace_of(-1.0, -2.0, -1.5)
    for model in (SLM, "unknown"):
        high, low = confidence.score(sure, model), confidence.score(doubtful, model)
        assert high is not None
        assert low is not None
        assert 0.0 <= low < high <= 1.0


def test_the_embedded_model_is_calibrated_and_one_without_a_card_says_that_it_is_not() -> None:
    confidence = Confidence()
    calibration = confidence.calibration(SLM)
    assert confidence.is_calibrated(SLM)
    assert calibration is not None
    assert len(calibration.digest) == 64
    assert not confidence.is_calibrated("llama3.2:3b")
    assert confidence.calibration("llama3.2:3b") is None


@pytest.mark.parametrize("logprobs", [(-0.001,), (-0.2, -0.3), (-1.0,) * 30, (-0.02,) * 80])
def test_without_a_calibration_the_default_is_below_the_plain_mean(logprobs: tuple[float, ...]) -> None:
    trace = trace_of(*logprobs)
    score = Confidence().score(trace)
    assert score is not None
    assert score <= 2.718281828**trace.mean


def test_an_answer_with_content_but_no_log_probabilities_is_not_measured() -> None:
    trace = TokenTrace()
    trace.add_choice({"message": {"role": "assistant", "content": "Paris"}, "logprobs": None, "finish_reason": "stop"})
    assert Confidence().score(trace, SLM) is None


def test_an_answer_of_which_a_part_came_without_log_probabilities_is_not_measured() -> None:
    trace = trace_of(-0.1)
    trace.add_choice({"delta": {"content": "and more"}})
    assert Confidence().score(trace, SLM) is None


def test_tool_calls_without_log_probabilities_are_not_measured() -> None:
    trace = TokenTrace()
    trace.add_choice({"message": {"content": None, "tool_calls": [{"id": "1"}]}, "finish_reason": "tool_calls"})
    assert Confidence().score(trace, SLM) is None


def test_an_empty_answer_has_no_confidence() -> None:
    trace = TokenTrace()
    trace.add_choice({"message": {"role": "assistant", "content": ""}, "logprobs": None, "finish_reason": "stop"})
    assert Confidence().score(trace, SLM) == 0.0


@pytest.mark.parametrize(
    "broken", [None, "text", {}, {"logprob": None}, {"logprob": "x"}, {"logprob": True}, {"logprob": float("nan")}]
)
def test_a_broken_entry_makes_the_answer_unmeasured_and_never_raises(broken: Any) -> None:
    trace = trace_of(-0.1)
    trace.add([broken])
    assert Confidence().score(trace, SLM) is None


@pytest.mark.parametrize("choice", [{}, {"logprobs": 3}, {"delta": None}, {"delta": [], "logprobs": {"content": "x"}}])
def test_a_choice_of_a_strange_shape_adds_nothing_and_never_raises(choice: dict[str, Any]) -> None:
    trace = trace_of(-0.1)
    trace.add_choice(choice)
    assert (trace.count, trace.complete) == (1, True)


def test_log_probabilities_that_cannot_be_are_bounded() -> None:
    """Servers send -inf or -9999 for tokens outside their sampler's cut, and rounding can give a little above 0."""
    trace = trace_of(float("-inf"), -9999.0, 0.0001)
    assert (trace.total, trace.least) == (-40.0, -20.0)
    assert Confidence().score(trace, SLM) is not None


@pytest.mark.parametrize("model", [SLM, "unknown"])
def test_a_loop_that_looks_sure_scores_less_than_the_same_log_probabilities_without_one(model: str) -> None:
    loop, prose = TokenTrace(), TokenTrace()
    loop.add(entries(*(-0.01,) * 40, words="ab"))
    prose.add(entries(*(-0.01,) * 40, words="".join(chr(97 + place) for place in range(40))))
    assert loop.repetition > 0.5 > prose.repetition
    looped, plain = Confidence().score(loop, model), Confidence().score(prose, model)
    assert looped is not None
    assert plain is not None
    assert looped < plain


PROMPT = "Rewrite this sentence so that it sounds polite: give me the report before noon tomorrow or else"


def answered(*words: str, asked: str = PROMPT) -> tuple[TokenTrace, Asked]:
    trace = TokenTrace()
    trace.add([{"token": f" {word}", "logprob": -0.01, "top_logprobs": []} for word in words])
    trace.finish_reason = "stop"
    return trace, asked_of({"messages": [{"role": "user", "content": asked}]})


@pytest.mark.parametrize("model", [SLM, "unknown"])
def test_an_answer_that_says_the_prompt_again_counts_half_however_sure(model: str) -> None:
    echo, asked = answered(*PROMPT.split())
    free, elsewhere = answered(*PROMPT.split(), asked="Say something that is as long as the sentence I have in mind.")
    assert is_degenerate(features(echo, asked))
    assert not is_degenerate(features(free, elsewhere))
    score = Confidence().score(echo, model, asked)
    assert score is not None
    assert score <= 0.5
    assert not is_degenerate(
        features(*answered("the", "report", "before", "noon"))
    )  # a part of it may be what was asked


def test_a_yes_or_a_letter_of_a_model_without_a_card_counts_half() -> None:
    said, bare = (Confidence().score(*answered(word)[:1], "unknown") for word in ("Yes", "Paris"))
    assert said is not None
    assert bare is not None
    assert said == pytest.approx(bare / 2, abs=1e-4)


def test_the_shipped_card_says_how_it_was_made_and_what_it_is_worth() -> None:
    card = json.loads((files("router") / "artifacts" / f"confidence-{SLM}.json").read_text("utf-8"))
    assert {"model", "date", "data", "languages", "metric", "command", "limits", "weights", "bias"} <= card.keys()
    assert card["answers"] >= 1000
    for section in (card, card["commit"]):
        assert {"question_left_out", "all_features_against_sum"} <= section["metric"].keys()
    assert sum(len(task["good"]) for task in card["graded"].values()) == card["answers"]


@pytest.mark.parametrize(
    "card",
    [
        "",
        "[]",
        "{}",
        json.dumps({"model": "m", "features": ["other"], "weights": [1.0], "bias": 0.0}),
        json.dumps({"model": "m", "features": list(FEATURES), "weights": [], "bias": 0.0}),
        json.dumps({"model": "m", "features": list(FEATURES), "weights": ["x"] * len(FEATURES), "bias": 0.0}),
        json.dumps({"model": 3, "features": list(FEATURES), "weights": [1.0] * len(FEATURES), "bias": 0.0}),
        json.dumps({"model": "m", "features": list(FEATURES), "weights": [1.0] * len(FEATURES), "bias": float("inf")}),
    ],
)
def test_an_altered_calibration_is_an_error_that_names_its_file(tmp_path: Path, card: str) -> None:
    (tmp_path / "confidence-m.json").write_text(card)
    with pytest.raises(CalibrationError, match=r"confidence-m\.json"):
        Confidence(tmp_path)


def test_a_folder_without_calibrations_leaves_every_model_uncalibrated(tmp_path: Path) -> None:
    assert not Confidence(tmp_path).is_calibrated(SLM)
    assert not Confidence(tmp_path / "absent").is_calibrated(SLM)


def test_serving_confidence_imports_no_scikit_learn() -> None:
    program = (
        "import sys\nfrom router.confidence.confidence import Confidence\nConfidence()\n"
        "assert not [name for name in sys.modules if name.split('.')[0] in ('sklearn', 'scipy', 'numpy')]"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_of_several_choices_the_least_sure_one_is_scored_however_their_tokens_interleave() -> None:
    confidence = Confidence()
    sure, doubtful = entries(-0.01, -0.02, -0.01), entries(-1.0, -2.0, -1.5)
    both = AnswerTrace()
    for one, other in zip(sure, doubtful, strict=True):
        both.add_choice({"index": 0, "delta": {"content": one["token"]}, "logprobs": {"content": [one]}})
        both.add_choice({"index": 1, "delta": {"content": other["token"]}, "logprobs": {"content": [other]}})
    for index in (0, 1):
        both.add_choice({"index": index, "delta": {}, "finish_reason": "stop"})
    assert confidence.of_answer(both, SLM) == confidence.score(trace_of(-1.0, -2.0, -1.5), SLM)
    assert [trace.count for trace in both.choices.values()] == [3, 3]


def test_an_answer_with_one_unmeasured_choice_is_not_measured_and_one_without_choices_is_worth_nothing() -> None:
    confidence = Confidence()
    half = AnswerTrace()
    half.add_choice({"index": 0, "message": {"content": "a"}, "logprobs": {"content": entries(-0.1)}})
    half.add_choice({"index": 1, "message": {"content": None, "tool_calls": [{"id": "c"}]}, "logprobs": None})
    assert confidence.of_answer(half) is None
    assert confidence.of_answer(AnswerTrace()) == 0.0


def card(model: str, bias: float, **more: Any) -> str:
    return json.dumps({"model": model, "features": ["log_of_sum"], "weights": [-1.0], "bias": bias, **more})


def test_a_card_that_was_made_here_takes_the_place_of_the_shipped_one(tmp_path: Path) -> None:
    name = f"confidence-{SLM}.json"
    (tmp_path / name).write_text(card(SLM, -9.0))
    assert Confidence(made=tmp_path).score(trace_of(-0.1), SLM) == pytest.approx(0.0001, abs=1e-4)
    confidence = Confidence(made=tmp_path)
    (tmp_path / name).write_text(card(SLM, 9.0))
    confidence.reload()
    assert confidence.score(trace_of(-0.1), SLM) == pytest.approx(0.9999, abs=1e-3)


@pytest.mark.parametrize("text", ["{", card("another", 0.0)[:-9], "[]"])
def test_a_card_made_here_that_cannot_be_read_leaves_its_model_uncalibrated(tmp_path: Path, text: str) -> None:
    """Never the shipped card in its place: somebody measured this machine's model and found something else."""
    (tmp_path / f"confidence-{SLM}.json").write_text(text)
    assert not Confidence(made=tmp_path).is_calibrated(SLM)


def test_the_first_tokens_are_scored_by_their_own_fit_and_know_nothing_of_the_rest(tmp_path: Path) -> None:
    commit = {"features": ["log_of_sum"], "weights": [-1.0], "bias": 2.0}
    (tmp_path / "confidence-m.json").write_text(card("m", -2.0, commit=commit))
    confidence = Confidence(tmp_path)
    begun, doubtful = trace_of(*(-0.1,) * HEAD, reason=None), trace_of(*(-0.1,) * HEAD, *(-9.0,) * 50)
    assert confidence.score_head(begun, "m") == confidence.score_head(doubtful, "m") == pytest.approx(0.7398, abs=1e-3)
    whole = confidence.score(doubtful, "m")
    assert whole is not None
    assert whole < 0.01


def test_a_card_of_whole_answers_alone_leaves_the_first_tokens_to_the_default(tmp_path: Path) -> None:
    (tmp_path / "confidence-m.json").write_text(card("m", 9.0))
    trace = trace_of(*(-0.5,) * 30)
    confidence = Confidence(tmp_path)
    assert confidence.score_head(trace, "m") == confidence.score_head(trace, "unknown")


def test_of_several_choices_the_least_sure_head_counts() -> None:
    confidence, both = Confidence(), AnswerTrace()
    for index, logprob in ((0, -0.01), (1, -2.0)):
        both.add_choice({"index": index, "message": {"content": "a"}, "logprobs": {"content": entries(logprob)}})
    assert confidence.at_commit(both, SLM) == confidence.score_head(trace_of(-2.0, reason=None), SLM)
    assert confidence.at_commit(AnswerTrace(), SLM) == 0.0


def test_what_a_record_keeps_of_an_answer_is_numbers_in_a_fixed_order() -> None:
    trace = AnswerTrace()
    trace.add_choice({"index": 0, "message": {"content": "ab"}, "logprobs": {"content": entries(-0.1, -0.2)}})
    assert len(trace.features()) == len(trace.head_features()) == len(FEATURES)
    assert all(isinstance(value, float) for value in trace.features())
    assert AnswerTrace().features() == ()
