"""A linear model over `features`, served by numpy from an artifact and its card. It never unpickles anything.

An artifact that is missing, altered or misshapen raises `ArtifactError`: it must never score.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from classifiers.features import BUCKETS, SURFACE_NAMES, Features, extract

_SHAPES: Final[Mapping[str, tuple[int, ...]]] = {
    "grams": (BUCKETS,),
    "surface": (len(SURFACE_NAMES),),
    "mean": (len(SURFACE_NAMES),),
    "deviation": (len(SURFACE_NAMES),),
    "constants": (2,),
}
_FAR: Final = 4.0  # standard deviations beyond which a surface value counts as this far: no one length decides alone
DIGITS: Final = 4  # scores are rounded: the last bits of a float sum differ between processors


class ArtifactError(Exception):
    """An artifact or its card is missing, altered or misshapen; the message names it and what is wrong."""


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

    def logit(self, features: Features) -> float:
        """The log-odds before rounding."""
        count = len(features.buckets)
        hashed = int(self.grams[features.buckets].sum(dtype=np.int64)) if count else 0
        standard = (features.surface - self.mean) / self.deviation
        np.minimum(np.maximum(standard, -_FAR, out=standard), _FAR, out=standard)
        return self.bias + self.step * hashed / math.sqrt(max(count, 1)) + float(standard @ self.surface)

    def score(self, text: str) -> float:
        """The predicted chance in [0, 1], rounded to four digits. The empty text has a score too."""
        return round(sigmoid(self.logit(extract(text))), DIGITS)


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
    where = files("classifiers.artifacts") if folder is None else folder
    data = _read(where, f"{name}.npz")
    card = _card(name, _read(where, f"{name}.json"))
    digest = hashlib.sha256(data).hexdigest()
    if card.get("sha256") != digest:
        raise ArtifactError(f"artifact {name}.npz is not the one that its card describes (SHA-256 differs)")
    if card.get("buckets") != BUCKETS or card.get("surface") != list(SURFACE_NAMES):
        raise ArtifactError(f"artifact {name}.npz was made for other features; train it again")
    return _build(name, _arrays(name, data), digest)


def _read(where: Traversable, filename: str) -> bytes:
    try:
        return where.joinpath(filename).read_bytes()
    except OSError as error:
        raise ArtifactError(f"artifact {filename} cannot be read ({type(error).__name__})") from error


def _card(name: str, text: bytes) -> Mapping[str, Any]:
    try:
        card = json.loads(text)
    except ValueError as error:
        raise ArtifactError(f"card {name}.json is not JSON") from error
    if not isinstance(card, dict):
        raise ArtifactError(f"card {name}.json is not an object")
    return card


def _arrays(name: str, data: bytes) -> dict[str, npt.NDArray[Any]]:
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in _SHAPES}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ArtifactError(f"artifact {name}.npz is not a readable archive of arrays") from error
    for key, shape in _SHAPES.items():
        if arrays[key].shape != shape:
            raise ArtifactError(f"artifact {name}.npz: {key} has the wrong shape")
        if not np.isfinite(arrays[key]).all():
            raise ArtifactError(f"artifact {name}.npz: {key} holds a value that is not finite")
    return arrays


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
