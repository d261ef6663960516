"""What the static embedding says of single words: the tagger's known words, whose looks are learned from their vectors.

Training only. A word that no labelled text holds then looks like those that mean something similar.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from classifiers.artifact import read
from classifiers.tagger_features import plain, slot

_SHORTEST = 2  # letters


@dataclass(frozen=True)
class Known:
    """Slots of known words in order, and a vector of length one for each; behind them one of zeros."""

    slots: npt.NDArray[np.uint32]
    vectors: npt.NDArray[np.float32]

    def rows(self, tokens: Iterable[str]) -> npt.NDArray[np.intp]:
        """The row of each token's vector: that of zeros for one that is not known."""
        places = {place: row for row, place in enumerate(self.slots.tolist())}
        nothing = len(self.slots)
        words = (token.lstrip(" ") for token in tokens)
        return np.array(
            [places.get(slot(word), nothing) if word[:1].isalpha() else nothing for word in words], dtype=np.intp
        )

    def steps(self) -> npt.NDArray[np.uint32]:
        """The slots as the artifact holds them: from each to the next."""
        return np.diff(self.slots, prepend=np.uint32(0)).astype(np.uint32)


def known() -> Known:
    """The whole words of the shipped embedding."""
    arrays = read("embedding", ("table", "vocabulary")).arrays
    vectors = arrays["table"].astype(np.float32)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)  # how often a word occurs is not asked
    rows: dict[int, int] = {}
    for row, piece in enumerate(arrays["vocabulary"].tobytes().decode("utf-8").split("\n")):
        if len(piece) >= _SHORTEST and piece.isalpha():
            rows.setdefault(slot(plain(piece)), row)
    slots = sorted(rows)
    chosen = vectors[[rows[place] for place in slots]]
    return Known(
        np.array(slots, dtype=np.uint32), np.concatenate((chosen, np.zeros((1, vectors.shape[1]), dtype=np.float32)))
    )
