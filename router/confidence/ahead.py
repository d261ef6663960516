"""A stream that is looked at before anybody reads it: its first chunks, while they are held back from the caller."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

from router.types import JsonObject


class Ahead:
    """Chunks as they come; what was looked at comes again for whoever iterates, and then the rest.

    Whoever stops early calls `aclose`, which closes the source at once, also in the middle of a look.
    """

    def __init__(self, source: AsyncIterator[JsonObject]) -> None:
        self._source: Any = source
        self._held: deque[JsonObject] = deque()
        self._reading: asyncio.Task[JsonObject | None] | None = None

    async def look(self, until: float | None = None) -> JsonObject | None:
        """The next chunk that nobody has looked at; None at the end. Raises what the source raises.

        Raises `TimeoutError` at `until` (loop time); the read goes on, for giving it up would close the source.
        """
        if until is None and self._reading is None:  # whoever waits for this look is the only one who can give it up
            chunk = await self._read()
            if chunk is not None:
                self._held.append(chunk)
            return chunk
        reading = self._reading = self._reading or asyncio.ensure_future(self._read())
        if until is not None:
            left = until - asyncio.get_running_loop().time()
            done, _ = await asyncio.wait({reading}, timeout=max(left, 0.0))
            if not done:
                raise TimeoutError
        chunk = await self._finish(reading)
        if chunk is not None:
            self._held.append(chunk)
        return chunk

    def __aiter__(self) -> AsyncIterator[JsonObject]:
        return self

    async def __anext__(self) -> JsonObject:
        if self._held:
            return self._held.popleft()
        chunk = await self._finish(self._reading) if self._reading is not None else await self._read()
        if chunk is None:
            raise StopAsyncIteration
        return chunk

    async def aclose(self) -> None:
        """Close the source. Idempotent."""
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.cancel()
            await asyncio.wait({reading})
            if not reading.cancelled():
                reading.exception()  # nobody else will look at it
        self._held.clear()
        with contextlib.suppress(RuntimeError):  # a generator that is being closed already
            await self._source.aclose()

    async def _finish(self, reading: asyncio.Task[JsonObject | None]) -> JsonObject | None:
        chunk = await reading
        self._reading = None
        return chunk

    async def _read(self) -> JsonObject | None:
        try:
            chunk: JsonObject = await anext(self._source)
        except StopAsyncIteration:
            return None
        return chunk
