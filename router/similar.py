"""The answer that was given to a question which says the same: where the policy caches by meaning, and nowhere else.

Decided here, with a table that ships: nothing is sent anywhere. Only a public question in words alone counts, and only
within its partition: tenant, level, policy, artifacts, models asked for and planned, everything of the request but the
question, and all of the question's words that matter (`classifiers.likeness`). What cannot be told is a miss.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from classifiers.boundary import Failure, attempt
from classifiers.likeness import Likener, Likeness
from router.cache.key import CacheKeys
from router.cache.semantic import Near, SimilarIndex, Vector
from router.exchange import Exchange
from router.types import JsonObject

log = logging.getLogger("gatehouse.cache")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a question stands among those that say the same."""

    partition: bytes
    vector: Vector = field(repr=False)


class SimilarQuestions:
    """Finds and notes questions. The tables are loaded when a policy first asks for it."""

    def __init__(self, index: SimilarIndex, keys: CacheKeys) -> None:
        self._index = index
        self._keys = keys
        self._likener: Likener | Failure | None = None

    def place_of(self, exchange: Exchange, parts: Mapping[str, Any]) -> Place | None:
        """The place of a request's question, whose exact key is made of `parts`; None where nothing else may do."""
        if exchange.planned.cache_similarity is None or exchange.measured.scan.unknowns:
            return None
        text = question_of(exchange.request.body)
        like = self._read(text) if text is not None else None
        if like is None:
            return None
        return Place(self._keys.partition(like.anchors, **parts), like.vector)

    async def find(self, exchange: Exchange, place: Place) -> list[Near]:
        """Answers that may do, the nearest first."""
        least = exchange.planned.cache_similarity
        tenant = exchange.request.principal.tenant
        return [] if least is None else await self._index.find(tenant, place.partition, place.vector, least)

    async def add(self, exchange: Exchange, place: Place, key: bytes) -> None:
        """The answer under `key` was given to the request's question."""
        tenant, seconds = exchange.request.principal.tenant, exchange.planned.cache_seconds
        await self._index.add(tenant, place.partition, place.vector, key, seconds)

    def _read(self, text: str) -> Likeness | None:
        if self._likener is None:
            self._likener = attempt(Likener)
            if isinstance(self._likener, Failure):
                log.error("questions are not compared, for their tables cannot be read: %s", self._likener.error)
        if isinstance(self._likener, Failure):
            return None
        like = attempt(self._likener.of, text)
        return None if isinstance(like, Failure) else like


def question_of(body: JsonObject) -> str | None:
    """The text of a last message that is a user's and nothing but one text; None for any other."""
    messages = body.get("messages")
    last = messages[-1] if isinstance(messages, list) and messages else None
    if not isinstance(last, dict) or last.get("role") != "user":
        return None
    content = last.get("content")
    if isinstance(content, list) and len(content) == 1 and isinstance(content[0], dict):
        part = content[0]
        content = part.get("text") if part.get("type") == "text" and part.keys() == {"type", "text"} else None
    return content if isinstance(content, str) else None
