"""One choice of a request as the HTTP side sees it: events in order, and a hold on its model until it is closed."""

from __future__ import annotations

import asyncio

from router.engine.pool import Claim
from router.engine.queue import QueueFullError
from router.engine.sampling import Sampler
from router.engine.scheduler import Lane
from router.engine.sequence import Sequence
from router.engine.types import EngineError, Event, Failed, Finished, Generation, Piece

_STATUS = {"local_unavailable": 503, "deadline_exceeded": 504}


class Answer:
    """The events of one submitted request; `close` cancels what is not finished, and must be called."""

    def __init__(
        self, claim: Claim, lane: Lane, generation: Generation, sampler: Sampler, leader: Answer | None = None
    ) -> None:
        """It lets go of `claim` when it is closed. `leader` is another choice of the same request."""
        self.model = claim.name
        self.fingerprint = claim.model.fingerprint
        template = claim.model.template
        self.form = template.tool_form if template is not None else None  # how the model writes tool calls
        self._loop = asyncio.get_running_loop()
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._claim = claim
        self._lane = lane
        first: Sequence | None = leader._sequence if leader is not None else None
        self._sequence: Sequence = Sequence(generation, sampler, self._emit, leader=first)
        self._is_over = False

    def _emit(self, event: Event) -> None:
        """Called by the decode thread. The loop is closed only when the process ends."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._events.put_nowait, event)

    def submit(self) -> None:
        """Raises EngineError (429, 503) when the queue is full."""
        try:
            self._lane.submit(self._sequence)
        except QueueFullError as full:
            self._is_over = True
            status = 429 if full.scope == "tenant" else 503
            raise EngineError(
                status, "local_overloaded", "The local model's queue is full.", retry_after=full.retry_after
            ) from None

    async def next(self) -> Piece | Finished:
        """The next event; after Finished or Failed there is none. Raises EngineError for Failed."""
        event = await self._events.get()
        self._is_over = isinstance(event, Finished | Failed)
        if isinstance(event, Failed):
            status = _STATUS.get(event.code, 500)
            raise EngineError(status, event.code, event.message, retry_after=1 if status == 503 else None)
        return event

    def close(self) -> None:
        """Cancel, if the answer is not over, and let go of the model. Idempotent."""
        if not self._is_over:
            self._is_over = True
            self._lane.cancel(self._sequence)
        self._claim.release()
