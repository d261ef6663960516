"""Fits the chance that an answer is good on graded answers: logistic regression with a ridge, in numpy alone.

Weights are for raw features, the scaling folded in. Everything is seeded; nothing here knows a policy or a model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]

SEED: Final = 20261127
STRENGTHS: Final = (3.0, 30.0, 300.0)  # ridge penalties, in units of one answer; an inner fold chooses
FOLDS: Final = 10
_INNER: Final = 5
_STEPS: Final = 30
_CLOSE: Final = 1e-7


class NothingToFit(ValueError):
    """Too few answers, or all of them good, or all bad."""


@dataclass(frozen=True, slots=True)
class Line:
    """`sigmoid(bias + inputs @ weights)`."""

    bias: float
    weights: Floats

    def chance(self, inputs: Floats) -> Floats:
        """The chances of rows of inputs."""
        logits = np.clip(self.bias + inputs @ self.weights, -50, 50)
        return np.asarray(1.0 / (1.0 + np.exp(-logits)), dtype=np.float64)


def fit_line(inputs: Floats, good: Floats, strength: float) -> Line:
    """Iteratively reweighted least squares on standardised inputs; the intercept is not shrunk.

    Raises `NothingToFit`.
    """
    _check(good)
    mean, deviation = inputs.mean(axis=0), np.maximum(inputs.std(axis=0), 1e-6)
    table = np.column_stack((np.ones(len(good)), (inputs - mean) / deviation))
    ridge = np.diag(np.concatenate(([1e-9], np.full(inputs.shape[1], strength))))
    found = np.zeros(table.shape[1])
    found[0] = np.log(good.mean() / (1 - good.mean()))
    for _ in range(_STEPS):
        chance = 1.0 / (1.0 + np.exp(-np.clip(table @ found, -50, 50)))
        weight = np.maximum(chance * (1 - chance), 1e-6)
        slope = table.T @ (good - chance) - ridge @ found
        step = np.linalg.solve((table * weight[:, None]).T @ table + ridge, slope)
        found = found + step * min(1.0, 5.0 / max(float(np.abs(step).max()), 1e-12))
        if float(np.abs(step).max()) < _CLOSE:
            break
    weights = found[1:] / deviation
    return Line(float(found[0] - weights @ mean), weights)


def fit(inputs: Floats, good: Floats, groups: Places) -> Line:
    """A line with the penalty that foretells left-out groups best, by log loss. Raises `NothingToFit`."""
    _check(good)
    return fit_line(inputs, good, choose_strength(inputs, good, groups))


def choose_strength(inputs: Floats, good: Floats, groups: Places) -> float:
    """The penalty of `STRENGTHS` with the least log loss on groups that were left out."""
    losses = []
    for strength in STRENGTHS:
        chance = np.full(len(good), good.mean())
        for train, test in folds(groups, _INNER):
            if 0 < good[train].sum() < len(train):
                chance[test] = fit_line(inputs[train], good[train], strength).chance(inputs[test])
        losses.append(log_loss(chance, good))
    return STRENGTHS[int(np.argmin(losses))]


def out_of_fold(inputs: Floats, good: Floats, groups: Places, count: int = FOLDS) -> Floats:
    """Each row's chance by a fit that saw nothing of its group, the penalty chosen within the rest."""
    chance = np.full(len(good), good.mean())
    for train, test in folds(groups, count):
        if 0 < good[train].sum() < len(train):
            chance[test] = fit(inputs[train], good[train], groups[train]).chance(inputs[test])
    return chance


def folds(groups: Places, count: int) -> Iterator[tuple[Places, Places]]:
    """(train, test) rows; whole groups in each, dealt out in a seeded order. As many folds as groups, at most."""
    names = np.unique(groups)
    dealt = np.random.default_rng(SEED).permutation(len(names)) % min(count, max(len(names), 2))
    place = dealt[np.searchsorted(names, groups)]
    for each in range(int(dealt.max()) + 1 if len(names) else 0):
        yield np.flatnonzero(place != each), np.flatnonzero(place == each)


def groups_of(names: Sequence[str]) -> Places:
    """Numbers for names."""
    return np.unique(np.array(names, dtype=str), return_inverse=True)[1].astype(np.intp)


def log_loss(chance: Floats, good: Floats) -> float:
    """Mean negative log-likelihood, nats."""
    bounded = np.clip(chance, 1e-6, 1 - 1e-6)
    return float(-(good * np.log(bounded) + (1 - good) * np.log(1 - bounded)).mean())


def _check(good: Floats) -> None:
    if len(good) < 2 or not 0 < good.sum() < len(good):
        raise NothingToFit("there is nothing to fit: of the graded answers all are good, or all are bad")
