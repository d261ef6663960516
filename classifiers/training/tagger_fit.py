"""Fits the tagger's layers by gradient descent (Adam) in numpy; the loss is the chance of the labels that are right.

Training only; every choice is seeded. Names are often hidden (their word, or that a list holds it): context counts.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix  # type: ignore[import-untyped]  # scipy ships no types

from classifiers.name_table import NameTable
from classifiers.tagger import ABOUT, FAR, LABELS, NEAR, TaggerModel
from classifiers.tagger_features import BUCKETS, HASHED, LIST_SLOTS, Listed, features, tokenize
from classifiers.training.tagger_data import Doc
from classifiers.training.tagger_known import Known

WIDTH, HIDDEN, DEEP = 32, 48, 32
_BATCH = 6000  # tokens
_RARE = 40  # a token seen less often is hidden more often
_VAGUE = 2  # from this degree of hiding on the word itself is hidden, and so is what is known of it
_NUMBER = {label: number for number, label in enumerate(LABELS)}

Floats = npt.NDArray[np.float32]


def allowed(doc: Doc) -> tuple[list[str], list[int]]:
    """The tokens of a text, and for each the labels that are right, as bits."""
    tokens = tokenize(doc.text)
    outside = 1 | sum(1 << _NUMBER[label] for label in doc.open_labels)
    result, at, place = [], 0, 0
    spans = doc.spans
    for token in tokens:
        start = at + (token[0] == " " and len(token) > 1 and not token.isspace())
        at += len(token)
        while place < len(spans) and spans[place][1] <= start:
            place += 1
        if place < len(spans) and spans[place][0] <= start:
            label = spans[place][2]
            bits = 1 << _NUMBER[label.lstrip("?")]
            result.append(bits | 1 if label[0] == "?" else bits)
        else:
            result.append(outside)
    return tokens, result


class Corpus:
    """Texts as numbers: each distinct token once, with what it looks like in four degrees of hiding."""

    def __init__(self, docs: Sequence[Doc], listed: Listed, words: Known) -> None:
        known: dict[str, int] = {}
        self.ids: list[npt.NDArray[np.int32]] = []
        self.masks: list[npt.NDArray[np.int16]] = []
        self.weights = np.array([doc.weight for doc in docs], dtype=np.float32)
        for doc in docs:
            tokens, masks = allowed(doc)
            wall = ["\n", "\x00", "\n"]
            self.ids.append(
                np.array([known.setdefault(token, len(known)) for token in (*tokens, *wall)], dtype=np.int32)
            )
            self.masks.append(np.array([*masks, 1, 1, 1], dtype=np.int16))
        self.tokens = list(known)
        self.counts = np.bincount(np.concatenate(self.ids), minlength=len(known))
        nothing = bytes(LIST_SLOTS)
        full = [features(token, listed) for token in self.tokens]
        unlisted = [features(token, nothing) for token in self.tokens]
        self.words, self.known = words, words.rows(self.tokens)
        self.looks = [_matrix(full), _matrix(unlisted), _matrix(_vague(full)), _matrix(_vague(unlisted))]
        self.size = int(sum(map(len, self.ids)))

    def stream(self, rng: np.random.Generator) -> tuple[Any, ...]:
        """All texts in a random order, one after the other."""
        order = rng.permutation(len(self.ids))
        ids = np.concatenate([self.ids[place] for place in order])
        masks = np.concatenate([self.masks[place] for place in order])
        sizes = np.array([len(self.ids[place]) for place in order])
        weights = np.repeat(self.weights[order], sizes)
        joined = np.cumsum(rng.random(len(order)) > 0.3)  # some stand together, as the messages of a request do
        return ids, masks, weights, np.repeat(joined, sizes)


def _vague(rows: list[list[int]]) -> list[list[int]]:
    """Without the word itself, which stands first, and without its longest parts, which stand last."""
    return [row[1:-2] if len(row) > 8 and row[0] < HASHED else row for row in rows]


def _matrix(rows: list[list[int]]) -> csr_matrix:
    columns = np.fromiter((bucket for row in rows for bucket in row), dtype=np.int32)
    offsets = np.concatenate(([0], np.cumsum([len(row) for row in rows])))
    return csr_matrix((np.ones(len(columns), dtype=np.float32), columns, offsets), shape=(len(rows), BUCKETS))


@dataclass
class _Adam:
    """One array's optimiser."""

    value: Floats
    rate: float
    decay: float = 0.0

    def __post_init__(self) -> None:
        self.mean, self.square, self.count = np.zeros_like(self.value), np.zeros_like(self.value), 0

    def step(self, slope: Floats, scale: float) -> None:
        """Move a little against the slope."""
        self.count += 1
        self.mean *= 0.9
        self.mean += np.float32(0.1) * slope
        self.square *= 0.99
        self.square += np.float32(0.01) * slope * slope
        fix = np.float32(self.rate * scale * np.sqrt(1 - 0.99**self.count) / (1 - 0.9**self.count))
        self.value -= fix * self.mean / (np.sqrt(self.square) + np.float32(1e-6))
        if self.decay:
            self.value *= np.float32(1 - self.decay * self.rate * scale)


class Fit:
    """The layers while they learn."""

    def __init__(self, seed: int, words: Known, rate: float = 3e-3) -> None:
        rng = np.random.default_rng(seed)

        def start(rows: int, columns: int) -> Floats:
            drawn: Floats = (rng.standard_normal((rows, columns)) * np.sqrt(1.6 / rows)).astype(np.float32)
            return drawn

        self.rng = rng
        self.looks = _Adam((rng.standard_normal((BUCKETS, WIDTH)) * 0.1).astype(np.float32), rate, 0.01)
        self.words = words
        self.near = _Adam(start((2 * NEAR + 1) * WIDTH, HIDDEN), rate, 0.01)
        self.near_bias = _Adam(np.zeros(HIDDEN, dtype=np.float32), rate)
        self.far = _Adam(start((len(FAR) + 1) * HIDDEN, DEEP), rate, 0.01)
        self.far_bias = _Adam(np.zeros(DEEP, dtype=np.float32), rate)
        self.out = _Adam(start(DEEP, len(LABELS)), rate, 0.01)
        self.out_bias = _Adam(np.zeros(len(LABELS), dtype=np.float32), rate)
        drawn = rng.standard_normal((words.vectors.shape[1], WIDTH)) * 0.05
        self.known = _Adam(drawn.astype(np.float32), rate, 0.01)

    def epoch(self, corpus: Corpus, progress: tuple[int, int]) -> float:
        """One pass; `progress` is which pass of how many. The mean loss."""
        ids, masks, weights, texts = corpus.stream(self.rng)
        total, steps = 0.0, range(0, len(ids) - 64, _BATCH)
        for number, start in enumerate(steps):
            done = (progress[0] + number / len(steps)) / progress[1]
            scale = min(1.0, 20 * done + 0.05) * (1 - done) + 0.01
            part = slice(start, start + _BATCH)
            total += self._batch(corpus, ids[part], masks[part], weights[part], texts[part], scale)
        return total / max(len(steps), 1)

    def _batch(self, corpus: Corpus, ids: Any, masks: Any, weights: Any, texts: Any, scale: float) -> float:
        unique, back = np.unique(ids, return_inverse=True)
        rare = corpus.counts[unique] < _RARE
        draw = self.rng.random(len(unique))
        which = np.where(rare, np.searchsorted([0.45, 0.6, 0.85], draw), np.searchsorted([0.9, 0.93, 0.98], draw))
        seen = _pick(corpus.looks, unique, which)
        vectors = self.words.vectors[corpus.known[unique]]
        vectors[which >= _VAGUE] = 0.0
        rows = seen @ self.looks.value + vectors @ self.known.value
        keep = (self.rng.random((len(ids), WIDTH)) > 0.1).astype(np.float32) / np.float32(0.9)
        words = rows[back] * keep
        wide = _windows(words, range(-NEAR, NEAR + 1))
        hidden = np.maximum(wide @ self.near.value + self.near_bias.value, 0)
        bounds = _bounds(texts)
        reach = np.concatenate([_windows(hidden, FAR), _box(hidden, bounds) / bounds[2]], axis=1)
        deep = np.maximum(reach @ self.far.value + self.far_bias.value, 0)
        logits = deep @ self.out.value + self.out_bias.value
        chances = np.exp(logits - logits.max(axis=1, keepdims=True))
        chances /= chances.sum(axis=1, keepdims=True)
        right = (masks[:, None] >> np.arange(len(LABELS)) & 1).astype(np.float32)
        good = chances * right
        mass = np.maximum(good.sum(axis=1, keepdims=True), 1e-6)
        loss = float((-np.log(mass[:, 0]) * weights).mean())
        slope = (chances - good / mass) * (weights[:, None] / np.float32(len(ids)))
        grads = [(self.out, deep.T @ slope), (self.out_bias, slope.sum(axis=0))]
        back_deep = (slope @ self.out.value.T) * (deep > 0)
        grads += [(self.far, reach.T @ back_deep), (self.far_bias, back_deep.sum(axis=0))]
        back_reach = back_deep @ self.far.value.T
        back_hidden = _gather(back_reach, FAR, HIDDEN) + _box(back_reach[:, -HIDDEN:] / bounds[2], bounds)
        back_hidden *= hidden > 0
        grads += [(self.near, wide.T @ back_hidden), (self.near_bias, back_hidden.sum(axis=0))]
        back_words = (
            _gather(np.asarray(back_hidden @ self.near.value.T, dtype=np.float32), range(-NEAR, NEAR + 1), WIDTH) * keep
        )
        sums = csr_matrix(
            (np.ones(len(ids), dtype=np.float32), (back, np.arange(len(ids)))), shape=(len(unique), len(ids))
        )
        back_rows = np.asarray(sums @ back_words, dtype=np.float32)
        grads += [(self.looks, np.asarray(seen.T @ back_rows, dtype=np.float32)), (self.known, vectors.T @ back_rows)]
        for layer, gradient in grads:
            layer.step(gradient, scale)
        return loss

    def model(self, listed: NameTable) -> TaggerModel:
        """As it serves, with the looks in bytes' steps."""
        stepped, scale = quantise(self.all_looks())
        near, near_bias, far, far_bias, out, out_bias = (
            array.value.astype(np.float16).astype(np.float32) for array in self.layers()
        )
        known = array("I", self.words.slots.tobytes())
        return TaggerModel(stepped, scale, near, near_bias, far, far_bias, out, out_bias, listed, known)

    def all_looks(self) -> Floats:
        """The rows of all buckets, and behind them those of the known words."""
        return np.concatenate((self.looks.value, self.words.vectors[:-1] @ self.known.value))

    def layers(self) -> list[_Adam]:
        """All but the looks, in the order of the artifact."""
        return [self.near, self.near_bias, self.far, self.far_bias, self.out, self.out_bias]


def quantise(looks: Floats) -> tuple[npt.NDArray[np.int8], Floats]:
    """Bytes and the size of a step, a column each."""
    scale = (np.abs(looks).max(axis=0) / 127).astype(np.float32)
    return np.round(looks / scale).astype(np.int8), scale


def _pick(looks: list[csr_matrix], unique: Any, which: Any) -> csr_matrix:
    from scipy.sparse import vstack

    order = np.argsort(which, kind="stable")
    parts = [looks[kind][unique[which == kind]] for kind in range(4)]
    stacked = vstack(parts, format="csr")
    return stacked[np.argsort(order, kind="stable")]


def _bounds(texts: Any) -> tuple[Any, Any, Floats]:
    """For each token the first, the one behind the last, and the number of those around it in its text."""
    places = np.arange(len(texts))
    first, last = np.searchsorted(texts, texts, "left"), np.searchsorted(texts, texts, "right")
    low, high = np.maximum(places - ABOUT, first), np.minimum(places + ABOUT + 1, last)
    return low, high, (high - low).astype(np.float32)[:, None]


def _box(rows: Floats, bounds: tuple[Any, Any, Floats]) -> Floats:
    sums = np.zeros((len(rows) + 1, rows.shape[1]))
    np.cumsum(rows, axis=0, out=sums[1:])
    result: Floats = (sums[bounds[1]] - sums[bounds[0]]).astype(np.float32)
    return result


def _windows(rows: Floats, places: Sequence[int]) -> Floats:
    wide = np.zeros((len(rows), len(places) * rows.shape[1]), dtype=np.float32)
    width = rows.shape[1]
    for number, place in enumerate(places):
        part = wide[:, number * width : (number + 1) * width]
        if place < 0:
            part[-place:] = rows[:place]
        elif place:
            part[:-place] = rows[place:]
        else:
            part[:] = rows
    return wide


def _gather(slopes: Floats, places: Sequence[int], width: int) -> Floats:
    total = np.zeros((len(slopes), width), dtype=np.float32)
    for number, place in enumerate(places):
        part = slopes[:, number * width : (number + 1) * width]
        if place < 0:
            total[:place] += part[-place:]
        elif place:
            total[place:] += part[:-place]
        else:
            total += part
    return total


def fit(corpus: Corpus, epochs: int, seed: int = 20261127, quiet: bool = True) -> Fit:
    """Train for a number of passes."""
    learner, began = Fit(seed, corpus.words), time.monotonic()
    for number in range(epochs):
        loss = learner.epoch(corpus, (number, epochs))
        if not quiet:
            print(f"pass {number + 1}/{epochs}: loss {loss:.4f}, {time.monotonic() - began:.0f} s", flush=True)  # noqa: T201
    return learner
