"""The straight line of one request: classify, decide, look up, answer at home or by permit outside, account for it.

It holds no wire format and no policy: those stand above and below.
"""

from __future__ import annotations

from policies.types import Refusal
from router.accounting import Accounts
from router.affinity import Affinity
from router.answering import Answering
from router.budgets.purse import Purse
from router.caching import ReplyCache
from router.errors import Denied, GatehouseError, InvalidRequest, NotFound, TooMany, Unavailable
from router.exchange import Exchange
from router.following import Following
from router.notice import with_notice
from router.planning import Planner
from router.rates.limiting import Limiting
from router.releases.releases import Releases
from router.replies import whole
from router.running import RunningPolicy
from router.types import ChatRequest, Reply
from router.upstreams import Upstreams

_ERRORS: dict[int, type[GatehouseError]] = {
    400: InvalidRequest,
    402: TooMany,
    403: Denied,
    404: NotFound,
    413: InvalidRequest,
    429: TooMany,
    503: Unavailable,
}


class Gateway:
    """Answers requests in the canonical form. One a worker; every part comes in through the constructor."""

    def __init__(
        self,
        *,
        running: RunningPolicy,
        planner: Planner,
        answering: Answering,
        cache: ReplyCache,
        following: Following,
        affinity: Affinity,
        accounts: Accounts,
        purse: Purse,
        limiting: Limiting,
        upstreams: Upstreams,
        releases: Releases,
    ) -> None:
        self._running = running
        self._planner = planner
        self._answering = answering
        self._cache = cache
        self._following = following
        self._affinity = affinity
        self._accounts = accounts
        self._purse = purse
        self._limiting = limiting
        self._upstreams = upstreams
        self._releases = releases

    def begin(self, request: ChatRequest) -> Exchange:
        """An exchange that keeps the policy version in force now until it is finished."""
        return Exchange(request, self._running.current.acquire(), self._ended)

    async def plan(self, exchange: Exchange, *, explains: bool = False) -> None:
        """Classify and decide; calls no model. `explains`: every signal is measured, to be shown."""
        await self._limiting.admit(exchange)
        policy = exchange.policy
        unavailable = {**self._upstreams.unavailable(), **exchange.running.unavailable()}
        if policy.budgets is not None:
            unavailable = {**self._purse.closed(policy, exchange.request.principal), **unavailable}
        ticket = await self._releases.admit(exchange.request, policy)
        release = ticket.release if ticket is not None and ticket.is_open else None
        plan = await self._planner.plan(exchange.request, policy, unavailable, explains=explains, release=release)
        exchange.note(plan)
        if ticket is not None and not ticket.is_open and not explains:
            await self._releases.ask(exchange, ticket)

    async def answer(self, exchange: Exchange) -> Reply:
        """The reply, or the `GatehouseError` that ends the request; either way one decision record is written."""
        failure: str | None = "client_closed"
        status = 499
        try:
            await self.plan(exchange)
            _refuse(exchange.planned.refusal)
            await self._limiting.reserve(exchange)
            stored = await self._cache.find(exchange)
            reply = whole(exchange, stored) if stored is not None else await self._answering.answer(exchange)
            await self._releases.offer(exchange)
            reply = with_notice(exchange, await self._following.follow(exchange, reply))
            await self._remember(exchange)
            failure, status = None, 200
        except GatehouseError as error:
            failure, status = error.code, error.status
            await self._releases.offer(exchange, error)
            raise
        finally:
            if failure is not None:
                exchange.finish(failure, status)
        if reply.chunks is None:
            exchange.finish(None, 200)
        return reply

    def _ended(self, exchange: Exchange) -> None:
        self._limiting.settle(exchange)
        self._accounts.settle(exchange)

    async def _remember(self, exchange: Exchange) -> None:
        """Who has answered this conversation: not for a model that its caller named, nor one that stood in for home."""
        conversation = exchange.plan.conversation if exchange.plan is not None else None
        outcome = exchange.outcome
        if conversation is None or outcome.route == "cache" or exchange.planned.reason == "pinned":
            return
        if outcome.reason != "fallback":
            policy = exchange.policy
            await self._affinity.note(exchange.request.principal, conversation, outcome.model, policy)


def _refuse(refusal: Refusal | None) -> None:
    if refusal is not None:
        kind = _ERRORS.get(refusal.status, GatehouseError)
        raise kind(refusal.message, status=refusal.status, code=refusal.code, should_retry=refusal.should_retry)
