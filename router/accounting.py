"""The account of each exchange: its decision record, its intent under `audit: required`, its metrics. No content."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime

from policies.beside import beside
from policies.types import EgressPermit, Policy
from router.budgets.purse import usd_of
from router.calibration.drift import promise_in_record
from router.costs.cost import Costs, account
from router.costs.energy import Burn
from router.exchange import Exchange
from router.keys import Keys
from router.planning import Plan
from router.reasks import ask_digest
from router.records.filing import filed
from router.records.record import RecordSink, Said, build_record
from router.telemetry.spans import NO_SPAN
from router.telemetry.telemetry import Telemetry
from router.types import JsonObject, Outcome

_SETTLE_SECONDS = 0.02
_AT_ONCE = 8  # records made in one turn of the loop: about half a millisecond, for which whoever comes must wait …
_SHARE = 2  # … or every second one, where more wait: as many as ever end in a turn are made in one


class Accounts:
    """Writes down what was decided and what became of it; `artifacts` names the digests of what classified.

    Exchanges that have ended wait for a moment and are settled together: that costs a fraction of settling each in the
    middle of others' requests. They wait in the order in which they ended; `close` settles what still waits.
    """

    def __init__(
        self,
        *,
        sink: RecordSink,
        keys: Keys,
        telemetry: Telemetry,
        artifacts: Mapping[str, str],
        burn: Callable[[], Burn | None] = lambda: None,
        candidate: Callable[[], Policy | None] = lambda: None,
    ) -> None:
        """`burn` says what a local token takes, as last measured; `candidate` a second policy to compare with."""
        self._burn = burn
        self._candidate = candidate
        self._sink = sink
        self._keys = keys
        self._telemetry = telemetry
        self._artifacts = dict(artifacts)
        self._ended: deque[tuple[Exchange, float, datetime]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._last: tuple[Policy, Said] | None = None  # the decision that was written last, and under which policy

    async def intend(self, exchange: Exchange, permit: EgressPermit) -> bool:
        """True once the intent to let these bytes leave is durable."""
        return await self._sink.intend(self._record(exchange, [permit], None, None, datetime.now(UTC)))

    def settle(self, exchange: Exchange) -> None:
        """Account for an exchange that has ended, within 20 ms; `Exchange.finish` calls it once."""
        if exchange.span is not NO_SPAN:
            self._costs(exchange)
        exchange.span.request_finished(exchange.outcome, exchange.status)
        exchange.span.end()
        self._ended.append((exchange, exchange.elapsed(), datetime.now(UTC)))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_SETTLE_SECONDS, self._settle_some)

    def close(self) -> None:
        """Settle everything that waits."""
        while self._ended:
            self._settle_one(*self._ended.popleft())
        if self._timer is not None:
            self._timer.cancel()

    def _settle_some(self) -> None:
        waiting = len(self._ended)
        for _ in range(min(max(_AT_ONCE, waiting // _SHARE), waiting)):
            self._settle_one(*self._ended.popleft())
        self._timer = asyncio.get_running_loop().call_later(0, self._settle_some) if self._ended else None

    def _settle_one(self, exchange: Exchange, elapsed: float, ended: datetime) -> None:
        outcome, costs = exchange.outcome, self._costs(exchange)
        record = self._record(exchange, exchange.permits, outcome, elapsed * 1000, ended, costs)
        record.update(_limits_of(exchange))
        candidate, plan = self._candidate(), exchange.plan
        if candidate is not None and plan is not None:
            record["candidate"] = asdict(beside(candidate, plan.facts, plan.signals, plan.decision))
        decided = (plan.decision.rule, plan.decision.sensitivity.word) if plan is not None else None
        ask = ask_digest(self._keys, exchange.request.principal, exchange.request.body)
        self._sink.offer(filed(record, ask, decided))
        self._telemetry.request_finished(
            outcome,
            status=exchange.status,
            seconds=elapsed,
            waited=exchange.waited,
            first_chunk=exchange.first_chunk,
            signals=exchange.plan.signals if exchange.plan is not None else None,
            costs=costs,
            rule=_rule_of(exchange),
        )

    def _costs(self, exchange: Exchange) -> Costs:
        """The account as it stands: a call that still runs counts with what has come of it."""
        policy, plan = exchange.policy, exchange.plan
        costs = account(
            policy,
            plan.decision if plan is not None else None,
            exchange.calls,
            answered_by=exchange.outcome.model,
            input_estimate=plan.facts.input_tokens if plan is not None else 0,
            stored=exchange.stored,
            burn=self._burn(),
        )
        exchange.outcome.cost_usd = None if costs.usd is None else float(costs.usd)
        return costs

    def _record(
        self,
        exchange: Exchange,
        permits: Sequence[EgressPermit],
        outcome: Outcome | None,
        latency_ms: float | None,
        time: datetime,
        costs: Costs | None = None,
    ) -> JsonObject:
        plan = exchange.plan
        return build_record(
            keys=self._keys,
            time=time,
            request_id=exchange.request.id,
            principal=exchange.request.principal,
            policy=exchange.running.policy,
            facts=plan.facts if plan is not None else None,
            signals=plan.signals if plan is not None else None,
            decision=plan.decision if plan is not None else None,
            said=plan.said if plan is not None else None,
            decided=self._decided(plan, exchange.running.policy) if plan is not None and plan.said is None else None,
            outcome=outcome,
            permits=permits,
            latency_ms=latency_ms,
            first_chunk_ms=None if exchange.first_chunk is None else exchange.first_chunk * 1000,
            artifacts=self._artifacts,
            promise=_promise_of(plan, outcome),
            costs=costs,
        )

    def _decided(self, plan: Plan, policy: Policy) -> Said | None:
        """How a decision is written that equals the one before it, reason for reason, as most do."""
        decision = plan.decision
        if plan.facts.unknown_fields:  # whose names its reasons may hold: each is written by itself
            return None
        under, last = self._last if self._last is not None else (None, None)
        if (
            last is None
            or under is not policy
            or last.decision.reasons != decision.reasons
            or last.decision != decision
        ):
            last = Said(decision)
            self._last = policy, last
        return last


def _promise_of(plan: Plan | None, outcome: Outcome | None) -> JsonObject | None:
    """The promise that the local answer was held against which was judged last."""
    if plan is None:
        return None
    decision = plan.decision
    is_second = outcome is not None and any(name == decision.model for name, _ in outcome.passed_over)
    model = (decision.via if is_second else decision.model) or ""
    standard = plan.standard_of(model)
    return promise_in_record(standard, model, decision.terms.rule) if standard is not None else None


def _limits_of(exchange: Exchange) -> JsonObject:
    """What was held and used of money and of its caller's minute, and which limit refused it; where there are any."""
    ticket, leases = exchange.ticket, exchange.leases
    found: JsonObject = {}
    if leases:
        found["budgets"] = {
            "reserved_usd": usd_of(sum(lease.amount for lease in leases)),
            "settled_usd": usd_of(sum(lease.actual for lease in leases)),
        }
    if ticket is not None or exchange.limited_by is not None:
        tokens = {"reserved": ticket.tokens, "used": ticket.used} if ticket is not None else None
        found["rates"] = {"tokens": tokens, "refused_by": exchange.limited_by}
    return found


def _rule_of(exchange: Exchange) -> str:
    """The policy's rule that decided, or the word for what did in its place."""
    decision = exchange.plan.decision if exchange.plan is not None else None
    return "none" if decision is None else decision.rule or decision.reason
