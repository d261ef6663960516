"""Requests in what other programs export, a line of JSON each: chat bodies by themselves, in batches, in logs.

It says of a line which chat-completions body was sent, or why it holds none; what it says holds no value of the line.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from router.api.parse import parse_json_object
from router.errors import InvalidRequest
from router.types import JsonObject

_WRAPPERS = (
    *("body", "request", "request_body", "proxy_server_request", "kwargs", "standard_logging_object", "payload"),
    *("http_request", "data"),
)
_DEPTH = 6  # of wrappers in wrappers
# What tells a log line, in which answer, cost and key stand beside the request, from a body.
_LOG_MARKS = frozenset(
    {"choices", "response", "response_obj", "litellm_call_id", "call_type", "model_parameters", "optional_params"}
    | {"startTime", "start_time", "response_cost", "output", "usage"}
)
_STORED = "chat.completion"  # what OpenAI calls a completion that it has stored
_PARAMETERS = ("model_parameters", "optional_params")  # LiteLLM keeps all but the messages there
# Of a log line only these were part of the request.
_SENT = frozenset(
    {"messages", "tools", "functions", "tool_choice", "function_call", "response_format", "user", "metadata", "stop"}
    | {"stream", "n", "max_tokens", "max_completion_tokens", "temperature", "top_p", "seed", "prediction"}
    | {"system", "instructions"}
)


class NotARequest(Exception):
    """A line that holds no chat request; the message says why, without a value."""


def request_of(line: bytes, max_depth: int) -> JsonObject:
    """The chat-completions body that a line holds, for the model `auto`. Raises `NotARequest`.

    Forms: a body; one in `body` (OpenAI's batches), `request`, `proxy_server_request` (LiteLLM's spend logs), `kwargs`;
    a log line with `messages` (LiteLLM's standard payload, OpenAI's stored completions) or `input` (Responses) beside
    answer and cost. An object that stands there as text is read as well.
    """
    try:
        value: Any = parse_json_object(line, max_depth)
    except InvalidRequest as error:
        raise NotARequest(str(error)) from None
    for _ in range(_DEPTH):
        body = _body(value)
        if body is not None:
            return body
        value = next((inner for name in _WRAPPERS if isinstance(inner := _read(value.get(name)), dict)), None)
        if value is None:
            break
    raise NotARequest("no messages in it: a line is a chat body, or an object with one in `request` or `body`")


def _body(value: Mapping[str, Any]) -> JsonObject | None:
    messages = _messages(value)
    if messages is None:
        return None
    if not messages or not all(isinstance(message, dict) for message in messages):
        raise NotARequest("`messages` is no list of messages")
    rest = {name: part for name, part in value.items() if name not in ("messages", "input", "prompt")}
    if _LOG_MARKS & value.keys():
        given = {
            name: part
            for key in _PARAMETERS
            if isinstance(parts := value.get(key), dict)
            for name, part in parts.items()
        }
        if value.get("object") != _STORED:
            rest.pop("metadata", None)  # the proxy's own: who asked, with which key
        rest = {name: part for name, part in {**rest, **given}.items() if name in _SENT}
    return {**rest, "model": "auto", "messages": messages}


def _messages(value: Mapping[str, Any]) -> list[Any] | None:
    """The messages of a chat body, of a Responses body (`input`) or of an old completion (`prompt`)."""
    messages = _read(value.get("messages"))
    if isinstance(messages, list):
        return messages
    for name in ("input", "prompt"):
        given = _read(value.get(name))
        if isinstance(given, str) and given:
            return [{"role": "user", "content": given}]
        if isinstance(given, list) and given:
            if all(isinstance(each, str) for each in given):
                return [{"role": "user", "content": each} for each in given]
            return [
                each if not isinstance(each, dict) or "role" in each else {"role": "user", **each} for each in given
            ]
    return None


def _read(value: Any) -> Any:
    """What stands there; a text that is JSON is what it holds."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            return value
    return value
