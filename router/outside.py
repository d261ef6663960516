"""The way to a model that is not local: egress, a permit for the very bytes, the call, and its answer taken or let go.

The only exit of the straight line. Beginning is apart from taking, so that an answer may be asked for before it is
known to be needed, and only one of two becomes the reply.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from classifiers.frozen import quickly_made
from policies.types import Grant
from router.accounting import Accounts
from router.budgets.purse import Lease, Purse, most_of
from router.caching import ReplyCache
from router.calling import Calls
from router.confidence.ahead import Ahead
from router.costs.cost import CallUse
from router.egress import Egress
from router.errors import Denied, Locked, Unavailable, UpstreamError
from router.exchange import Exchange
from router.pseudonyms.restored import Restoring
from router.relay import Relay
from router.releases.releases import Releases
from router.replies import whole
from router.retrying import pause_before
from router.telemetry.telemetry import Telemetry
from router.types import JsonObject, Outgoing, Reply
from router.upstreams import Upstreams


class IntentNotDurable(Unavailable):
    """`audit: required`, and the intent could not be made durable: nothing may leave."""

    code = "audit_unavailable"

    def __init__(self) -> None:
        super().__init__("The audit log cannot take this request, so it may not leave. Retry, or ask for `local`.")


@quickly_made
@dataclass(frozen=True, slots=True)
class Begun:
    """An answer from outside that has begun: its first chunk is there, or all of it. Taken or closed, once."""

    grant: Grant
    outgoing: Outgoing
    chunks: Ahead | None = None
    completion: JsonObject | None = None

    async def close(self) -> None:
        """Let it go: the connection is closed at once. Idempotent."""
        if self.chunks is not None:
            await self.chunks.aclose()


class Outside:
    """Asks models outside. What it raises is a `GatehouseError`; `Denied` or `Locked` when no permit was given."""

    def __init__(
        self,
        *,
        egress: Egress,
        calls: Calls,
        cache: ReplyCache,
        accounts: Accounts,
        telemetry: Telemetry,
        purse: Purse,
        upstreams: Upstreams,
        releases: Releases,
    ) -> None:
        self._egress = egress
        self._purse = purse
        self._releases = releases
        self._calls = calls
        self._cache = cache
        self._accounts = accounts
        self._telemetry = telemetry
        self._upstreams = upstreams

    async def answer(self, exchange: Exchange, grant: Grant, reason: str | None = None) -> Reply:
        """Ask, and make the answer the reply."""
        return self.take(exchange, await self.begin(exchange, grant), reason)

    async def begin(self, exchange: Exchange, grant: Grant) -> Begun:
        """Ask, and once more where that may be (`router.retrying`): each time with a permit of its own."""
        retries, times = self._upstreams.of(exchange.running.policy.models[grant.model]).retries, 0
        retries.earn()
        while True:
            try:
                return await self._begin_once(exchange, grant)
            except UpstreamError as error:
                pause = self._pause_before(exchange, grant, error, times)
                if pause is None or not retries.spend():
                    # Whoever has waited for our retries shall not multiply them by its own.
                    error.should_retry = False if times else error.should_retry
                    raise
            await asyncio.sleep(pause)
            times += 1
            exchange.outcome.retries += 1
            self._telemetry.upstream_retried(grant.model)

    def _pause_before(self, exchange: Exchange, grant: Grant, error: UpstreamError, times: int) -> float | None:
        if exchange.planned.after or grant in exchange.planned.hops[:-1]:  # somebody stands in: asking there is quicker
            return None
        due = exchange.due()
        return pause_before(error, times, None if due is None else due.left, secrets.randbelow(1000) / 1000)

    async def _begin_once(self, exchange: Exchange, grant: Grant) -> Begun:
        """Let the bytes leave, with a permit for them, and wait for the first chunk, or for the whole answer."""
        due = exchange.due()
        if due is not None:
            due.require()
        outgoing, lease = await self._permitted(exchange, grant)
        settle = lease.settle if lease is not None else None
        exchange.outcome.bytes_left += len(outgoing.body)
        self._telemetry.bytes_left(grant.model, len(outgoing.body))
        if not exchange.request.stream:
            return Begun(
                grant, outgoing, completion=await self._calls.complete(exchange, grant.model, outgoing, settle)
            )
        chunks = Ahead(await self._calls.open_stream(exchange, grant.model, outgoing, settle))
        try:
            await chunks.look()  # it is there; from now on closing the stream closes the connection
        except BaseException:
            await chunks.aclose()
            raise
        return Begun(grant, outgoing, chunks)

    def take(self, exchange: Exchange, begun: Begun, reason: str | None = None) -> Reply:
        """Make an answer that has begun the reply; `reason` stands in the header in place of the decision's."""
        outcome, decision, grant = exchange.outcome, exchange.planned, begun.grant
        restoring = Restoring(exchange, begun.outgoing, self._telemetry)
        is_kept = decision.cacheable and grant.payload == "full"
        exchange.pseudonyms = begun.outgoing.pseudonyms  # from here on the answer is the one from outside
        outcome.route, outcome.model = exchange.policy.models[grant.model].locality, grant.model
        outcome.reason, outcome.ignored = reason or outcome.reason, restoring.ignored
        if begun.chunks is not None:
            chunks: AsyncIterator[Any] = restoring.stream(begun.chunks)
            return Reply(outcome, chunks=Relay(exchange, chunks, keep=self._cache.keep if is_kept else None))
        assert begun.completion is not None
        completion = restoring.whole(begun.completion)
        if is_kept:
            self._cache.keep(exchange, completion)
        return whole(exchange, completion)

    async def _permitted(self, exchange: Exchange, grant: Grant) -> tuple[Outgoing, Lease | None]:
        """The bytes with their permit, and the money that the call can cost at most."""
        policy = exchange.policy
        try:
            outgoing = await self._egress.prepare(exchange.request, exchange.planned, policy, exchange.measured, grant)
        except (Denied, Locked) as error:
            self._telemetry.permit_refused(error.code)
            raise
        if outgoing.permit is None:
            raise Denied("No permit was given.", code="policy_denied")
        lease = await self._reserved(exchange, grant, outgoing)
        try:
            if policy.audit == "required" and not await self._accounts.intend(exchange, outgoing.permit):
                raise IntentNotDurable
            if policy.audit == "required" or lease is not None:  # which may have taken a moment
                self._egress.require_open(outgoing)
            if outgoing.permit.release is not None:
                await self._releases.use(exchange, outgoing.permit.release)
        except BaseException:
            if lease is not None:
                lease.end(0)
            raise
        exchange.permits.append(outgoing.permit)
        return outgoing, lease

    async def _reserved(self, exchange: Exchange, grant: Grant, outgoing: Outgoing) -> Lease | None:
        policy, known = exchange.policy, exchange.known
        if policy.budgets is None:
            return None
        request, model = exchange.request, policy.models[grant.model]
        choices = request.body.get("n") or 1
        most = most_of(model, len(outgoing.body), request.task, known.output_tokens, choices)
        lease = await self._purse.reserve(policy, request.principal, model, most, known.input_tokens)
        if lease is not None:
            exchange.leases.append(lease)
            before = len(exchange.calls)
            lease.under_way = lambda: _call_of(exchange.calls[before:], grant.model)
        return lease


def _call_of(calls: Sequence[CallUse], model: str) -> CallUse | None:
    return next((call for call in calls if call.model == model), None)
