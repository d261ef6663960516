"""The body of `POST /v1/chat/completions`: validated once, here. A field that is not understood is refused by name.

Messages of errors name fields and numbers, never what stands in them.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Mapping
from typing import Any

import orjson

from router.engine.conversation import read_messages, read_offer
from router.engine.fields import boolean, integer, real, shown
from router.engine.grammar import json_object_grammar, schema_grammar
from router.engine.types import ChatCall, Sampling, invalid

# SmolLM2's model card samples its instruct models so.
DEFAULT_TEMPERATURE = 0.2
DEFAULT_TOP_P = 0.9

_FIELDS = frozenset({
    "model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "temperature", "top_p",
    "top_k", "min_p", "repetition_penalty", "repeat_penalty", "presence_penalty", "frequency_penalty", "seed", "stop",
    "n", "logprobs", "top_logprobs", "response_format", "tools", "tool_choice", "parallel_tool_calls", "cache_salt",
    "tenant", "deadline_ms", "priority",
})  # fmt: skip
_BEFORE_TOOLS = frozenset({"functions", "function_call"})
_MAX_STOPS = 4
_MAX_STOP_LENGTH = 256
_MAX_TOP_LOGPROBS = 20
_MAX_CHOICES = 8
_SEED_SPACE = 2**32 - 1


def parse(raw: bytes) -> ChatCall:
    """Raises EngineError (400). Whether its model is served, and can do what is asked, is for others to say."""
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
    stream = boolean(body, "stream")
    offer = read_offer(body)
    return ChatCall(
        messages=read_messages(body.get("messages")),
        sampling=_sampling(body),
        model=model,
        stream=stream,
        include_usage=_include_usage(body, stream),
        max_tokens=_max_tokens(body),
        stop=_stop(body.get("stop")),
        top_logprobs=_logprobs(body),
        n=integer(body, "n", 1, _MAX_CHOICES) or 1,
        tools=offer.tools,
        must_call=offer.must_call,
        parallel_calls=offer.parallel,
        salt=_digest(body, "cache_salt"),
        tenant=_digest(body, "tenant") or "",
        expires=_expires(body),
        is_low=_is_low(body),
    )


def _expires(body: Mapping[str, Any]) -> float | None:
    left = integer(body, "deadline_ms", 1, 86_400_000)
    return None if left is None else time.monotonic() + left / 1000


def _is_low(body: Mapping[str, Any]) -> bool:
    if body.get("priority") not in (None, "normal", "low"):
        raise invalid("`priority` must be normal or low.", "priority")
    return body.get("priority") == "low"


def _check_fields(body: Mapping[str, Any]) -> None:
    for name in body:
        if name in _BEFORE_TOOLS:
            if body[name] not in (None, []):
                raise invalid("Use `tools` and `tool_choice`.", name, "unsupported_field")
        elif name not in _FIELDS:
            raise invalid(f"Unknown field `{shown(name)}`.", shown(name), "unsupported_field")


def _digest(body: Mapping[str, Any], name: str) -> str | None:
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9_-]{1,128}", value):
        raise invalid(f"`{name}` must be 1 to 128 letters, digits, `_` and `-`.", name)
    return value


def _include_usage(body: Mapping[str, Any], stream: bool) -> bool:
    options = body.get("stream_options")
    if options is None:
        return False
    if not isinstance(options, dict) or not stream:
        raise invalid("`stream_options` must be an object, and needs `stream`.", "stream_options")
    for name in options:
        # `include_obfuscation` asks for padding against a network's observer; there is no network here.
        if name not in ("include_usage", "include_obfuscation"):
            raise invalid(f"Unknown field `{shown(name)}`.", "stream_options", "unsupported_field")
    return boolean(options, "include_usage")


def _max_tokens(body: Mapping[str, Any]) -> int | None:
    newer = integer(body, "max_completion_tokens", 1, 2**31 - 1)
    older = integer(body, "max_tokens", 1, 2**31 - 1)
    return newer if newer is not None else older


def _stop(value: Any) -> tuple[str, ...]:
    stops = [] if value is None else [value] if isinstance(value, str) else value
    if not isinstance(stops, list) or len(stops) > _MAX_STOPS:
        raise invalid(f"`stop` must be a string or a list of at most {_MAX_STOPS} strings.", "stop")
    if not all(isinstance(stop, str) and 0 < len(stop) <= _MAX_STOP_LENGTH for stop in stops):
        raise invalid(f"Each of `stop` must be a string of 1 to {_MAX_STOP_LENGTH} characters.", "stop")
    return tuple(stops)


def _logprobs(body: Mapping[str, Any]) -> int | None:
    top = integer(body, "top_logprobs", 0, _MAX_TOP_LOGPROBS)
    if boolean(body, "logprobs"):
        return top or 0
    if top:
        raise invalid("`top_logprobs` needs `logprobs`.", "top_logprobs")
    return None


def _sampling(body: Mapping[str, Any]) -> Sampling:
    seed = integer(body, "seed", -(2**63), 2**63 - 1)
    repetition = "repeat_penalty" if body.get("repetition_penalty") is None else "repetition_penalty"
    return Sampling(
        temperature=real(body, "temperature", DEFAULT_TEMPERATURE, 0, 2),
        top_p=real(body, "top_p", DEFAULT_TOP_P, 0, 1),
        seed=secrets.randbelow(_SEED_SPACE) if seed is None else seed % _SEED_SPACE,
        grammar=_grammar(body.get("response_format")),
        top_k=max(0, integer(body, "top_k", -1, 2**31 - 1) or 0),  # vLLM's word for all is -1, llama.cpp's 0
        min_p=real(body, "min_p", 0.0, 0, 1),
        repetition_penalty=real(body, repetition, 1.0, 0.01, 10),
        presence_penalty=real(body, "presence_penalty", 0.0, -2, 2),
        frequency_penalty=real(body, "frequency_penalty", 0.0, -2, 2),
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
