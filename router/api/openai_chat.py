"""OpenAI's chat completions: the canonical form itself, so nothing is mapped."""

from __future__ import annotations

from router.api import sse
from router.api.dialect import Asked, Told, read_model, read_stream
from router.api.errors import openai_envelope
from router.errors import GatehouseError, InvalidRequest
from router.types import JsonObject, Principal


class ChatCompletions:
    """The dialect of `POST /v1/chat/completions`."""

    async def read(self, body: JsonObject, principal: Principal) -> Asked:
        """The body as it is."""
        options = body.get("stream_options") or {}
        if not isinstance(options, dict):
            raise InvalidRequest("`stream_options` must be an object.", param="stream_options")
        return Asked(body, read_model(body), read_stream(body), options.get("include_usage") is True)

    def whole(self, asked: Asked, told: Told, completion: JsonObject) -> JsonObject:
        """The completion as it is."""
        return completion

    def events(self, asked: Asked, told: Told) -> ChatEvents:
        """Chunks as they are."""
        return ChatEvents(told.pending)

    async def keep(self, asked: Asked, principal: Principal, answer: JsonObject) -> None:
        """There is no state."""

    def envelope(self, error: GatehouseError, request_id: str) -> bytes:
        """OpenAI's error object."""
        return openai_envelope(error)


class ChatEvents:
    """One `data:` line a chunk and `[DONE]`; the last chunk is held back where it must tell the route."""

    heartbeat = sse.HEARTBEAT

    def __init__(self, pending: bool) -> None:
        self._pending = pending
        self._last: JsonObject | None = None

    def chunk(self, chunk: JsonObject) -> bytes:
        """The chunk, or the one before it."""
        if not self._pending:
            return sse.event(chunk)
        held, self._last = self._last, chunk
        return b"" if held is None else sse.event(held)

    def end(self, gatehouse: JsonObject | None) -> bytes:
        """What was held back, and `[DONE]`."""
        if self._last is None:
            return sse.DONE
        return sse.event(self._last if gatehouse is None else {**self._last, "gatehouse": gatehouse}) + sse.DONE

    def error(self, error: GatehouseError) -> bytes:
        """The official clients raise on it. No `[DONE]` follows."""
        return sse.error_event(openai_envelope(error))

    def answer(self) -> JsonObject | None:
        """Nothing is kept."""
        return None
