"""How good confidences are: AUROC with its interval, and the calibration error. Numbers in, numbers out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from router.calibration.thresholds import Graded

_RESAMPLES = 1000
_SEED = 20261127


def auroc(graded: Sequence[Graded]) -> float | None:
    """The chance that a good answer has a higher score than a bad one, ties counting half; None of one kind alone."""
    score, good = _columns(graded)
    return area(score, good)


def auroc_interval(graded: Sequence[Graded]) -> tuple[float, float] | None:
    """Its bootstrap 95 % interval, seeded; None where there is no AUROC."""
    score, good = _columns(graded)
    if area(score, good) is None:
        return None
    draw = np.random.default_rng(_SEED)
    samples = (draw.integers(0, len(good), len(good)) for _ in range(_RESAMPLES))
    values = [value for index in samples if (value := area(score[index], good[index])) is not None]
    low, high = np.percentile(values, (2.5, 97.5))
    return float(low), float(high)


def calibration_error(graded: Sequence[Graded], bins: int = 10) -> float:
    """ECE: the mean gap between promised and observed over equal-width bins of the score; 0.0 of nothing."""
    score, good = _columns(graded)
    place = np.minimum((score * bins).astype(int), bins - 1)
    error = 0.0
    for each in range(bins):
        inside = place == each
        if inside.any():
            error += inside.mean() * abs(float(score[inside].mean() - good[inside].mean()))
    return float(error)


def _columns(graded: Sequence[Graded]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    return np.array([each.score for each in graded]), np.array([each.good for each in graded], dtype=np.bool_)


def gain_interval(
    score: npt.NDArray[np.float64], other: npt.NDArray[np.float64], good: npt.NDArray[np.bool_]
) -> tuple[float, float]:
    """The bootstrap 95 % interval, paired and seeded, of what `score` has more of AUROC than `other`."""
    draw = np.random.default_rng(_SEED)
    gains = []
    for index in (draw.integers(0, len(good), len(good)) for _ in range(_RESAMPLES)):
        one, two = area(score[index], good[index]), area(other[index], good[index])
        if one is not None and two is not None:
            gains.append(one - two)
    low, high = np.percentile(gains, (2.5, 97.5)) if gains else (0.0, 0.0)
    return float(low), float(high)


def area(score: npt.NDArray[np.float64], good: npt.NDArray[np.bool_]) -> float | None:
    """AUROC of columns; None of one kind alone."""
    count = int(good.sum())
    if count in (0, len(good)):
        return None
    _, place, sizes = np.unique(score, return_inverse=True, return_counts=True)
    middle = np.cumsum(sizes) - (sizes - 1) / 2  # the mean rank of each tie
    above = float(middle[place][good].sum()) - count * (count + 1) / 2
    return above / (count * (len(good) - count))
