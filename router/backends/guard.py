"""The transport that a translator is given: it writes to one address, and only strings of the request or listed words.

It holds the connection, so that closing it ends the call whatever the translator does.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import orjson

from router import __version__
from router.backends.reading import MAX_REPLY_BYTES
from router.backends.translator_words import HEADERS, Provider
from router.errors import UpstreamError
from router.types import JsonObject


class GuardedTransport(httpx.AsyncBaseTransport):
    """One call's way out. What it refuses stands in `refusal`; `status`, `tried`, `sent`, `connected`: how far it came.

    `sent`: the other side may have read the request. `is_distrusted`: its certificate was not to be trusted.
    """

    def __init__(
        self, pool: httpx.AsyncBaseTransport, base_url: str, provider: Provider, arguments: JsonObject
    ) -> None:
        self._pool = pool
        self._base = httpx.URL(base_url)
        self._provider = provider
        self._texts = _texts_of(arguments)
        self._streams: list[_WatchedStream] = []
        self._requests = 0
        self.refusal: UpstreamError | None = None
        self.status: int | None = None
        self.retry_after: str | None = None
        self.timed_out = False
        self.sent = False
        self.is_distrusted = False

    @property
    def tried(self) -> bool:
        """Whether the translator asked for a request at all."""
        return self._requests > 0

    @property
    def connected(self) -> bool:
        """Whether an answer began."""
        return self.status is not None

    @property
    def saw_end(self) -> bool:
        """Whether the provider's own end of a stream was seen."""
        return any(stream.saw_end for stream in self._streams)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Check and forward one request; a second one of the same call is refused, as are all others that differ."""
        self._requests += 1
        why = self._objection(request, await request.aread())
        if why is not None:
            self.refusal = UpstreamError(f"The translator tried to send {why}; nothing was sent.")
            raise httpx.ReadError("refused", request=request)
        for name in [name for name in request.headers if name not in HEADERS]:
            del request.headers[name]
        request.headers["user-agent"] = f"gatehouse/{__version__}"
        request.headers["accept-encoding"] = "identity"
        try:
            response = await self._pool.handle_async_request(request)
        except httpx.TimeoutException as error:
            self.timed_out = True
            self.sent = not isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout)
            raise
        except httpx.TransportError as error:
            self.sent = not isinstance(error, httpx.ConnectError | httpx.ProxyError)
            self.is_distrusted = any(isinstance(cause, ssl.SSLError) for cause in _causes(error))
            raise httpx.ReadError("no answer", request=request) from None  # of a kind that litellm does not retry
        except asyncio.CancelledError:
            self.sent = True  # nobody knows
            raise
        self.sent = True
        self.status = response.status_code
        self.retry_after = response.headers.get("retry-after")
        watched = _WatchedStream(response.stream, self._provider.end_of_stream)
        self._streams.append(watched)
        return httpx.Response(
            response.status_code, headers=response.headers, stream=watched, extensions=response.extensions
        )

    async def aclose(self) -> None:
        """End this call's connection; those at rest in the pool stay."""
        for stream in self._streams:
            await stream.aclose()

    def _objection(self, request: httpx.Request, body: bytes) -> str | None:
        url, base = request.url, self._base
        if self._requests > 1:
            return "a second request"
        if (url.scheme, url.host, url.port) != (base.scheme, base.host, base.port) or url.userinfo:
            return "a request to another address than the policy's"
        tail = url.path.removeprefix(base.path.rstrip("/"))
        if any(not self._is_known(part) for part in tail.replace(":", "/").split("/") if part not in _PATH_WORDS):
            return "a path of its own"
        if url.query not in (b"", b"alt=sse"):
            return "a query of its own"
        try:
            written: Any = orjson.loads(body)
        except orjson.JSONDecodeError:
            return "something that is no JSON"
        if not all(self._is_known(text) for text in _strings(written)):
            return "text that is not in the request"
        return None

    def _is_known(self, text: str) -> bool:
        if text in self._provider.words or text in self._texts:
            return True
        return any(text in known for known in self._texts)  # a part of what was scanned


_PATH_WORDS = frozenset({"", "v1", "v1beta", "messages", "models", "chat", "completions"}) | frozenset(
    {"generateContent", "streamGenerateContent"}
)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it came of."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _strings(value: object) -> Iterator[str]:
    """Every string at any depth, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _strings(item)


def _texts_of(arguments: JsonObject) -> frozenset[str]:
    """The strings of the arguments, and of JSON inside them (tool-call arguments become objects on some wires)."""
    texts: set[str] = set()
    pending = list(_strings(arguments))
    while pending:
        text = pending.pop()
        if text not in texts:
            texts.add(text)
            if text[:1] in ("{", "["):
                try:
                    pending += _strings(orjson.loads(text))
                except orjson.JSONDecodeError:
                    continue
    return frozenset(texts)


class _WatchedStream(httpx.AsyncByteStream):
    """A response's bytes, counted, with an eye on the mark that ends the provider's streams."""

    def __init__(self, inner: Any, mark: bytes) -> None:
        self._inner = inner
        self._mark = mark
        self._tail = b""
        self._size = 0
        self.saw_end = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for data in self._inner:
            self._size += len(data)
            if self._size > MAX_REPLY_BYTES:
                raise httpx.ReadError("the answer is too large")
            seen = self._tail + data
            self.saw_end = self.saw_end or self._mark in seen
            self._tail = seen[-len(self._mark) :]
            yield data

    async def aclose(self) -> None:
        await self._inner.aclose()
