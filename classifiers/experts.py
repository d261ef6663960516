"""One linear model a form of prompt, over n-grams, surface counts and the static embedding.

An artifact that is missing, altered, misshapen or made for another embedding raises `ArtifactError`: it never scores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.resources.abc import Traversable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from classifiers.artifact import ArtifactError, read
from classifiers.embedding import SAME, Embedding
from classifiers.features import BUCKETS, SURFACE_COUNT, SURFACE_NAMES, clip
from classifiers.features import read as read_text
from classifiers.forms import FORMS, form_of
from classifiers.kernels import KERNELS
from classifiers.linear import FAR as FAR  # where training looks for it
from classifiers.linear import SAMPLES, LinearModel, with_kernel
from classifiers.wordpiece import parted

_KEYS: Final = ("grams", "surface", "vector", "mean", "deviation", "steps", "bias")


@dataclass(frozen=True, slots=True)
class Experts:
    """For each of `FORMS` a linear model, and what it adds for each number of the text's vector (a row of `vector`)."""

    parts: tuple[LinearModel, ...]
    vector: npt.NDArray[np.float32]
    embedding: Embedding
    digest: str = ""  # SHA-256 of the artifact's bytes, hex
    compiled: tuple[Any, ...] = ()  # the same, one for each form, in `native`

    def logit(self, text: str) -> float:
        """The log-odds that a text is hard, by the expert of its form. The empty text has some too."""
        form = form_of(text)
        if not self.compiled:
            return self.reference(text, form)
        return float(KERNELS.module().expert_logit(self.compiled[form], read_text(text), parted(clip(text))))

    def reference(self, text: str, form: int) -> float:
        """The same from its parts: what the kernel is held to."""
        return self.parts[form].logit_of(text) + float(self.embedding.vector(text) @ self.vector[form])


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
    mean, deviation = (arrays[key].astype(np.float64) for key in ("mean", "deviation"))
    parts = (
        LinearModel(
            grams=arrays["grams"][form],
            surface=arrays["surface"][form].astype(np.float64),
            mean=mean,
            deviation=deviation,
            step=float(arrays["steps"][form]),
            bias=float(arrays["bias"][form]),
        )
        for form in range(len(FORMS))
    )
    named = (with_kernel(f"{name} prompts", part) for name, part in zip(FORMS, parts, strict=True))
    return _with_kernel(Experts(tuple(named), arrays["vector"].astype(np.float32), embedding, digest))


def _with_kernel(model: Experts) -> Experts:
    def make(kernels: Any) -> Experts:
        rows = zip(model.parts, np.ascontiguousarray(model.vector), strict=True)
        return replace(
            model, compiled=tuple(kernels.expert(part.compiled, model.embedding.compiled, row) for part, row in rows)
        )

    def agrees(made: Experts) -> bool:
        return all(abs(made.logit(text) - model.reference(text, form_of(text))) < SAME for text in SAMPLES)

    return KERNELS.take("complexity", make, agrees) or model


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
