"""The gateway's use of the cache: looked up when the decision says so, stored when the answer is whole and sure.

A cache that is down is a miss on the way in and a loss on the way out, never an error.
"""

from __future__ import annotations

import asyncio

import orjson

from router.cache.base import Cache, CachedReply
from router.cache.key import CacheKeys
from router.exchange import Exchange, usage_of
from router.telemetry import Telemetry
from router.types import JsonObject


class ReplyCache:
    """Finds and keeps whole answers under the exact key of DESIGN's crossing table."""

    def __init__(self, cache: Cache, keys: CacheKeys, artifact_digest: str, telemetry: Telemetry) -> None:
        self._cache = cache
        self._keys = keys
        self._artifact_digest = artifact_digest
        self._telemetry = telemetry
        self._storing: set[asyncio.Task[None]] = set()

    async def find(self, exchange: Exchange) -> JsonObject | None:
        """The stored completion; the outcome then names its producer and costs nothing."""
        key = self._key(exchange)
        if key is None:
            return None
        hit = await self._cache.get(exchange.request.principal.tenant, key)
        self._telemetry.cache_looked_up("hit" if hit is not None else "miss")
        if hit is None:
            return None
        outcome = exchange.outcome
        outcome.route, outcome.model, outcome.confidence = "cache", hit.model, hit.confidence
        completion: JsonObject = orjson.loads(hit.body)
        exchange.stored = (hit.model, usage_of(completion.get("usage") or {}))
        return completion

    def keep(self, exchange: Exchange, completion: JsonObject) -> None:
        """Store a complete answer in the background."""
        key = self._key(exchange)
        finish = {choice.get("finish_reason") for choice in completion.get("choices", [])}
        if key is None or not finish or not finish <= {"stop", "tool_calls"} or not _sure_enough(exchange):
            return
        outcome = exchange.outcome
        if outcome.failed_over:
            return  # the model that was asked for is there again sooner than the cache forgets
        entry = CachedReply(body=orjson.dumps(completion), model=outcome.model, confidence=outcome.confidence)
        ttl = exchange.planned.cache_seconds
        storing = asyncio.create_task(self._cache.put(exchange.request.principal.tenant, key, entry, ttl))
        self._storing.add(storing)
        storing.add_done_callback(self._storing.discard)

    def _key(self, exchange: Exchange) -> bytes | None:
        if exchange.plan is None or not exchange.planned.cacheable:
            return None
        decision, request = exchange.planned, exchange.request
        return self._keys.key(
            tenant=request.principal.tenant,
            level=decision.sensitivity.word,
            policy_digest=decision.policy_digest,
            artifact_digest=self._artifact_digest,
            requested=request.model,
            planned=f"{decision.route}/{decision.model}",
            body=request.body,
        )


def _sure_enough(exchange: Exchange) -> bool:
    """A local answer that could lawfully have been bettered is kept only when it was judged good."""
    decision, outcome = exchange.planned, exchange.outcome
    if outcome.route != "local" or decision.escalation is None:
        return True
    judged = outcome.judgement
    if judged is None or judged.verdict != "keep" or outcome.confidence is None:
        return False
    return outcome.confidence >= judged.threshold  # of a committed stream, by now, that of the whole answer
