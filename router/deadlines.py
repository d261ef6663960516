"""Keeps what is done for a request within its time: what is too late is not begun, and what runs over is given up.

Giving up cancels, and whoever is cancelled closes its connection. Nothing here is tried again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from policies.serving import Serving
from policies.types import Model
from router.errors import DeadlineExceeded
from router.types import JsonObject

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Due:
    """A moment of the event loop's clock, and how many seconds after the request's coming that is."""

    at: float
    seconds: float

    @property
    def left(self) -> float:
        """Seconds from now on; negative once it is over."""
        return self.at - asyncio.get_running_loop().time()

    def require(self) -> None:
        """Return while there is time. Raises `DeadlineExceeded`: nothing was begun."""
        if self.left <= 0:
            raise DeadlineExceeded(self.seconds, unsent=True)

    async def keep(self, work: Callable[[], Awaitable[T]]) -> T:
        """What `work` gives, if it is there in time. Raises `DeadlineExceeded`, and what `work` raises."""
        try:
            async with asyncio.timeout_at(self.at) as scope:
                return await work()
        except TimeoutError:
            if scope.expired():
                raise DeadlineExceeded(self.seconds) from None
            raise

    async def bound(self, chunks: AsyncIterator[JsonObject]) -> AsyncIterator[JsonObject]:
        """The chunks that come in time. Raises `DeadlineExceeded` for more."""
        reading: Any = chunks
        while True:
            if self.left <= 0:
                raise DeadlineExceeded(self.seconds)
            try:
                chunk: JsonObject = await self.keep(reading.__anext__)
            except StopAsyncIteration:
                return
            yield chunk


def due_in(seconds: float | None, elapsed: float) -> Due | None:
    """The moment `seconds` after a request came in, `elapsed` seconds ago; None where its time is not limited."""
    if seconds is None:
        return None
    return Due(asyncio.get_running_loop().time() + seconds - elapsed, seconds)


def engine_fields(model: Model, serving: Serving, due: Due | None) -> JsonObject:
    """What the embedded engine is told beside a chat: how long the answer is worth having, and whose turn it is."""
    if model.backend != "engine":
        return {}
    told: JsonObject = {} if due is None else {"deadline_ms": max(1, round(due.left * 1000))}
    return told | ({"priority": "low"} if serving.urgency == "low" else {})
