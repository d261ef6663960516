"""llama.cpp behind a few typed calls: model, context, batch. Nothing else of the engine touches a native pointer.

It never logs what it decodes; llama.cpp's own log is dropped unless `verbose` is set.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import llama_cpp.llama_cpp as llama
import numpy as np
import numpy.typing as npt

_FLASH_ATTENTION_OFF = 0  # LLAMA_FLASH_ATTN_TYPE_DISABLED

Logits = npt.NDArray[np.float32]


class NativeError(Exception):
    """llama.cpp could not load the model, make the context, or decode."""


@dataclass(frozen=True, slots=True)
class BatchToken:
    """One token of a step: where it stands in which sequence, and whether its logits are wanted."""

    token: int
    position: int
    sequence: int
    wants_logits: bool


def _write_log(_level: int, text: bytes, _data: object) -> None:
    sys.stderr.write(text.decode("utf-8", "replace"))


def _drop_log(_level: int, _text: bytes, _data: object) -> None:
    return None


# llama.cpp keeps the pointers, so the callbacks must live as long as the process.
_LOGGERS = {True: llama.llama_log_callback(_write_log), False: llama.llama_log_callback(_drop_log)}


class NativeModel:
    """A GGUF in memory: vocabulary, chat template, metadata. Its read-only calls may be used from any thread."""

    def __init__(self, path: str, *, verbose: bool = False) -> None:
        """Load `path` on the CPU. Raises NativeError."""
        llama.llama_log_set(_LOGGERS[verbose], None)
        llama.llama_backend_init()
        params = llama.llama_model_default_params()
        params.n_gpu_layers = 0
        self.handle = llama.llama_model_load_from_file(path.encode(), params)
        if not self.handle:
            raise NativeError("llama.cpp cannot load this file")
        self.vocab = llama.llama_model_get_vocab(self.handle)
        self.size: int = llama.llama_vocab_n_tokens(self.vocab)
        self.context_trained: int = llama.llama_model_n_ctx_train(self.handle)
        self._add_bos = bool(llama.llama_vocab_get_add_bos(self.vocab))
        self._pieces: dict[int, bytes] = {}

    @property
    def template(self) -> str | None:
        """The chat template of the metadata."""
        raw = llama.llama_model_chat_template(self.handle, None)
        return raw.decode("utf-8") if raw else None

    @property
    def description(self) -> str:
        """Architecture, size and quantisation in llama.cpp's words, with the exact byte size."""
        buffer = ctypes.create_string_buffer(256)
        llama.llama_model_desc(self.handle, buffer, len(buffer))
        return f"{buffer.value.decode('utf-8', 'replace')} {llama.llama_model_size(self.handle)}"

    def special_text(self, name: str) -> str:
        """The text of the `bos` or `eos` token; "" when the vocabulary has none."""
        token = llama.llama_vocab_bos(self.vocab) if name == "bos" else llama.llama_vocab_eos(self.vocab)
        return "" if token < 0 else str(llama.llama_vocab_get_text(self.vocab, token).decode("utf-8"))

    @cached_property
    def control_texts(self) -> tuple[str, ...]:
        """The texts that the tokenizer turns into control tokens, longest first."""
        tokens = (token for token in range(self.size) if llama.llama_vocab_is_control(self.vocab, token))
        texts = {llama.llama_vocab_get_text(self.vocab, token).decode("utf-8", "replace") for token in tokens}
        return tuple(sorted(texts - {""}, key=len, reverse=True))

    @cached_property
    def longest_piece(self) -> int:
        """The bytes of the longest token: a text of n bytes has at least n / longest_piece tokens."""
        return max(len(self._piece(token, special=True)) for token in range(self.size))

    def tokenize(self, text: str, *, special: bool, start: bool = False) -> list[int]:
        """Tokens of `text`. Control tokens are seen only with `special`; `start` adds BOS if the model wants it."""
        raw = text.encode("utf-8")
        room = len(raw) + 8
        tokens = (llama.llama_token * room)()
        count = llama.llama_tokenize(self.vocab, raw, len(raw), tokens, room, start and self._add_bos, special)
        if count < 0:
            raise NativeError("llama.cpp cannot tokenize this text")
        return list(tokens[:count])

    def _piece(self, token: int, *, special: bool) -> bytes:
        buffer = ctypes.create_string_buffer(64)
        count = llama.llama_token_to_piece(self.vocab, token, buffer, len(buffer), 0, special)
        if count < 0:
            buffer = ctypes.create_string_buffer(-count)
            count = llama.llama_token_to_piece(self.vocab, token, buffer, len(buffer), 0, special)
        return buffer.raw[:count]

    def piece(self, token: int) -> bytes:
        """The bytes that `token` adds to an answer: none for a control token. They may be a part of a character."""
        known = self._pieces.get(token)
        if known is None:
            known = self._pieces[token] = self._piece(token, special=False)
        return known

    def is_end(self, token: int) -> bool:
        """Whether `token` ends the model's turn."""
        return bool(llama.llama_vocab_is_eog(self.vocab, token))


class NativeContext:
    """The KV cache and the batch. It belongs to one thread: the decode thread."""

    def __init__(self, model: NativeModel, *, context: int, batch: int, sequences: int, threads: int) -> None:
        """`context` tokens for all sequences together, at most `batch` tokens a step. Raises NativeError."""
        params = llama.llama_context_default_params()
        params.n_ctx = context
        params.n_batch = params.n_ubatch = batch
        params.n_seq_max = sequences
        params.kv_unified = True
        params.n_threads = params.n_threads_batch = threads
        params.no_perf = True
        # On the CPU flash attention sums values in half precision: 9 of 13 greedy answers came out different from
        # those of llama-cpp-python's own API, which leaves it off as well; without it all 13 were the same.
        params.flash_attn_type = _FLASH_ATTENTION_OFF
        self._model = model
        self._handle = llama.llama_init_from_model(model.handle, params)
        if not self._handle:
            raise NativeError("llama.cpp cannot make a context of this size")
        self._memory = llama.llama_get_memory(self._handle)
        self._batch: Any = llama.llama_batch_init(batch, 0, 1)
        self.batch_size = batch
        self.length: int = llama.llama_n_ctx(self._handle)

    def decode(self, tokens: Sequence[BatchToken]) -> None:
        """Run the model over one step's tokens. Raises NativeError; the caller then forgets the sequences."""
        batch = self._batch
        batch.n_tokens = len(tokens)
        for index, entry in enumerate(tokens):
            batch.token[index] = entry.token
            batch.pos[index] = entry.position
            batch.n_seq_id[index] = 1
            batch.seq_id[index][0] = entry.sequence
            batch.logits[index] = entry.wants_logits
        code = llama.llama_decode(self._handle, batch)
        if code != 0:
            raise NativeError(f"llama_decode returned {code}")

    def logits(self, index: int) -> Logits:
        """The logits of the step's entry `index`: a view that the next step overwrites. Waits for the computation."""
        pointer = llama.llama_get_logits_ith(self._handle, index)
        if not pointer:
            raise NativeError("llama.cpp has no logits for this token")
        return np.ctypeslib.as_array(pointer, shape=(self._model.size,))

    def forget(self, sequence: int) -> None:
        """Drop everything that the KV cache holds of `sequence`: no request sees what another one asked."""
        llama.llama_memory_seq_rm(self._memory, sequence, -1, -1)

    def close(self) -> None:
        """Free the batch and the context."""
        llama.llama_batch_free(self._batch)
        llama.llama_free(self._handle)
