"""The way up for a stream: account for each chunk, hide what the gateway alone asked for, end the exchange once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any, cast

from router.chunks import Assembler
from router.confidence.confidence import AnswerTrace
from router.errors import GatehouseError
from router.exchange import Exchange
from router.types import JsonObject

Keep = Callable[[Exchange, JsonObject], None]
Measure = Callable[[AnswerTrace], float | None]


class Relay:
    """An iterator over one model's chunks. Whoever may stop early calls `close`, which closes the upstream too."""

    def __init__(
        self,
        exchange: Exchange,
        chunks: AsyncIterator[JsonObject],
        *,
        keep: Keep | None = None,
        hide_logprobs: bool = False,
        measure: Measure | None = None,
    ) -> None:
        self._exchange = exchange
        self._chunks = chunks
        self._keep = keep
        self._measure = measure
        self._trace = AnswerTrace() if measure is not None else None
        self._hide_logprobs = hide_logprobs
        self._assembler = Assembler() if keep is not None else None
        self._include_usage = exchange.request.include_usage

    def __aiter__(self) -> AsyncIterator[JsonObject]:
        return self._relay()

    async def _relay(self) -> AsyncIterator[JsonObject]:
        exchange = self._exchange
        failure: str | None = "client_closed"
        status = 499
        try:
            async with aclosing(cast(Any, self._chunks)) as chunks:
                async for chunk in chunks:
                    shown = self._pass(chunk)
                    if shown is not None:
                        if exchange.first_chunk is None:
                            exchange.first_chunk = exchange.elapsed()
                        yield shown
            failure, status = None, 200
            self._remember()
        except GatehouseError as error:
            failure, status = error.code, error.status
            raise
        finally:
            exchange.finish(failure, status)

    def _pass(self, chunk: JsonObject) -> JsonObject | None:
        """The chunk as the caller sees it, or None for one that only the gateway asked for."""
        if self._assembler is not None:
            self._assembler.add(chunk)
        for choice in chunk.get("choices") or ():
            if self._trace is not None:
                self._trace.add_choice(choice)
            self._exchange.outcome.finish_reason = choice.get("finish_reason") or self._exchange.outcome.finish_reason
            if self._hide_logprobs:
                choice.pop("logprobs", None)
        if chunk.get("usage") and len(self._exchange.outcome.usage) > 1:  # an escalation used two models
            chunk["usage"] = self._exchange.total_usage()
        if not self._include_usage and "usage" in chunk:
            if not chunk.get("choices"):
                return None
            del chunk["usage"]
        return chunk

    def _remember(self) -> None:
        if self._measure is not None and self._trace is not None:
            self._exchange.outcome.confidence = self._measure(self._trace)
        if self._assembler is not None and self._keep is not None:
            completion = self._assembler.completion()
            if completion is not None:
                self._keep(self._exchange, completion)

    async def close(self) -> None:
        """End an exchange whose chunks nobody will read; does nothing once reading has begun."""
        if not self._exchange.finished:
            with_close = getattr(self._chunks, "aclose", None)
            if with_close is not None:
                await asyncio.shield(with_close())
            self._exchange.finish("client_closed", 499)
