"""Logistic regression with a ridge, in numpy, and what it says of rows that it has not seen. Pure."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
STRENGTH: Final = 1.0  # of the ridge, on standardised inputs
_FOLDS: Final = 10
_STEPS: Final = 50
_SEED: Final = 20261127


def fit_line(inputs: Floats, good: Floats) -> tuple[float, Floats]:
    """Bias and weights on the raw inputs (rows of features): the chance of good is sigmoid(bias + weights . row)."""
    mean, deviation = inputs.mean(axis=0), inputs.std(axis=0)
    deviation = np.where(deviation > 0, deviation, 1.0)
    columns = np.column_stack([np.ones(len(inputs)), (inputs - mean) / deviation])
    ridge = np.diag([0.0, *[STRENGTH] * inputs.shape[1]]) + 1e-9 * np.eye(columns.shape[1])
    found = np.zeros(columns.shape[1])
    for _ in range(_STEPS):  # Newton's method: a handful of steps, but for classes that are all but one
        chance = _sigmoid(columns @ found)
        slope = columns.T @ (good - chance) - ridge @ found
        curve = columns.T @ (columns * (chance * (1 - chance))[:, None]) + ridge
        step = np.linalg.solve(curve, slope)
        found += np.clip(step, -4.0, 4.0)
        if np.abs(step).max() < 1e-9:
            break
    weights = found[1:] / deviation
    return float(np.clip(found[0] - weights @ mean, -50, 50)), weights


def out_of_fold(inputs: Floats, good: Floats) -> Floats:
    """The chance of each row by a fit on nine tenths that it is not in; seeded, each tenth with its share of good."""
    order = np.random.default_rng(_SEED).permutation(len(good))
    order = order[np.argsort(good[order], kind="stable")]
    fold = np.empty(len(good), dtype=int)
    fold[order] = np.arange(len(good)) % _FOLDS
    chance = np.full(len(good), float(good.mean()) if len(good) else 0.0)
    for each in range(_FOLDS):
        unseen = fold == each
        if unseen.any() and not unseen.all():
            bias, weights = fit_line(inputs[~unseen], good[~unseen])
            chance[unseen] = _sigmoid(bias + inputs[unseen] @ weights)
    return chance


def _sigmoid(logits: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -50, 50))), dtype=np.float64)
