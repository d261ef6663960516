"""Models outside this host, on the cloud or the LAN. Each request needs a permit for the very bytes that are written.

The one home of litellm: imported at the first use, in a thread, with all that it could send of itself switched off.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from types import ModuleType
from typing import cast

import aiohttp
from aiohttp.abc import AbstractResolver

from policies.types import Model
from router.backends import failures
from router.backends.permits import require_permit
from router.backends.places import checked_connector, within
from router.backends.sockets import Sockets
from router.backends.stream import ChatStream
from router.backends.tls import context_for
from router.backends.wire import ChatWire, Endpoint, Timeouts, chat_url
from router.errors import UpstreamError
from router.settings import Settings, secret, set_for_library
from router.types import JsonObject, Outgoing

_KEEP_ALIVE_SECONDS = 30.0
_LITELLM_SWITCHES = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else a price list is fetched at import
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",  # else a header list is fetched at the first call
    "LITELLM_LOCAL_BLOG_POSTS": "True",
    "LITELLM_MODE": "PRODUCTION",  # else it reads a .env file of the working directory
    "LITELLM_TELEMETRY": "False",
    "LITELLM_LOG": "CRITICAL",
}
_litellm_lock = threading.Lock()


class CloudBackend:
    """An OpenAI-compatible upstream outside this host, called directly. `networks` are the ranges for a `lan` model."""

    def __init__(
        self,
        model: Model,
        settings: Settings,
        *,
        networks: tuple[str, ...] = (),
        resolver: AbstractResolver | None = None,
    ) -> None:
        if model.locality == "local":
            raise ValueError(f"model `{model.name}` is local: it is no exit")
        self.model = model
        self._wire = ChatWire(model, _endpoint(model, settings, networks, resolver), timeouts_of(model, settings))

    async def complete(self, outgoing: Outgoing) -> JsonObject:
        """Check the permit, send, and return the whole answer. Raises `Denied` and writes nothing without a permit."""
        self._check(outgoing)
        return await self._wire.complete(outgoing)

    async def open_stream(self, outgoing: Outgoing) -> ChatStream:
        """Check the permit, send, and return the stream, its first chunk already there."""
        self._check(outgoing)
        return await self._wire.open_stream(outgoing)

    async def self_test(self) -> None:
        """Return if the model could be called: its key is there. Nothing is sent, for that would need a permit."""
        require_key(self.model)

    async def close(self) -> None:
        """Close every connection. Idempotent."""
        await self._wire.close()

    def _check(self, outgoing: Outgoing) -> None:
        require_key(self.model)
        require_permit(self.model, outgoing)


def timeouts_of(model: Model, settings: Settings) -> Timeouts:
    """The deadlines for a model outside."""
    return Timeouts(
        connect=settings.connect_timeout_s,
        first_chunk=model.first_token_seconds or settings.first_chunk_timeout_s,
        between_chunks=settings.idle_chunk_timeout_s,
        total=model.timeout_seconds,
    )


def require_key(model: Model) -> str | None:
    """The model's key, read now; None if the policy names none. Raises `UpstreamError` for one that is missing."""
    if not model.api_key_env and not model.api_key_file:
        return None
    key = secret(model.api_key_env or "", model.api_key_file)
    if key is None or not (key.isascii() and key.isprintable()):
        named = model.api_key_env or "its key file"
        raise UpstreamError(
            f"Model `{model.name}` has no usable key: set {named} and retry.", unsent=True, curable=False
        )
    return key


def _endpoint(
    model: Model, settings: Settings, networks: tuple[str, ...], resolver: AbstractResolver | None
) -> Endpoint:
    limit = settings.max_concurrent
    sockets = Sockets()

    def connect() -> aiohttp.BaseConnector:
        tls = context_for(model)
        if model.locality == "lan":
            refusal = "its address is not within the policy's networks.lan"
            return checked_connector(
                *(within(networks), refusal, limit, resolver, sockets.make),
                ssl=tls,
                keepalive_timeout=_KEEP_ALIVE_SECONDS,
            )
        return aiohttp.TCPConnector(
            limit=limit,
            ttl_dns_cache=30,
            resolver=resolver or aiohttp.ThreadedResolver(),
            ssl=tls,
            socket_factory=sockets.make,
            keepalive_timeout=_KEEP_ALIVE_SECONDS,
        )

    # A proxy would resolve the name of a lan model itself, unchecked: it is for the cloud alone.
    proxy = model.proxy if model.locality == "cloud" else None
    return Endpoint(chat_url(model.base_url or ""), connect, lambda: require_key(model), proxy, sockets.break_off)


def import_litellm() -> ModuleType:
    """litellm, imported with price list, telemetry, logs and callbacks switched off. Takes seconds the first time."""
    with _litellm_lock:
        set_for_library(_LITELLM_SWITCHES)
        import litellm

        for name in ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy"):
            logging.getLogger(name).disabled = True  # its errors quote requests
        litellm.telemetry = False
        litellm.suppress_debug_info = True
        litellm.turn_off_message_logging = True
        for callbacks in ("callbacks", "input_callback", "success_callback", "failure_callback", "service_callback"):
            setattr(litellm, callbacks, [])
        return cast(ModuleType, litellm)


async def load_litellm(model: Model) -> ModuleType:
    """`import_litellm` beside the event loop. Raises `UpstreamError` when it is not installed."""
    try:
        return await asyncio.to_thread(import_litellm)
    except ImportError:
        raise failures.unreachable(model, "litellm is not installed", curable=False) from None
