"""The network behind the meanings and its training by Adam on weighted rows; nothing that serves imports it."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix, vstack  # type: ignore[import-untyped]  # scipy ships no types

from classifiers.meaning import PAIRS, RESERVED, UNKNOWN, MeaningModel, beginning, encode, ending, words_of
from classifiers.training.meaning_corpus import BENIGN, LABELS, Row, vary
from classifiers.training.meaning_words import DIMENSIONS, word_vectors

EPOCHS = 8
_HIDDEN = 32
_BATCH = 384
_RATE = 3e-3
_OWN = 0.4  # of that, what a feature's own row moves; its word's vector moves for all words alike
_DECAY = 1e-3
_FORGET = 0.25  # share of the features of a row that a step does not see
_UNSEEN = 0.12  # share of the words of a row that are shown by their beginnings and endings only
_PLACES = 3  # different groups of rows in which a word must occur; for beginnings and endings one more
_LONGEST = 24

Floats = npt.NDArray[np.float32]


def vocabulary_of(rows: Sequence[Row], vectors: Mapping[bytes, Floats]) -> list[bytes]:
    """Words with a vector, and words, beginnings and endings that occur in enough different places to mean anything."""
    places: dict[bytes, set[str]] = defaultdict(set)
    for row in rows:
        for word in set(words_of(row.text.encode("utf-8", "replace"))):
            if len(word) <= _LONGEST:
                for part in (word, beginning(word), ending(word)):
                    if len(places[part]) <= _PLACES:
                        places[part].add(row.group)
    often = {part for part, where in places.items() if len(where) >= _PLACES + (part[:1] in b"^~")}
    return sorted(often | vectors.keys())


class _Forgetful(dict[bytes, int]):
    """A vocabulary that does not know some of its words, at random."""

    def __init__(self, known: Mapping[bytes, int], draw: random.Random) -> None:
        super().__init__(known)
        self._draw = draw

    def get(self, word: bytes, default: Any = UNKNOWN) -> Any:
        if word[:1] not in b"^~" and self._draw.random() < _UNSEEN:
            return UNKNOWN
        return super().get(word, default)


class Network:
    """The parameters and one way to move them.

    They are: rows of features, inner bias, outer weights, bias, and how a word's vector adds to its row.
    """

    def __init__(self, words: list[bytes], vectors: Mapping[bytes, Floats], seed: int) -> None:
        self.words = words
        self.known = {word: number for number, word in enumerate(words, RESERVED)}
        self._random = np.random.default_rng(seed)
        size = len(words) + RESERVED + PAIRS
        self.parameters: list[Floats] = [
            np.zeros((size, _HIDDEN), dtype=np.float32),
            np.zeros(_HIDDEN, dtype=np.float32),
            self._random.normal(0, 0.3, (_HIDDEN, len(LABELS))).astype(np.float32),
            np.zeros(len(LABELS), dtype=np.float32),
            self._random.normal(0, 0.1, (DIMENSIONS, _HIDDEN)).astype(np.float32),
        ]
        self._vectors = np.zeros((len(words) + RESERVED, DIMENSIONS), dtype=np.float32)
        for word, vector in vectors.items():
            self._vectors[self.known[word]] = vector
        self._means = [np.zeros_like(each) for each in self.parameters]
        self._squares = [np.zeros_like(each) for each in self.parameters]
        self._steps = 0

    def table(self, texts: Sequence[str], known: Mapping[bytes, int] | None = None) -> Any:
        """Texts as sparse rows of ones."""
        numbers = [encode(words_of(text.encode("utf-8", "replace")), known or self.known) for text in texts]
        offsets = np.concatenate(([0], np.cumsum([len(each) for each in numbers])))
        columns = np.concatenate(numbers).astype(np.int32)
        shape = (len(texts), len(self.parameters[0]))
        return csr_matrix((np.ones(len(columns), np.float32), columns, offsets), shape=shape)

    def logits(self, texts: Sequence[str]) -> Floats:
        """One row a text, one column a class."""
        table = self.table(texts)
        scale = 1 / np.sqrt(np.maximum(np.diff(table.indptr), 1)).astype(np.float32)
        hidden = np.maximum((table @ self.rows()) * scale[:, None] + self.parameters[1], 0)
        return np.asarray(hidden @ self.parameters[2] + self.parameters[3])

    def rows(self) -> Floats:
        """The rows of features with what the words' vectors add."""
        rows = self.parameters[0].copy()
        rows[: len(self._vectors)] += self._vectors @ self.parameters[4]
        return rows

    def step(self, table: Any, target: npt.NDArray[np.intp], weight: Floats, rate: float) -> float:
        """One step; the mean loss before it."""
        table = table.copy()
        table.data *= self._random.random(table.nnz) >= _FORGET
        scale = 1 / np.sqrt(np.maximum(np.asarray(table.sum(axis=1)).ravel(), 1)).astype(np.float32)
        table.data *= np.repeat(scale, np.diff(table.indptr))
        features, inner, outer, bias, lift = self.parameters
        common = table[:, : len(self._vectors)] @ self._vectors
        raw = table @ features + common @ lift + inner
        hidden = np.maximum(raw, 0)
        logits = hidden @ outer + bias
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        rows = np.arange(len(target))
        share = weight / weight.sum()
        loss = float(-(share * np.log(np.maximum(shares[rows, target], 1e-9))).sum())
        shares[rows, target] -= 1
        delta = shares * share[:, None]
        back = (delta @ outer.T) * (raw > 0)
        own = np.asarray(table.T @ back)
        self._move([own, back.sum(axis=0), hidden.T @ delta, delta.sum(axis=0), common.T @ back], rate)
        return loss

    def _move(self, gradients: list[Floats], rate: float) -> None:
        self._steps += 1
        warm, warmer = 1 - 0.9**self._steps, 1 - 0.99**self._steps
        for place, gradient in enumerate(gradients):
            mean, square, value = self._means[place], self._squares[place], self.parameters[place]
            np.add(mean, 0.1 * (gradient - mean), out=mean)
            np.add(square, 0.01 * (gradient * gradient - square), out=square)
            pace = rate * _OWN if place == 0 else rate
            np.subtract(value, pace * (mean / warm) / (np.sqrt(square / warmer) + 1e-8), out=value)
            if value.ndim == 2:
                np.multiply(value, 1 - rate * _DECAY, out=value)

    def quantised(self, slope: float, shift: float) -> MeaningModel:
        """The model to ship: features as bytes; odds against benign are `slope` times as large, `shift` higher."""
        features = self.rows().astype(np.float64)
        inner, outer, bias = (each.astype(np.float64) for each in self.parameters[1:4])
        steps = np.maximum(np.abs(features).max(axis=0) / 127, 1e-9)
        lifted = bias * slope
        lifted[1:] += shift
        rows = np.round(features / steps).astype(np.int8)
        words = b"\n".join(word for word, _ in sorted(self.known.items(), key=lambda each: each[1]))
        return MeaningModel(words, rows, steps, inner, outer * slope, lifted, LABELS)


def fit(rows: Sequence[Row], seed: int, say: Callable[[str], None] = lambda _: None) -> Network:
    """A network trained on the rows, each epoch on another variation of them."""
    draw = random.Random(seed)  # noqa: S311  # reproducible variations, not a secret
    vectors = word_vectors()
    network = Network(vocabulary_of(rows, vectors), vectors, seed)
    harmless = [row for row in rows if row.label == BENIGN]
    varied = [row for row in rows if row.label != BENIGN or row.is_own]
    plain = [row for row in rows if row.label == BENIGN and not row.is_own]
    fixed = network.table([row.text for row in plain])
    rows = [*varied, *plain]
    target = np.array([LABELS.index(row.label) for row in rows])
    weight = np.array([row.weight for row in rows], dtype=np.float32)
    generator = np.random.default_rng(seed)
    for epoch in range(EPOCHS):
        shown = network.table([vary(row, harmless, draw) for row in varied], _Forgetful(network.known, draw))
        table = vstack((shown, fixed), format="csr")
        order = generator.permutation(len(rows))
        rate = _RATE * (1 - epoch / EPOCHS) + _RATE / 20
        parts = np.array_split(order, max(1, len(order) // _BATCH))
        losses = [network.step(table[part], target[part], weight[part], rate) for part in parts]
        say(f"epoch {epoch}: loss {np.mean(losses):.4f}")
    return network
