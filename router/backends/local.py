"""A model on this host: the embedded engine, or any OpenAI-compatible server on loopback or a unix socket.

That it is on this host is checked at every connection. Nothing here may reach another machine.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import aiohttp
import orjson
from aiohttp.abc import AbstractResolver

from policies.addresses import is_cloud_name
from policies.types import Model
from router.backends import failures
from router.backends.places import checked_connector, is_loopback, socket_path
from router.backends.stream import ChatStream
from router.backends.tls import context_for
from router.backends.wire import ChatWire, Endpoint, Timeouts, chat_url
from router.errors import Denied
from router.settings import Settings, secret
from router.types import JsonObject, Outgoing

_KEEP_ALIVE_SECONDS = 4.0  # below the 5 s of uvicorn, which Python servers of models run on


class LocalBackend:
    """Answers at home. `resolver` is a seam for tests of name resolution."""

    def __init__(self, model: Model, settings: Settings, *, resolver: AbstractResolver | None = None) -> None:
        if model.locality != "local":
            raise ValueError(f"model `{model.name}` is not local")
        self.model = model
        timeouts = Timeouts(
            connect=settings.connect_timeout_s,
            first_chunk=model.first_token_seconds or settings.first_chunk_timeout_s,
            between_chunks=settings.idle_chunk_timeout_s,
            total=min(model.timeout_seconds, settings.local_timeout_s),
        )
        self._wire = ChatWire(model, _endpoint(model, settings, resolver), timeouts)

    async def complete(self, outgoing: Outgoing) -> JsonObject:
        """Send and return the whole answer."""
        self._check(outgoing)
        return await self._wire.complete(outgoing)

    async def open_stream(self, outgoing: Outgoing) -> ChatStream:
        """Send and return the stream, its first chunk already there."""
        self._check(outgoing)
        return await self._wire.open_stream(outgoing)

    async def self_test(self) -> None:
        """Return when the model has said one token, or embedded one word."""
        if self.model.backend != "engine" and "embeddings" in self.model.capabilities:
            asked = {"model": self.model.model, "input": "Hello", "encoding_format": "float"}
            await self.complete(Outgoing(orjson.dumps(asked), stream=False, task="embeddings"))
            return
        body = {"model": self.model.model, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 1}
        await self.complete(Outgoing(orjson.dumps(body), stream=False))

    async def close(self) -> None:
        """Close every connection. Idempotent."""
        await self._wire.close()

    def _check(self, outgoing: Outgoing) -> None:
        if outgoing.permit is not None:
            raise Denied(f"A permit for another model came with a request for the local model `{self.model.name}`.")
        if self.model.backend == "openai" and is_cloud_name(self.model.model):
            # Ollama serves such names from its makers' machines: the address is loopback, the model is not.
            raise failures.unreachable(self.model, "a name that ends in `-cloud` is not served on this host")


def _endpoint(model: Model, settings: Settings, resolver: AbstractResolver | None) -> Endpoint:
    limit = settings.max_concurrent
    path = settings.engine_socket if model.backend == "engine" else socket_path(model.base_url or "")
    if path is not None:
        return Endpoint("http://localhost/v1/chat/completions", _unix(path, limit))
    refusal = "its address is not on this host (loopback or a unix socket)"

    def connect() -> aiohttp.BaseConnector:
        return checked_connector(
            is_loopback, refusal, limit, resolver, ssl=context_for(model), keepalive_timeout=_KEEP_ALIVE_SECONDS
        )

    def key() -> str | None:
        return secret(model.api_key_env or "", model.api_key_file)

    return Endpoint(chat_url(model.base_url or ""), connect, key)


def _unix(path: Path, limit: int) -> Callable[[], aiohttp.BaseConnector]:
    return lambda: aiohttp.UnixConnector(str(path), limit=limit, keepalive_timeout=_KEEP_ALIVE_SECONDS)
