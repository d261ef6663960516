"""What the scripted backend says, as chat completions and their chunks. It invents nothing beyond its script."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import orjson

from router.types import JsonObject

Fault = Literal[
    "none",
    "close_before",  # read the request, then close without a byte
    "stall_before",  # read the request, then say nothing
    "stall_after",  # `after` chunks (or half a body), then nothing more
    "close_after",  # `after` chunks (or half a body), then close
    "no_done",  # every chunk, then a clean end without `[DONE]`
    "half_json",  # `after` chunks, then an event (or a body) that is cut in the middle
    "garbage",  # bytes that are no HTTP body of ours
    "not_http",  # bytes that are no HTTP
    "error_event",  # `after` chunks, then an error event
    "redirect",  # 307 to `location`
    "wrong_length",  # a Content-Length larger than the body, then close
]

CREATED = 1_700_000_000


@dataclass(frozen=True, slots=True)
class Script:
    """How to answer: the text, its form, and what goes wrong. Times in seconds."""

    answer: str = "All good."
    confidence: float | None = None  # in (0, 1]: the probability of each token, sent when the request asks for logprobs
    model: str | None = None  # None: what the request named
    finish_reason: str = "stop"
    stop_reason: str | None = None  # which stop sequence ended the answer, as vLLM says it beside the finish reason
    prompt_tokens: int = 7
    tool_calls: tuple[JsonObject, ...] = ()
    status: int = 200
    error: JsonObject = field(default_factory=lambda: {"message": "scripted failure", "type": "server_error"})
    headers: tuple[tuple[str, str], ...] = ()  # more response headers, such as Retry-After
    fault: Fault = "none"
    after: int = 1
    location: str = "/elsewhere"
    first_delay: float = 0.0
    chunk_delay: float = 0.0
    chunk_size: int = 0  # characters of a streamed chunk; 0: a word and the blanks before it
    line_end: bytes = b"\n"
    raw_events: tuple[bytes, ...] = ()  # instead of the chunks: exact bytes, one write each
    raw_body: bytes | None = None  # instead of the completion


def last_user_text(request: JsonObject) -> str:
    """What an echo says: the last user message that is a string."""
    said = [each.get("content") for each in request.get("messages", []) if each.get("role") == "user"]
    return next((text for text in reversed(said) if isinstance(text, str)), "")


def pieces(answer: str, size: int = 0) -> list[str]:
    """The answer cut into tokens of a word and the blanks before it, or of a size; they join to the answer."""
    if size:
        return [answer[at : at + size] for at in range(0, len(answer), size)]
    return re.findall(r"\s*\S+|\s+$", answer)


def _entry(token: str, probability: float) -> JsonObject:
    entry: JsonObject = {"token": token, "logprob": math.log(probability), "bytes": list(token.encode())}
    return entry | {"top_logprobs": []}


def _logprobs(tokens: list[str], script: Script, request: JsonObject) -> JsonObject | None:
    if not request.get("logprobs") or script.confidence is None:
        return None
    return {"content": [_entry(token, script.confidence) for token in tokens], "refusal": None}


def _usage(tokens: list[str], script: Script) -> JsonObject:
    answer = len(tokens)
    return {"prompt_tokens": script.prompt_tokens, "completion_tokens": answer} | {
        "total_tokens": script.prompt_tokens + answer
    }


def _choices(request: JsonObject) -> int:
    """How many answers are asked for; all of them are the same."""
    asked = request.get("n")
    return asked if type(asked) is int else 1


def _model(script: Script, request: JsonObject) -> str:
    return script.model or str(request.get("model", "scripted"))


def completion(script: Script, request: JsonObject) -> JsonObject:
    """The whole `chat.completion` object."""
    tokens = pieces(script.answer)
    message: JsonObject = {"role": "assistant", "content": script.answer, "refusal": None}
    if script.tool_calls:
        message |= {"content": None, "tool_calls": list(script.tool_calls)}
    choice = {"message": message, "finish_reason": script.finish_reason, "logprobs": _logprobs(tokens, script, request)}
    if script.stop_reason is not None:
        choice["stop_reason"] = script.stop_reason
    return {
        "id": "chatcmpl-scripted",
        "object": "chat.completion",
        "created": CREATED,
        "model": _model(script, request),
        "choices": [{"index": index, **choice} for index in range(_choices(request))],
        "usage": _usage(tokens, script),
    }


def body(script: Script, request: JsonObject) -> bytes:
    """The whole answer as it is written."""
    return script.raw_body if script.raw_body is not None else orjson.dumps(completion(script, request))


def chunks(script: Script, request: JsonObject) -> Iterator[JsonObject]:
    """The `chat.completion.chunk` objects: role, one for each token, the finish, and usage when asked for."""
    tokens = pieces(script.answer, script.chunk_size)
    head: JsonObject = {"id": "chatcmpl-scripted", "object": "chat.completion.chunk", "created": CREATED}
    head["model"] = _model(script, request)

    for index in range(_choices(request)):
        for choice in _deltas(script, tokens, request):
            yield head | {"choices": [{"index": index, **choice}]}
    if (request.get("stream_options") or {}).get("include_usage"):
        yield head | {"choices": [], "usage": _usage(tokens, script)}


def _deltas(script: Script, tokens: list[str], request: JsonObject) -> Iterator[JsonObject]:
    """The pieces of one choice, without its index."""

    def piece(delta: JsonObject, finish: str | None = None, logprobs: JsonObject | None = None) -> JsonObject:
        return {"delta": delta, "logprobs": logprobs, "finish_reason": finish}

    yield piece({"role": "assistant", "content": ""})
    if script.tool_calls:
        for delta in _calls(script):
            yield piece({"tool_calls": delta})
    else:
        for token in tokens:
            yield piece({"content": token}, logprobs=_logprobs([token], script, request))
    end = piece({}, script.finish_reason)
    yield end if script.stop_reason is None else end | {"stop_reason": script.stop_reason}


def _calls(script: Script) -> Iterator[list[JsonObject]]:
    """The tool calls of a stream: all in one chunk, or with their arguments in pieces."""
    calls = [call | {"index": index} for index, call in enumerate(script.tool_calls)]
    if not script.chunk_size:
        yield calls
        return
    for call in calls:
        function = call["function"]
        yield [call | {"function": function | {"arguments": ""}}]
        for piece in pieces(function["arguments"], script.chunk_size):
            yield [{"index": call["index"], "function": {"arguments": piece}}]


def event(data: bytes, line_end: bytes = b"\n") -> bytes:
    """One server-sent event."""
    return b"data: " + data + line_end + line_end


def events(script: Script, request: JsonObject) -> Iterator[bytes]:
    """The events of a stream without its `[DONE]`, faults of content included."""
    if script.raw_events:
        yield from script.raw_events
        return
    for index, chunk in enumerate(chunks(script, request)):
        if index == script.after and script.fault == "half_json":
            yield event(orjson.dumps(chunk)[:-9], script.line_end)
            return
        if index == script.after and script.fault == "error_event":
            yield event(orjson.dumps({"error": script.error}), script.line_end)
            return
        if index == script.after and script.fault == "garbage":
            yield b"\x00\xff<html>not an event</html>\n\n"
            return
        yield event(orjson.dumps(chunk), script.line_end)
