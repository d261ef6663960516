"""One linear model a form of prompt, over n-grams, surface counts and the static embedding, served by numpy alone.

An artifact that is missing, altered, misshapen or made for another embedding raises `ArtifactError`: it never scores.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from classifiers.artifact import ArtifactError, read
from classifiers.embedding import Embedding
from classifiers.features import BUCKETS, SURFACE_COUNT, SURFACE_NAMES, extract
from classifiers.forms import FORMS, form_of

_KEYS: Final = ("grams", "surface", "vector", "mean", "deviation", "steps", "bias")
FAR: Final = 4.0  # standard deviations beyond which a surface value counts as this far: no one length decides alone


@dataclass(frozen=True, slots=True)
class Experts:
    """A row for each of `FORMS` in `grams`, `surface`, `vector`, `steps` and `bias`."""

    grams: npt.NDArray[np.int8]
    surface: npt.NDArray[np.float64]
    vector: npt.NDArray[np.float32]
    mean: npt.NDArray[np.float64]
    deviation: npt.NDArray[np.float64]
    steps: tuple[float, ...]
    bias: tuple[float, ...]
    embedding: Embedding
    digest: str = ""  # SHA-256 of the artifact's bytes, hex

    def logit(self, text: str) -> float:
        """The log-odds that a text is hard, by the expert of its form. The empty text has some too."""
        form = form_of(text)
        features = extract(text)
        count = len(features.buckets)
        hashed = int(self.grams[form].take(features.buckets).sum(dtype=np.int64)) if count else 0
        standard = (features.surface - self.mean) / self.deviation
        np.minimum(np.maximum(standard, -FAR, out=standard), FAR, out=standard)
        value = self.bias[form] + self.steps[form] * hashed / math.sqrt(max(count, 1))
        value += float(standard @ self.surface[form])
        return value + float(self.embedding.vector(text) @ self.vector[form])


def load(name: str, folder: Traversable | None = None, embedding: Embedding | None = None) -> Experts:
    """`<name>.npz` with its card from `folder` (default: the shipped artifacts). Raises `ArtifactError`."""
    artifact = read(name, _KEYS, folder)
    table = embedding if embedding is not None else Embedding.load()
    card = artifact.card
    if (card.get("buckets"), card.get("surface"), card.get("forms")) != (BUCKETS, list(SURFACE_NAMES), list(FORMS)):
        raise ArtifactError(f"artifact {name}.npz was made for other features; train it again")
    if card.get("embedding") != table.digest:
        raise ArtifactError(f"artifact {name}.npz was made for another embedding; train it again")
    _check(name, artifact.arrays, table.width)
    return build(artifact.arrays, table, artifact.digest)


def build(arrays: Mapping[str, npt.NDArray[Any]], embedding: Embedding, digest: str = "") -> Experts:
    """The model of these arrays."""
    return Experts(
        grams=arrays["grams"],
        surface=arrays["surface"].astype(np.float64),
        vector=arrays["vector"].astype(np.float32),
        mean=arrays["mean"].astype(np.float64),
        deviation=arrays["deviation"].astype(np.float64),
        steps=tuple(float(step) for step in arrays["steps"]),
        bias=tuple(float(bias) for bias in arrays["bias"]),
        embedding=embedding,
        digest=digest,
    )


def _check(name: str, arrays: Mapping[str, npt.NDArray[Any]], width: int) -> None:
    forms = len(FORMS)
    shapes = {
        "grams": (forms, BUCKETS), "surface": (forms, SURFACE_COUNT), "vector": (forms, width),
        "mean": (SURFACE_COUNT,), "deviation": (SURFACE_COUNT,), "steps": (forms,), "bias": (forms,),
    }  # fmt: skip
    for key, shape in shapes.items():
        if arrays[key].shape != shape:
            raise ArtifactError(f"artifact {name}.npz: {key} has the wrong shape")
    if arrays["grams"].dtype != np.int8 or not (arrays["deviation"] > 0).all():
        raise ArtifactError(f"artifact {name}.npz: gram weights are not bytes, or a deviation is not positive")
