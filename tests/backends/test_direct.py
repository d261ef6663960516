"""A POST over a kept connection, against a server that says exactly what a test wants it to say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from yarl import URL

from router.backends.direct import DirectPost, NotHttp

OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: 2\r\n\r\n{}"
HEADERS = {"content-type": "application/json", "user-agent": "test"}


class Upstream:
    """Answers each request with the next of `answers`; keeps what came in and how many connections there were."""

    def __init__(self, answers: list[bytes]) -> None:
        self.answers = answers
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                size = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
                self.heads.append(head)
                self.bodies.append(await reader.readexactly(int(size.partition(b":")[2])))
                writer.write(self.answers.pop(0))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


@asynccontextmanager
async def posting_to(*answers: bytes) -> AsyncIterator[tuple[DirectPost, Upstream]]:
    upstream = Upstream(list(answers))
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    connector = aiohttp.TCPConnector()
    timeout = aiohttp.ClientTimeout(total=None, connect=5, sock_connect=5)
    try:
        yield DirectPost(connector, URL(f"http://127.0.0.1:{port}/v1/chat?a=b"), HEADERS, timeout), upstream
    finally:
        await connector.close()
        server.close()


def test_the_bytes_go_out_under_the_fixed_head_and_the_connection_is_kept():
    async def ask() -> None:
        async with posting_to(OK, OK) as (post, upstream):
            for body in (b'{"a": 1}', b'{"b": 2}'):
                answer = await post.ask(body, "application/json", "sk-1")
                assert (answer.status, answer.content_type) == (200, "application/json")
                assert await answer.content.read() == b"{}"
            assert upstream.bodies == [b'{"a": 1}', b'{"b": 2}']
            assert upstream.connections == 1
            first, *lines = upstream.heads[0].decode().split("\r\n")
            assert first == "POST /v1/chat?a=b HTTP/1.1"
            named = {line.partition(":")[0].lower(): line.partition(":")[2].strip() for line in lines if line}
            assert named.pop("host").startswith("127.0.0.1:")
            assert named == {
                **HEADERS,
                "accept": "application/json",
                "authorization": "Bearer sk-1",
                "content-length": "8",
            }

    asyncio.run(ask())


def test_an_interim_answer_is_passed_over():
    async def ask() -> None:
        async with posting_to(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + OK) as (post, _):
            assert (await post.ask(b"{}", "application/json", None)).status == 200

    asyncio.run(ask())


def test_what_is_no_http_is_told_apart_and_its_connection_is_not_used_again():
    async def ask() -> None:
        async with posting_to(b"hello there\r\n\r\n", OK) as (post, upstream):
            with pytest.raises(NotHttp):
                await post.ask(b"{}", "application/json", None)
            assert (await post.ask(b"{}", "application/json", None)).status == 200
            assert upstream.connections == 2

    asyncio.run(ask())


def test_closing_an_answer_wakes_who_reads_from_it_and_closes_the_connection():
    half = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 100\r\n\r\ndata: "

    async def ask() -> None:
        async with posting_to(half, OK) as (post, upstream):
            answer = await post.ask(b"{}", "text/event-stream", None)
            assert await answer.content.readany() == b"data: "
            reading = asyncio.ensure_future(answer.content.readany())
            await asyncio.sleep(0)
            answer.close()
            answer.close()
            with pytest.raises(aiohttp.ClientError):
                await asyncio.wait_for(reading, 5)
            assert (await post.ask(b"{}", "application/json", None)).status == 200
            assert upstream.connections == 2

    asyncio.run(ask())


def test_an_answer_that_says_close_frees_no_connection():
    last = OK.replace(b"content-length", b"connection: close\r\ncontent-length")

    async def ask() -> None:
        async with posting_to(last, OK) as (post, upstream):
            for _ in range(2):
                answer = await post.ask(b"{}", "application/json", None)
                assert await answer.content.read() == b"{}"
            assert upstream.connections == 2

    asyncio.run(ask())


def test_a_call_that_is_given_up_leaves_no_connection_behind():
    async def ask() -> None:
        async with posting_to(b"", OK) as (post, upstream):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await post.ask(b"{}", "application/json", None)
            assert (await post.ask(b"{}", "application/json", None)).status == 200
            assert upstream.connections == 2

    asyncio.run(ask())
