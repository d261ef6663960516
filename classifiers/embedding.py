"""A static embedding: the weighted mean of the vectors of a text's word pieces, in microseconds.

Distilled once from a sentence encoder (`training/embedding.py`). Texts are never kept beyond the last one.
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from importlib.resources.abc import Traversable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from classifiers.artifact import ArtifactError, read
from classifiers.features import clip
from classifiers.kernels import KERNELS
from classifiers.wordpiece import WordPiece, by_row, parted

Vector = npt.NDArray[np.float32]
_KEYS: Final = ("table", "scale", "vocabulary")
SAME: Final = 1e-6  # how far a kernel's numbers may be from those of the reference: 32 bits, added in another order
_SAMPLES: Final = (
    "",
    "Prove that the √2 is irrational, and unforgettably: why not? __init__",
    "Größe der Ärzte in 東京",
)


class Embedding:
    """One table for all signals: get it from `Embedding.load()`. Safe to share between threads."""

    def __init__(self, table: npt.NDArray[np.int8], scale: Vector, vocabulary: tuple[str, ...], digest: str) -> None:
        """`table`: a row of bytes for each piece of `vocabulary`; times its `scale` it is what the piece adds."""
        self._table = table
        self._scale = scale
        self._lines = "\n".join(vocabulary)
        self._last: tuple[str, Vector] = ("", np.zeros(table.shape[1], dtype=np.float32))
        self.digest = digest
        self.compiled = KERNELS.take("embedding", lambda kernels: self._in_c(kernels, vocabulary), self._agrees)
        if self.compiled is not None:
            del self._pieces  # a dictionary of all pieces, which the kernel has too

    @cached_property
    def _pieces(self) -> WordPiece:
        return WordPiece(self._lines.split("\n"))

    def _in_c(self, kernels: Any, vocabulary: tuple[str, ...]) -> Any:
        first, later = (kernels.words(lines) for lines in by_row(vocabulary))
        return kernels.embedding(first, later, np.ascontiguousarray(self._table), np.ascontiguousarray(self._scale))

    def _agrees(self, compiled: Any) -> bool:
        pairs = ((self._by_kernel(compiled, text), self.reference(text)) for text in _SAMPLES)
        return all(np.allclose(ours, theirs, rtol=0, atol=SAME) for ours, theirs in pairs)

    @staticmethod
    def load(folder: Traversable | None = None) -> Embedding:
        """The artifact `embedding` from `folder` (default: the shipped one), once a process. Raises `ArtifactError`."""
        return Embedding._load(folder)  # type: ignore[arg-type]  # folders are hashable

    @staticmethod
    @lru_cache(
        maxsize=2
    )  # several signals share one table; called by place alone, for each way of calling has an entry
    def _load(folder: Traversable | None) -> Embedding:
        artifact = read("embedding", _KEYS, folder)
        table, scale = artifact.arrays["table"], artifact.arrays["scale"]
        try:
            vocabulary = tuple(artifact.arrays["vocabulary"].tobytes().decode("utf-8").split("\n"))
        except UnicodeDecodeError as error:
            raise ArtifactError("artifact embedding.npz: the vocabulary is not text") from error
        if table.ndim != 2 or table.dtype != np.int8 or not (len(table),) == scale.shape == (len(vocabulary),):
            raise ArtifactError("artifact embedding.npz: table, scale and vocabulary do not belong together")
        return Embedding(table, scale.astype(np.float32), vocabulary, artifact.digest)

    @property
    def width(self) -> int:
        """How many numbers a vector has."""
        return int(self._table.shape[1])

    def vector(self, text: str) -> Vector:
        """A vector of length one (float32, `width` numbers, read-only), or zeros for a text without a known piece.

        Reads what `features.clip` leaves. The last text's vector is remembered: several signals read the same one.
        """
        last, vector = self._last
        if text == last:
            return vector
        vector = self.reference(text) if self.compiled is None else self._by_kernel(self.compiled, text)
        self._last = (text, vector)
        return vector

    def reference(self, text: str) -> Vector:
        """The same by numpy, remembered nowhere: what the kernel is held to."""
        vector = self._mean(self._pieces.rows(clip(text)))
        vector.flags.writeable = False
        return vector

    def _by_kernel(self, compiled: Any, text: str) -> Vector:
        return np.frombuffer(KERNELS.module().vector(compiled, parted(clip(text))), dtype=np.float32)

    def _mean(self, rows: list[int]) -> Vector:
        if not rows:
            return np.zeros(self.width, dtype=np.float32)
        places = np.array(rows, dtype=np.intp)
        total: npt.NDArray[Any] = self._scale[places] @ self._table[places].astype(np.float32)
        size = float(total @ total) ** 0.5
        return (total / size if size > 0 else total).astype(np.float32, copy=False)
