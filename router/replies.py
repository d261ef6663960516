"""Whole answers on their way up: one object, or a stream made from it, as the caller asked for it."""

from __future__ import annotations

from collections.abc import AsyncIterator

from router.chunks import replay
from router.exchange import Exchange
from router.types import JsonObject, Reply


def whole(exchange: Exchange, completion: JsonObject) -> Reply:
    """The reply that a whole `chat.completion` is."""
    outcome = exchange.outcome
    choices = completion.get("choices") or [{}]
    outcome.finish_reason = choices[0].get("finish_reason")
    if len(outcome.usage) > 1:  # an escalation used two models
        completion["usage"] = exchange.total_usage()
    if not exchange.request.stream:
        return Reply(outcome, body=completion)
    return Reply(outcome, chunks=_replayed(exchange, completion))


async def _replayed(exchange: Exchange, completion: JsonObject) -> AsyncIterator[JsonObject]:
    failure: str | None = "client_closed"
    status = 499
    try:
        async for chunk in replay(completion, exchange.request.include_usage):
            yield chunk
        failure, status = None, 200
    finally:
        exchange.finish(failure, status)
