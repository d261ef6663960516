"""Fits, calibrates, quantises and writes a linear model over `classifiers.features`; nothing that serves imports it.

Every choice is seeded; the card that is written says what was done.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix, hstack  # type: ignore[import-untyped]  # scipy ships no types
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GroupKFold

from classifiers.features import BUCKETS, SURFACE_NAMES, extract
from classifiers.linear import LinearModel
from classifiers.training.corpus import Row, key

SEED = 20261120
FOLDS = 5
DATE = "2026-11-20"
_FAR = 4.0  # as in classifiers.linear
_SURFACE_SCALE = 0.1  # a text's hashed part has length 1; this makes the surface part as strong, and the fit quick
_DIGITS = re.compile(r"\d+")

Floats = npt.NDArray[np.float64]


class Table:
    """The rows as matrices: hashed n-grams (each row of length one) and raw surface values."""

    def __init__(self, rows: Sequence[Row]) -> None:
        features = [extract(row.text) for row in rows]
        sizes = [len(each.buckets) for each in features]
        values = np.repeat(1 / np.sqrt(np.maximum(sizes, 1)), sizes)
        columns = np.concatenate([each.buckets for each in features])
        offsets = np.concatenate(([0], np.cumsum(sizes)))
        self.grams = csr_matrix((values, columns, offsets), shape=(len(rows), BUCKETS))
        self.surface = np.array([each.surface for each in features])
        self.target = np.array([row.target for row in rows])
        self.weight = np.array([row.weight for row in rows])
        self.groups = np.unique([group(row) for row in rows], return_inverse=True)[1]


def group(row: Row) -> str:
    """What must not be split between training and test: an authored template's rows, and texts that begin alike."""
    return row.source if row.source.startswith("authored/") else _DIGITS.sub("0", key(row.text))[:80]


class Fit:
    """One fitted model, before it is calibrated and quantised."""

    def __init__(self, table: Table, index: npt.NDArray[np.intp], strength: float) -> None:
        """Ridge regression on the targets, `strength` its alpha; the calibration turns its values into log-odds."""
        self.mean = table.surface[index].mean(axis=0)
        self.deviation = np.maximum(table.surface[index].std(axis=0), 1e-6)
        model = Ridge(alpha=strength, solver="sparse_cg", tol=1e-3)
        model.fit(self._matrix(table, index), table.target[index], sample_weight=table.weight[index])
        self.coefficients: Floats = model.coef_
        self.bias = float(model.intercept_)

    def _matrix(self, table: Table, index: npt.NDArray[np.intp]) -> Any:
        standard = np.clip((table.surface[index] - self.mean) / self.deviation, -_FAR, _FAR) * _SURFACE_SCALE
        return hstack((table.grams[index], csr_matrix(standard)), format="csr")

    def values(self, table: Table, index: npt.NDArray[np.intp]) -> Floats:
        """The uncalibrated values of some rows."""
        return np.asarray(self._matrix(table, index) @ self.coefficients + self.bias, dtype=np.float64)

    def quantised(self, slope: float, shift: float) -> LinearModel:
        """The model to ship: gram weights as bytes, the calibration (slope and shift of the logit) folded in."""
        grams = self.coefficients[:BUCKETS] * slope
        step = float(np.abs(grams).max() / 127) or 1.0
        return LinearModel(
            grams=np.round(grams / step).astype(np.int8),
            surface=self.coefficients[BUCKETS:] * slope * _SURFACE_SCALE,
            mean=self.mean,
            deviation=self.deviation,
            step=step,
            bias=self.bias * slope + shift,
        )


def cross_validate(table: Table, strength: float, leave_out: npt.NDArray[np.bool_] | None = None) -> Floats:
    """Out-of-fold values for every row; groups are never split, and rows in `leave_out` are never trained on."""
    values = np.zeros(len(table.target))
    splitter = GroupKFold(n_splits=FOLDS, shuffle=True, random_state=SEED)
    for train, test in splitter.split(table.surface, groups=table.groups):
        used = train if leave_out is None else train[~leave_out[train]]
        values[test] = Fit(table, used, strength).values(table, test)
    return values


def calibrate(values: Floats, target: Floats, weight: Floats) -> tuple[float, float]:
    """Slope and shift (Platt) for which sigmoid(slope * value + shift) agrees with soft targets."""
    labels = np.concatenate((np.ones(len(values)), np.zeros(len(values))))
    weights = np.concatenate((weight * target, weight * (1 - target)))
    keep = weights > 0
    model = LogisticRegression(C=1e6, max_iter=1000)
    model.fit(np.concatenate((values, values))[keep, None], labels[keep], sample_weight=weights[keep])
    return float(model.coef_[0, 0]), float(model.intercept_[0])


def sigmoid(logits: Floats) -> Floats:
    """Chances from log-odds."""
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -50, 50))), dtype=np.float64)


def calibration_error(chance: Floats, target: Floats, bins: int = 10) -> float:
    """Expected calibration error: the mean gap between promised and observed, over equal-width bins."""
    place = np.minimum((chance * bins).astype(int), bins - 1)
    error = 0.0
    for each in range(bins):
        inside = place == each
        if inside.any():
            error += inside.mean() * abs(float(chance[inside].mean() - target[inside].mean()))
    return float(error)


def write(model: LinearModel, name: str, folder: Path, card: dict[str, Any]) -> None:
    """`<name>.npz` and its card `<name>.json`; equal models give equal bytes."""
    arrays: dict[str, npt.NDArray[Any]] = {
        "grams": model.grams,
        "surface": model.surface,
        "mean": model.mean,
        "deviation": model.deviation,
        "constants": np.array([model.step, model.bias]),
    }
    write_arrays(arrays, name, folder, card)


def write_arrays(arrays: dict[str, npt.NDArray[Any]], name: str, folder: Path, card: dict[str, Any]) -> None:
    """Any arrays with their card; equal arrays give equal bytes."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]  # its stub takes the names for options
    data = buffer.getvalue()
    full = {
        "name": name,
        "date": DATE,
        **card,
        "buckets": BUCKETS,
        "surface": list(SURFACE_NAMES),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    (folder / f"{name}.npz").write_bytes(data)
    (folder / f"{name}.json").write_text(json.dumps(full, indent=2, ensure_ascii=False) + "\n", "utf-8")
