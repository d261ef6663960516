"""The gateway's use of the cache: looked up when the decision says so, stored when the answer is whole and sure.

A cache that is down is a miss on the way in and a loss on the way out, never an error.
"""

from __future__ import annotations

import asyncio
from typing import Any

import orjson

from router.cache.base import Cache, CachedReply
from router.cache.key import CacheKeys
from router.exchange import Exchange, usage_of
from router.similar import SimilarQuestions
from router.telemetry.recorder import CacheResult
from router.telemetry.telemetry import Telemetry
from router.types import JsonObject


class ReplyCache:
    """Finds and keeps whole answers under the exact key of DESIGN's crossing table, and those to similar questions."""

    def __init__(
        self,
        cache: Cache,
        keys: CacheKeys,
        artifact_digest: str,
        telemetry: Telemetry,
        similar: SimilarQuestions | None = None,
    ) -> None:
        """Without `similar` only the very same request is answered (tests)."""
        self._cache = cache
        self._keys = keys
        self._artifact_digest = artifact_digest
        self._telemetry = telemetry
        self._similar = similar
        self._storing: set[asyncio.Task[None]] = set()

    async def find(self, exchange: Exchange) -> JsonObject | None:
        """The stored completion; the outcome then names its producer and costs nothing."""
        parts = self._parts(exchange)
        if parts is None:
            return None
        hit = await self._cache.get(parts["tenant"], self._keys.key(**parts))
        if hit is None:
            hit = await self._find_similar(exchange, parts)
        outcome = exchange.outcome
        found: CacheResult = "miss" if hit is None else "hit" if outcome.similarity is None else "similar"
        self._telemetry.cache_looked_up(found)
        if hit is None:
            return None
        outcome.route, outcome.model, outcome.confidence = "cache", hit.model, hit.confidence
        completion: JsonObject = orjson.loads(hit.body)
        exchange.stored = (hit.model, usage_of(completion.get("usage") or {}))
        return completion

    def keep(self, exchange: Exchange, completion: JsonObject) -> None:
        """Store a complete answer in the background."""
        parts = self._parts(exchange)
        finish = {choice.get("finish_reason") for choice in completion.get("choices", [])}
        if parts is None or not finish or not finish <= {"stop", "tool_calls"} or not _sure_enough(exchange):
            return
        outcome = exchange.outcome
        if outcome.failed_over:
            return  # the model that was asked for is there again sooner than the cache forgets
        entry = CachedReply(body=orjson.dumps(completion), model=outcome.model, confidence=outcome.confidence)
        storing = asyncio.create_task(self._store(exchange, parts, entry))
        self._storing.add(storing)
        storing.add_done_callback(self._storing.discard)

    async def _store(self, exchange: Exchange, parts: dict[str, Any], entry: CachedReply) -> None:
        key = self._keys.key(**parts)
        await self._cache.put(parts["tenant"], key, entry, exchange.planned.cache_seconds)
        place = self._similar.place_of(exchange, parts) if self._similar is not None else None
        if self._similar is not None and place is not None:
            await self._similar.add(exchange, place, key)

    async def _find_similar(self, exchange: Exchange, parts: dict[str, Any]) -> CachedReply | None:
        """The answer to the nearest question that says the same, where that may do and the answer is still there."""
        place = self._similar.place_of(exchange, parts) if self._similar is not None else None
        if self._similar is None or place is None:
            return None
        for near in await self._similar.find(exchange, place):
            hit = await self._cache.get(parts["tenant"], near.key)
            if hit is not None:
                exchange.outcome.similarity = near.similarity
                return hit
        return None

    def _parts(self, exchange: Exchange) -> dict[str, Any] | None:
        """What the exact key is made of; None where nothing may be kept."""
        if exchange.plan is None or not exchange.planned.cacheable:
            return None
        decision, request = exchange.planned, exchange.request
        return {
            "tenant": request.principal.tenant,
            "level": decision.sensitivity.word,
            "policy_digest": decision.policy_digest,
            "artifact_digest": self._artifact_digest,
            "requested": request.model,
            "planned": f"{decision.route}/{decision.model}",
            "body": request.body,
        }


def _sure_enough(exchange: Exchange) -> bool:
    """A local answer that could lawfully have been bettered is kept only when it was judged good."""
    decision, outcome = exchange.planned, exchange.outcome
    if outcome.route != "local" or (decision.escalation is None and decision.via is None):
        return True
    judged = outcome.judgement
    if judged is None or judged.verdict != "keep" or outcome.confidence is None:
        return False
    return outcome.confidence >= judged.threshold  # of a committed stream, by now, that of the whole answer
