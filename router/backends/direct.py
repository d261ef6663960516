"""A POST over one of a connector's connections: aiohttp's pool and its parser, without what its session does between.

A session makes a request object, a writer, a task for the body and a response of each call, and asks cookies, proxies,
redirects and authentication that no call of ours has. That costs more than sending and reading do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

_BUFFER_BYTES = 64 * 1024
_INFORMATIONAL = range(100, 200)
_SWITCHING = 101


class NotHttp(aiohttp.ClientError):
    """What came back is no HTTP."""


class Answer:
    """An answer whose head is there. Once its body is read to the end its connection is free; else `close` it."""

    __slots__ = ("_connection", "content", "headers", "status")

    def __init__(
        self,
        connection: aiohttp.connector.Connection,
        status: int,
        headers: Mapping[str, str],
        content: aiohttp.StreamReader,
    ) -> None:
        self._connection = connection
        self.status = status
        self.headers = headers
        self.content = content
        content.on_eof(connection.release)

    @property
    def content_type(self) -> str:
        """The media type alone."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def close(self) -> None:
        """Close its connection unless it is free already; who reads from it gets an error. Idempotent."""
        if not self.content.is_eof() and self.content.exception() is None:
            self.content.set_exception(aiohttp.ClientConnectionError("Connection closed"))
        self._connection.close()


class DirectPost:
    """POSTs to one URL, under the same head each time but for `accept` and the key. For the running event loop."""

    def __init__(
        self, connector: aiohttp.BaseConnector, url: URL, headers: Mapping[str, str], timeout: aiohttp.ClientTimeout
    ) -> None:
        self._connector = connector
        self._timeout = timeout
        # Never sent: it is what a connector knows a place by.
        self._place = aiohttp.ClientRequest("POST", url, headers=headers, loop=asyncio.get_running_loop())
        lines = [f"POST {url.raw_path_qs} HTTP/1.1", f"Host: {self._place.headers['Host']}"]
        self._head = "\r\n".join([*lines, *(f"{name}: {value}" for name, value in headers.items()), ""]).encode("ascii")

    async def ask(self, body: bytes, accept: str, key: str | None) -> Answer:
        """Send, and wait for the head of the answer. Raises what aiohttp raises, and `NotHttp`.

        A connection that cannot be had in time raises `aiohttp.ConnectionTimeoutError`.
        """
        try:
            connection = await self._connector.connect(self._place, traces=[], timeout=self._timeout)
        except TimeoutError:
            raise aiohttp.ConnectionTimeoutError("no connection in time") from None
        try:
            protocol = connection.protocol
            if protocol is None or protocol.transport is None:
                raise aiohttp.ServerDisconnectedError
            protocol.set_response_params(read_until_eof=True, read_bufsize=_BUFFER_BYTES)
            authorization = b"authorization: Bearer %b\r\n" % key.encode("ascii") if key else b""
            protocol.transport.write(
                b"%baccept: %b\r\n%bcontent-length: %d\r\n\r\n%b"
                % (self._head, accept.encode("ascii"), authorization, len(body), body)
            )
            while True:
                message, content = await protocol.read()
                if message.code not in _INFORMATIONAL or message.code == _SWITCHING:
                    return Answer(connection, message.code, message.headers, content)
        except HttpProcessingError:
            connection.close()
            raise NotHttp from None
        except BaseException:
            connection.close()
            raise
