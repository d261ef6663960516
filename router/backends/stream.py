"""One streamed answer on its way in: bytes to events to chunks, each awaited under a deadline, never a silent end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import aiohttp

from policies.types import Model
from router.backends import failures, reading
from router.backends.direct import Answer
from router.backends.sse import EventReader
from router.errors import GatehouseError
from router.types import JsonObject


class ChatStream:
    """The chunks of one streamed answer. Whoever stops early must `aclose` it, which closes the connection at once."""

    def __init__(
        self,
        model: Model,
        response: Answer | aiohttp.ClientResponse,
        deadline: float,
        between_chunks: float,
        on_whole: Callable[[Answer | aiohttp.ClientResponse], None],
    ) -> None:
        self._model = model
        self._response = response
        self._content = response.content
        self._deadline = deadline
        self._between = between_chunks
        self._on_whole = on_whole
        self._events = EventReader()
        self._size = 0
        self._first: JsonObject | None = None  # until it is asked for
        self._failure: GatehouseError | None = None
        self._is_done = False  # nothing more is to be read
        self._is_whole = False  # `[DONE]` came
        self._loop = asyncio.get_running_loop()
        self._until: float | None = None  # by when what is awaited must be here; None: nobody waits
        self._timer: asyncio.TimerHandle | None = None  # one for many reads: a deadline a read costs more than the read

    def __aiter__(self) -> ChatStream:
        return self

    async def __anext__(self) -> JsonObject:
        if self._first is not None:
            first, self._first = self._first, None
            return first
        chunk = await self._next(None, "stalled")
        if chunk is None:
            raise StopAsyncIteration
        return chunk

    async def wait_for_first(self, until: float) -> None:
        """Return when the first chunk is there. Raises what reading raises, and for an end before any chunk."""
        self._first = await self._next(until, "no first chunk within its time limit")
        if self._first is None:
            self._failure = failures.malformed(self._model, "a stream without a chunk")
            await self.aclose()
            raise self._failure

    async def _next(self, until: float | None, late: str) -> JsonObject | None:
        """The next chunk, awaited until then, or for as long as there may be between two; None at the end."""
        while (event := self._events.next()) is None:
            if self._failure is not None:
                await self.aclose()
                raise self._failure
            if self._is_done:
                return None
            between = min(self._deadline, self._loop.time() + self._between)
            await self._fill(between if until is None else until, late)
        if event == b"[DONE]":
            self._events, self._failure = EventReader(), None  # whatever stands behind it
            self._is_done = self._is_whole = True
            self._stop_timer()
            self._on_whole(self._response)
            return None
        try:
            return reading.chunk(self._model, event)
        except GatehouseError as failure:
            self._events = EventReader()  # what comes after one that is broken is not read any more
            self._failure = failure
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """Close the connection now, unless the answer is whole. Idempotent."""
        self._is_done = True
        self._stop_timer()
        if not self._is_whole:
            self._response.close()

    async def _fill(self, until: float, late: str) -> None:
        self._until = until
        if self._timer is None or self._timer.when() > until:
            self._stop_timer()
            self._timer = self._loop.call_at(until, self._look)
        try:
            data = await self._content.readany()
        except (aiohttp.ClientError, OSError) as error:
            self._response.close()
            self._failure = reading.translate(self._model, error, late)
            return
        except BaseException:
            self._response.close()
            self._is_done = True
            self._stop_timer()
            raise
        self._until = None
        try:
            self._take(data)
        except GatehouseError as failure:
            self._failure = failure

    def _look(self) -> None:
        """The timer's time has come: end a wait that is too long, or look again when it would be."""
        self._timer = None
        if self._until is None:
            return
        if self._until <= self._loop.time():
            self._content.set_exception(TimeoutError())
        else:
            self._timer = self._loop.call_at(self._until, self._look)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _take(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > reading.MAX_REPLY_BYTES:
            raise reading.too_large(self._model)
        if data:
            self._events.feed(data)
            return
        self._events.finish()
        self._failure = failures.broken_off(self._model)  # unless what has come ends as a stream does
