"""Who answers: a local model (`router.at_home`), or a model outside. Exits are `router.outside`'s alone."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from policies.types import Grant
from router.at_home import AtHome, BrokenOff, broken_off
from router.caching import ReplyCache
from router.calling import Calls
from router.confidence.judging import Judging
from router.elsewhere import Elsewhere, may_be_tried_elsewhere
from router.errors import BudgetExhausted, Denied, Locked, Unavailable, UpstreamError
from router.exchange import Exchange
from router.outside import IntentNotDurable, Outside
from router.partitions import Partitions
from router.racing import Race
from router.telemetry.telemetry import Telemetry
from router.types import Reply

log = logging.getLogger("gatehouse.answering")


class Answering:
    """Carries out a decision: at home, outside, or at home and then outside."""

    def __init__(
        self,
        *,
        outside: Outside,
        calls: Calls,
        cache: ReplyCache,
        judging: Judging,
        telemetry: Telemetry,
        partitions: Partitions,
    ) -> None:
        self._outside = outside
        self._telemetry = telemetry
        self._home = AtHome(outside=outside, calls=calls, cache=cache, judging=judging, partitions=partitions)
        self._elsewhere = Elsewhere(outside, self._at_home)

    async def answer(self, exchange: Exchange) -> Reply:
        """The reply of the model that the decision names, or of what the policy puts in its place."""
        decision = exchange.planned
        if decision.route == "local":
            return await self._at_home(exchange, decision.model or exchange.policy.default_local)
        grant = next(grant for grant in decision.grants if grant.purpose != "escalation")
        try:
            return await self._outside.answer(exchange, grant)
        except IntentNotDurable:
            if decision.reason == "pinned":
                raise
            exchange.outcome.reason = "audit"
        except Locked as error:
            if not error.unsent or decision.reason in ("pinned", "capability") or grant.purpose == "fallback":
                raise
            exchange.outcome.reason = error.code
            exchange.outcome.held = decision.rule or None
        except BudgetExhausted as error:
            budgets = exchange.policy.budgets
            is_bound = decision.reason in ("pinned", "capability") or grant.purpose == "fallback"
            if is_bound or budgets is None or budgets.when_exhausted == "refuse":
                raise
            exchange.outcome.reason = error.code
            exchange.outcome.held = decision.rule or None
        except Denied:
            if not _may_stay(exchange, grant):
                raise
            exchange.outcome.reason = "sensitivity"
            exchange.outcome.held = decision.rule or None
        except UpstreamError as error:
            if not may_be_tried_elsewhere(exchange, error):
                raise
            return await self._elsewhere.answer(exchange, grant.model, error)
        return await self._at_home(exchange, exchange.policy.default_local)

    async def _at_home(self, exchange: Exchange, name: str) -> Reply:
        outcome = exchange.outcome
        outcome.route, outcome.model = "local", name
        async with self._racing(exchange) as race:
            try:
                return await self._home.answer(exchange, name, race)
            except BrokenOff:
                raise
            except Unavailable as error:
                if race is not None:
                    await race.cancel()
                return await self._local_down(exchange, error)
            except UpstreamError as error:
                raise broken_off(error) from None

    @asynccontextmanager
    async def _racing(self, exchange: Exchange) -> AsyncIterator[Race | None]:
        """The cloud asked beside home, where the decision says so; whatever happens, it is over afterwards."""
        grant = exchange.planned.escalation
        if grant is None or not exchange.planned.races:
            yield None
            return
        exchange.outcome.raced = True
        race = Race(self._outside, exchange, grant)
        try:
            yield race
        finally:
            await race.cancel()

    async def _local_down(self, exchange: Exchange, error: Unavailable) -> Reply:
        """The local model could not begin: the policy's fallback, with a permit of its own, or a 503 that says why."""
        decision = exchange.planned
        if error.code == "local_overloaded":
            self._telemetry.request_shed("tenant_queue" if error.status == 429 else "local_queue")
        if error.code != "local_unavailable":
            raise error
        models = exchange.policy.models
        if decision.fallback is not None:
            try:
                return await self._outside.answer(exchange, decision.fallback, reason="fallback")
            except Denied:
                if decision.fallback.payload != "pseudonymized":
                    raise  # what could not be replaced after all stays, and home is down
        elif exchange.known.locked or any(
            seen.lawful and models[seen.model].locality == "cloud" for seen in decision.candidates
        ):
            raise error
        raise Unavailable(
            "The local model is not available, and the policy keeps this request at home. Retry in a few seconds.",
            code="sensitive_data_local_unavailable",
            retry_after=error.retry_after,
        ) from None


def _may_stay(exchange: Exchange, grant: Grant) -> bool:
    """Whether a request that could not be pseudonymized after all may be answered at home instead."""
    if grant.payload != "pseudonymized" or grant.purpose == "fallback":
        return False
    if exchange.planned.reason == "pinned":
        return exchange.policy.on_pinned_denied == "local"
    return exchange.planned.reason != "capability"
