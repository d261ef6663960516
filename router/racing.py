"""The cloud asked beside the local model, with its own permit: begun at once, taken or cancelled once home is judged.

The local answer's verdict alone decides who wins, so that a race changes how long an escalation takes and never which
answers escalate.
"""

from __future__ import annotations

import asyncio

from policies.types import Grant
from router.exchange import Exchange
from router.outside import Begun, Outside


class Race:
    """One call outside that may turn out not to be needed. Whoever starts it ends it with `result` or `cancel`."""

    def __init__(self, outside: Outside, exchange: Exchange, grant: Grant) -> None:
        self._exchange, self._model = exchange, grant.model
        self._task: asyncio.Task[Begun] | None = asyncio.ensure_future(outside.begin(exchange, grant))

    async def result(self) -> Begun:
        """The answer from outside, for the caller to take or close. Raises what it ended with."""
        assert self._task is not None
        begun = await self._task
        self._task = None
        return begun

    async def cancel(self) -> None:
        """Close the connection now. Idempotent; does nothing once the result was taken."""
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        self._exchange.wasted(self._model)
        await asyncio.wait({task})
        if not task.cancelled() and task.exception() is None:
            await task.result().close()
