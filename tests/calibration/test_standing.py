"""Which cards count: those made here before those shipped, a broken one for nothing, a new one at the next look."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from classifiers.types import Signal
from policies.escalation import EscalationPolicy
from policies.schema import compile_policy
from router.calibration.standing import Promises, card_name, digest_of_cards, reason_for
from router.calibration.targets import write_graded
from router.calibration.thresholds import Graded

MODEL = "hf.co/someone/Llama-3.2:3b"


def put(folder: Path, good: bool, size: int = 200, model: str = MODEL) -> Path:
    folder.mkdir(exist_ok=True)
    graded = write_graded(("", Graded(place / size, good)) for place in range(size))
    path = folder / card_name(model)
    path.write_text(json.dumps({"model": model, "graded": graded}))
    return path


POLICY = compile_policy(
    f"""\
version: 1
models:
  home: {{locality: local, backend: openai, base_url: "http://127.0.0.1:1/v1", model: "{MODEL}"}}
  cloud: {{locality: cloud, backend: openai, base_url: "https://api.example.com/v1", model: m}}
defaults: {{local: home, cloud: cloud}}
egress: {{public: {{payload: full}}}}
escalation: {{target: {{max_bad_local: 0.1}}}}
""",
    "policy.yaml",
)


def threshold(promises: Promises) -> float | None:
    standard = promises.standard(POLICY, "home", {"task": Signal("task", "chat")})
    assert standard is not None
    return standard.promise.threshold


def test_a_card_made_here_takes_the_place_of_the_one_shipped(tmp_path: Path) -> None:
    put(tmp_path / "shipped", good=True)
    promises = Promises([tmp_path / "shipped", tmp_path / "here"])
    assert threshold(promises) == 0.0
    put(tmp_path / "here", good=False)
    assert threshold(promises) == 0.0
    promises.reload()
    assert threshold(promises) is None


@pytest.mark.parametrize(
    "card", ["", "[]", '{"model": "other"}', json.dumps({"model": MODEL, "graded": {"": {"score": [2]}}})]
)
def test_a_broken_card_promises_nothing_and_is_named_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, card: str
) -> None:
    put(tmp_path / "here", good=True).write_text(card)
    put(tmp_path / "shipped", good=True)
    with caplog.at_level(logging.WARNING):
        promises = Promises([tmp_path / "shipped", tmp_path / "here"])
    assert threshold(promises) is None
    assert card_name(MODEL) in caplog.text
    assert promises.complaints(POLICY)


def test_a_card_from_before_answers_were_kept_in_it_promises_nothing(tmp_path: Path) -> None:
    (tmp_path / card_name(MODEL)).write_text(json.dumps({"model": MODEL, "bias": 0.0}))
    assert threshold(Promises([tmp_path])) is None


def test_the_digest_of_the_cards_tells_of_each_change(tmp_path: Path) -> None:
    seen = {digest_of_cards(tmp_path / "absent")}
    path = put(tmp_path / "here", good=True)
    seen.add(digest_of_cards(tmp_path / "here"))
    put(tmp_path / "here", good=False)
    seen.add(digest_of_cards(tmp_path / "here"))
    path.rename(path.with_name(card_name("other")))
    seen.add(digest_of_cards(tmp_path / "here"))
    (tmp_path / "here" / "answers.jsonl").write_text("not a card")
    seen.add(digest_of_cards(tmp_path / "here"))
    assert len(seen) == 4


def test_a_policy_without_a_target_is_held_against_nothing(tmp_path: Path) -> None:
    promises, plain = Promises([tmp_path]), replace(POLICY, escalation=EscalationPolicy(0.5, 1))
    assert promises.standard(plain, "home", {}) is None
    assert promises.complaints(plain) == []
    assert "has no graded answers" in promises.complaints(POLICY)[0]


@pytest.mark.parametrize("task", [Signal("task", "chat"), Signal("task", error="not_available")])
def test_the_task_is_the_signal_s_and_one_that_was_not_measured_counts_among_the_others(
    tmp_path: Path, task: Signal
) -> None:
    sure = [("chat", Graded(place / 100, True)) for place in range(100)]
    graded = write_graded([*sure, *(("code", Graded(place / 100, False)) for place in range(99))])
    (tmp_path / card_name(MODEL)).write_text(json.dumps({"model": MODEL, "graded": graded}))
    standard = Promises([tmp_path]).standard(POLICY, "home", {"task": task})
    assert standard is not None
    assert standard.task == (task.value or "")
    assert reason_for(standard).matched is (True if task.value else None)


def test_streams_that_are_judged_by_their_first_tokens_are_held_against_grades_of_first_tokens(tmp_path: Path) -> None:
    whole = write_graded(("", Graded(place / 200, True)) for place in range(200))
    card = {"model": MODEL, "graded": whole, "commit": {"graded": write_graded([("", Graded(0.5, True))] * 50)}}
    (tmp_path / card_name(MODEL)).write_text(json.dumps(card))
    promises = Promises([tmp_path])
    first, last = (promises.standard(POLICY, "home", {}, at) for at in ("commit", "whole"))  # type: ignore[arg-type]
    assert first is not None
    assert last is not None
    assert (first.promise.labels, first.promise.threshold) == (50, None)
    assert (last.promise.labels, last.promise.threshold) == (200, 0.0)
