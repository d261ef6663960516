"""The body of `POST /v1/chat/completions`: validated once, here. A field that is not understood is refused by name.

Messages of errors name fields and numbers, never what stands in them.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import Any

import orjson

from router.engine.grammar import json_object_grammar, schema_grammar
from router.engine.types import ChatCall, Sampling, invalid

# SmolLM2's model card samples its instruct models so.
DEFAULT_TEMPERATURE = 0.2
DEFAULT_TOP_P = 0.9

_FIELDS = frozenset({
    "model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "temperature", "top_p",
    "seed", "stop", "n", "logprobs", "top_logprobs", "response_format", "cache_salt", "tenant",
})  # fmt: skip
_TOOL_FIELDS = frozenset({"tools", "tool_choice", "functions", "function_call", "parallel_tool_calls"})
_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
# What the official client sends back of an answer that it was given: nothing, when it is empty.
_EMPTY_MESSAGE_FIELDS = frozenset({"tool_calls", "function_call", "refusal", "audio", "annotations"})
_MAX_STOPS = 4
_MAX_STOP_LENGTH = 256
_MAX_TOP_LOGPROBS = 20
_SEED_SPACE = 2**32 - 1  # llama.cpp takes the last 32-bit value for "choose one"


def parse(raw: bytes) -> ChatCall:
    """Raises EngineError (400). Whether there is a model of that name is not asked here."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise invalid("The body is not valid JSON.") from None
    if not isinstance(body, dict):
        raise invalid("The body must be a JSON object.")
    _check_fields(body)
    model = body.get("model")
    if not isinstance(model, str):
        raise invalid("`model` must be a string.", "model")
    stream = _boolean(body, "stream")
    return ChatCall(
        messages=_messages(body.get("messages")),
        sampling=_sampling(body),
        model=model,
        stream=stream,
        include_usage=_include_usage(body, stream),
        max_tokens=_max_tokens(body),
        stop=_stop(body.get("stop")),
        top_logprobs=_logprobs(body),
    )


def _shown(name: str) -> str:
    """A field's name if it looks like one; what else stands in its place is the caller's and is not repeated."""
    return name if re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]{0,47}", name) else "(a name that is not shown)"


def _check_fields(body: Mapping[str, Any]) -> None:
    for name in body:
        if name in _TOOL_FIELDS:
            if body[name] in (None, []):
                continue
            raise invalid("This model has no tools.", name, "unsupported_field")
        if name not in _FIELDS:
            raise invalid(f"Unknown field `{_shown(name)}`.", _shown(name), "unsupported_field")
    if body.get("n") not in (None, 1) or isinstance(body.get("n"), bool):
        raise invalid("`n` must be 1.", "n", "unsupported_field")


def _boolean(body: Mapping[str, Any], name: str) -> bool:
    value = body.get(name)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise invalid(f"`{name}` must be true or false.", name)
    return value


def _integer(body: Mapping[str, Any], name: str, least: int, most: int) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise invalid(f"`{name}` must be an integer from {least} to {most}.", name)
    return value


def _real(body: Mapping[str, Any], name: str, default: float, most: float) -> float:
    value = body.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise invalid(f"`{name}` must be a number from 0 to {most:g}.", name)
    return float(value)


def _include_usage(body: Mapping[str, Any], stream: bool) -> bool:
    options = body.get("stream_options")
    if options is None:
        return False
    if not isinstance(options, dict) or not stream:
        raise invalid("`stream_options` must be an object, and needs `stream`.", "stream_options")
    for name in options:
        # `include_obfuscation` asks for padding against a network's observer; there is no network here.
        if name not in ("include_usage", "include_obfuscation"):
            raise invalid(f"Unknown field `{_shown(name)}`.", "stream_options", "unsupported_field")
    return _boolean(options, "include_usage")


def _max_tokens(body: Mapping[str, Any]) -> int | None:
    newer = _integer(body, "max_completion_tokens", 1, 2**31 - 1)
    older = _integer(body, "max_tokens", 1, 2**31 - 1)
    return newer if newer is not None else older


def _stop(value: Any) -> tuple[str, ...]:
    stops = [] if value is None else [value] if isinstance(value, str) else value
    if not isinstance(stops, list) or len(stops) > _MAX_STOPS:
        raise invalid(f"`stop` must be a string or a list of at most {_MAX_STOPS} strings.", "stop")
    if not all(isinstance(stop, str) and 0 < len(stop) <= _MAX_STOP_LENGTH for stop in stops):
        raise invalid(f"Each of `stop` must be a string of 1 to {_MAX_STOP_LENGTH} characters.", "stop")
    return tuple(stops)


def _logprobs(body: Mapping[str, Any]) -> int | None:
    top = _integer(body, "top_logprobs", 0, _MAX_TOP_LOGPROBS)
    if _boolean(body, "logprobs"):
        return top or 0
    if top:
        raise invalid("`top_logprobs` needs `logprobs`.", "top_logprobs")
    return None


def _sampling(body: Mapping[str, Any]) -> Sampling:
    seed = _integer(body, "seed", -(2**63), 2**63 - 1)
    return Sampling(
        temperature=_real(body, "temperature", DEFAULT_TEMPERATURE, 2),
        top_p=_real(body, "top_p", DEFAULT_TOP_P, 1),
        seed=secrets.randbelow(_SEED_SPACE) if seed is None else seed % _SEED_SPACE,
        grammar=_grammar(body.get("response_format")),
    )


def _grammar(form: Any) -> str | None:
    if form is None:
        return None
    kind = form.get("type") if isinstance(form, dict) else None
    if kind == "text":
        return None
    if kind == "json_object":
        return json_object_grammar()
    if kind != "json_schema":
        raise invalid("`response_format.type` must be text, json_object or json_schema.", "response_format")
    named = form.get("json_schema")
    schema = named.get("schema") if isinstance(named, dict) else None
    if not isinstance(schema, dict):
        raise invalid("`response_format.json_schema.schema` must be an object.", "response_format")
    return schema_grammar(schema)


def _messages(value: Any) -> tuple[dict[str, str], ...]:
    if not isinstance(value, list) or not value:
        raise invalid("`messages` must be a list with at least one message.", "messages")
    return tuple(_message(message, index) for index, message in enumerate(value))


def _message(message: Any, index: int) -> dict[str, str]:
    place = f"messages[{index}]"
    if not isinstance(message, dict):
        raise invalid(f"`{place}` must be an object.", place)
    for name, value in message.items():
        if name in ("role", "content") or (name == "name" and isinstance(value, str | None)):
            continue
        if name not in _EMPTY_MESSAGE_FIELDS:
            raise invalid(f"Unknown field `{_shown(name)}` in `{place}`.", place, "unsupported_field")
        if value not in (None, []):
            raise invalid(f"This model cannot take `{name}` in `{place}`.", place, "unsupported_field")
    role = message.get("role")
    if not isinstance(role, str) or role not in _ROLES:
        known = ", ".join(_ROLES)
        raise invalid(f"`{place}.role` must be one of {known}.", place)
    return {"role": _ROLES[role], "content": _content(message.get("content"), role, place)}


def _content(content: Any, role: str, place: str) -> str:
    if isinstance(content, str):
        return content
    if content is None and role == "assistant":
        return ""
    if not isinstance(content, list):
        raise invalid(f"`{place}.content` must be a string or a list of text parts.", place)
    return "".join(_part(part, place) for part in content)


def _part(part: Any, place: str) -> str:
    if not isinstance(part, dict) or part.get("type") != "text" or not isinstance(part.get("text"), str):
        raise invalid(f"This model takes only text parts in `{place}.content`.", place, "unsupported_content")
    for name in part:
        if name not in ("type", "text"):
            raise invalid(f"Unknown field `{_shown(name)}` in a part of `{place}`.", place, "unsupported_field")
    return str(part["text"])
