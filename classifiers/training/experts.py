"""Fits `classifiers.experts`: one linear model a form of prompt; nothing that serves imports it.

All forms share one joint fit to the chance of failure. Questions with options add what a strong model gains on such
questions, word problems add their length: inside one benchmark the joint fit ranks worse than length alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix, hstack  # type: ignore[import-untyped]  # scipy ships no types
from sklearn.linear_model import Ridge
from sklearn.model_selection import GroupKFold

from classifiers.embedding import Embedding
from classifiers.experts import FAR
from classifiers.features import BUCKETS, SURFACE_COUNT
from classifiers.forms import CHOICE, FORMS, SUM, form_of
from classifiers.training import fitting
from classifiers.training.corpus import Row

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]

_STRENGTH: Final = 3.0  # alpha of the joint fit
_APART: Final = 10.0  # alpha of each part fitted apart
_SURFACE_SCALE: Final = 0.1
_SEEN_IN: Final = 3  # texts: a rarer n-gram has no weight in the parts fitted apart
_OTHERS: Final = 0.3  # weight of rows of other sources than the benchmarks' own
_ENOUGH: Final = 300  # questions with a strong model's grade: fewer teach nothing about choices
_LENGTH_SHARE: Final = 0.5
BENCHMARKS: Final = ("mmlu_2000", "gsm8k_200")
ADDED: Final = {CHOICE: 1.0, SUM: 0.5}  # how wide what a form adds is beside the joint fit


@dataclass(frozen=True)
class Linear:
    """Weights over hashed n-grams, standardised surface counts and the embedding."""

    grams: Floats
    surface: Floats
    vector: Floats
    bias: float = 0.0

    def values(self, table: Table, index: Places) -> Floats:
        """The uncalibrated values of some rows."""
        hashed = table.grams[index] @ self.grams
        return np.asarray(hashed + table.surface[index] @ self.surface + self.bias + table.vector[index] @ self.vector)

    def plus(self, other: Linear, factor: float) -> Linear:
        """This and `factor` times another."""
        return Linear(
            self.grams + factor * other.grams,
            self.surface + factor * other.surface,
            self.vector + factor * other.vector,
            self.bias + factor * other.bias,
        )


class Table:
    """The rows as matrices: hashed n-grams (each of length one), standardised surface counts, vectors, forms."""

    def __init__(self, rows: Sequence[Row], embedding: Embedding) -> None:
        plain = fitting.Table(rows)
        self.grams, self.target, self.weight, self.groups = plain.grams, plain.target, plain.weight, plain.groups
        # The mean and spread of surface counts hold no label: they are taken over all rows once.
        self.mean = plain.surface.mean(axis=0)
        self.deviation = np.maximum(plain.surface.std(axis=0), 1e-6)
        self.surface = np.clip((plain.surface - self.mean) / self.deviation, -FAR, FAR)
        self.vector = np.array([embedding.vector(row.text) for row in rows], dtype=np.float64)
        self.form = np.array([form_of(row.text) for row in rows])
        self.source = np.array([row.source for row in rows])
        self.measured = np.array([row.measured for row in rows])
        self.gain = np.array([np.nan if row.strong is None else row.strong - (1 - row.target) for row in rows])


def fit(table: Table, index: Places) -> list[Linear]:
    """A model for each form: one joint fit for all, and what the form adds to it, as wide as that times its share."""
    joint = _together(table, index)
    measured = index[table.measured[index]]
    width = float(joint.values(table, measured).std())
    models = [joint] * len(FORMS)
    for form, added in ((CHOICE, _gain(table, index)), (SUM, _length(table.vector.shape[1]))):
        own = measured[table.form[measured] == form]
        if added is not None and len(own):
            factor = ADDED[form] * width / max(float(added.values(table, own).std()), 1e-9)
            models[form] = joint.plus(added, factor)
    return models


def values(table: Table, models: Sequence[Linear], index: Places) -> Floats:
    """Each row's value by the model of its form."""
    result = np.zeros(len(index))
    for form, model in enumerate(models):
        mine = table.form[index] == form
        if mine.any():
            result[mine] = model.values(table, index[mine])
    return result


def _together(table: Table, index: Places) -> Linear:
    matrix = hstack(
        (table.grams[index], csr_matrix(table.surface[index] * _SURFACE_SCALE), csr_matrix(table.vector[index])),
        format="csr",
    )
    model = Ridge(alpha=_STRENGTH, solver="sparse_cg", tol=1e-3)
    model.fit(matrix, table.target[index], sample_weight=table.weight[index])
    grams, surface, vector = np.split(model.coef_, (BUCKETS, BUCKETS + SURFACE_COUNT))
    return Linear(grams, surface * _SURFACE_SCALE, vector, float(model.intercept_))


def _length(width: int) -> Linear:
    """The length of the text alone: the longer a word problem, the more steps it has."""
    surface = np.zeros(SURFACE_COUNT)
    surface[0] = 1.0
    return Linear(np.zeros(BUCKETS), surface, np.zeros(width))


def _gain(table: Table, index: Places) -> Linear | None:
    """What a strong model gains on choice questions: the parts fitted apart, and half of the length beside them."""
    mine = index[(table.form[index] == CHOICE) & np.isfinite(table.gain[index])]
    if len(mine) < _ENOUGH:
        return None
    sources, place = np.unique(table.source[mine], return_inverse=True)
    offsets = csr_matrix(
        (np.full(len(mine), 10.0), (np.arange(len(mine)), place))
    )  # each source's own mean, nearly free
    weight = np.where(np.isin(sources, BENCHMARKS)[place], 1.0, _OTHERS)
    target = table.gain[mine] - table.gain[mine].mean()

    def part(matrix: Any) -> Floats:
        model = Ridge(alpha=_APART, solver="sparse_cg", tol=1e-4)
        model.fit(hstack((matrix, offsets), format="csr"), target, sample_weight=weight)
        return np.asarray(model.coef_[: matrix.shape[1]], dtype=np.float64)

    often = np.asarray((table.grams[mine] > 0).sum(axis=0)).ravel()
    rarity = np.where(often >= _SEEN_IN, np.log(len(mine) / np.maximum(often, 1)), 0.0) / 4
    grams = part(table.grams[mine].multiply(rarity[None, :]).tocsr()) * rarity
    surface = part(csr_matrix(table.surface[mine] / SURFACE_COUNT**0.5)) / SURFACE_COUNT**0.5
    learnt = Linear(grams, surface, part(csr_matrix(table.vector[mine])))
    width = float(learnt.values(table, mine).std()) or 1.0
    return learnt.plus(
        _length(table.vector.shape[1]), _LENGTH_SHARE * width / max(float(table.surface[mine, 0].std()), 1e-6)
    )


def cross_validate(table: Table, leave_out: npt.NDArray[np.bool_] | None = None) -> Floats:
    """Out-of-fold values for every row; groups are never split, and rows in `leave_out` are never trained on."""
    result = np.zeros(len(table.target))
    splitter = GroupKFold(n_splits=fitting.FOLDS, shuffle=True, random_state=fitting.SEED)
    for train, test in splitter.split(table.surface, groups=table.groups):
        used = train if leave_out is None else train[~leave_out[train]]
        result[test] = values(table, fit(table, used), test)
    return result


def calibrate(table: Table, scores: Floats, index: Places) -> list[tuple[float, float]]:
    """Slope and shift of the log-odds for each form, from out-of-fold scores of some rows."""
    # Whole groups of authored prompts are held out together, which no model can foresee: they would flatten the slope.
    weight = np.where(np.char.startswith(table.source, "authored/"), 0.0, table.weight)
    lines = []
    for form in range(len(FORMS)):
        mine = index[table.form[index] == form]
        lines.append(fitting.calibrate(scores[mine], table.target[mine], weight[mine]))
    return lines


def chances(table: Table, scores: Floats, lines: Sequence[tuple[float, float]]) -> Floats:
    """The calibrated chance for each row."""
    slopes, shifts = np.array(lines).T
    return fitting.sigmoid(slopes[table.form] * scores + shifts[table.form])


def halves(table: Table, scores: Floats) -> Floats:
    """Calibrated chances where each half of the groups is calibrated on the other, so that no error is flattered."""
    half = np.random.default_rng(fitting.SEED).random(table.groups.max() + 1) < 0.5
    first = half[table.groups]
    chance = np.zeros(len(scores))
    for fitted_on in (first, ~first):
        lines = calibrate(table, scores, np.flatnonzero(fitted_on))
        chance[~fitted_on] = chances(table, scores, lines)[~fitted_on]
    return chance


def arrays(table: Table, models: Sequence[Linear], lines: Sequence[tuple[float, float]]) -> dict[str, npt.NDArray[Any]]:
    """The model to ship: gram weights as bytes, the calibration folded in."""
    slopes, shifts = np.array(lines).T
    grams = np.array([model.grams for model in models]) * slopes[:, None]
    steps = np.maximum(np.abs(grams).max(axis=1) / 127, 1e-12)
    return {
        "grams": np.round(grams / steps[:, None]).astype(np.int8),
        "surface": np.array([model.surface for model in models]) * slopes[:, None],
        "vector": (np.array([model.vector for model in models]) * slopes[:, None]).astype(np.float32),
        "mean": table.mean,
        "deviation": table.deviation,
        "steps": steps,
        "bias": np.array([model.bias for model in models]) * slopes + shifts,
    }
