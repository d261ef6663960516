"""What is tried when a model outside fails before its first byte: the fallback list that the decision made.

Each model outside is asked with a grant and a permit of its own. It must never be used once a caller has seen anything.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from policies.falling_back import FALLBACK
from router.errors import BudgetExhausted, DeadlineExceeded, Denied, GatehouseError, Locked, Unavailable, UpstreamError
from router.exchange import Exchange
from router.outside import IntentNotDurable, Outside
from router.types import Reply

log = logging.getLogger("gatehouse.answering")

AtHome = Callable[[Exchange, str], Awaitable[Reply]]
_CALLERS_FAULT = (400, 413, 422)  # another model would refuse it too, or answer what was not asked


def may_be_tried_elsewhere(exchange: Exchange, error: GatehouseError) -> bool:
    """Whether the error is the model's and not the request's, and the decision has somebody to ask in its place."""
    if not exchange.planned.after or not isinstance(error, UpstreamError):
        return False
    return error.upstream_status not in _CALLERS_FAULT


def is_over(error: GatehouseError) -> bool:
    """Whether what ended a hop would end every other one as well: the request's own fault, no time left, locked exits,
    an audit log that takes nothing."""
    if isinstance(error, UpstreamError):
        return error.upstream_status in _CALLERS_FAULT
    return isinstance(error, DeadlineExceeded | Locked | IntentNotDurable)


class Elsewhere:
    """Goes through the list."""

    def __init__(self, outside: Outside, at_home: AtHome) -> None:
        self._outside = outside
        self._at_home = at_home

    async def answer(self, exchange: Exchange, failed: str, error: GatehouseError) -> Reply:
        """The first answer that can be had; where there is none, `error`, of the model `failed`, ends the request."""
        decision, outcome = exchange.planned, exchange.outcome
        grants = {grant.model: grant for grant in decision.grants if grant.purpose == "fallback"}
        outcome.failed_over = ((failed, error.code),)
        for name in decision.after:
            if name not in grants:  # at home: what goes wrong there is told as it is
                outcome.reason = FALLBACK
                return await self._at_home(exchange, name)
            try:
                return await self._outside.answer(exchange, grants[name], reason=FALLBACK)
            except (BudgetExhausted, Denied, UpstreamError, Unavailable) as problem:
                log.info("the fallback to %s failed: %s", name, problem.code)
                outcome.failed_over = (*outcome.failed_over, (name, problem.code))
        raise error
