"""The OpenAI chat-completions wire over aiohttp: the bytes given to it go out under a fixed list of headers.

It follows no redirect, keeps no cookie, reads no proxy variable, and raises only the errors of `router.errors`.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from policies.types import Model
from router import __version__
from router.backends import failures, reading
from router.backends.direct import Answer, DirectPost
from router.backends.stream import ChatStream
from router.cutoff import Cutoff
from router.types import JsonObject, Outgoing, Task

_GRACE = 0.25  # seconds for the end of the body to follow `[DONE]`
_MAX_ERROR_BYTES = 64 * 1024
_IN_PIECES_FROM = 256 * 1024  # bytes; a larger body is written as fast as it is taken, so that it can be cut off
_USER_AGENT = f"gatehouse/{__version__}"
_SSE, _JSON = "text/event-stream", "application/json"

Response = Answer | aiohttp.ClientResponse


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
    break_off: Callable[[], None] = lambda: None  # ends every connection with what waits in its buffers


def _embeddings_url(url: str) -> str:
    """The embeddings address beside a chat-completions one."""
    path, mark, query = url.partition("?")
    return f"{path.removesuffix('/chat/completions')}/embeddings{mark}{query}"


def chat_url(base_url: str) -> str:
    """The chat-completions address below a base URL; a query (as Azure's `api-version`) stays."""
    path, mark, query = base_url.partition("?")
    return f"{path.rstrip('/')}/chat/completions{mark}{query}"


class ChatWire:
    """One model's upstream. Connections are kept and reused; `close` ends them all."""

    def __init__(self, model: Model, endpoint: Endpoint, timeouts: Timeouts) -> None:
        self._model = model
        self._endpoint = endpoint
        self._urls: dict[Task, URL] = {"chat": URL(endpoint.url), "embeddings": URL(_embeddings_url(endpoint.url))}
        self._timeouts = timeouts
        self._client_timeout = aiohttp.ClientTimeout(
            total=None, connect=timeouts.connect, sock_connect=timeouts.connect
        )
        self._session: aiohttp.ClientSession | None = None
        self._posts: dict[Task, DirectPost] = {}  # over the session's connections
        self._ending: set[Response] = set()  # answers that are whole, their connections not yet free

    async def complete(self, outgoing: Outgoing) -> JsonObject:
        """Send and return the whole `chat.completion` object, or the list of embeddings."""
        try:
            with Cutoff(self._timeouts.total):
                response = await self._post(outgoing, _JSON)
                try:
                    await self._expect_success(response)
                    body = await self._read_all(response)
                except BaseException:
                    response.close()
                    raise
        except (aiohttp.ClientError, OSError) as error:
            raise reading.translate(self._model, error, "no answer within its time limit") from None
        read = reading.embeddings if outgoing.task == "embeddings" else reading.completion
        return read(self._model, body)

    async def open_stream(self, outgoing: Outgoing) -> ChatStream:
        """Send, wait for the first chunk, and return the iterator that starts with it."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeouts.total
        first = min(deadline, loop.time() + self._timeouts.first_chunk)
        try:
            async with asyncio.timeout_at(first):
                response = await self._post(outgoing, _SSE)
                try:
                    await self._expect_success(response)
                    if response.content_type == _JSON:
                        raise reading.not_a_stream(self._model, await self._read_all(response))
                except BaseException:
                    response.close()
                    raise
        except (aiohttp.ClientError, OSError) as error:
            raise reading.translate(self._model, error, "no first chunk within its time limit") from None
        stream = ChatStream(self._model, response, deadline, self._timeouts.between_chunks, self._end)
        await stream.wait_for_first(first)
        return stream

    async def get(self, url: str) -> tuple[int, bytes]:
        """Status and body of a question without content, over the same checked connections and bounds.

        Redirects are refused; the caller sets the time limit. Raises what `complete` raises.
        """
        try:
            async with self._session_now().get(
                URL(url), headers=self._headers(_JSON), allow_redirects=False, timeout=self._client_timeout
            ) as response:
                if 300 <= response.status < 400:
                    raise failures.from_status(self._model, response.status, response.headers, b"")
                return response.status, await self._read_all(response)
        except (aiohttp.ClientError, OSError) as error:
            raise reading.translate(self._model, error, "no answer within its time limit") from None

    async def close(self) -> None:
        """Close every connection. Idempotent."""
        session, self._session, self._posts = self._session, None, {}
        for response in tuple(self._ending):
            self._drop(response)
        self._endpoint.break_off()
        if session is not None:
            await session.close()

    def _end(self, response: Response) -> None:
        """Keep the connection of a whole answer if the body's end follows at once, else close it."""
        if not response.content.is_eof():
            self._ending.add(response)
            asyncio.get_running_loop().call_later(_GRACE, self._drop, response)

    def _drop(self, response: Response) -> None:
        self._ending.discard(response)
        response.close()

    async def _post(self, outgoing: Outgoing, accept: str) -> Response:
        session = self._session_now()
        if len(outgoing.body) < _IN_PIECES_FROM and self._endpoint.proxy is None:
            return await self._direct(session, outgoing.task).ask(outgoing.body, accept, self._endpoint.key())
        return await session.post(
            self._urls[outgoing.task],
            data=io.BytesIO(outgoing.body),
            headers=self._headers(accept, ("content-type", _JSON)),
            allow_redirects=False,
            proxy=self._endpoint.proxy,
            timeout=self._client_timeout,
        )

    def _direct(self, session: aiohttp.ClientSession, task: Task) -> DirectPost:
        post = self._posts.get(task)
        if post is None:
            assert session.connector is not None
            headers = {"content-type": _JSON, "accept-encoding": "identity", "user-agent": _USER_AGENT}
            post = DirectPost(session.connector, self._urls[task], headers, self._client_timeout)
            self._posts[task] = post
        return post

    def _headers(self, accept: str, *first: tuple[str, str]) -> CIMultiDict[str]:
        headers = CIMultiDict(
            [*first, ("accept", accept), ("accept-encoding", "identity"), ("user-agent", _USER_AGENT)]
        )
        key = self._endpoint.key()
        if key:
            headers["authorization"] = f"Bearer {key}"
        return headers

    def _session_now(self) -> aiohttp.ClientSession:
        if self._session is not None:
            return self._session
        try:
            connector = self._endpoint.connector()
        except OSError:  # ssl.SSLError is one
            why = "a certificate file that the policy names cannot be read"
            raise failures.unreachable(self._model, why, curable=False) from None
        self._session = aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False, timeout=self._client_timeout
        )
        return self._session

    async def _expect_success(self, response: Response) -> None:
        if response.status == 200:
            return
        body = b""
        if response.status >= 400:
            with contextlib.suppress(aiohttp.ClientError, OSError):  # the status says enough
                async with asyncio.timeout(self._timeouts.connect):
                    body = await response.content.read(_MAX_ERROR_BYTES)
        raise failures.from_status(self._model, response.status, response.headers, body)

    async def _read_all(self, response: Response) -> bytes:
        content = response.content
        body = await content.readany()
        while not content.at_eof():
            parts, size = [body], len(body)
            while part := await content.readany():
                parts.append(part)
                size += len(part)
                if size > reading.MAX_REPLY_BYTES:
                    raise reading.too_large(self._model)
            body = b"".join(parts)
        return body
