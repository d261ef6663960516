"""`POST /v1/embeddings`: the body, the reading of its texts between the decode thread's steps, and the reply.

Errors name fields and numbers, never what stands in them.
"""

from __future__ import annotations

import asyncio
import base64
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from router.engine.loop import DecodeLoop, StoppedError
from router.engine.native import NativeError
from router.engine.pool import Claim
from router.engine.types import EngineError, invalid
from router.engine.vectors import Embedder, Reading, Vector

MAX_INPUTS = 2048
MAX_TOKENS = 300_000  # of all inputs of one request
_MOST_WAITING = 64  # requests at one model
_INLINE_CHARACTERS = 8192
# `cache_salt` and `tenant` are the gateway's: no cache is shared here, and the turns are by piece.
_FIELDS = frozenset({"model", "input", "encoding_format", "dimensions", "user", "cache_salt", "tenant"})

Input = str | Sequence[int]
JsonObject = dict[str, Any]


@dataclass(frozen=True, slots=True)
class EmbeddingsCall:
    """One validated body."""

    model: str
    inputs: tuple[Input, ...] = field(repr=False)
    is_base64: bool = False
    dimensions: int | None = None


@dataclass(frozen=True, slots=True)
class EmbeddingsReply:
    """A vector of length 1 for each input."""

    vectors: list[Vector] = field(repr=False)
    tokens: int


def parse(raw: bytes) -> EmbeddingsCall:
    """Raises EngineError (400)."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise invalid("The body is not valid JSON.") from None
    if not isinstance(body, dict):
        raise invalid("The body must be a JSON object.")
    if unknown := set(body) - _FIELDS:
        raise invalid(f"{len(unknown)} fields of the body are not known.", code="unsupported_field")
    if not isinstance(body.get("model"), str):
        raise invalid("`model` must be a string.", "model")
    form = body.get("encoding_format")
    if form not in (None, "float", "base64"):
        raise invalid("`encoding_format` must be `float` or `base64`.", "encoding_format")
    dimensions = body.get("dimensions")
    if dimensions is not None and (type(dimensions) is not int or dimensions < 1):
        raise invalid("`dimensions` must be a positive integer.", "dimensions")
    return EmbeddingsCall(body["model"], _inputs(body.get("input")), form == "base64", dimensions)


def _inputs(value: Any) -> tuple[Input, ...]:
    """One text, one list of tokens, or a list of either."""
    is_one = isinstance(value, str) or (isinstance(value, list) and bool(value) and type(value[0]) is int)
    items = [value] if is_one else value
    if not isinstance(items, list) or not 1 <= len(items) <= MAX_INPUTS:
        raise invalid(f"`input` must be a text, a list of tokens, or a list of 1 to {MAX_INPUTS} of them.", "input")
    for item in items:
        is_tokens = isinstance(item, list) and all(type(token) is int for token in item)
        if not item or not (isinstance(item, str) or is_tokens):
            raise invalid("Each input must be a text or a list of tokens, and not empty.", "input")
    return tuple(items)


def render(call: EmbeddingsCall, reply: EmbeddingsReply) -> JsonObject:
    """The reply as OpenAI writes it."""
    data = [
        {"object": "embedding", "index": index, "embedding": _written(vector, call.is_base64)}
        for index, vector in enumerate(reply.vectors)
    ]
    usage = {"prompt_tokens": reply.tokens, "total_tokens": reply.tokens}
    return {"object": "list", "data": data, "model": call.model, "usage": usage}


def _written(vector: Vector, is_base64: bool) -> list[float] | str:
    if is_base64:
        return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode("ascii")
    return [float(value) for value in vector]


async def read_texts(
    claim: Claim, inputs: Sequence[Input], loop: DecodeLoop, dimensions: int | None = None
) -> EmbeddingsReply:
    """The vectors of `inputs`, in their order. Raises EngineError."""
    embedder = await claim.embedder()
    if dimensions not in (None, embedder.width):
        raise invalid(f"This model makes {embedder.width} dimensions, not {dimensions}.", "dimensions")
    if sum(len(text) for text in inputs) <= _INLINE_CHARACTERS:
        texts = _tokens(embedder, inputs)
    else:
        texts = await claim.in_thread(lambda: _tokens(embedder, inputs))
    if embedder.waiting >= _MOST_WAITING:
        raise EngineError(503, "local_overloaded", "Too many embeddings are waited for.", retry_after=1)
    embedder.waiting += 1
    try:
        vectors = await _read(embedder, texts, claim.adapter, loop)
    except NativeError:
        raise EngineError(500, "engine_error", "The local engine could not read this input.") from None
    except StoppedError:
        raise EngineError(503, "local_unavailable", "The local engine is stopping.", retry_after=1) from None
    finally:
        embedder.waiting -= 1
    return EmbeddingsReply(vectors, sum(map(len, texts)))


def _tokens(embedder: Embedder, inputs: Sequence[Input]) -> list[Sequence[int]]:
    texts: list[Sequence[int]] = []
    total = 0
    for index, text in enumerate(inputs):
        tokens = embedder.tokenize(text) if isinstance(text, str) else text
        if not isinstance(text, str) and not all(0 <= token < embedder.vocabulary for token in text):
            raise invalid(f"Input {index} holds a token that this model does not have.", "input")
        if len(tokens) > embedder.length:
            message = f"This model reads {embedder.length} tokens at once, but input {index} has {len(tokens)}."
            raise invalid(message, "input", "context_length_exceeded")
        total += len(tokens)
        if total > MAX_TOKENS:
            raise invalid(f"The inputs have more than {MAX_TOKENS} tokens together.", "input")
        texts.append(tokens)
    return texts


async def _read(
    embedder: Embedder, texts: Sequence[Sequence[int]], adapter: str | None, loop: DecodeLoop
) -> list[Vector]:
    """Requests take turns by group of texts, so that a large one does not keep the others waiting."""
    vectors: list[Vector] = []
    for group in embedder.groups([len(text) for text in texts]):
        async with embedder.turn:
            reading = Reading(embedder, [texts[index] for index in group], adapter)
            while not await asyncio.wrap_future(loop.call(reading.advance)):
                pass
        vectors += reading.vectors
    return vectors
