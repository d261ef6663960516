"""Providers that do not speak OpenAI's format, through litellm's translation. Needs a permit, as every exit does.

The permit covers the canonical keyword arguments; what litellm makes of them is checked again before it is written.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import httpx
import openai
import orjson

from policies.types import Model
from router.backends import failures
from router.backends.cloud import load_litellm, require_key, timeouts_of
from router.backends.guard import GuardedTransport
from router.backends.permits import require_permit
from router.backends.tls import context_for
from router.backends.translator_words import PROVIDERS
from router.errors import GatehouseError, InvalidRequest, UpstreamError
from router.fields import LITELLM_ARGUMENTS
from router.settings import Settings
from router.types import JsonObject, Outgoing

# What a translator raises when an answer is not what it expects; its messages may quote content and are never read.
_FOREIGN = (
    openai.OpenAIError,
    httpx.HTTPError,
    OSError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    RuntimeError,
)
_DELTA_FIELDS = ("role", "content", "refusal", "tool_calls", "reasoning_content")


def provider_of(model: Model) -> str:
    """The provider before the slash. Raises `UpstreamError` for one that is not proven."""
    name = model.model.partition("/")[0]
    if name not in PROVIDERS or "/" not in model.model:
        proven = ", ".join(f"{known}/…" for known in PROVIDERS)
        raise UpstreamError(
            f"Model `{model.name}`: `backend: litellm` serves {proven}. "
            "For an OpenAI-compatible server use `backend: openai`; others are not available yet."
        )
    return name


class LitellmBackend:
    """One model of a provider behind litellm. Connections are kept and reused; `close` ends them."""

    def __init__(self, model: Model, settings: Settings) -> None:
        if model.locality != "cloud":
            raise ValueError(f"model `{model.name}`: litellm serves cloud models only")
        self.model = model
        self._timeouts = timeouts_of(model, settings)
        self._limits = httpx.Limits(max_connections=settings.max_concurrent, keepalive_expiry=30.0)
        self._pool: httpx.AsyncHTTPTransport | None = None

    async def complete(self, outgoing: Outgoing) -> JsonObject:
        """Check the permit, translate, check what was translated, send, and return the whole answer."""
        arguments = self._arguments(outgoing)
        litellm = await load_litellm(self.model)
        guard = self._guard(arguments)
        try:
            async with asyncio.timeout(self._timeouts.total):
                answer = await self._call(litellm, guard, arguments)
            return _completion(answer)
        except _FOREIGN as error:
            raise self._translate(guard, litellm, error) from None
        finally:
            await guard.aclose()

    async def open_stream(self, outgoing: Outgoing) -> TranslatedStream:
        """The same for a stream, its first chunk already there."""
        arguments = self._arguments(outgoing)
        litellm = await load_litellm(self.model)
        guard = self._guard(arguments)
        deadline = asyncio.get_running_loop().time() + self._timeouts.total
        try:
            async with asyncio.timeout(min(self._timeouts.first_chunk, self._timeouts.total)):
                answer = await self._call(litellm, guard, arguments)
                first = await anext(answer)
        except StopAsyncIteration:
            await guard.aclose()
            raise failures.malformed(self.model, "a stream without a chunk") from None
        except _FOREIGN as error:
            await guard.aclose()
            raise self._translate(guard, litellm, error) from None
        except BaseException:
            await guard.aclose()
            raise
        return TranslatedStream(self, litellm, guard, answer, _chunk(first), deadline)

    async def self_test(self) -> None:
        """Return if the model could be called. Nothing is sent, for that would need a permit."""
        require_key(self.model)
        provider_of(self.model)

    async def close(self) -> None:
        """Close every connection. Idempotent."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.aclose()

    def _arguments(self, outgoing: Outgoing) -> JsonObject:
        provider_of(self.model)
        require_key(self.model)
        require_permit(self.model, outgoing)
        arguments: JsonObject = orjson.loads(outgoing.body)
        if not arguments.keys() <= LITELLM_ARGUMENTS:
            raise InvalidRequest(f"Model `{self.model.name}` does not take all fields of this request.")
        if _names_remote_media(arguments["messages"]):
            # litellm would fetch it, over a connection of its own.
            raise InvalidRequest("Images and files must be data URLs: addresses in a request are never fetched.")
        return arguments

    def _guard(self, arguments: JsonObject) -> GuardedTransport:
        try:
            pool = self._pool or self._open_pool()
        except OSError:
            why = "a certificate file that the policy names cannot be read"
            raise failures.unreachable(self.model, why, curable=False) from None
        provider = PROVIDERS[provider_of(self.model)]
        return GuardedTransport(pool, self._base_url(), provider, arguments)

    def _base_url(self) -> str:
        return (self.model.base_url or PROVIDERS[provider_of(self.model)].base_url).rstrip("/")

    def _open_pool(self) -> httpx.AsyncHTTPTransport:
        tls: ssl.SSLContext | bool = context_for(self.model)
        self._pool = httpx.AsyncHTTPTransport(
            verify=tls, trust_env=False, limits=self._limits, retries=0, proxy=self.model.proxy
        )
        return self._pool

    async def _call(self, litellm: Any, guard: GuardedTransport, arguments: JsonObject) -> Any:
        handler_module = litellm.llms.custom_httpx.http_handler
        return await litellm.acompletion(
            **arguments,
            api_base=self._base_url(),
            api_key=require_key(self.model) or "none",
            client=handler_module.AsyncHTTPHandler(transport=guard, follow_redirects=False),
            timeout=self._timeouts.total,
            max_retries=0,
            num_retries=0,
            drop_params=True,
            _skip_mcp_handler=True,  # else tools of type `mcp` would be called from here
        )

    def _translate(self, guard: GuardedTransport, litellm: Any, error: Exception) -> GatehouseError:
        if guard.refusal is not None:
            return guard.refusal
        if isinstance(error, GatehouseError):
            return error
        if isinstance(error, litellm.ContextWindowExceededError):
            return failures.from_error(self.model, 400, {"code": "context_length_exceeded"})
        if guard.status is not None and guard.status != 200:
            return failures.from_error(self.model, guard.status, {}, failures.retry_after(guard.retry_after))
        if isinstance(error, TimeoutError | httpx.TimeoutException | openai.APITimeoutError) or guard.timed_out:
            return failures.too_late(
                self.model, "no answer within its time limit", unsent=guard.tried and not guard.sent
            )
        if guard.sent and not guard.connected:
            return failures.broken_off(self.model)
        if not guard.connected:
            status = getattr(error, "status_code", None)
            if not guard.tried and isinstance(status, int) and 400 <= status < 500:
                return failures.from_error(self.model, 400, {})  # the translator itself refuses the request
            return failures.unreachable(self.model, curable=not guard.is_distrusted)
        return failures.malformed(self.model, "something that its translator cannot read")


class TranslatedStream:
    """The chunks of one streamed answer. Whoever stops early must `aclose` it, which closes the connection at once."""

    def __init__(
        self,
        backend: LitellmBackend,
        litellm: Any,
        guard: GuardedTransport,
        answer: Any,
        first: JsonObject,
        deadline: float,
    ) -> None:
        self._backend = backend
        self._litellm = litellm
        self._guard = guard
        self._answer = answer
        self._first: JsonObject | None = first
        self._deadline = deadline
        self._is_done = False

    def __aiter__(self) -> TranslatedStream:
        return self

    async def __anext__(self) -> JsonObject:
        if self._first is not None:
            first, self._first = self._first, None
            return first
        if self._is_done:
            raise StopAsyncIteration
        until = asyncio.get_running_loop().time() + self._backend._timeouts.between_chunks
        try:
            async with asyncio.timeout_at(min(self._deadline, until)):
                return _chunk(await anext(self._answer))
        except StopAsyncIteration:
            await self.aclose()
            if not self._guard.saw_end:
                raise failures.broken_off(self._backend.model) from None
            raise
        except _FOREIGN as error:
            await self.aclose()
            raise self._backend._translate(self._guard, self._litellm, error) from None
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """Close the connection now, unless the answer is whole. Idempotent."""
        self._is_done = True
        await self._guard.aclose()


def _names_remote_media(value: object) -> bool:
    """Whether any part of the messages names an address to fetch."""
    if isinstance(value, list):
        return any(_names_remote_media(item) for item in value)
    if not isinstance(value, dict):
        return False
    for kind in ("image_url", "input_audio", "file", "video_url", "document", "image"):
        part = value.get(kind)
        named = part if isinstance(part, dict) else {"url": part}
        for name in ("url", "file_id", "file_data", "data"):
            where = named.get(name)
            if isinstance(where, str) and name != "data" and not where.startswith("data:"):
                return True
    return any(_names_remote_media(item) for item in value.values())


def _dump(answer: Any) -> JsonObject:
    dumped: JsonObject = answer.model_dump(mode="json", exclude_none=True)
    kept: JsonObject = {name: dumped[name] for name in ("id", "object", "created", "model") if name in dumped}
    usage = dumped.get("usage")
    if isinstance(usage, dict):
        names = ("prompt_tokens", "completion_tokens", "total_tokens")
        kept["usage"] = {name: usage[name] for name in names if name in usage}
    kept["choices"] = dumped.get("choices") or []
    return kept


def _choices(choices: list[JsonObject], part: str) -> list[JsonObject]:
    return [
        {
            "index": choice.get("index", 0),
            part: {name: choice[part][name] for name in _DELTA_FIELDS if name in choice.get(part, {})},
            "logprobs": choice.get("logprobs"),
            "finish_reason": choice.get("finish_reason"),
        }
        for choice in choices
    ]


def _completion(answer: Any) -> JsonObject:
    kept = _dump(answer)
    kept["choices"] = _choices(kept["choices"], "message")
    for choice in kept["choices"]:
        choice["message"].setdefault("content", None)
    return kept


def _chunk(answer: Any) -> JsonObject:
    kept = _dump(answer)
    kept["choices"] = (
        []
        if "usage" in kept and not any(choice.get("delta") or choice.get("finish_reason") for choice in kept["choices"])
        else _choices(kept["choices"], "delta")
    )
    return kept
