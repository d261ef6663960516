"""OpenAI's embeddings (`POST /v1/embeddings`): texts or tokens in, vectors out, as numbers or in base64.

Models are asked for by name; `auto` is the local one. No alias names an embedding model, and nothing is chosen by what
the text says: vectors of two models cannot be compared.
"""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from router.api.dialect import Asked, Events, Told, read_model, refuse, sort_fields
from router.api.errors import openai_envelope
from router.embedding_fields import read_embedding_fields
from router.errors import GatehouseError
from router.types import JsonObject, Principal

_USED = frozenset({"model", "input", "encoding_format", "dimensions"})
_IDLE = frozenset({"user"})


class Embeddings:
    """The dialect of `POST /v1/embeddings`."""

    async def read(self, body: JsonObject, principal: Principal) -> Asked:
        """The body as it is, without what only the answer's form needs. Raises `InvalidRequest`."""
        ignored = sort_fields(body, _USED, _IDLE)
        if body.get("encoding_format") not in (None, "float", "base64"):
            raise refuse("encoding_format", "float or base64")
        read_embedding_fields(body)
        asked = {name: body[name] for name in ("input", "dimensions") if body.get(name) is not None}
        model = read_model(body)
        return Asked({"model": model, **asked}, model, False, False, task="embeddings", ignored=ignored, raw=body)

    def whole(self, asked: Asked, told: Told, completion: JsonObject) -> JsonObject:
        """OpenAI's list of embeddings."""
        if asked.raw.get("encoding_format") != "base64":
            return completion
        data = [{**row, "embedding": _packed(row["embedding"])} for row in completion["data"]]
        return {**completion, "data": data}

    def events(self, asked: Asked, told: Told) -> Events:
        """There is no stream of embeddings."""
        raise NotImplementedError

    async def keep(self, asked: Asked, principal: Principal, answer: JsonObject) -> None:
        """There is no state."""

    def envelope(self, error: GatehouseError, request_id: str) -> bytes:
        """OpenAI's error object."""
        return openai_envelope(error)


def _packed(vector: Any) -> str:
    """float32, little-endian, in base64: the form that the official client asks for by itself."""
    return base64.b64encode(np.asarray(vector, dtype="<f4").tobytes()).decode("ascii")
