"""A backend behind its circuit breaker: every call is let through or refused, and what became of it is told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from policies.types import Model
from router.backends.base import Backend
from router.backends.circuit import Circuit, refusal, verdict_of
from router.errors import GatehouseError
from router.types import JsonObject, Outgoing


class CircuitedBackend:
    """`inner`, as long as its breaker lets calls through."""

    def __init__(self, inner: Backend, circuit: Circuit) -> None:
        self.model: Model = inner.model
        self._inner = inner
        self._circuit = circuit

    async def complete(self, outgoing: Outgoing) -> JsonObject:
        """As the inner one does. Raises `UpstreamError` (at home `Unavailable`) at once while the breaker is open."""
        ticket = self._enter()
        try:
            answer = await self._inner.complete(outgoing)
        except BaseException as error:
            self._tell(ticket, error)
            raise
        self._circuit.give_back(ticket, "answered")
        return answer

    async def open_stream(self, outgoing: Outgoing) -> CircuitedStream:
        """The same for a stream, its first chunk already there."""
        ticket = self._enter()
        try:
            chunks = await self._inner.open_stream(outgoing)
        except BaseException as error:
            self._tell(ticket, error)
            raise
        if self._circuit.state == "half_open":  # its first chunk is answer enough: others need not wait for its end
            self._circuit.give_back(ticket, "answered")
        return CircuitedStream(chunks, self._circuit, ticket)

    async def self_test(self) -> None:
        """As the inner one does: nothing is told."""
        await self._inner.self_test()

    async def close(self) -> None:
        """Close every connection. Idempotent."""
        await self._inner.close()

    def _enter(self) -> int:
        ticket = self._circuit.enter()
        if ticket is None:
            raise refusal(self.model.name, self.model.locality, self._circuit.wait)
        return ticket

    def _tell(self, ticket: int, error: BaseException) -> None:
        wait = error.retry_after if isinstance(error, GatehouseError) else None
        self._circuit.give_back(ticket, verdict_of(error), wait)


class CircuitedStream:
    """The chunks of one call. Whoever stops early must `aclose` it, which closes the connection at once."""

    def __init__(self, chunks: AsyncIterator[JsonObject], circuit: Circuit, ticket: int) -> None:
        self._chunks: Any = chunks
        self._circuit = circuit
        self._ticket = ticket

    def __aiter__(self) -> CircuitedStream:
        return self

    async def __anext__(self) -> JsonObject:
        try:
            chunk: JsonObject = await self._chunks.__anext__()
        except StopAsyncIteration:
            self._circuit.give_back(self._ticket, "answered")
            raise
        except BaseException as error:
            self._circuit.give_back(self._ticket, verdict_of(error))
            raise
        return chunk

    async def aclose(self) -> None:
        """Close the stream. Idempotent."""
        await self._chunks.aclose()
