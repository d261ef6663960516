"""The figures of a report agree with scikit-learn, and say nothing where there is nothing to say."""

from __future__ import annotations

import random

import pytest
from sklearn.metrics import roc_auc_score

from router.calibration.figures import auroc, auroc_interval, calibration_error
from router.calibration.thresholds import Graded


@pytest.mark.parametrize("digits", [4, 1])
def test_auroc_is_that_of_scikit_learn_ties_included(digits: int) -> None:
    source = random.Random(digits)
    graded = [Graded(round(score, digits), source.random() < score) for score in (source.random() for _ in range(300))]
    expected = roc_auc_score([each.good for each in graded], [each.score for each in graded])
    assert auroc(graded) == pytest.approx(expected)
    interval = auroc_interval(graded)
    assert interval is not None
    assert interval[0] < expected < interval[1]
    assert 0.03 < interval[1] - interval[0] < 0.2


@pytest.mark.parametrize("graded", [[], [Graded(0.5, True)] * 3, [Graded(0.5, False)]])
def test_there_is_no_auroc_of_one_kind_alone(graded: list[Graded]) -> None:
    assert auroc(graded) is None
    assert auroc_interval(graded) is None


def test_the_calibration_error_is_the_gap_between_promised_and_observed() -> None:
    right = [Graded(0.75, place % 4 != 0) for place in range(100)]
    assert calibration_error(right) == pytest.approx(0.0)
    assert calibration_error([Graded(0.95, False)] * 10) == pytest.approx(0.95)
    assert calibration_error([Graded(1.0, True)]) == 0.0
    assert calibration_error([]) == 0.0
