"""The OpenAI chat-completions wire over aiohttp: the bytes given to it go out under a fixed list of headers.

It follows no redirect, keeps no cookie, reads no proxy variable, and raises only the errors of `router.errors`.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson
from multidict import CIMultiDict
from yarl import URL

from policies.types import Model
from router import __version__
from router.backends import failures
from router.backends.places import WrongPlaceError
from router.backends.sse import EventReader
from router.errors import GatehouseError
from router.types import JsonObject, Outgoing

MAX_REPLY_BYTES = 32 * 1024 * 1024
_MAX_ERROR_BYTES = 64 * 1024
_USER_AGENT = f"gatehouse/{__version__}"
_SSE, _JSON = "text/event-stream", "application/json"
_NOT_CONNECTED = (
    aiohttp.ClientConnectorError,
    aiohttp.ClientSSLError,
    aiohttp.ClientHttpProxyError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """In seconds. `total` bounds a whole answer, streamed or not; a stream also has the other two."""

    connect: float
    first_chunk: float
    between_chunks: float
    total: float


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a model's wire ends. The connector is made at the first request, inside the running loop."""

    url: str
    connector: Callable[[], aiohttp.BaseConnector]  # may raise OSError (certificates that cannot be read)
    key: Callable[[], str | None] = lambda: None  # read at every request
    proxy: str | None = None


def chat_url(base_url: str) -> str:
    """The chat-completions address below a base URL; a query (as Azure's `api-version`) stays."""
    path, mark, query = base_url.partition("?")
    return f"{path.rstrip('/')}/chat/completions{mark}{query}"


class ChatWire:
    """One model's upstream. Connections are kept and reused; `close` ends them all."""

    def __init__(self, model: Model, endpoint: Endpoint, timeouts: Timeouts) -> None:
        self._model = model
        self._endpoint = endpoint
        self._url = URL(endpoint.url)
        self._timeouts = timeouts
        self._client_timeout = aiohttp.ClientTimeout(
            total=None, connect=timeouts.connect, sock_connect=timeouts.connect
        )
        self._session: aiohttp.ClientSession | None = None

    async def complete(self, outgoing: Outgoing) -> JsonObject:
        """Send and return the whole `chat.completion` object."""
        try:
            async with asyncio.timeout(self._timeouts.total):
                response = await self._post(outgoing.body, _JSON)
                try:
                    await self._expect_success(response)
                    body = await self._read_all(response, MAX_REPLY_BYTES)
                except BaseException:
                    response.close()
                    raise
        except (aiohttp.ClientError, OSError) as error:
            raise self._translate(error, "no answer within its time limit") from None
        return self._completion(body)

    async def open_stream(self, outgoing: Outgoing) -> ChatStream:
        """Send, wait for the first chunk, and return the iterator that starts with it."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeouts.total
        first = min(deadline, loop.time() + self._timeouts.first_chunk)
        try:
            async with asyncio.timeout_at(first):
                response = await self._post(outgoing.body, _SSE)
                try:
                    await self._expect_success(response)
                    if response.content_type == _JSON:
                        raise self._not_a_stream(await self._read_all(response, MAX_REPLY_BYTES))
                except BaseException:
                    response.close()
                    raise
        except (aiohttp.ClientError, OSError) as error:
            raise self._translate(error, "no first chunk within its time limit") from None
        stream = ChatStream(self, response, deadline, self._timeouts.between_chunks)
        await stream.wait_for_first(first)
        return stream

    async def close(self) -> None:
        """Close every connection. Idempotent."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _post(self, body: bytes, accept: str) -> aiohttp.ClientResponse:
        session = self._session or self._open_session()
        headers = CIMultiDict(
            {"content-type": _JSON, "accept": accept, "accept-encoding": "identity", "user-agent": _USER_AGENT}
        )
        key = self._endpoint.key()
        if key:
            headers["authorization"] = f"Bearer {key}"
        return await session.post(
            self._url,
            data=body,
            headers=headers,
            allow_redirects=False,
            proxy=self._endpoint.proxy,
            timeout=self._client_timeout,
        )

    def _open_session(self) -> aiohttp.ClientSession:
        try:
            connector = self._endpoint.connector()
        except OSError:  # ssl.SSLError is one
            why = "a certificate file that the policy names cannot be read"
            raise failures.unreachable(self._model, why) from None
        self._session = aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False, timeout=self._client_timeout
        )
        return self._session

    async def _expect_success(self, response: aiohttp.ClientResponse) -> None:
        if response.status == 200:
            return
        body = b""
        if response.status >= 400:
            with contextlib.suppress(aiohttp.ClientError, OSError):  # the status says enough
                async with asyncio.timeout(self._timeouts.connect):
                    body = await response.content.read(_MAX_ERROR_BYTES)
        raise failures.from_status(self._model, response.status, response.headers, body)

    async def _read_all(self, response: aiohttp.ClientResponse, limit: int) -> bytes:
        content = response.content
        body = await content.readany()
        while not content.at_eof():
            parts, size = [body], len(body)
            while part := await content.readany():
                parts.append(part)
                size += len(part)
                if size > limit:
                    raise failures.malformed(self._model, f"more than {limit >> 20} MB")
            body = b"".join(parts)
        return body

    def _completion(self, body: bytes) -> JsonObject:
        value = self.parse(body)
        choices = value["choices"]
        if not choices or not all(
            isinstance(choice, dict) and isinstance(choice.get("message"), dict) for choice in choices
        ):
            raise failures.malformed(self._model, "no choice that holds a message")
        return value

    def _not_a_stream(self, body: bytes) -> GatehouseError:
        try:
            self.parse(body)
        except GatehouseError as error:
            return error
        return failures.malformed(self._model, "one object where a stream was asked for")

    def parse(self, data: bytes) -> JsonObject:
        """One object with `choices`. Raises `UpstreamError` for anything else, and what an error object stands for."""
        try:
            value: Any = orjson.loads(data)
        except orjson.JSONDecodeError:
            raise failures.malformed(self._model, "broken JSON") from None
        if isinstance(value, dict):
            if value.get("error"):
                error = value["error"] if isinstance(value["error"], dict) else {}
                raise failures.from_error(self._model, _status_of(error), error)
            if isinstance(value.get("choices"), list):
                return value
        raise failures.malformed(self._model, "JSON that is no chat completion")

    def _translate(self, error: Exception, late: str) -> GatehouseError:
        if isinstance(error, _NOT_CONNECTED):
            return failures.unreachable(self._model, _why(error))
        if isinstance(error, TimeoutError):
            return failures.too_late(self._model, late)
        if isinstance(error, aiohttp.ClientResponseError):
            return failures.malformed(self._model, "something that is no HTTP")
        return failures.broken_off(self._model)


def _why(error: Exception) -> str:
    cause = getattr(error, "os_error", None)
    if isinstance(cause, WrongPlaceError):
        return str(cause)
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return "no connection within the time limit"
    if isinstance(error, ssl.SSLError | aiohttp.ClientSSLError):
        return "its certificate or TLS cannot be trusted"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name does not resolve"
    return "it does not answer at its address"


def _status_of(error: JsonObject) -> int:
    """The status that an error object inside a 200 stands for, where it says so."""
    for name in ("status", "code"):
        value = error.get(name)
        if type(value) is int and 400 <= value < 600:
            return value
    return 400 if error.get("code") == "context_length_exceeded" else 500


class ChatStream:
    """The chunks of one streamed answer. Whoever stops early must `aclose` it, which closes the connection at once."""

    def __init__(
        self, wire: ChatWire, response: aiohttp.ClientResponse, deadline: float, between_chunks: float
    ) -> None:
        self._wire = wire
        self._response = response
        self._content = response.content
        self._deadline = deadline
        self._between = between_chunks
        self._events = EventReader()
        self._size = 0
        self._ready: deque[JsonObject] = deque()
        self._failure: GatehouseError | None = None
        self._is_done = False  # nothing more is to be read
        self._is_whole = False  # `[DONE]` came

    def __aiter__(self) -> ChatStream:
        return self

    async def __anext__(self) -> JsonObject:
        while not self._ready:
            if self._failure is not None:
                await self.aclose()
                raise self._failure
            if self._is_done:
                raise StopAsyncIteration
            await self._fill(min(self._deadline, asyncio.get_running_loop().time() + self._between), "stalled")
        return self._ready.popleft()

    async def wait_for_first(self, until: float) -> None:
        """Return when the first chunk is there. Raises what reading raises, and for an end before any chunk."""
        while not self._ready:
            if self._failure is None and self._is_done:
                self._failure = failures.malformed(self._wire._model, "a stream without a chunk")
            if self._failure is not None:
                await self.aclose()
                raise self._failure
            await self._fill(until, "no first chunk within its time limit")

    async def aclose(self) -> None:
        """Close the connection now, unless the answer is whole. Idempotent."""
        self._is_done = True
        if not self._is_whole:
            self._response.close()

    async def _fill(self, until: float, late: str) -> None:
        try:
            async with asyncio.timeout_at(until):
                data = await self._content.readany()
        except (aiohttp.ClientError, OSError) as error:
            self._response.close()
            self._failure = self._wire._translate(error, late)
            return
        except BaseException:
            self._response.close()
            self._is_done = True
            raise
        try:
            self._take(data)
        except GatehouseError as failure:
            self._failure = failure

    def _take(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > MAX_REPLY_BYTES:
            raise failures.malformed(self._wire._model, f"more than {MAX_REPLY_BYTES >> 20} MB")
        for event in self._events.feed(data) if data else self._events.finish():
            if event == b"[DONE]":
                self._finish()
                return
            self._ready.append(self._wire.parse(event))
        if not data:
            raise failures.broken_off(self._wire._model)

    def _finish(self) -> None:
        """After `[DONE]` the connection is kept if the body's end follows at once, else closed."""
        self._is_done = self._is_whole = True
        if not self._content.is_eof():
            asyncio.get_running_loop().call_later(0.25, self._response.close)
