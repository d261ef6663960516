"""One streamed answer on its way in: bytes to events to chunks, each awaited under a deadline, never a silent end."""

from __future__ import annotations

import asyncio
from collections import deque
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
        self._ready: deque[bytes] = deque()  # events that have come; each is read when it is asked for
        self._first: JsonObject | None = None  # until it is asked for
        self._failure: GatehouseError | None = None
        self._is_done = False  # nothing more is to be read
        self._is_whole = False  # `[DONE]` came

    def __aiter__(self) -> ChatStream:
        return self

    async def __anext__(self) -> JsonObject:
        if self._first is not None:
            first, self._first = self._first, None
            return first
        while not self._ready:
            if self._failure is not None:
                await self.aclose()
                raise self._failure
            if self._is_done:
                raise StopAsyncIteration
            await self._fill(min(self._deadline, asyncio.get_running_loop().time() + self._between), "stalled")
        return await self._read()

    async def wait_for_first(self, until: float) -> None:
        """Return when the first chunk is there. Raises what reading raises, and for an end before any chunk."""
        while not self._ready:
            if self._failure is None and self._is_done:
                self._failure = failures.malformed(self._model, "a stream without a chunk")
            if self._failure is not None:
                await self.aclose()
                raise self._failure
            await self._fill(until, "no first chunk within its time limit")
        self._first = await self._read()

    async def _read(self) -> JsonObject:
        """The next of those that have come. What comes after one that is broken is not read any more."""
        try:
            return reading.chunk(self._model, self._ready.popleft())
        except GatehouseError as failure:
            self._ready.clear()
            self._failure = failure
            await self.aclose()
            raise

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
            self._failure = reading.translate(self._model, error, late)
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
        if self._size > reading.MAX_REPLY_BYTES:
            raise reading.too_large(self._model)
        for event in self._events.feed(data) if data else self._events.finish():
            if event == b"[DONE]":
                self._is_done = self._is_whole = True
                self._on_whole(self._response)
                return
            self._ready.append(event)
        if not data:
            raise failures.broken_off(self._model)
