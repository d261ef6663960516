"""Embeddings of one model: a context of their own, read in pieces that the decode thread runs between other steps.

A piece is at most as long as a step may be; only a model that must see a whole text at once (BERT and its like) reads
one in a single piece.
"""

from __future__ import annotations

import asyncio
import ctypes
import time
from collections.abc import Sequence
from typing import Any

import llama_cpp.llama_cpp as llama
import numpy as np
import numpy.typing as npt

from router.engine.adapters import Adapters
from router.engine.native import NativeContext, NativeError, NativeModel, Step
from router.engine.pace import Pace
from router.engine.sizing import BATCH, MOST_WHOLE, Plan

_TOGETHER = 16  # texts that share a step
_SELF_TEST = "Say hello."

Vector = npt.NDArray[np.float32]


class Embedder:
    """The context, and how the rows of a text become one vector. Made in any thread, read by the decode thread."""

    def __init__(self, model: NativeModel, adapters: Adapters, plan: Plan, pooling: str, *, threads: int) -> None:
        """`pooling` is `mean`, `cls` or `last`; anything else is `mean`. Raises NativeError."""
        self._model = model
        self._adapters = adapters
        self._pooling = pooling
        self.is_whole = _is_whole(model)
        self.length = min(plan.context, MOST_WHOLE) if self.is_whole else plan.context
        self.width: int = llama.llama_model_n_embd_out(model.handle)
        self.vocabulary = model.size
        self.turn = asyncio.Lock()  # whose texts are read; the event loop's side alone touches it, and the next
        self.waiting = 0
        self._batch = self.length if self.is_whole else min(BATCH, self.length)
        self._context = NativeContext(
            model,
            context=self.length,
            batch=self._batch,
            sequences=_TOGETHER,
            threads=threads,
            bfloat16_keys=False,
            embeddings=True,
        )
        self.length = min(self.length, self._context.length)
        self._pace = Pace()

    def test(self) -> None:
        """Read a short text, on the decode thread. Raises NativeError when the numbers make no sense."""
        reading = Reading(self, [self.tokenize(_SELF_TEST)[: self.length]], None)
        while not reading.advance():
            pass
        if not np.isfinite(reading.vectors[0]).all() or not reading.vectors[0].any():
            raise NativeError("the self-test text gave numbers that make no sense")

    def tokenize(self, text: str) -> list[int]:
        """The tokens of `text` with what this model wants around them. No text becomes a control token."""
        raw = text.encode("utf-8")
        room = len(raw) + 8
        tokens = (llama.llama_token * room)()
        count = llama.llama_tokenize(self._model.vocab, raw, len(raw), tokens, room, True, False)
        if count < 0:
            raise NativeError("llama.cpp cannot tokenize this text")
        return list(tokens[:count])

    def groups(self, lengths: Sequence[int]) -> list[list[int]]:
        """Which texts are read together: their places, in order. A long text is alone."""
        groups: list[list[int]] = []
        room = 0
        most = min(BATCH, self._batch)
        for index, length in enumerate(lengths):
            if not groups or length > room or len(groups[-1]) == _TOGETHER:
                groups.append([])
                room = most
            groups[-1].append(index)
            room -= length
        return groups

    def begin(self, adapter: str | None) -> None:
        """Empty the cache for another reading."""
        self._adapters.apply(self._context.handle, adapter)
        for sequence in range(_TOGETHER):
            self._context.forget(sequence)

    def room(self) -> int:
        """Tokens that the next piece may have."""
        return self._batch if self.is_whole else self._pace.room(self._batch)

    def read(self, step: Step) -> Vector:
        """The rows of one piece. Raises NativeError."""
        began = time.monotonic()
        if not self._context.decode(step):
            raise NativeError("the embeddings were aborted")
        rows = self._context.vectors(len(step), self.width)
        self._pace.learn(1, 0, len(step), time.monotonic() - began)
        return rows

    def pool(self, total: npt.NDArray[np.float64], first: Vector, last: Vector, count: int) -> Vector:
        """One vector of length 1 for a text of `count` tokens. Raises NativeError when it has no direction."""
        if self._pooling == "cls":
            total = first.astype(np.float64)
        elif self._pooling == "last":
            total = last.astype(np.float64)
        length = float(np.linalg.norm(total))
        if not count or not np.isfinite(length) or length == 0.0:
            raise NativeError("the model gave numbers that make no sense for this text")
        return (total / length).astype(np.float32)

    def close(self) -> None:
        """Free the context."""
        self._adapters.forget(self._context.handle)
        self._context.close()


def _is_whole(model: NativeModel) -> bool:
    """Whether every token sees those behind it, so that a text cannot be read in pieces."""
    architecture = _metadata(model, "general.architecture")
    return _metadata(model, f"{architecture}.attention.causal") == "false" or "bert" in architecture


def _metadata(model: NativeModel, key: str) -> str:
    buffer = ctypes.create_string_buffer(256)
    count = llama.llama_model_meta_val_str(model.handle, key.encode(), buffer, len(buffer))
    return buffer.value.decode("utf-8", "replace") if count >= 0 else ""


class Reading:
    """Texts that are read together, piece by piece. Their tokens together fit the context."""

    def __init__(self, embedder: Embedder, texts: Sequence[Sequence[int]], adapter: str | None) -> None:
        self.vectors: list[Vector] = []
        self._embedder = embedder
        self._texts = texts
        self._adapter = adapter
        self._at = (0, 0)  # the text, and how many of its tokens have been read
        self._total: Any = None
        self._first: Vector | None = None
        self._has_begun = False

    def advance(self) -> bool:
        """Read the next piece. True: `vectors` is complete. Raises NativeError."""
        if not self._has_begun:
            self._embedder.begin(self._adapter)
            self._has_begun = True
        step = Step()
        parts: list[tuple[int, int, int]] = []
        text, start = self._at
        room = self._embedder.room()
        while text < len(self._texts) and room > 0:
            tokens = self._texts[text][start : start + room]
            step.add(text, start, tokens, wants_all=True, wants_last=True)
            parts.append((text, start, len(tokens)))
            room -= len(tokens)
            start += len(tokens)
            if start == len(self._texts[text]):
                text, start = text + 1, 0
        rows = self._embedder.read(step)
        self._at = (text, start)
        self._add(parts, rows)
        return text == len(self._texts)

    def _add(self, parts: list[tuple[int, int, int]], rows: Vector) -> None:
        row = 0
        for text, start, count in parts:
            own = rows[row : row + count]
            row += count
            if start == 0:
                self._total, self._first = np.zeros(rows.shape[1], np.float64), own[0].copy()
            self._total += own.sum(axis=0, dtype=np.float64)
            if start + count == len(self._texts[text]):
                assert self._first is not None
                self.vectors.append(self._embedder.pool(self._total, self._first, own[-1], start + count))
