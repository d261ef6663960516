"""The JSON objects of answers: OpenAI's chat completions, whole and in chunks.

They hold content and are never printed.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from typing import Any

from router.engine.tools import CallReader, ToolCall, ToolForm
from router.engine.types import ChatCall, EngineError, Finished, Piece, TokenLogprob

JsonObject = dict[str, Any]

_ERROR_TYPES = {
    400: "invalid_request_error",
    404: "not_found_error",
    405: "invalid_request_error",
    413: "invalid_request_error",
    429: "rate_limit_error",
}


class Choice:
    """One choice as it grows: its text, its tool calls, the log-probabilities of its tokens."""

    def __init__(self, index: int, call: ChatCall, form: ToolForm | None) -> None:
        """`form`: how the model writes tool calls; None: it knows none."""
        self.index = index
        self.finished: Finished | None = None
        self._wants_logprobs = call.top_logprobs is not None
        self._most_calls = None if call.parallel_calls and not call.must_call else 1
        names = frozenset(tool["function"]["name"] for tool in call.tools)
        self._reader = CallReader(form, names) if form is not None and names else None
        self._texts: list[str] = []
        self._calls: list[ToolCall] = []
        self._logprobs: list[TokenLogprob] = []
        self._waiting: list[TokenLogprob] = []  # of tokens whose text is still held back

    def add(self, piece: Piece) -> list[JsonObject]:
        """The deltas that a piece of the answer makes; none while it may be a part of a tool call."""
        self._logprobs += piece.logprobs
        self._waiting += piece.logprobs
        if self._reader is None:
            return [self._say(piece.text)]
        return self._deltas(self._reader.push(piece.text))

    def end(self, finished: Finished) -> list[JsonObject]:
        """The last deltas."""
        self.finished = finished
        return [] if self._reader is None else self._deltas(self._reader.finish())

    def take_logprobs(self) -> JsonObject | None:
        """The log-probabilities of what has come since this was asked last."""
        waiting, self._waiting = self._waiting, []
        return logprobs_object(waiting) if waiting else None

    @property
    def reason(self) -> str:
        """The `finish_reason`."""
        assert self.finished is not None
        return "tool_calls" if self._calls and self.finished.reason == "stop" else self.finished.reason

    @property
    def ending(self) -> JsonObject:
        """The `finish_reason` and, where a stop sequence ended it, which one: `stop_reason`, as vLLM calls it."""
        stopped_by = self.finished.stopped_by if self.finished is not None else None
        if self.reason != "stop" or stopped_by is None:
            return {"finish_reason": self.reason}
        return {"finish_reason": "stop", "stop_reason": stopped_by}

    def whole(self) -> JsonObject:
        """The choice of a `chat.completion`."""
        text = "".join(self._texts)
        message: JsonObject = {"role": "assistant", "content": text, "refusal": None}
        if self._calls:
            message["content"] = text or None
            message["tool_calls"] = [_call(call) for call in self._calls]
        logprobs = logprobs_object(self._logprobs) if self._wants_logprobs else None
        return {"index": self.index, "message": message, "logprobs": logprobs, **self.ending}

    def _say(self, text: str) -> JsonObject:
        self._texts.append(text)
        return {"content": text}

    def _deltas(self, parts: list[str | ToolCall]) -> list[JsonObject]:
        deltas = []
        for part in parts:
            if isinstance(part, str):
                deltas.append(self._say(part))
            elif self._most_calls is None or len(self._calls) < self._most_calls:
                deltas.append({"tool_calls": [{"index": len(self._calls), **_call(part)}]})
                self._calls.append(part)
        return deltas


class Shape:
    """The objects of one answer: they share an id, a time and a model."""

    def __init__(self, call: ChatCall, fingerprint: str) -> None:
        self._shows_usage = call.include_usage
        self._common = {
            "id": f"chatcmpl-{secrets.token_hex(12)}",
            "created": int(time.time()),
            "model": call.model,
            "system_fingerprint": fingerprint,
        }

    def whole(self, choices: Sequence[Choice]) -> JsonObject:
        """A `chat.completion`."""
        shown = [choice.whole() for choice in choices]
        return {**self._common, "object": "chat.completion", "choices": shown, "usage": _usage(choices)}

    def chunk(self, index: int, delta: JsonObject, logprobs: JsonObject | None = None) -> JsonObject:
        """A `chat.completion.chunk` of one choice."""
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": None}
        return self._chunk([choice], None)

    def last_chunk(self, choice: Choice) -> JsonObject:
        """The one that ends a choice."""
        end = {"index": choice.index, "delta": {}, "logprobs": choice.take_logprobs(), **choice.ending}
        return self._chunk([end], None)

    def usage_chunk(self, choices: Sequence[Choice]) -> JsonObject:
        """The chunk without choices that `stream_options.include_usage` asks for."""
        return self._chunk([], _usage(choices))

    def _chunk(self, choices: list[JsonObject], usage: JsonObject | None) -> JsonObject:
        chunk = {**self._common, "object": "chat.completion.chunk", "choices": choices}
        return {**chunk, "usage": usage} if self._shows_usage else chunk


def _usage(choices: Sequence[Choice]) -> JsonObject:
    """The prompt counts once, as the first choice read it: the others take it over from that one."""
    ends = [choice.finished for choice in choices if choice.finished is not None]
    prompt = ends[0].prompt_tokens
    completion = sum(end.completion_tokens for end in ends)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": ends[0].cached_tokens},
    }


def _call(call: ToolCall) -> JsonObject:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def logprobs_object(entries: Sequence[TokenLogprob]) -> JsonObject:
    """The `logprobs` of a choice."""
    return {"content": [_entry(entry) for entry in entries], "refusal": None}


def _entry(entry: TokenLogprob) -> JsonObject:
    top = [{**_token(token), "logprob": value} for token, value in entry.top]
    return {**_token(entry.token), "logprob": entry.logprob, "top_logprobs": top}


def _token(raw: bytes) -> JsonObject:
    """A token that is a part of a character shows its bytes as `\\xNN`."""
    return {"token": raw.decode("utf-8", "backslashreplace"), "bytes": list(raw)}


def envelope(error: EngineError) -> JsonObject:
    """OpenAI's error object."""
    kind = _ERROR_TYPES.get(error.status, "server_error")
    return {"error": {"message": error.message, "type": kind, "param": error.param, "code": error.code}}
