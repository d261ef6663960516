"""The account of each exchange: its decision record, its intent under `audit: required`, its metrics. No content."""

from __future__ import annotations

from collections.abc import Mapping

from policies.types import EgressPermit
from router.exchange import Exchange
from router.keys import Keys
from router.records import RecordSink, build_record
from router.telemetry import Telemetry
from router.types import JsonObject


class Accounts:
    """Writes down what was decided and what became of it; `artifacts` names the digests of what classified."""

    def __init__(self, *, sink: RecordSink, keys: Keys, telemetry: Telemetry, artifacts: Mapping[str, str]) -> None:
        self._sink = sink
        self._keys = keys
        self._telemetry = telemetry
        self._artifacts = dict(artifacts)

    async def intend(self, exchange: Exchange, permit: EgressPermit) -> bool:
        """True once the intent to let these bytes leave is durable."""
        plan = exchange.plan
        return await self._sink.intend(
            build_record(
                keys=self._keys,
                request_id=exchange.request.id,
                principal=exchange.request.principal,
                policy=exchange.running.policy,
                facts=plan and plan.facts,
                signals=plan and plan.signals,
                decision=plan and plan.decision,
                permits=[permit],
                artifacts=self._artifacts,
            )
        )

    def settle(self, exchange: Exchange) -> None:
        """The record and the metrics of an exchange that has ended; `Exchange.finish` calls it once."""
        elapsed = exchange.elapsed()
        self._sink.offer(self._record(exchange, elapsed))
        self._telemetry.request_finished(
            exchange.outcome, elapsed, exchange.waited, exchange.plan and exchange.plan.signals
        )

    def _record(self, exchange: Exchange, elapsed: float) -> JsonObject:
        plan = exchange.plan
        return build_record(
            keys=self._keys,
            request_id=exchange.request.id,
            principal=exchange.request.principal,
            policy=exchange.running.policy,
            facts=plan and plan.facts,
            signals=plan and plan.signals,
            decision=plan and plan.decision,
            outcome=exchange.outcome,
            permits=exchange.permits,
            latency_ms=elapsed * 1000,
            first_chunk_ms=None if exchange.first_chunk is None else exchange.first_chunk * 1000,
            artifacts=self._artifacts,
        )
