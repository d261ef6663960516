"""The HTTP edge under every endpoint: reading a bounded body, answering, and noticing that the caller has gone.

Written on plain ASGI messages; a decision may use `scope["path"]`, never the Host header.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol

from router.api.errors import Headers, error_headers, openai_envelope
from router.errors import GatehouseError, InvalidRequest

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_DRAINED_BYTES = 64 * 1024 * 1024  # of a body that is refused for its size
_DRAINED_SECONDS = 5.0
_WATCH_AFTER_SECONDS = 0.05  # answers that are quicker need nobody to watch for the caller's going


WIRE = "gatehouse.wire"  # under which our own server puts a `Wire` into a request's scope


class Wire(Protocol):
    """What our own server knows of one request; another server tells none of it, and costs a task and timers more."""

    @property
    def is_whole(self) -> bool:
        """Whether its whole body is here already."""
        ...

    def watch(self, tell: Callable[[], None] | None) -> None:
        """Have `tell` called once when the caller has gone, at once if it has; None: no more."""
        ...


class CallerGone(Exception):
    """The caller closed the connection before the body was in."""


def new_request_id() -> str:
    """96 random bits, with a prefix that says whose it is."""
    return "gh-" + secrets.token_hex(12)


def header(scope: Scope, name: bytes) -> bytes | None:
    """The first value of a request header; ASGI gives names in lower case."""
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value)
    return None


async def read_body(
    scope: Scope, receive: Receive, limit: int, seconds: float, hold: Callable[[int], None] = lambda size: None
) -> bytes:
    """The whole body. Raises `InvalidRequest`: 413 over `limit` bytes, 408 after `seconds`, 415 when encoded.

    `hold` is told of the bytes as they come, and may raise.
    """
    if header(scope, b"content-encoding") not in (None, b"identity"):
        raise InvalidRequest("Send the body without a content-encoding.", status=415, code="unsupported_encoding")
    declared = header(scope, b"content-length")
    if declared is not None and declared.isdigit() and int(declared) > limit:
        raise _too_large(limit)
    wire: Wire | None = scope.get(WIRE)
    if wire is not None and wire.is_whole:  # nearly always: nobody has to wait for it
        message = await receive()
        if message["type"] == "http.request":
            body: bytes = message["body"]
            hold(len(body))
            return _within(body, limit)
        raise CallerGone
    try:
        async with asyncio.timeout(seconds):
            parts, size, message = [], 0, await receive()
            while message["type"] == "http.request":
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > limit:
                    raise _too_large(limit)
                hold(len(parts[-1]))
                if not message.get("more_body", False):
                    return b"".join(parts)
                message = await receive()
    except TimeoutError:
        raise InvalidRequest(f"The body did not arrive within {seconds:g} s.", status=408, code="timeout") from None
    raise CallerGone


def _within(body: bytes, limit: int) -> bytes:
    if len(body) > limit:
        raise _too_large(limit)
    return body


def _too_large(limit: int) -> InvalidRequest:
    return InvalidRequest(
        f"The body is larger than {limit:,} bytes (GATEHOUSE_MAX_BODY_BYTES).", status=413, code="body_too_large"
    )


async def respond(send: Send, status: int, headers: Headers, body: bytes, *, more: bool = False) -> None:
    """One whole JSON response; with `more`, its end is still to be sent."""
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"content-type", b"application/json"),
                (b"content-length", str(len(body)).encode()),
                *headers,
            ],
        }
    )
    await send({"type": "http.response.body", "body": body, "more_body": more})


async def respond_error(
    send: Send, error: GatehouseError, headers: Headers, receive: Receive | None = None, envelope: bytes | None = None
) -> None:
    """An error in its `envelope`, else OpenAI's. Given `receive`, the caller of a 413 may end its sending before it is
    cut off."""
    headers = [*headers, *error_headers(error)]
    body = openai_envelope(error) if envelope is None else envelope
    if error.status not in (408, 413):
        await respond(send, error.status, headers, body)
        return
    await respond(send, error.status, [*headers, (b"connection", b"close")], body, more=True)
    if error.status == 413 and receive is not None:
        await discard_body(receive)
    await send({"type": "http.response.body", "body": b""})


async def discard_body(receive: Receive) -> None:
    """Throw away what still comes, within bounds: a caller that is cut off in the middle may never see its answer."""
    size = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DRAINED_SECONDS):
            while size < _DRAINED_BYTES:
                message = await receive()
                size += len(message.get("body", b""))
                if not message.get("more_body", False):
                    return


class DisconnectWatch:
    """Cancels the task that serves a request when its caller has gone.

    Where the server does not tell it by itself (`Wire`), somebody reads on; only when an answer takes time.
    """

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._receive = receive
        self._task = asyncio.current_task()
        self._watching: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.gone = False
        self._over = False
        self._wire: Wire | None = scope.get(WIRE)
        if self._wire is not None:
            self._wire.watch(self._cancel)
        else:
            self._timer = asyncio.get_running_loop().call_later(_WATCH_AFTER_SECONDS, self._start)

    def _start(self) -> None:
        self._watching = asyncio.get_running_loop().create_task(self._watch())

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._cancel()

    def _cancel(self) -> None:
        if self._task is not None and not self._over:
            self.gone = True
            self._task.cancel()

    async def stop(self) -> None:
        """The answer is out: what the server says of the connection from now on is not news."""
        self._over = True
        if self._wire is not None:
            self._wire.watch(None)
        if self._timer is not None:
            self._timer.cancel()
        if self._watching is not None and not self._watching.done():
            self._watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watching
