"""Answers with the values of a request put back: whole ones, and streams of chunks with at most one chunk of delay.

Only what a caller reads is restored; log-probabilities are left out, for they tell of placeholders, not of values.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from router.exchange import Exchange
from router.pseudonyms.restoring import Channel, Restorer
from router.telemetry.telemetry import Telemetry
from router.types import JsonObject, Outgoing

_SAID = frozenset({"content", "refusal", "reasoning", "reasoning_content"})  # texts of a delta that come in pieces
_CALLED = frozenset({("function", "arguments"), ("custom", "input")})  # … and of a tool call
_FIXED = frozenset({"role", "id", "type", "name", "index"})
_HEAD = ("id", "object", "created", "model", "system_fingerprint")


class Restoring:
    """The way back of one exchange: what left with placeholders comes back with values, all else as it is."""

    def __init__(self, exchange: Exchange, outgoing: Outgoing, telemetry: Telemetry) -> None:
        pseudonyms, body = outgoing.pseudonyms, exchange.request.body
        self._outcome = exchange.outcome
        self._telemetry = telemetry
        self._restorer = Restorer(pseudonyms) if pseudonyms is not None and pseudonyms.values else None
        self._is_json = answers_in_json(body)
        self.ignored = outgoing.ignored
        if self._restorer is not None and pseudonyms is not None:
            self._outcome.hidden = len(pseudonyms.values)
            if body.get("logprobs"):
                self.ignored = tuple(sorted({*self.ignored, "logprobs"}))

    def whole(self, completion: JsonObject) -> JsonObject:
        """A whole answer."""
        if self._restorer is not None:
            restore_completion(completion, self._restorer, is_json=self._is_json)
            self._account()
        return completion

    def stream(self, chunks: AsyncIterator[JsonObject]) -> AsyncIterator[JsonObject]:
        """A streamed one."""
        if self._restorer is None:
            return chunks
        return RestoredStream(chunks, self._restorer, is_json=self._is_json, on_end=self._account)

    def _account(self) -> None:
        if self._restorer is not None:
            self._outcome.restored += self._restorer.restored
            self._outcome.strange += self._restorer.strange
            self._telemetry.placeholders_met(self._restorer.restored, self._restorer.strange)


# Where a text in pieces stands in a delta: ("content",), ("tool_calls", 0, "function", "arguments"), …
_Path = tuple[str | int, ...]


def answers_in_json(body: Mapping[str, Any]) -> bool:
    """Whether the request asks for an answer that is JSON, which it must stay."""
    form = body.get("response_format")
    return isinstance(form, Mapping) and form.get("type") in ("json_object", "json_schema")


def restore_completion(completion: JsonObject, restorer: Restorer, *, is_json: bool) -> None:
    """Put the values into a whole `chat.completion`, in place."""
    for choice in completion.get("choices", []):
        if choice.get("logprobs") is not None:
            choice["logprobs"] = None
        message = choice.get("message") or {}
        for name, value in message.items():
            if isinstance(value, str) and name == "content":
                message[name] = restorer.text(value, in_json=is_json)
            else:
                message[name] = _deeply(value, restorer, name)


def _deeply(value: Any, restorer: Restorer, name: str) -> Any:
    if isinstance(value, str):
        return value if name in _FIXED else restorer.text(value, in_json=name == "arguments")
    if isinstance(value, dict):
        return {key: _deeply(child, restorer, key) for key, child in value.items()}
    if isinstance(value, list):
        return [_deeply(child, restorer, name) for child in value]
    return value


class RestoredStream:
    """The chunks of a stream with the values. `on_end` is called once, whatever the end."""

    def __init__(
        self, chunks: AsyncIterator[JsonObject], restorer: Restorer, *, is_json: bool, on_end: Callable[[], None]
    ) -> None:
        self._source = chunks
        self._restorer = restorer
        self._is_json = is_json
        self._on_end = on_end
        self._channels: dict[int, dict[_Path, Channel]] = {}  # by choice
        self._ready: deque[JsonObject] = deque()
        self._last: JsonObject = {}
        self._is_over = False

    def __aiter__(self) -> RestoredStream:
        return self

    async def __anext__(self) -> JsonObject:
        while not self._ready:
            if self._is_over:
                raise StopAsyncIteration
            try:
                chunk = await anext(self._source)
            except StopAsyncIteration:
                for index in self._channels:  # a stream that ends without a finish reason
                    self._ready += self._rest(index, set())
                self._end()
            else:
                self._take(chunk)
        return self._ready.popleft()

    async def aclose(self) -> None:
        """Close the upstream. Idempotent."""
        self._end()
        close = getattr(self._source, "aclose", None)
        if close is not None:
            await close()

    def _end(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._on_end()

    def _take(self, chunk: JsonObject) -> None:
        self._last = chunk
        for choice in chunk.get("choices") or ():
            if choice.get("logprobs") is not None:
                choice["logprobs"] = None
            index, is_last = choice.get("index", 0), choice.get("finish_reason") is not None
            fed: set[_Path] = set()
            choice["delta"] = self._delta(index, choice.get("delta") or {}, fed, is_last)
            if fed or is_last:  # what another text still held stands before what comes now
                self._ready += self._rest(index, fed)
        self._ready.append(chunk)

    def _rest(self, index: int, besides: set[_Path]) -> list[JsonObject]:
        """Chunks for what the texts of a choice still hold, but for some."""
        rest = []
        for path, channel in self._channels.get(index, {}).items():
            if path not in besides and channel.held:
                head = {name: self._last[name] for name in _HEAD if name in self._last}
                choice = {"index": index, "delta": _placed(path, channel.finish()), "finish_reason": None}
                rest.append({**head, "choices": [choice]})
        return rest

    def _delta(self, index: int, delta: JsonObject, fed: set[_Path], is_last: bool) -> JsonObject:
        def piece(path: _Path, text: str, *, in_json: bool) -> str:
            fed.add(path)
            channels = self._channels.setdefault(index, {})
            channel = channels.get(path)
            if channel is None:
                channel = channels[path] = self._restorer.channel(in_json=in_json)
            certain = channel.feed(text)
            return certain + channel.finish() if is_last else certain

        out: JsonObject = {}
        for name, value in delta.items():
            if isinstance(value, str) and name in _SAID:
                out[name] = piece((name,), value, in_json=self._is_json and name == "content")
            elif name == "function_call" and isinstance(value, dict) and isinstance(value.get("arguments"), str):
                out[name] = {**value, "arguments": piece((name, "arguments"), value["arguments"], in_json=True)}
            elif name == "tool_calls" and isinstance(value, list):
                out[name] = [self._call(place, call, piece) for place, call in enumerate(value)]
            else:
                out[name] = _deeply(value, self._restorer, name)
        return out

    def _call(self, place: int, call: Any, piece: Callable[..., str]) -> Any:
        if not isinstance(call, dict):
            return call
        call = dict(call)
        for kind, name in _CALLED:
            part = call.get(kind)
            if isinstance(part, dict) and isinstance(part.get(name), str):
                path = ("tool_calls", call.get("index", place), kind, name)
                call[kind] = {**part, name: piece(path, part[name], in_json=name == "arguments")}
        return call


def _placed(path: _Path, text: str) -> JsonObject:
    """A delta with this text at this path."""
    if path[0] == "tool_calls":
        _, number, kind, name = path
        return {"tool_calls": [{"index": number, str(kind): {str(name): text}}]}
    return {str(path[0]): text if len(path) == 1 else {str(path[1]): text}}
