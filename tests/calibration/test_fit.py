"""Fits: what was planted is found again, penalties shrink, folds never share a group, and one kind alone is refused."""

from __future__ import annotations

import numpy as np
import pytest

from router.calibration.fit import NothingToFit, choose_strength, fit, fit_line, folds, groups_of, out_of_fold

DRAW = np.random.default_rng(5)
INPUTS = DRAW.normal(size=(4000, 3)) * [1.0, 10.0, 0.1] + [0.0, 50.0, 2.0]
LOGITS = 0.8 * INPUTS[:, 0] - 0.1 * (INPUTS[:, 1] - 50.0) - 0.5
GOOD = (DRAW.random(4000) < 1 / (1 + np.exp(-LOGITS))).astype(float)
QUESTIONS = np.arange(len(GOOD))


def test_the_weights_of_raw_features_are_found_whatever_their_scale() -> None:
    line = fit_line(INPUTS, GOOD, 1.0)
    assert line.weights[0] == pytest.approx(0.8, abs=0.1)
    assert line.weights[1] == pytest.approx(-0.1, abs=0.015)
    assert line.chance(INPUTS).mean() == pytest.approx(GOOD.mean(), abs=1e-6)


def test_it_is_what_scikit_learn_finds() -> None:
    linear_model = pytest.importorskip("sklearn.linear_model", reason="only training and tests have scikit-learn")
    scaled = (INPUTS - INPUTS.mean(axis=0)) / INPUTS.std(axis=0)
    theirs = linear_model.LogisticRegression(C=1 / 30.0, tol=1e-10, max_iter=1000).fit(scaled, GOOD)
    ours = fit_line(INPUTS, GOOD, 30.0).weights * INPUTS.std(axis=0)
    assert ours == pytest.approx(theirs.coef_[0], abs=1e-4)


def test_columns_that_never_change_or_that_separate_do_no_harm() -> None:
    inputs = np.column_stack((np.ones(100), np.repeat([0.0, 1.0], 50)))
    line = fit_line(inputs, inputs[:, 1], 1.0)
    assert np.isfinite(line.weights).all()
    assert line.chance(inputs)[-1] > 0.9


def test_a_heavier_penalty_is_chosen_where_the_features_are_noise() -> None:
    noise = DRAW.normal(size=(200, 20))
    labels = (DRAW.random(200) < 0.3).astype(float)
    assert choose_strength(noise, labels, np.arange(200)) == 300.0
    assert choose_strength(INPUTS, GOOD, QUESTIONS) < 300.0


def test_folds_cover_every_row_once_and_share_no_group() -> None:
    groups = groups_of([f"t{number % 7}" for number in range(100)])
    seen = np.zeros(100)
    for train, test in folds(groups, 5):
        assert not set(groups[train]) & set(groups[test])
        seen[test] += 1
    assert (seen == 1).all()


def test_a_score_out_of_fold_has_not_seen_its_own_grade() -> None:
    noise = DRAW.normal(size=(300, 10))
    labels = (DRAW.random(300) < 0.5).astype(float)
    chance = out_of_fold(noise, labels, np.arange(300))
    assert abs(np.corrcoef(chance, labels)[0, 1]) < 0.2


@pytest.mark.parametrize("good", [[], [1.0], [1.0, 1.0, 1.0], [0.0, 0.0]])
def test_one_kind_alone_is_nothing_to_fit(good: list[float]) -> None:
    with pytest.raises(NothingToFit):
        fit(np.ones((len(good), 2)), np.array(good), np.arange(len(good)))
