"""all-MiniLM-L6-v2, run by numpy: what the static embedding is distilled from. Only training imports it.

A BERT of 6 layers, 384 wide, 12 heads (arXiv 1810.04805); the sentence's vector is the mean over its pieces.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.special import erf  # type: ignore[import-untyped]  # scipy ships no types

SHA256: Final = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
WIDTH: Final = 384
_LAYERS: Final = 6
_HEADS: Final = 12
_EPSILON: Final = 1e-12
_BATCH_PIECES: Final = 4096

Floats = npt.NDArray[np.float32]


class EncoderMissing(Exception):
    """The folder holds no such model, or another one than the published; the message says which."""


class Encoder:
    """The encoder and its vocabulary."""

    def __init__(self, folder: Path) -> None:
        """`folder` holds `model.safetensors` (its digest is checked) and `vocab.txt`. Raises `EncoderMissing`."""
        try:
            data = (folder / "model.safetensors").read_bytes()
            self.vocabulary = (folder / "vocab.txt").read_text("utf-8").split("\n")[:30522]
        except OSError as error:
            raise EncoderMissing(f"no model.safetensors with its vocab.txt in {folder}") from error
        if hashlib.sha256(data).hexdigest() != SHA256:
            raise EncoderMissing("model.safetensors is not the published all-MiniLM-L6-v2 (SHA-256 differs)")
        self._weights = _tensors(data)
        self._begin, self._end = self.vocabulary.index("[CLS]"), self.vocabulary.index("[SEP]")

    def encode(self, texts: Sequence[Sequence[int]]) -> Floats:
        """Vectors of length one (n, 384) of texts that are given as rows of the vocabulary, without [CLS] and [SEP]."""
        result = np.zeros((len(texts), WIDTH), dtype=np.float32)
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
        start = 0
        while start < len(order):
            length = len(texts[order[start]]) + 2
            stop = start
            while stop < len(order) and len(texts[order[stop]]) + 2 <= length + length // 8:
                if (stop - start + 1) * length > _BATCH_PIECES and stop > start:
                    break
                stop += 1
            places = order[start:stop]
            result[places] = self._batch([texts[place] for place in places])
            start = stop
        return result

    def _batch(self, texts: Sequence[Sequence[int]]) -> Floats:
        length = max(map(len, texts)) + 2
        ids = np.zeros((len(texts), length), dtype=np.int64)
        mask = np.zeros((len(texts), length), dtype=np.float32)
        for row, text in enumerate(texts):
            ids[row, : len(text) + 2] = [self._begin, *text, self._end]
            mask[row, : len(text) + 2] = 1.0
        name = "embeddings."
        state = self._weights[name + "word_embeddings.weight"][ids]
        state = state + self._weights[name + "position_embeddings.weight"][:length]
        state = self._normalised(state + self._weights[name + "token_type_embeddings.weight"][0], name + "LayerNorm")
        away = ((1.0 - mask) * np.float32(-1e9))[:, None, None, :]
        for layer in range(_LAYERS):
            state = self._layer(state, away, f"encoder.layer.{layer}.")
        mean = (state * mask[:, :, None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
        return np.asarray(mean / np.linalg.norm(mean, axis=1, keepdims=True), dtype=np.float32)

    def _layer(self, state: Floats, away: Floats, name: str) -> Floats:
        count, length, _ = state.shape
        shape = (count, length, _HEADS, WIDTH // _HEADS)
        query, key, value = (
            self._linear(state, f"{name}attention.self.{part}").reshape(shape).transpose(0, 2, 1, 3)
            for part in ("query", "key", "value")
        )
        scores = query @ key.transpose(0, 1, 3, 2) / np.float32(np.sqrt(WIDTH // _HEADS)) + away
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        scores /= scores.sum(axis=-1, keepdims=True)
        heard = (scores @ value).transpose(0, 2, 1, 3).reshape(count, length, WIDTH)
        heard = self._linear(heard, f"{name}attention.output.dense")
        state = self._normalised(state + heard, f"{name}attention.output.LayerNorm")
        inner = self._linear(state, f"{name}intermediate.dense")
        inner *= np.float32(0.5) * (1 + erf(inner * np.float32(np.sqrt(0.5))))
        return self._normalised(state + self._linear(inner, f"{name}output.dense"), f"{name}output.LayerNorm")

    def _linear(self, state: Floats, name: str) -> Floats:
        flat = state.reshape(-1, state.shape[-1]) @ self._weights[name + ".weight"].T + self._weights[name + ".bias"]
        return flat.reshape(*state.shape[:-1], -1)

    def _normalised(self, state: Floats, name: str) -> Floats:
        centred = state - state.mean(axis=-1, keepdims=True)
        deviation = np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + np.float32(_EPSILON))
        return np.asarray(centred / deviation * self._weights[name + ".weight"] + self._weights[name + ".bias"])


def _tensors(data: bytes) -> dict[str, Floats]:
    """The arrays of a safetensors file: eight bytes of length, a JSON header, raw little-endian numbers."""
    size = int.from_bytes(data[:8], "little")
    header: dict[str, Any] = json.loads(data[8 : 8 + size])
    arrays = {}
    for name, entry in header.items():
        if entry.get("dtype") == "F32":
            first, last = entry["data_offsets"]
            arrays[name] = np.frombuffer(data[8 + size + first : 8 + size + last], "<f4").reshape(entry["shape"])
    return arrays
