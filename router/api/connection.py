"""One connection of a caller: uvicorn's, with deadlines and bounds on what comes in and on what is not taken out.

uvicorn waits for ever for a head, holds a head of any size, and writes for ever to a caller that does not read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from router.api.admission import Admission, full
from router.api.errors import openai_envelope
from router.api.http import WIRE, new_request_id
from router.api.request_wire import RequestWire
from router.api.turned_away import Refusals, whole_response
from router.errors import GatehouseError, InvalidRequest

_LINGER_SECONDS = 2.0  # for which a caller may still send what nobody reads, so that it sees why


@dataclass(frozen=True, slots=True)
class Door:
    """What all connections of a worker share. Times in seconds, sizes in bytes."""

    admission: Admission
    refusals: Refusals  # for want of room
    farewells: Refusals  # while the process ends
    head_seconds: float  # until a request's head is in
    head_bytes: int
    write_seconds: float  # for which a caller may leave what is written to it lying
    connections: int


class _Answered:
    """Stands for a request that was answered without being served: what still comes of it is thrown away."""

    def __init__(self) -> None:
        self.response_complete = True
        self.disconnected = False
        self.message_event = asyncio.Event()


class Connection(HttpToolsProtocol):
    """Bound: a head by time and size, idle time, the caller's reading, the number of connections."""

    def __init__(self, door: Door, **rest: Any) -> None:
        super().__init__(**rest)
        self._door = door
        self._in_head = False
        self._head_size = 0
        self._is_too_large = False
        self._is_lingering = False
        self._waiting: asyncio.TimerHandle | None = None  # for a head
        self._unread: asyncio.TimerHandle | None = None  # until the caller is cut off
        self._piece = 0  # bytes that came last
        self.is_lost = False
        self.watching: dict[RequestWire, Callable[[], None]] = {}  # who wants to know when it is

    # -- what comes in ---------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]  # uvicorn narrows it as we do
        if len(self.connections) > self._door.connections:
            self._door.admission.turned_away()
            self._end_with(full())
            return
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        if self._is_lingering or self._is_turned_away(data):
            return
        self._piece = len(data)
        super().data_received(data)
        if self.parser is None or self._is_lingering or not (self._in_head or not self._is_busy):
            return
        # A head that is not whole, or bytes that belong to no request.
        self._head_size += len(data)
        if self._in_head and self._head_size > self._door.head_bytes:
            self._is_too_large = True
            self.send_400_response("")
        elif self._waiting is None:
            self._wait_for_head()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._head_size = True, 0

    def on_headers_complete(self) -> None:
        if self._piece > self._door.head_bytes:  # it came with so much at once that nobody has counted it yet
            size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
            if size > self._door.head_bytes:
                self._is_too_large = True
                raise ValueError("the head is too large")
        self._in_head = False
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
        admission = self._door.admission
        if admission.is_closed and self._is_refused_by_head():
            return
        before = self.cycle
        super().on_headers_complete()
        if self.cycle is not before:
            cast(dict[str, Any], self.scope)[WIRE] = RequestWire(self, self.cycle)
        if admission.is_draining:
            self.cycle.keep_alive = False

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP, or has too large a head. `msg` is uvicorn's, and not told."""
        if self._is_too_large:
            text = f"The request's headers are larger than {self._door.head_bytes:,} bytes (GATEHOUSE_MAX_HEAD_BYTES)."
            self._end_with(InvalidRequest(text, status=431, code="headers_too_large"))
        else:
            self._end_with(InvalidRequest("This is no HTTP/1.1 request.", code="invalid_http"))

    def close_after_answer(self) -> None:
        """Say `connection: close` with the answer that is being given, if there is one."""
        if self._is_busy:
            self.cycle.keep_alive = False

    @property
    def is_awaited(self) -> bool:
        """Whether its first request, or the rest of a head, is still to come."""
        return self.cycle is None or self._in_head

    @property
    def _is_busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _is_turned_away(self, data: bytes) -> bool:
        admission = self._door.admission
        if not admission.is_closed or self._in_head or self._is_busy:
            return False
        is_last = admission.is_draining
        answer = (self._door.farewells if is_last else self._door.refusals).answer(data)
        if answer is None:
            return False
        self._unset_keepalive_if_required()
        self.transport.write(answer)
        if is_last:
            self.transport.close()
            return True
        admission.turned_away()
        if self._waiting is None:
            self._wait_for_head()
        return True

    def _is_refused_by_head(self) -> bool:
        """The same for a request whose body comes apart from its head: nobody reads it."""
        admission = self._door.admission
        if admission.is_draining or self._is_busy or self.expect_100_continue or not self.parser.should_keep_alive():
            return False
        answer = self._door.refusals.of(self.url) if self.parser.get_method() == b"POST" else None
        if answer is None:
            return False
        self.cycle = cast(RequestResponseCycle, _Answered())
        self.transport.write(answer)
        admission.turned_away()
        return True

    def _wait_for_head(self) -> None:
        self._waiting = self.loop.call_later(self._door.head_seconds, self._head_is_late)

    def _head_is_late(self) -> None:
        self._waiting = None
        if self.transport.is_closing():
            return
        if self._is_busy:
            if self._in_head:  # of a request behind the one that is being answered
                self._wait_for_head()
        elif self._in_head:
            text = f"The request's headers did not arrive within {self._door.head_seconds:g} s."
            self._end_with(InvalidRequest(text, status=408, code="timeout"))
        else:
            self.transport.close()

    def _end_with(self, error: GatehouseError) -> None:
        """Say why, and close when the caller can have read it; behind a whole request, when that is answered."""
        self._is_lingering = True
        if self._is_busy:
            if self.cycle.response_started or not self.cycle.more_body:
                self.cycle.keep_alive = False
                return
            self.cycle.disconnected = True  # its body is not to be read: whoever serves it stops
            self.cycle.message_event.set()
        request_id = new_request_id()
        self._unset_keepalive_if_required()
        self.transport.write(whole_response(error, openai_envelope(error), request_id))
        self.flow.resume_reading()
        self.loop.call_later(_LINGER_SECONDS, self.transport.close)
        self._expect_reading()

    # -- what goes out ---------------------------------------------------------------------------------------------

    def pause_writing(self) -> None:
        super().pause_writing()
        self._expect_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def on_response_complete(self) -> None:
        is_whole = not self.cycle.more_body
        super().on_response_complete()
        if self.transport.get_write_buffer_size():
            self._expect_reading()
        if not is_whole and self._waiting is None and not self._is_lingering:
            self._wait_for_head()  # behind the rest of a body that nobody reads

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._waiting, self._unread):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)
        self.is_lost = True
        watching, self.watching = self.watching, {}
        for tell in watching.values():
            tell()

    def _expect_reading(self) -> None:
        if self._unread is None:
            self._unread = self.loop.call_later(self._door.write_seconds, self._is_unread)

    def _is_unread(self) -> None:
        self._unread = None
        if self.transport.get_write_buffer_size():
            self.transport.abort()  # seen as a caller who has gone
