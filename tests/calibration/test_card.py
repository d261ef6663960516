"""Cards: all features only where they beat the sum on tasks left out, scores by fits that had not seen the question."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from router.calibration.card import ALL_FEATURES, SUM, Table, card_text, sections
from router.calibration.fit import NothingToFit
from router.calibration.targets import read_graded
from router.confidence.answer_features import NAMES
from router.confidence.confidence import Confidence
from router.confidence.trace import TokenTrace


def table(useful: str, *, tasks: int = 8, rows: int = 800) -> Table:
    """Answers whose goodness hangs on one feature alone."""
    draw = np.random.default_rng(3)
    inputs = draw.normal(size=(rows, len(NAMES)))
    inputs[:, NAMES.index("log_of_sum")] = draw.uniform(0, 3, rows)
    inputs[:, NAMES.index("repetition")] = 0.0
    cause = inputs[:, NAMES.index(useful)]
    good = (draw.random(rows) < 1 / (1 + np.exp(2 * (cause - cause.mean()) / cause.std()))).astype(float)
    names = tuple(f"t{number % tasks}" for number in range(rows))
    return Table(names, ("",) * rows, inputs, inputs, good)


@pytest.mark.parametrize(("useful", "features"), [("log_of_sum", SUM), ("echo", ALL_FEATURES)])
def test_more_than_the_sum_is_used_only_where_it_is_clearly_better(useful: str, features: tuple[str, ...]) -> None:
    card, graded = sections(table(useful))
    assert card["features"] == list(features)
    assert card["commit"]["features"] == list(features)
    assert card["metric"]["all_features_against_sum"]["left_out"] == "task"
    assert card["metric"]["question_left_out"]["auroc"] > 0.7
    assert len(graded) == card["answers"] == 800


def test_with_few_tasks_questions_are_left_out_instead() -> None:
    card, _ = sections(table("echo", tasks=2))
    assert card["metric"]["all_features_against_sum"]["left_out"] == "question"


def test_what_is_written_serves_and_carries_thresholds(tmp_path: Path) -> None:
    card, graded = sections(table("log_of_sum"))
    path = tmp_path / "confidence-m.json"
    path.write_bytes(card_text({"model": "m", **card}))
    read = json.loads(path.read_bytes())
    assert read_graded("m", "", read["graded"], None).by_task[""] == tuple(sorted(graded))
    sure, doubtful = TokenTrace(), TokenTrace()
    sure.add([{"token": "a", "logprob": -0.01}])
    doubtful.add([{"token": "a", "logprob": -8.0}])
    confidence = Confidence(tmp_path)
    for score in (confidence.score, confidence.score_head):
        high, low = score(sure, "m"), score(doubtful, "m")
        assert high is not None
        assert low is not None
        assert high > low


def test_an_answer_that_goes_round_in_circles_counts_half_in_the_scores_too() -> None:
    made, other = table("log_of_sum"), table("log_of_sum")
    for each in (made, other):
        each.whole[:, NAMES.index("echo")] = 0.0
    made.whole[:, NAMES.index("repetition")] = 0.9
    _, looped = sections(made)
    _, plain = sections(other)
    assert [each.score for each in looped] == pytest.approx([each.score / 2 for each in plain], abs=1e-3)


def test_no_answers_are_nothing_to_fit() -> None:
    empty = np.zeros((0, len(NAMES)))
    with pytest.raises(NothingToFit):
        sections(Table((), (), empty, empty, np.zeros(0)))
