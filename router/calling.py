"""One call to one model, at home or outside: its time, its span, what it used. Decides nothing and opens no exit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, TypeVar, cast

from policies.types import Model
from router.costs.cost import CallUse, End
from router.errors import DeadlineExceeded, GatehouseError, UpstreamError
from router.exchange import Exchange
from router.telemetry.recorder import ChunkClock
from router.telemetry.spans import NoSpan, Span
from router.telemetry.telemetry import Telemetry
from router.types import JsonObject, Outgoing, Usage
from router.waiting.waits import LocalCall, Waits, ask_of

OnEnd = Callable[[CallUse], None]
T = TypeVar("T")


class Calls:
    """Calls the backends of an exchange's policy version, and accounts for each call."""

    def __init__(self, telemetry: Telemetry, waits: Waits) -> None:
        self._telemetry = telemetry
        self._waits = waits

    async def complete(
        self, exchange: Exchange, name: str, outgoing: Outgoing, on_end: OnEnd | None = None
    ) -> JsonObject:
        """The whole answer; what the backend raises. `on_end` is told once what the call has used."""
        call = _Call(self._telemetry, self._waits, exchange, name, stream=False, on_end=on_end)
        try:
            backend = exchange.running.backends[name]
            completion = await _in_time(exchange, lambda: backend.complete(outgoing))
        except BaseException as error:
            call.end(_error_type(error), error)
            raise
        call.saw(completion)
        call.end(None)
        return completion

    async def open_stream(
        self, exchange: Exchange, name: str, outgoing: Outgoing, on_end: OnEnd | None = None
    ) -> AsyncIterator[JsonObject]:
        """The chunks, the first of which is there; what the backend raises before it. `on_end` as above."""
        call = _Call(self._telemetry, self._waits, exchange, name, stream=True, on_end=on_end)
        try:
            backend = exchange.running.backends[name]
            chunks = await _in_time(exchange, lambda: backend.open_stream(outgoing))
        except BaseException as error:
            call.end(_error_type(error), error)
            raise
        return _Followed(call, chunks)


class _Followed:
    """The chunks of a call that is accounted for whatever happens: also when nobody reads any of them."""

    def __init__(self, call: _Call, chunks: AsyncIterator[JsonObject]) -> None:
        self._call = call
        self._chunks: Any = chunks
        self._reading: Any = None

    def __aiter__(self) -> AsyncIterator[JsonObject]:
        return self

    async def __anext__(self) -> JsonObject:
        if self._reading is None:
            self._reading = self._call.follow(self._chunks)
        chunk: JsonObject = await anext(self._reading)
        return chunk

    async def aclose(self) -> None:
        """Close the stream. Idempotent."""
        if self._reading is None:  # closing a generator that was never begun would run nothing of it
            self._reading = self._call.follow(self._chunks)
            await self._chunks.aclose()
            self._call.end("client_closed", asyncio.CancelledError())
        await self._reading.aclose()


class _Call:
    def __init__(
        self, telemetry: Telemetry, waits: Waits, exchange: Exchange, name: str, *, stream: bool, on_end: OnEnd | None
    ) -> None:
        self._telemetry = telemetry
        self._on_end = on_end
        self._exchange = exchange
        self._name = name
        self._model: Model = exchange.policy.models[name]
        self._started = time.perf_counter()
        self._clock = ChunkClock(self._started) if stream else None
        self._span: Span | NoSpan = telemetry.span_upstream(exchange.span, self._model, stream=stream)
        self._usage: Usage | None = None
        self._use = exchange.called(name)
        self._counted: object = None  # the usage in the model's own words
        self._answered_by: str | None = None
        self._finish_reasons: list[object] = []
        self._local: LocalCall | None = None
        if self._model.locality == "local":
            facts = exchange.known
            self._local = waits.begin(self._model, ask_of(exchange.request, facts.input_tokens, facts.output_tokens))

    async def follow(self, chunks: AsyncIterator[JsonObject]) -> AsyncIterator[JsonObject]:
        failure: str | None = "client_closed"
        cause: BaseException | None = asyncio.CancelledError()
        clock = cast(ChunkClock, self._clock)
        try:
            due = self._exchange.due(before_answer=False)
            async with aclosing(cast(Any, chunks)) as source:
                async for chunk in source if due is None else due.bound(source):
                    clock.tick()
                    self.saw(chunk)
                    yield chunk
            failure = cause = None
        except GatehouseError as error:
            failure, cause = error.code, error
            raise
        finally:
            self.end(failure, cause)

    def saw(self, answer: JsonObject) -> None:
        """Take usage, model and finish reasons from a whole answer or a chunk."""
        usage = answer.get("usage")
        if usage:
            self._usage = self._exchange.reported(self._use, usage)
            self._counted = usage
        if self._answered_by is None and isinstance(answer.get("model"), str):
            self._answered_by = answer["model"]
        for choice in answer.get("choices") or ():
            size = _size(choice.get("delta") or choice.get("message") or {})
            if size:
                self._use.size += size
                self._use.pieces += 1
            reason = choice.get("finish_reason")
            if reason is not None:
                self._finish_reasons.append(reason)

    def end(self, error_type: str | None, cause: BaseException | None = None) -> None:
        self._use.end = _how(cause, self._use)
        if self._on_end is not None:
            self._on_end(self._use)
        seconds = time.perf_counter() - self._started
        self._exchange.waited += seconds
        if self._local is not None:
            self._local.end(self._counted, was_cut="length" in self._finish_reasons, is_whole=error_type is None)
        self._telemetry.upstream_call(
            self._model,
            seconds=seconds,
            usage=self._usage,
            clock=self._clock,
            response_model=self._answered_by,
            error_type=error_type,
        )
        if self._usage is not None or self._finish_reasons:
            self._span.upstream_finished(
                self._model,
                usage=self._usage,
                finish_reasons=self._finish_reasons,
                response_model=self._answered_by,
                first_chunk=self._clock.first if self._clock is not None else None,
            )
        self._span.end(error_type)


async def _in_time(exchange: Exchange, work: Callable[[], Awaitable[T]]) -> T:
    """What a backend gives before the request's time is over; nothing is begun once it is."""
    due = exchange.due()
    if due is None:
        return await work()
    due.require()
    return await due.keep(work)


def _how(cause: BaseException | None, use: CallUse) -> End:
    """How a call ended, for its account: one that the upstream never took, or refused, has used nothing."""
    if cause is None:
        return "whole"
    if not isinstance(cause, GatehouseError) or (isinstance(cause, DeadlineExceeded) and not cause.unsent):
        return "cancelled"
    is_cut_off = isinstance(cause, UpstreamError) and cause.upstream_status is None and not cause.unsent
    return "failed" if is_cut_off or use.size else "refused"


def _size(part: JsonObject) -> int:
    """Bytes of text in a delta or a message, arguments of tool calls included."""
    size = 0
    for name in ("content", "reasoning_content", "refusal"):
        text = part.get(name)
        if isinstance(text, str):
            size += len(text.encode("utf-8", "replace"))
    for call in part.get("tool_calls") or ():
        function = call.get("function") if isinstance(call, dict) else None
        for text in function.values() if isinstance(function, dict) else ():
            size += len(text.encode("utf-8", "replace")) if isinstance(text, str) else 0
    return size


def _error_type(error: BaseException) -> str:
    return error.code if isinstance(error, GatehouseError) else type(error).__name__
