"""A second look is used only where it tells more than the first confidence, and a card says which."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from policies.schema import compile_policy
from router.calibration.fit import NothingToFit
from router.calibration.looking import Looked, bodies_of, section, value_of
from router.calibration.questions import Question
from router.calibration.standing import Promises, card_name
from router.calibration.thresholds import Graded
from router.confidence.confidence import Confidence
from tests.support.gateway import POLICY, local_server

QUESTION = Question("1", "facts", "The capital of France?", "Paris", "mention")


def answers(weight: float, count: int = 600) -> tuple[Looked, tuple[str, ...], tuple[Graded, ...]]:
    """Answers whose goodness hangs on the first confidence, and on the look with this weight."""
    draw = np.random.default_rng(5)
    first, look = draw.normal(size=count), draw.normal(size=count)
    good = draw.random(count) < 1 / (1 + np.exp(-(first + weight * look)))
    confidence = 1 / (1 + np.exp(-first))
    graded = tuple(Graded(float(score), bool(kind)) for score, kind in zip(confidence, good, strict=True))
    tasks = tuple(f"t{place % 6}" for place in range(count))
    return Looked("verify", 4, tuple(map(float, look))), tasks, graded


@pytest.mark.parametrize(("weight", "helps"), [(2.0, True), (-2.0, True), (0.0, False)])
def test_it_helps_where_it_adds_more_than_its_interval_whichever_way_it_points(weight: float, helps: bool) -> None:
    looked, tasks, graded = answers(weight)
    found = section(looked, tasks, tasks, graded)
    assert found["helps"] is helps
    assert (found["second"] * weight > 0) is helps
    assert found["metric"]["answers"] == len(graded)
    assert set(found["graded"]) == set(tasks)


def test_a_look_that_did_not_tell_is_left_out_and_none_at_all_is_nothing_to_fit() -> None:
    looked, tasks, graded = answers(2.0)
    some = Looked("verify", 4, (None, *looked.values[1:]))
    assert section(some, tasks, tasks, graded)["metric"]["answers"] == len(graded) - 1
    with pytest.raises(NothingToFit):
        section(Looked("verify", 4, (None,) * len(graded)), tasks, tasks, graded)


def card(folder: Path, kind: str, found: dict[str, object]) -> None:
    fit = {"features": ["log_of_sum"], "weights": [-1.0], "bias": 0.0}
    (folder / card_name("scripted-local")).write_text(
        json.dumps({"model": "scripted-local", **fit, "looks": {kind: found}})
    )


@pytest.mark.parametrize(("weight", "helps"), [(2.0, True), (0.0, False)])
def test_what_serves_goes_by_the_card(tmp_path: Path, weight: float, helps: bool) -> None:
    looked, tasks, graded = answers(weight)
    card(tmp_path, "verify", section(looked, tasks, tasks, graded))
    confidence = Confidence(tmp_path)
    surer, less = (confidence.second("verify", "scripted-local", 0.5, value) for value in (3.0, -3.0))
    assert (surer is not None) is helps
    if surer is not None and less is not None:
        assert surer > 0.9 > 0.1 > less
    assert confidence.second("agreement", "scripted-local", 0.5, 1.0) is None
    assert confidence.second("verify", "another", 0.5, 1.0) is None


def test_agreement_counts_only_for_as_many_answers_as_it_was_measured_with(tmp_path: Path) -> None:
    looked, tasks, graded = answers(2.0)
    card(tmp_path, "agreement", section(Looked("agreement", 4, looked.values), tasks, tasks, graded))
    promises = Promises([tmp_path])
    text = POLICY.format(home=local_server("http://127.0.0.1:9"), cloud="http://127.0.0.1:8")
    for samples, counts in ((4, True), (3, False)):
        rule = f"escalation: {{threshold: 0.5, second_look: agreement, samples: {samples}}}\n"
        assert promises.has_shown(compile_policy(text + rule, "p"), "home", "agreement") is counts
        assert not promises.has_shown(compile_policy(text + rule, "p"), "home", "verify")


def test_the_bodies_name_the_model_and_an_answer_without_text_has_none() -> None:
    choice = {"message": {"content": "Paris"}, "finish_reason": "stop"}
    bodies = bodies_of("agreement", 3, QUESTION, choice, "slm")
    assert [body["model"] for body in bodies] == ["slm"] * 3
    assert bodies_of("verify", 3, QUESTION, {"message": {"content": ""}}, "slm") == ()
    assert value_of("agreement", choice, [choice, {"refused": "too_long"}]) == 1.0
    assert value_of("verify", choice, []) is None
