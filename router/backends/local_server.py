"""Another local server (llama-server, vLLM, Ollama, LM Studio): asked what it serves before anything is asked of it.

A server on loopback may still pass a model on to its makers' machines, as Ollama does. A model that is listed so, or a
server that cannot be asked, gets no request.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any
from urllib.parse import urlsplit

import orjson
from aiohttp.abc import AbstractResolver

from policies.types import Model
from router.backends import failures
from router.backends.local import LocalBackend
from router.backends.stream import ChatStream
from router.backends.wire import ChatWire
from router.errors import GatehouseError, Unavailable, UpstreamError
from router.settings import Settings
from router.types import JsonObject, Outgoing

_RENEW_SECONDS = 30.0
_NOT_THERE = (404, 405, 501)
_REMOTE = ("remote_host", "remote_model")  # what Ollama's list says of a model that its makers run


class LocalServer(LocalBackend):
    """Answers at home through a server that is not ours, once that has shown that it serves the model itself."""

    def __init__(self, model: Model, settings: Settings, *, resolver: AbstractResolver | None = None) -> None:
        super().__init__(model, settings, resolver=resolver)
        self._proof = Proof(model, self._wire, settings.connect_timeout_s)

    async def complete(self, outgoing: Outgoing) -> JsonObject:
        """Send and return the whole answer. Raises `Unavailable` and sends nothing to a server that is not proven."""
        self._check(outgoing)
        await self._proof.require()
        try:
            return await super().complete(outgoing)
        except GatehouseError as error:
            self._proof.learn(error)
            raise

    async def open_stream(self, outgoing: Outgoing) -> ChatStream:
        """Send and return the stream, its first chunk already there. Raises as `complete` does."""
        self._check(outgoing)
        await self._proof.require()
        try:
            return await super().open_stream(outgoing)
        except GatehouseError as error:
            self._proof.learn(error)
            raise

    async def self_test(self) -> None:
        """Return when the server is proven and the model has said one token."""
        await self._proof.renew()
        await super().self_test()

    async def close(self) -> None:
        """Close every connection. Idempotent."""
        self._proof.close()
        await super().close()


class Proof:
    """Whether a local server serves its model itself: asked at the start, every 30 s, and after it was away."""

    def __init__(self, model: Model, wire: ChatWire, timeout_s: float) -> None:
        self._model = model
        self._wire = wire
        self._timeout_s = timeout_s
        self._lists = _list_urls(model.base_url or "")
        self._holds_until = float("-inf")  # time.monotonic(); later, it is renewed beside the requests
        self._is_proven = False
        self._lock = asyncio.Lock()
        self._renewing: asyncio.Task[None] | None = None

    async def require(self) -> None:
        """Return if the server is proven. Raises what says why it is not."""
        if not self._is_proven:
            async with self._lock:
                if not self._is_proven:
                    await self.renew()
        elif time.monotonic() >= self._holds_until and self._renewing is None:
            self._renewing = asyncio.get_running_loop().create_task(self._renew_beside())

    async def renew(self) -> None:
        """Ask now. Raises `Unavailable` or `UpstreamError`; the server is then not proven."""
        self._is_proven = False
        try:
            async with asyncio.timeout(self._timeout_s):
                settled = await self._ask()
        except TimeoutError:
            raise failures.unreachable(self._model, "it does not say what it serves within the time limit") from None
        self._is_proven = settled
        self._holds_until = time.monotonic() + _RENEW_SECONDS

    async def _renew_beside(self) -> None:
        """Requests go on meanwhile; a server that is busy or gone says nothing new, one that answers is believed."""
        try:
            async with asyncio.timeout(self._timeout_s):
                self._is_proven = await self._ask()
        except (TimeoutError, Unavailable) as error:
            if isinstance(error, NotServedHereError):
                self._is_proven = False
        except UpstreamError:
            self._is_proven = False
        finally:
            self._holds_until = time.monotonic() + _RENEW_SECONDS
            self._renewing = None

    def learn(self, error: GatehouseError) -> None:
        """After a connection that failed another server may stand there: it is asked anew."""
        if getattr(error, "upstream_status", None) is None and error.code != "local_overloaded":
            self._is_proven = False

    def close(self) -> None:
        """Stop asking."""
        if self._renewing is not None:
            self._renewing.cancel()

    async def _ask(self) -> bool:
        """Whether the answer may be relied on for a while. Raises if the model is not served here."""
        models_url, tags_url = self._lists
        models = _entries(await self._get(models_url), "data")
        tags = _entries(await self._get(tags_url), "models")
        for entry in (*models, *tags):
            if _names(entry, self._model.model) and any(entry.get(word) for word in _REMOTE):
                raise NotServedHereError(self._model)
        # A model that Ollama does not list yet may be added later, as any kind: then each request asks.
        is_llama_server = any(entry.get("owned_by") == "llamacpp" for entry in models)
        return not tags or is_llama_server or any(_names(entry, self._model.model) for entry in tags)

    async def _get(self, url: str) -> JsonObject:
        """What a list says; nothing where the server has no such list."""
        status, body = await self._wire.get(url)
        if status in _NOT_THERE:
            return {}
        if status != 200:
            raise failures.from_status(self._model, status, {}, body)
        try:
            value: Any = orjson.loads(body)
        except orjson.JSONDecodeError:
            return {}  # a page of another server's
        return value if isinstance(value, dict) else {}


class NotServedHereError(Unavailable):
    """The server lists the model as one that it passes on to another machine."""

    def __init__(self, model: Model) -> None:
        super().__init__(
            f"The local model `{model.name}` is not available: its server passes it on to another machine, so it is "
            "not local. Name a model that runs on this host."
        )


def _list_urls(base_url: str) -> tuple[str, str]:
    """Where OpenAI's list of models stands, and Ollama's own, which says where a model runs."""
    if base_url.startswith("unix:"):
        return "http://localhost/v1/models", "http://localhost/api/tags"
    parts = urlsplit(base_url)
    path = parts.path.rstrip("/")
    root = f"{parts.scheme}://{parts.netloc}{path.removesuffix('/v1')}"
    return f"{parts.scheme}://{parts.netloc}{path}/models", f"{root}/api/tags"


def _entries(answer: JsonObject, member: str) -> list[JsonObject]:
    listed = answer.get(member)
    return [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []


def _names(entry: JsonObject, model: str) -> bool:
    """Whether a list's entry is this model: Ollama compares without case, and `:latest` may be left out."""
    named = (entry.get(word) for word in ("id", "name", "model"))
    return _plain(model) in {_plain(name) for name in named if isinstance(name, str)}


def _plain(name: str) -> str:
    folded = name.strip().casefold()
    return folded if ":" in folded.rpartition("/")[2] else f"{folded}:latest"
