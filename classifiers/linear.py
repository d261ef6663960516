"""A linear model over `features`, from an artifact and its card, by a kernel or numpy. It never unpickles anything.

An artifact that is missing, altered or misshapen raises `ArtifactError`: it must never score.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.resources.abc import Traversable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from classifiers.artifact import ArtifactError as ArtifactError  # where the others look for it
from classifiers.artifact import read
from classifiers.features import BUCKETS, SURFACE_NAMES, Features, extract
from classifiers.features import read as read_text
from classifiers.kernels import KERNELS

_SHAPES: Final[Mapping[str, tuple[int, ...]]] = {
    "grams": (BUCKETS,),
    "surface": (len(SURFACE_NAMES),),
    "mean": (len(SURFACE_NAMES),),
    "deviation": (len(SURFACE_NAMES),),
    "constants": (2,),
}
FAR: Final = 4.0  # standard deviations beyond which a surface value counts as this far: no one length decides alone
SAME: Final = 1e-9  # how far a kernel's log-odds may be from those of the reference: sums in another order
SAMPLES: Final = ("", "Prove that √2 is irrational, and explain: why?", "def f(x):\n    return x ** 2  # {code}\n" * 3)
DIGITS: Final = 4  # scores are rounded: the last bits of a float sum differ between processors


@dataclass(frozen=True, slots=True)
class LinearModel:
    """`score` = sigmoid(bias + step * sum of gram weights / sqrt(count) + surface weights * standardised surface)."""

    grams: npt.NDArray[np.int8]
    surface: npt.NDArray[np.float64]
    mean: npt.NDArray[np.float64]
    deviation: npt.NDArray[np.float64]
    step: float
    bias: float
    digest: str = ""  # SHA-256 of the artifact's bytes, hex
    compiled: Any = None  # the same model in `native/features.c`

    def logit_of(self, text: str) -> float:
        """The log-odds of a text, within 1e-9 of the reference."""
        if self.compiled is None:
            return self.logit(extract(text))
        return float(KERNELS.module().logit(self.compiled, read_text(text)))

    def logit(self, features: Features) -> float:
        """The log-odds before rounding: what the kernel is held to."""
        count = len(features.buckets)
        hashed = int(self.grams[features.buckets].sum(dtype=np.int64)) if count else 0
        standard = (features.surface - self.mean) / self.deviation
        np.minimum(np.maximum(standard, -FAR, out=standard), FAR, out=standard)
        return self.bias + self.step * hashed / math.sqrt(max(count, 1)) + float(standard @ self.surface)

    def score(self, text: str) -> float:
        """The predicted chance in [0, 1], rounded to four digits. The empty text has a score too."""
        return round(sigmoid(self.logit_of(text)), DIGITS)


def sigmoid(logit: float) -> float:
    """1 / (1 + e^-x), without overflow."""
    if logit >= 0:
        return 1.0 / (1.0 + math.exp(-logit))
    power = math.exp(logit)
    return power / (1.0 + power)


def load(name: str, folder: Traversable | None = None) -> LinearModel:
    """The model `<name>.npz` with its card `<name>.json` from `folder` (default: the shipped artifacts).

    Raises `ArtifactError`.
    """
    artifact = read(name, _SHAPES, folder)
    if artifact.card.get("buckets") != BUCKETS or artifact.card.get("surface") != list(SURFACE_NAMES):
        raise ArtifactError(f"artifact {name}.npz was made for other features; train it again")
    for key, shape in _SHAPES.items():
        if artifact.arrays[key].shape != shape:
            raise ArtifactError(f"artifact {name}.npz: {key} has the wrong shape")
    return with_kernel(name, _build(name, artifact.arrays, artifact.digest))


def with_kernel(name: str, model: LinearModel) -> LinearModel:
    """The same model, read by the compiled kernel where there is one and it agrees."""

    def make(kernels: Any) -> LinearModel:
        arrays = (model.grams, model.surface, model.mean, model.deviation)
        return replace(model, compiled=kernels.linear(*map(np.ascontiguousarray, arrays), model.step, model.bias))

    def agrees(made: LinearModel) -> bool:
        return all(abs(made.logit_of(text) - model.logit(extract(text))) < SAME for text in SAMPLES)

    return KERNELS.take(name, make, agrees) or model


def _build(name: str, arrays: Mapping[str, npt.NDArray[Any]], digest: str) -> LinearModel:
    if arrays["grams"].dtype != np.int8 or not (arrays["deviation"] > 0).all():
        raise ArtifactError(f"artifact {name}.npz: gram weights are not bytes, or a deviation is not positive")
    return LinearModel(
        grams=arrays["grams"],
        surface=arrays["surface"].astype(np.float64),
        mean=arrays["mean"].astype(np.float64),
        deviation=arrays["deviation"].astype(np.float64),
        step=float(arrays["constants"][0]),
        bias=float(arrays["constants"][1]),
        digest=digest,
    )
