"""What our own server knows of one request, and how a whole answer leaves: head and body as one piece.

uvicorn searches every header twice for what may not stand in one, and writes head and body apart. What is odd, and
every stream, still goes its way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from router.api.http import WIRE

if TYPE_CHECKING:
    from router.api.connection import Connection

_LENGTH = b"content-length"
_STEERING = frozenset({b"connection", b"transfer-encoding"})  # headers that say something to the server itself


class RequestWire:
    """See `router.api.http.Wire`. `send` takes the messages of one answer."""

    __slots__ = ("_connection", "_cycle", "_start")

    def __init__(self, connection: Connection, cycle: RequestResponseCycle) -> None:
        self._connection = connection
        self._cycle = cycle
        self._start: Message | None = None  # of an answer with a length: written together with its body

    @property
    def is_whole(self) -> bool:
        return not self._cycle.more_body

    def watch(self, tell: Callable[[], None] | None) -> None:
        watching = self._connection.watching
        if tell is None:
            watching.pop(self, None)
        elif self._connection.is_lost or self._cycle.disconnected:
            tell()
        else:
            watching[self] = tell

    async def send(self, message: Message) -> None:
        """As `RequestResponseCycle.send`, which everything but a whole answer is given to."""
        if message["type"] == "http.response.start" and any(name == _LENGTH for name, _ in message["headers"]):
            self._start = message
            return
        start, self._start = self._start, None
        if start is not None:
            if not message.get("more_body", False) and self._write(start, message.get("body", b"")):
                return
            await self._cycle.send(start)  # type: ignore[arg-type]  # starlette's name for the same messages
        await self._cycle.send(message)  # type: ignore[arg-type]

    def _write(self, start: Message, body: bytes) -> bool:
        """Write a whole answer, if there is nothing odd about it; False: nothing was done."""
        cycle, headers = self._cycle, start["headers"]
        flow: FlowControl = cycle.flow
        if cycle.response_started or cycle.disconnected or flow.write_paused or cycle.scope["method"] == "HEAD":
            return False
        names = dict(headers)
        if names[_LENGTH] != b"%d" % len(body) or len(names) != len(headers) or not _STEERING.isdisjoint(names):
            return False
        head = b"".join([part for name, value in headers for part in (name, b": ", value, b"\r\n")])
        if head.count(b"\n") != len(headers) or head.count(b"\r") != len(headers):
            return False  # a line break in a header: uvicorn raises
        closing = b"" if cycle.keep_alive else b"connection: close\r\n"
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        cycle.transport.write(b"%b%b%b\r\n%b" % (STATUS_LINE[start["status"]], head, closing, body))
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()
        return True


def answering_whole(app: ASGIApp) -> ASGIApp:
    """`app`, its answers written by the wire where our own server has put one into the scope."""

    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        wire: RequestWire | None = scope.get(WIRE)
        if wire is None:
            await app(scope, receive, send)
            return
        try:
            await app(scope, receive, wire.send)
        finally:
            del scope[WIRE]  # it leads back to the scope: a ring for the garbage collector, with each request

    return call
