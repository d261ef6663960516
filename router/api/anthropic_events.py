"""A stream as Anthropic's clients read it: a message that starts, blocks that start and stop, a stop reason, an end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from router.api.dialect import Told, text_of
from router.errors import GatehouseError
from router.types import JsonObject

_STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}
PING = b'event: ping\ndata: {"type": "ping"}\n\n'


def stopped(choice: JsonObject, asked: JsonObject) -> JsonObject:
    """Anthropic's `stop_reason` and `stop_sequence` of a choice that has ended; `asked` is the canonical body.

    Chat completions have one word for the end of a turn and for a stop sequence. vLLM and our engine say which sequence
    it was in a `stop_reason` of their own; where another server answers it is not known, and counts as an end of turn.
    Only a sequence that the caller named is told.
    """
    finish, sequence = choice.get("finish_reason"), choice.get("stop_reason")
    if finish == "stop" and isinstance(sequence, str) and sequence in (asked.get("stop") or ()):
        return {"stop_reason": "stop_sequence", "stop_sequence": sequence}
    word = _STOP_REASONS.get(finish, "end_turn") if isinstance(finish, str) else "end_turn"
    return {"stop_reason": word, "stop_sequence": None}


def usage_of(usage: Any) -> JsonObject:
    """Anthropic's `usage` of OpenAI's: what was read from a cache does not count as input there."""
    counted = usage if isinstance(usage, dict) else {}
    details = counted.get("prompt_tokens_details")
    cached = _count(details, "cached_tokens") if isinstance(details, dict) else 0
    return {
        "input_tokens": max(0, _count(counted, "prompt_tokens") - cached),
        "output_tokens": _count(counted, "completion_tokens"),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": cached,
    }


def _count(holder: JsonObject, name: str) -> int:
    value = holder.get(name)
    return value if type(value) is int else 0


def _event(payload: JsonObject) -> bytes:
    name: str = payload["type"]
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps(payload) + b"\n\n"


class MessageEvents:
    """Only the first choice is told: the dialect has one."""

    heartbeat = PING

    def __init__(
        self, asked: JsonObject, told: Told, message_id: str, envelope: Callable[[GatehouseError, str], bytes]
    ) -> None:
        self._asked = asked
        self._id = message_id
        self._input_tokens = told.input_tokens
        self._envelope = envelope
        self._request_id = told.request_id
        self._started = False
        self._index = -1  # of the block that is open, or was last
        self._open: int | None = None  # -1: text, else the index of a call; None: no block is open
        self._last: JsonObject = {}  # the choice that had a finish reason
        self._usage: JsonObject | None = None
        self._notice: JsonObject = {}

    def chunk(self, chunk: JsonObject) -> bytes:
        """Events of one chunk."""
        out = [] if self._started else [self._start(chunk)]
        if isinstance(chunk.get("usage"), dict):
            self._usage = chunk["usage"]
        self._notice = chunk.get("gatehouse") or self._notice
        for choice in chunk.get("choices") or ():
            if choice.get("index", 0) != 0:
                continue
            delta = choice.get("delta") or {}
            text = text_of(delta.get("content")) or text_of(delta.get("refusal"))
            if text:
                out.append(self._block(-1, {"type": "text", "text": ""}))
                out.append(self._delta({"type": "text_delta", "text": text}))
            out.extend(self._call(call) for call in delta.get("tool_calls") or ())
            self._last = choice if choice.get("finish_reason") else self._last
        return b"".join(out)

    def end(self, gatehouse: JsonObject | None) -> bytes:
        """The stop reason with the usage, and the end."""
        out = [] if self._started else [self._start({})]
        if self._index < 0:
            out.append(self._block(-1, {"type": "text", "text": ""}))
        usage = usage_of(self._usage)
        if self._usage is None:
            usage["input_tokens"] = self._input_tokens
        last: JsonObject = {"type": "message_delta", "delta": stopped(self._last, self._asked), "usage": usage}
        if self._notice or gatehouse is not None:
            last["gatehouse"] = {**self._notice, **(gatehouse or {})}
        return b"".join([*out, self._stop(), _event(last), _event({"type": "message_stop"})])

    def error(self, error: GatehouseError) -> bytes:
        """The error event, after which nothing comes."""
        return b"event: error\ndata: " + self._envelope(error, self._request_id) + b"\n\n"

    def answer(self) -> JsonObject | None:
        """Nothing is kept."""
        return None

    def _start(self, chunk: JsonObject) -> bytes:
        self._started = True
        message: JsonObject = {
            "id": self._id,
            "type": "message",
            "role": "assistant",
            "model": chunk.get("model") or "",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {**usage_of(None), "input_tokens": self._input_tokens},
        }
        return _event({"type": "message_start", "message": message})

    def _call(self, call: JsonObject) -> bytes:
        index = call.get("index", 0)
        function = call.get("function") or {}
        opened = b""
        if self._open != index:
            block: JsonObject = {"type": "tool_use", "id": call.get("id"), "name": function.get("name"), "input": {}}
            opened = self._block(index, block)
        piece = function.get("arguments")
        return opened + (self._delta({"type": "input_json_delta", "partial_json": piece}) if piece else b"")

    def _block(self, what: int, block: JsonObject) -> bytes:
        """Open a block, unless it is the one that is open; the one before it ends."""
        if self._open == what:
            return b""
        stopped = self._stop()
        self._open = what
        self._index += 1
        return stopped + _event({"type": "content_block_start", "index": self._index, "content_block": block})

    def _delta(self, delta: JsonObject) -> bytes:
        return _event({"type": "content_block_delta", "index": self._index, "delta": delta})

    def _stop(self) -> bytes:
        if self._open is None:
            return b""
        self._open = None
        return _event({"type": "content_block_stop", "index": self._index})
