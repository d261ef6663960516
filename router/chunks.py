"""Streams of `chat.completion.chunk` objects: made from a whole answer, or put together into one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from router.types import JsonObject


async def replay(completion: JsonObject, include_usage: bool) -> AsyncIterator[JsonObject]:
    """A whole `chat.completion` as a stream: role, content, finish reason, and usage only when asked for."""
    head: JsonObject = {
        "id": completion.get("id"),
        "object": "chat.completion.chunk",
        "created": completion.get("created"),
        "model": completion.get("model"),
    }
    if "system_fingerprint" in completion:
        head["system_fingerprint"] = completion["system_fingerprint"]
    if include_usage:
        head["usage"] = None
    for choice in completion.get("choices", []):
        index = choice.get("index", 0)
        message = dict(choice.get("message") or {})
        if isinstance(message.get("tool_calls"), list):
            message["tool_calls"] = [{"index": i, **call} for i, call in enumerate(message["tool_calls"])]
        body: JsonObject = {"index": index, "delta": message, "finish_reason": None}
        if choice.get("logprobs") is not None:
            body["logprobs"] = choice["logprobs"]
        yield {**head, "choices": [body]}
        end: JsonObject = {"index": index, "delta": {}, "finish_reason": choice.get("finish_reason")}
        if choice.get("stop_reason") is not None:  # which stop sequence it was, where a server says so
            end["stop_reason"] = choice["stop_reason"]
        yield {**head, "choices": [end]}
    if include_usage:
        yield {**head, "choices": [], "usage": completion.get("usage")}


class Assembler:
    """Puts the text of a one-choice stream together, so that a streamed answer can be cached like a whole one."""

    def __init__(self) -> None:
        self._first: JsonObject | None = None
        self._text: list[str] = []
        self._plain = True
        self.finish_reason: str | None = None
        self._stop_reason: Any = None
        self.usage: JsonObject | None = None

    def add(self, chunk: JsonObject) -> None:
        if self._first is None:
            self._first = chunk
        if isinstance(chunk.get("usage"), dict):
            self.usage = chunk["usage"]
        for choice in chunk.get("choices") or ():
            delta: dict[str, Any] = choice.get("delta") or {}
            if choice.get("index", 0) != 0 or any(delta.get(name) for name in delta if name not in ("role", "content")):
                self._plain = False  # tool calls, refusals and further choices are relayed but not put together
            if isinstance(delta.get("content"), str):
                self._text.append(delta["content"])
            if choice.get("logprobs") is not None:
                self._plain = False
            self.finish_reason = choice.get("finish_reason") or self.finish_reason
            self._stop_reason = choice.get("stop_reason") or self._stop_reason

    def completion(self) -> JsonObject | None:
        """The whole answer, or None when it is not finished or more than plain text."""
        if self._first is None or not self._plain or self.finish_reason is None:
            return None
        message = {"role": "assistant", "content": "".join(self._text), "refusal": None}
        completion: JsonObject = {name: self._first.get(name) for name in ("id", "created", "model")}
        completion["object"] = "chat.completion"
        choice: JsonObject = {"index": 0, "message": message, "finish_reason": self.finish_reason, "logprobs": None}
        if self._stop_reason is not None:
            choice["stop_reason"] = self._stop_reason
        completion["choices"] = [choice]
        completion["usage"] = self.usage
        return completion
