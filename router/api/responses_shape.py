"""The objects of OpenAI's Responses API, as answers and events show them. Pure."""

from __future__ import annotations

import time
from typing import Any

from router.types import JsonObject

_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
# What a response shows of its own request, and what it says where the request did not.
_SHOWN: JsonObject = {
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "reasoning": {"effort": None, "summary": None},
    "store": True,
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": None,
    "truncation": "disabled",
    "user": None,
}


def response_id(request_id: str) -> str:
    """The response's id: that of the request, in the dialect's form."""
    return f"resp_{request_id.removeprefix('gh-')}"


def item_id(kind: str, request_id: str, index: int) -> str:
    """An id for the item at `index` of the output."""
    return f"{kind}_{request_id.removeprefix('gh-')}{index:02x}"


def begun(asked: JsonObject, own_id: str, model: Any) -> JsonObject:
    """A response in progress."""
    shown = {name: default if asked.get(name) is None else asked[name] for name, default in _SHOWN.items()}
    return {
        "id": own_id,
        "object": "response",
        "created_at": int(time.time()),
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "model": model if isinstance(model, str) else "",
        "output": [],
        "usage": None,
        **shown,
    }


def ended(answer: JsonObject, output: list[JsonObject], finish_reason: Any, usage: Any) -> JsonObject:
    """The response, complete, or incomplete with the reason."""
    why = _INCOMPLETE.get(finish_reason) if isinstance(finish_reason, str) else None
    status = "completed" if why is None else "incomplete"
    details = None if why is None else {"reason": why}
    return {**answer, "status": status, "incomplete_details": details, "output": output, "usage": usage_of(usage)}


def message_item(request_id: str, index: int, text: str, logprobs: Any = None, status: str = "completed") -> JsonObject:
    """A message with one part of text."""
    return {
        "id": item_id("msg", request_id, index),
        "type": "message",
        "role": "assistant",
        "status": status,
        "content": [text_part(text, logprobs)],
    }


def text_part(text: str, logprobs: Any = None) -> JsonObject:
    """A part of text."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs or []}


def call_item(request_id: str, index: int, call: JsonObject, status: str = "completed") -> JsonObject:
    """A call of a function."""
    function = call.get("function") or {}
    return {
        "id": item_id("fc", request_id, index),
        "type": "function_call",
        "call_id": call.get("id"),
        "name": function.get("name"),
        "arguments": function.get("arguments") or "",
        "status": status,
    }


def usage_of(usage: Any) -> JsonObject | None:
    """The Responses API's `usage` of chat completions'."""
    if not isinstance(usage, dict):
        return None
    prompt, completion = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    return {
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": _count(usage.get("prompt_tokens_details"), "cached_tokens")},
        "output_tokens": completion,
        "output_tokens_details": {
            "reasoning_tokens": _count(usage.get("completion_tokens_details"), "reasoning_tokens")
        },
        "total_tokens": prompt + completion,
    }


def _count(holder: Any, name: str) -> int:
    value = holder.get(name) if isinstance(holder, dict) else None
    return value if type(value) is int else 0
