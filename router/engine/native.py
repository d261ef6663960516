"""llama.cpp behind a few typed calls: model, context, batch. Nothing else of the engine touches a native pointer.

It never logs what it decodes; llama.cpp's own log is dropped unless `verbose` is set.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Sequence as Seq
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import llama_cpp.llama_cpp as llama
import numpy as np
import numpy.typing as npt

from router.engine.spelling import Spelling

_BFLOAT16 = 30  # GGML_TYPE_BF16 of ggml.h, which llama-cpp-python does not name
_ABORTED = 2  # what llama_decode returns when its abort callback said so
# llama.cpp asks this callback before each operation whether to go on: a C function of the platform, which reads a byte
# of ours, so that the question never waits for Python's lock. The length of an empty text is 0, false.
_ABORT_WHEN_SET = llama.ggml_abort_callback(ctypes.cast(ctypes.CDLL(None).strlen, ctypes.c_void_p).value or 0)

Logits = npt.NDArray[np.float32]


class NativeError(Exception):
    """llama.cpp could not load the model, make the context, or decode."""


def _write_log(_level: int, text: bytes, _data: object) -> None:
    sys.stderr.write(text.decode("utf-8", "replace"))


def _drop_log(_level: int, _text: bytes, _data: object) -> None:
    return None


# llama.cpp keeps the pointers, so the callbacks must live as long as the process.
_LOGGERS = {True: llama.llama_log_callback(_write_log), False: llama.llama_log_callback(_drop_log)}


class NativeModel:
    """A GGUF in memory: vocabulary, chat template, metadata. Its read-only calls may be used from any thread."""

    def __init__(self, path: str, *, gpu_layers: int = 0, verbose: bool = False) -> None:
        """Load `path`, `gpu_layers` of it on an accelerator where one is built in. Raises NativeError."""
        llama.llama_log_set(_LOGGERS[verbose], None)
        llama.llama_backend_init()
        params = llama.llama_model_default_params()
        params.n_gpu_layers = gpu_layers
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

    def piece(self, token: int, *, special: bool = False) -> bytes:
        """The bytes that `token` adds to an answer, which may be a part of a character.

        A control token adds none, but with `special` its text.
        """
        if special:
            return self._piece(token, special=True)
        known = self._pieces.get(token)
        if known is None:
            known = self._pieces[token] = self._piece(token, special=False)
        return known

    @cached_property
    def ends(self) -> frozenset[int]:
        """The tokens that end the model's turn."""
        return frozenset(token for token in range(self.size) if llama.llama_vocab_is_eog(self.vocab, token))

    @cached_property
    def spelling(self) -> Spelling:
        """The tokens that add something to an answer, by their first bytes. Takes about 2 µs a token the first time."""
        spoken = (token for token in range(self.size) if token not in self.ends)
        return Spelling.of((token, self._piece(token, special=False)) for token in spoken)

    def is_end(self, token: int) -> bool:
        """Whether `token` ends the model's turn."""
        return token in self.ends

    def close(self) -> None:
        """Free the model. Idempotent; its contexts must have been closed."""
        handle, self.handle = self.handle, None
        if handle:
            llama.llama_model_free(handle)


@dataclass(slots=True)
class Step:
    """The tokens of one decode step, in parallel lists: token, position, sequence, and whether its logits are wanted.

    Tokens of one sequence stand in order of their positions. `starts` are the rows of a wanted token's logits.
    """

    tokens: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    sequences: list[int] = field(default_factory=list)
    wanted: list[bool] = field(default_factory=list)

    def add(self, sequence: int, position: int, tokens: Seq[int], *, wants_all: bool, wants_last: bool) -> None:
        """Append the next tokens of one sequence, the first of them at `position`."""
        count = len(tokens)
        self.tokens += tokens
        self.positions += range(position, position + count)
        self.sequences += [sequence] * count
        self.wanted += [wants_all] * (count - 1) + [wants_all or wants_last]

    def __len__(self) -> int:
        return len(self.tokens)


class NativeContext:
    """The KV cache and the batch. It belongs to one thread at a time: the decode thread, once it serves.

    Each sequence has a part of the cache of its own, `context` tokens long: what one holds costs the others nothing.
    """

    def __init__(
        self,
        model: NativeModel,
        *,
        context: int,
        batch: int,
        sequences: int,
        threads: int,
        flash_attention: bool = True,
        bfloat16_keys: bool = True,
        embeddings: bool = False,
    ) -> None:
        """`context` tokens for each of `sequences`, at most `batch` tokens a step. Raises NativeError.

        With `bfloat16_keys` keys are kept in another 16-bit type than values: on the processor llama.cpp then adds up
        in one way, whatever else is in a step; with one type for both it has three, by rows and length. Accelerators
        want one type.
        With `embeddings` all sequences share `context` tokens, and `vectors` gives what the model makes of each token.
        """
        params = llama.llama_context_default_params()
        params.n_ctx = context if embeddings else context * sequences
        params.n_batch = params.n_ubatch = batch
        params.n_seq_max = sequences
        params.kv_unified = params.embeddings = embeddings
        params.n_threads = params.n_threads_batch = threads
        params.no_perf = True
        params.flash_attn_type = int(flash_attention)
        if bfloat16_keys:
            params.type_k = _BFLOAT16
        if embeddings:
            params.pooling_type = llama.LLAMA_POOLING_TYPE_NONE
        self._model = model
        self._handle = llama.llama_init_from_model(model.handle, params)
        if not self._handle:
            raise NativeError("llama.cpp cannot make a context of this size")
        self._memory = llama.llama_get_memory(self._handle)
        self._batch = _Batch(batch)
        self._abort_flag = ctypes.create_string_buffer(2)
        llama.llama_set_abort_callback(self._handle, _ABORT_WHEN_SET, ctypes.addressof(self._abort_flag))
        self.batch_size = batch
        self.sequences = sequences
        self.length: int = llama.llama_n_ctx_seq(self._handle)

    @property
    def handle(self) -> Any:
        """llama.cpp's own pointer, for the adapters."""
        return self._handle

    def decode(self, step: Step) -> bool:
        """Run the model over one step. False: `abort` ended it, and the step's positions must be forgotten.

        After an `abort` every decode ends at once, until `rearm`.

        Raises NativeError; the caller then forgets the sequences.
        """
        code = llama.llama_decode(self._handle, self._batch.fill(step))
        if code == _ABORTED:
            return False
        if code != 0:
            raise NativeError(f"llama_decode returned {code}")
        return True

    def abort(self) -> None:
        """End the decode that is in progress, at its next operation. May be called from any thread."""
        self._abort_flag.raw = b"\1\0"

    def rearm(self) -> None:
        """Let decodes go on again."""
        self._abort_flag.raw = b"\0\0"

    def logits(self, rows: int) -> Logits:
        """The logits of the last step's wanted tokens, in their order: shape (rows, vocabulary).

        A view that the next step overwrites. Waits for the computation. Raises NativeError.
        """
        pointer = llama.llama_get_logits(self._handle)
        if not pointer:
            raise NativeError("llama.cpp has no logits for this step")
        return np.ctypeslib.as_array(pointer, shape=(rows, self._model.size))

    def vectors(self, rows: int, width: int) -> Logits:
        """The last hidden state of the last step's tokens, in their order: shape (rows, width).

        A view that the next step overwrites. Waits for the computation. Raises NativeError.
        """
        pointer = llama.llama_get_embeddings(self._handle)
        if not pointer:
            raise NativeError("llama.cpp has no embeddings for this step")
        return np.ctypeslib.as_array(pointer, shape=(rows, width))

    def forget(self, sequence: int, start: int = 0) -> bool:
        """Drop what the cache holds of `sequence` from position `start` on.

        False: this model's memory cannot be cut there (a recurrent one), and all of the sequence has been dropped.
        """
        if llama.llama_memory_seq_rm(self._memory, sequence, start, -1):
            return True
        llama.llama_memory_seq_rm(self._memory, sequence, -1, -1)
        return start == 0

    def save(self, sequence: int) -> bytes:
        """What the cache holds of `sequence`, to be loaded into any sequence of a context like this one."""
        size = llama.llama_state_seq_get_size(self._handle, sequence)
        buffer = (ctypes.c_uint8 * size)()
        written = llama.llama_state_seq_get_data(self._handle, buffer, size, sequence)
        return bytes(memoryview(buffer)[:written])

    def load(self, sequence: int, state: bytes) -> bool:
        """Put a saved state in the place of what the cache holds of `sequence`. False: it holds nothing now."""
        llama.llama_memory_seq_rm(self._memory, sequence, -1, -1)  # an empty state would leave what is there
        buffer = (ctypes.c_uint8 * len(state)).from_buffer_copy(state)
        if llama.llama_state_seq_set_data(self._handle, buffer, len(state), sequence) > 0:
            return True
        llama.llama_memory_seq_rm(self._memory, sequence, -1, -1)
        return False

    def close(self) -> None:
        """Free the context. Idempotent."""
        handle, self._handle = self._handle, None
        if handle:
            llama.llama_free(handle)


class _Batch:
    """A `llama_batch` over numpy arrays, so that a step is filled in five assignments."""

    def __init__(self, size: int) -> None:
        self._tokens = np.zeros(size, np.int32)
        self._positions = np.zeros(size, np.int32)
        self._counts = np.ones(size, np.int32)
        self._sequences = np.zeros(size, np.int32)
        self._wanted = np.zeros(size, np.int8)
        # Each token has a list of sequences: here one of length one, an element of the array above.
        base, width = self._sequences.ctypes.data, self._sequences.itemsize
        self._pointers = np.arange(base, base + size * width, width, dtype=np.uintp)
        self._batch = llama.llama_batch()
        for name, array in (
            ("token", self._tokens),
            ("pos", self._positions),
            ("n_seq_id", self._counts),
            ("seq_id", self._pointers),
            ("logits", self._wanted),
        ):
            kind = type(getattr(self._batch, name))
            setattr(self._batch, name, ctypes.cast(array.ctypes.data, kind))

    def fill(self, step: Step) -> Any:
        count = len(step)
        self._batch.n_tokens = count
        self._tokens[:count] = step.tokens
        self._positions[:count] = step.positions
        self._sequences[:count] = step.sequences
        self._wanted[:count] = step.wanted
        return self._batch
