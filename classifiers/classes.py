"""Which of several classes a text is in: n-grams, surface counts and the static embedding, from an artifact.

An artifact that is missing, altered or misshapen raises `ArtifactError`. A text is never kept.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from importlib.resources.abc import Traversable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from classifiers.artifact import ArtifactError, read
from classifiers.embedding import Embedding
from classifiers.features import BUCKETS, SURFACE_NAMES, Features, data_of, extract
from classifiers.features import read as read_text
from classifiers.kernels import KERNELS

EDGE: Final = 40  # characters of the beginning, and of the end: where people say what they want
SAME: Final = 1e-5  # how far a kernel's chances may be from those of the reference, which has 32 bits
SAMPLES: Final = ("", "Translate to French: how are you?", "Prove that √2 is irrational. {x} = 12; " * 4)
FAR: Final = 4.0  # standard deviations beyond which a surface value counts as this far
_KEYS: Final = ("grams", "edges", "surface", "embedding", "mean", "deviation", "bias", "steps")

Floats = npt.NDArray[np.float32]


def edges_of(text: str) -> str:
    """The beginning and the end of a text; all of it where they meet."""
    return text if len(text) <= 2 * EDGE else f"{text[:EDGE]}\n{text[-EDGE:]}"


@dataclass(frozen=True, slots=True)
class ClassModel:
    """Softmax regression. `grams` and `edges` are bytes by bucket and class; `least` is the chance below which the
    best class is not told.
    """

    labels: tuple[str, ...]
    grams: npt.NDArray[np.int8]
    edges: npt.NDArray[np.int8]
    surface: Floats  # (surface counts, classes)
    embedding: Floats  # (width of the vector, classes)
    mean: Floats
    deviation: Floats
    bias: Floats
    steps: tuple[float, float]  # of `grams` and of `edges`
    vectors: Embedding
    least: float
    digest: str = ""
    compiled: Any = None  # the same model in `native/classes.c`

    def chances(self, text: str) -> Floats:
        """The chance of each class; they sum to one."""
        return np.array(self._chances(text), dtype=np.float32)

    def _chances(self, text: str) -> list[float]:
        """The same, by the kernel where there is one."""
        if self.compiled is None:
            return list(self.reference(text).tolist())
        kernels, edges, whole = KERNELS.module(), edges_of(text), read_text(text)
        at_edges = whole if edges is text else kernels.features(data_of(edges))
        logits = kernels.class_logits(self.compiled, whole, at_edges, self.vectors.vector(text))
        most = max(logits)
        powers = [math.exp(logit - most) for logit in logits]
        total = sum(powers)
        return [power / total for power in powers]

    def reference(self, text: str) -> Floats:
        """The same by numpy: what the kernel is held to."""
        logits = self.bias + self.vectors.vector(text) @ self.embedding
        whole = extract(text)
        standard = (whole.surface.astype(np.float32) - self.mean) / self.deviation
        logits += np.clip(standard, -FAR, FAR) @ self.surface
        logits += _sum(self.grams, whole, self.steps[0])
        # Not remembered: the other signals of this request read the whole text.
        logits += _sum(self.edges, extract.__wrapped__(edges_of(text)), self.steps[1])
        logits -= logits.max()
        power = np.exp(logits)
        return np.asarray(power / power.sum(), dtype=np.float32)

    def best(self, text: str) -> str | None:
        """The most likely class, or None where it is not likely enough."""
        chances = self._chances(text)
        place = chances.index(max(chances))
        return self.labels[place] if chances[place] >= self.least else None


def _sum(table: npt.NDArray[np.int8], features: Features, step: float) -> Any:
    count = len(features.buckets)
    if not count:
        return np.float32(0.0)
    total = table.take(features.buckets, axis=0).sum(axis=0, dtype=np.int32)
    return total.astype(np.float32) * np.float32(step / count**0.5)


def load(name: str, folder: Traversable | None = None) -> ClassModel:
    """The model `<name>.npz` with its card, and the embedding that it was trained on. Raises `ArtifactError`."""
    artifact = read(name, _KEYS, folder)
    card, arrays = artifact.card, artifact.arrays
    vectors = Embedding.load(folder)
    if card.get("buckets") != BUCKETS or card.get("surface") != list(SURFACE_NAMES):
        raise ArtifactError(f"artifact {name}.npz was made for other features; train it again")
    if card.get("embedding") != vectors.digest:
        raise ArtifactError(f"artifact {name}.npz was made for another embedding; train it again")
    labels = tuple(card.get("labels", ()))
    shapes = {
        "grams": (BUCKETS, len(labels)),
        "edges": (BUCKETS, len(labels)),
        "surface": (len(SURFACE_NAMES), len(labels)),
        "embedding": (vectors.width, len(labels)),
        "mean": (len(SURFACE_NAMES),),
        "deviation": (len(SURFACE_NAMES),),
        "bias": (len(labels),),
        "steps": (2,),
    }
    if any(arrays[key].shape != shape for key, shape in shapes.items()) or not labels:
        raise ArtifactError(f"artifact {name}.npz has the wrong shape")
    if arrays["grams"].dtype != np.int8 or arrays["edges"].dtype != np.int8:
        raise ArtifactError(f"artifact {name}.npz holds no bytes")
    rest = {key: arrays[key].astype(np.float32) for key in ("surface", "embedding", "mean", "deviation", "bias")}
    steps = (float(arrays["steps"][0]), float(arrays["steps"][1]))
    model = ClassModel(
        labels, arrays["grams"], arrays["edges"], steps=steps, vectors=vectors, least=float(card["least"]),
        digest=artifact.digest, **rest,
    )  # fmt: skip
    return _with_kernel(name, model)


def _with_kernel(name: str, model: ClassModel) -> ClassModel:
    def make(kernels: Any) -> ClassModel:
        rest = (model.grams, model.edges, model.surface, model.mean, model.deviation)
        arrays = map(np.ascontiguousarray, (model.bias, model.embedding, *rest))
        return replace(model, compiled=kernels.classes(*arrays, *model.steps))

    def agrees(made: ClassModel) -> bool:
        pairs = ((made.chances(text), model.reference(text)) for text in SAMPLES)
        return all(np.allclose(ours, theirs, rtol=0, atol=SAME) for ours, theirs in pairs)

    return KERNELS.take(name, make, agrees) or model
