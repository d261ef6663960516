"""How much memory a model will take, and how many requests it can answer at once: reckoned before it is loaded."""

from __future__ import annotations

from dataclasses import dataclass

from router.engine.gguf import Header

BATCH = 256  # tokens that one step can hold at most
MOST_SLOTS = 8
_CACHE_SHARE = 8  # an eighth of what this process may use goes to one model's slots, where nobody said otherwise
_STATE_BYTES = 16 << 20  # buffers whose size does not hang on the model's
# Numbers a token that a step computes with at the same time, in widths of the model: measured with llama.cpp's own
# count of its compute buffer, it is at most that for the models of tests/support/tiny_gguf.py and SmolLM2.
_WIDTHS = 16
MOST_WHOLE = 2048  # tokens of one input to an embedder that reads it in one piece


@dataclass(frozen=True, slots=True)
class Limits:
    """What the operator allows. Bytes and tokens."""

    budget: int  # for all models together
    usable: int  # what this process may use in all
    context: int
    slots: int  # 0: what fits


@dataclass(frozen=True, slots=True)
class Plan:
    """How a model is to be loaded, and what that takes in bytes."""

    context: int  # tokens a slot
    slots: int  # 0: it makes embeddings and nothing else
    weights: int
    cache: int  # of all slots
    overhead: int

    @property
    def total(self) -> int:
        """What the pool counts it with."""
        return self.weights + self.cache + self.overhead

    def __str__(self) -> str:
        parts = f"weights {_mb(self.weights)}, cache {_mb(self.cache)}, buffers {_mb(self.overhead)}"
        return f"{_mb(self.total)} MB ({parts})"


def _mb(size: int) -> str:
    return f"{-(-size // 1_000_000):,}"


def megabytes(size: int) -> str:
    """Whole MB, rounded up, as the command line counts them."""
    return f"{_mb(size)} MB"


def plan_chat(header: Header, file_bytes: int, limits: Limits, context: int | None = None) -> Plan:
    """A chat model with `context` tokens a slot, or the limits' own, but no more than it was trained for."""
    length = min(context or limits.context, header.context_length)
    cache = header.kv_bytes_per_token * length
    overhead = _overhead(header, BATCH)
    slots = limits.slots
    if not slots:
        room = min(limits.usable // _CACHE_SHARE, limits.budget - file_bytes - overhead)
        slots = max(1, min(MOST_SLOTS, room // max(1, cache)))
    return Plan(length, slots, file_bytes, cache * slots, overhead)


def plan_embedder(header: Header, file_bytes: int, limits: Limits, context: int | None = None) -> Plan:
    """A model whose only use is embeddings. `file_bytes` 0: its weights are there already."""
    length = min(context or limits.context, header.context_length)
    if header.kind == "embedding" and header.pooling in ("cls", "mean"):
        length = min(length, MOST_WHOLE)
    cache = header.kv_bytes_per_token * length
    return Plan(length, 0, file_bytes, cache, _overhead(header, length if length <= MOST_WHOLE else BATCH))


def _overhead(header: Header, batch: int) -> int:
    numbers = batch * (header.vocabulary_size + _WIDTHS * header.embedding_length)
    return _STATE_BYTES + 4 * numbers
