"""The account of each exchange: its decision record, its intent under `audit: required`, its metrics. No content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from policies.types import EgressPermit
from router.exchange import Exchange
from router.keys import Keys
from router.records import RecordSink, build_record
from router.telemetry import Telemetry
from router.types import JsonObject, Outcome


class Accounts:
    """Writes down what was decided and what became of it; `artifacts` names the digests of what classified."""

    def __init__(self, *, sink: RecordSink, keys: Keys, telemetry: Telemetry, artifacts: Mapping[str, str]) -> None:
        self._sink = sink
        self._keys = keys
        self._telemetry = telemetry
        self._artifacts = dict(artifacts)

    async def intend(self, exchange: Exchange, permit: EgressPermit) -> bool:
        """True once the intent to let these bytes leave is durable."""
        return await self._sink.intend(self._record(exchange, [permit], None, None))

    def settle(self, exchange: Exchange) -> None:
        """The record and the metrics of an exchange that has ended; `Exchange.finish` calls it once."""
        elapsed, outcome = exchange.elapsed(), exchange.outcome
        self._sink.offer(self._record(exchange, exchange.permits, outcome, elapsed * 1000))
        self._telemetry.request_finished(
            outcome,
            status=exchange.status,
            seconds=elapsed,
            waited=exchange.waited,
            first_chunk=exchange.first_chunk,
            signals=exchange.plan.signals if exchange.plan is not None else None,
        )
        exchange.span.request_finished(outcome, exchange.status)
        exchange.span.end()

    def _record(
        self,
        exchange: Exchange,
        permits: Sequence[EgressPermit],
        outcome: Outcome | None,
        latency_ms: float | None,
    ) -> JsonObject:
        plan = exchange.plan
        return build_record(
            keys=self._keys,
            request_id=exchange.request.id,
            principal=exchange.request.principal,
            policy=exchange.running.policy,
            facts=plan.facts if plan is not None else None,
            signals=plan.signals if plan is not None else None,
            decision=plan.decision if plan is not None else None,
            outcome=outcome,
            permits=permits,
            latency_ms=latency_ms,
            first_chunk_ms=None if exchange.first_chunk is None else exchange.first_chunk * 1000,
            artifacts=self._artifacts,
        )
