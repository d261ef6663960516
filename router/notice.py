"""Says in the answer itself why it stayed at home, for chats that show no headers: types and rules only, never a value.

Added on the way up, after the cache and the marks: it is neither kept nor taken for the model's own words.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from contextlib import aclosing
from typing import Any, cast

from policies.causes import causes
from router.exchange import Exchange
from router.following import FollowedChunks
from router.relay import Relay
from router.types import JsonObject, Outcome, Reply

_KEPT_REASONS = frozenset({"sensitivity", "lockdown", "audit"})
_TEXT_ENDS = frozenset({"stop", "length"})  # what ends in tool calls or a filter gets no line
_SHOWN = 5


def with_notice(exchange: Exchange, reply: Reply) -> Reply:
    """The reply, with what the policy's `notice` asks for, where something kept it from going out."""
    policy, outcome = exchange.policy, exchange.outcome
    kind = policy.notice_by_key.get(exchange.request.principal.key_id or "", policy.notice)
    is_kept = outcome.held is not None or outcome.reason in _KEPT_REASONS
    if kind == "none" or not is_kept or outcome.route not in ("local", "cache") or exchange.request.task != "chat":
        return reply
    because = _because(exchange)
    if kind == "text" and not _takes_text(exchange.request.body):
        kind = "field"  # a line would break what a program reads
    said: JsonObject = {
        "route": "local",
        "reason": outcome.reason,
        "held": outcome.held,
        "sensitivity": outcome.sensitivity,
        "because": because,
    }
    if outcome.offer is not None and policy.release is not None:
        said["release"] = _offer(outcome, policy.release.by)
    line = _line(outcome.reason, because) if kind == "text" else None
    if reply.chunks is not None:
        reply.chunks = NoticedChunks(reply.chunks, said, line)
    elif reply.body is not None:
        reply.body = _whole(reply.body, said, line)
    return reply


def _offer(outcome: Outcome, by: str) -> JsonObject:
    """What a program needs to repeat the request with consent: the same that stands in the header."""
    offer = outcome.offer
    assert offer is not None
    return {
        "token": outcome.release_token,
        "by": by,
        "model": offer.model,
        "level": offer.level.word,
        "expires": int(offer.until),
    }


def _because(exchange: Exchange) -> list[str]:
    """Entity types, kinds of unknowns and rules: words of ours and of the policy."""
    scan = exchange.measured.scan
    found = [cause.name for cause in causes(exchange.policy, exchange.planned, scan)]
    return list(dict.fromkeys(found))[:_SHOWN]


def _line(reason: str, because: list[str]) -> str:
    why = ", ".join(because) or reason
    return f"\n\n[Gatehouse: this was answered at home and did not leave: {why}.]"


def _takes_text(body: JsonObject) -> bool:
    wanted = body.get("response_format")
    return not isinstance(wanted, dict) or wanted.get("type") in (None, "text")


def _whole(completion: JsonObject, said: JsonObject, line: str | None) -> JsonObject:
    """A new object: the one that was given may be on its way into the cache."""
    if line is None:
        return {**completion, "gatehouse": said}
    return {**completion, "choices": [_told(choice, "message", line) for choice in completion.get("choices") or ()]}


def _told(choice: JsonObject, part: str, line: str) -> JsonObject:
    message = choice.get(part)
    if choice.get("finish_reason") not in _TEXT_ENDS or not isinstance(message, dict) or message.get("tool_calls"):
        return choice
    return {**choice, part: {**message, "content": (message.get("content") or "") + line}}


class NoticedChunks:
    """The chunks of an answer; what ends a choice says why it stayed. Whoever never reads them calls `close`."""

    def __init__(self, chunks: AsyncIterable[JsonObject], said: JsonObject, line: str | None) -> None:
        self._chunks = chunks
        self._said = said
        self._line = line

    def __aiter__(self) -> AsyncIterator[JsonObject]:
        return self._tell()

    async def _tell(self) -> AsyncIterator[JsonObject]:
        async with aclosing(cast(Any, aiter(self._chunks))) as chunks:
            async for chunk in chunks:
                choices = chunk.get("choices") or ()
                if not any(choice.get("finish_reason") for choice in choices):
                    yield chunk
                elif self._line is None:
                    yield {**chunk, "gatehouse": self._said}
                else:
                    yield {**chunk, "choices": [_told(choice, "delta", self._line) for choice in choices]}

    async def close(self) -> None:
        """End an answer that nobody will read."""
        if isinstance(self._chunks, Relay | FollowedChunks):
            await self._chunks.close()
