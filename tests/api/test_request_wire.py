"""A whole answer leaves as one piece, and is to the byte what uvicorn would have written; what is odd goes its way."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter

import pytest
import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.server import ServerState

from router.api.admission import Admission, full, stopping
from router.api.connection import Connection, Door
from router.api.http import respond
from router.api.request_wire import answering_whole
from router.api.turned_away import Refusals
from router.telemetry.metrics import MetricStore
from router.telemetry.telemetry import Telemetry

KEPT = b"GET /%b HTTP/1.1\r\nhost: h\r\n\r\n"
LAST = b"GET /%b HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n"
OLD = b"GET /%b HTTP/1.0\r\n\r\n"
HEAD = b"HEAD /%b HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n"


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers by its path."""
    start: Message = {"type": "http.response.start", "status": 200, "headers": [(b"x-kind", b"odd")]}
    path = scope["path"]
    if path == "/plain":
        await respond(send, 200, [(b"x-gatehouse-route", b"local")], b'{"ok": true}')
    elif path == "/empty":
        await respond(send, 404, [], b"")
    elif path == "/stream":
        await send(start)
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        await send({"type": "http.response.body", "body": b"two"})
    elif path == "/pieces":
        await respond(send, 200, [], b"12", more=True)
        await send({"type": "http.response.body", "body": b""})
    elif path == "/closing":
        await respond(send, 408, [(b"connection", b"close")], b"late")
    elif path == "/twice":
        await respond(send, 200, [(b"set-cookie", b"a"), (b"set-cookie", b"b")], b"ok")
    elif path == "/broken":
        await respond(send, 200, [(b"x-kind", b"a\r\nx-more: b")], b"ok")
    elif path == "/long":
        start["headers"].append((b"content-length", b"1"))
        await send(start)
        await send({"type": "http.response.body", "body": b"longer"})
    elif path == "/dead":
        await send({**start, "headers": [(b"content-length", b"1")]})
        raise RuntimeError("between head and body")


class Served:
    """An application behind one of our connections, and what comes back for the bytes of requests."""

    def __init__(self, served: ASGIApp) -> None:
        self._config = uvicorn.Config(served, http=Connection, lifespan="off", log_config=None, server_header=False,
                                      date_header=False, proxy_headers=False, access_log=False)  # fmt: skip
        self._config.load()
        admission = Admission(8, 1 << 20, Telemetry(store=MetricStore()))
        self._door = Door(admission, Refusals({}, full()), Refusals({}, stopping()), 5.0, 1 << 16, 5.0, 100)
        self.pieces: list[bytes] = []

    async def ask(self, *requests: bytes) -> bytes:
        state = ServerState()
        server = await asyncio.get_running_loop().create_server(
            lambda: Connection(self._door, config=self._config, server_state=state, app_state={}), "127.0.0.1", 0
        )
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            for request in requests[:-1]:
                writer.write(request)
                self.pieces.append(await reader.read(1 << 16))
            writer.write(requests[-1])
            rest = await reader.read()
            writer.close()
            return b"".join(self.pieces) + rest


@pytest.mark.parametrize("request_", [LAST, OLD, HEAD], ids=["last", "old", "head"])
@pytest.mark.parametrize(
    "path", ["plain", "empty", "stream", "pieces", "closing", "twice", "broken", "long", "dead", "none"]
)
async def test_the_bytes_are_those_of_uvicorn(path: str, request_: bytes) -> None:
    asked = request_ % path.encode()
    ours, theirs = await Served(answering_whole(app)).ask(asked), await Served(app).ask(asked)
    if path == "dead":  # uvicorn has written the head by then, and can say no more
        assert ours.startswith(b"HTTP/1.1 500 ")
        return
    assert ours == theirs
    assert ours.startswith(b"HTTP/1.1 ") or path == "broken"  # of which nothing leaves


async def test_several_answers_go_over_one_connection_each_in_one_piece() -> None:
    served = Served(answering_whole(app))
    got = await served.ask(KEPT % b"plain", KEPT % b"plain", LAST % b"plain")
    assert got.count(b'{"ok": true}') == 3
    assert got.count(b"connection: close") == 1
    assert all(piece.endswith(b'{"ok": true}') for piece in served.pieces)


async def test_a_request_leaves_no_garbage_behind() -> None:
    """What refers to itself is freed by the collector alone, in the middle of somebody's request."""
    served = Served(answering_whole(app))
    await served.ask(LAST % b"plain")
    gc.collect()
    gc.disable()
    try:
        await served.ask(*[KEPT % b"plain"] * 50, LAST % b"plain")
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        left = Counter(type(each).__name__ for each in gc.garbage)
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert left["RequestResponseCycle"] < 5


async def test_answers_to_requests_that_came_together_keep_their_order() -> None:
    got = await Served(answering_whole(app)).ask(KEPT % b"plain" + KEPT % b"stream" + LAST % b"empty")
    assert got.index(b'{"ok": true}') < got.index(b"one") < got.index(b"404")
