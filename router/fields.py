"""The one table of chat-completions request fields: what each may hold, and what it asks of a model.

Errors name a field only by the words of this table, never by the caller's own text. No I/O, no policy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from policies.types import Model
from router.errors import InvalidRequest
from router.messages import check_messages, home_messages
from router.types import JsonObject

# core: every backend takes it. sampling: every local one does, clouds differ. capability: filters candidates, unless it
# holds a default. hint: a backend may lack it without harm. forbidden: would steer what is the gateway's own, its
# connections and its partitions. Whatever is not in the table is unknown.
FieldClass = Literal["core", "sampling", "capability", "hint", "forbidden"]
Check = Callable[[str, Any], None]

OTHER = "other"  # stands for an unknown field whose name is the caller's own text
ENGINE_MOST_CHOICES = 8  # `n` of the embedded engine


@dataclass(frozen=True, slots=True)
class Field:
    """One row: class, what its value must be, the capability it needs, and the values that ask for nothing."""

    kind: FieldClass
    check: Check | None = None
    needs: str = ""
    idle: tuple[object, ...] = (None,)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _refuse(name: str, what: str) -> InvalidRequest:
    return InvalidRequest(f"`{name}` must be {what}.", param=name, code="invalid_value")


def _number(low: float, high: float) -> Check:
    def check(name: str, value: Any) -> None:
        if type(value) not in (int, float) or not low <= value <= high:
            raise _refuse(name, f"a number from {low:g} to {high:g}")

    return check


def _integer(low: int, high: int) -> Check:
    def check(name: str, value: Any) -> None:
        if type(value) is not int or not low <= value <= high:
            raise _refuse(name, f"a whole number from {low} to {high}")

    return check


def _is(kind: type, what: str) -> Check:
    def check(name: str, value: Any) -> None:
        if type(value) is not kind:
            raise _refuse(name, what)

    return check


def _stop(name: str, value: Any) -> None:
    if isinstance(value, str):
        return
    if not isinstance(value, list) or len(value) > 4 or not all(isinstance(text, str) for text in value):
        raise _refuse(name, "a string or a list of at most 4 strings")


def _objects_with_type(name: str, value: Any) -> None:
    if not isinstance(value, list) or not all(
        isinstance(item, dict) and isinstance(item.get("type"), str) for item in value
    ):
        raise _refuse(name, "a list of objects with a `type`")


def _objects(name: str, value: Any) -> None:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise _refuse(name, "a list of objects")


def _strings(name: str, value: Any) -> None:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _refuse(name, "a list of strings")


def _string_or_object(name: str, value: Any) -> None:
    if not isinstance(value, str | dict):
        raise _refuse(name, "a string or an object")


def _response_format(name: str, value: Any) -> None:
    kind = value.get("type") if isinstance(value, dict) else None
    if kind not in ("text", "json_object", "json_schema"):
        raise _refuse(name, "an object whose `type` is text, json_object or json_schema")
    schema = value.get("json_schema") if kind == "json_schema" else {"schema": {}}
    if not isinstance(schema, dict) or not isinstance(schema.get("schema", {}), dict):
        raise _refuse(name, "given with `json_schema`, an object that holds a `schema`")


_BOOL = _is(bool, "true or false")
_STRING = _is(str, "a string")
_OBJECT = _is(dict, "an object")
_TOKENS = _integer(1, 1 << 31)
_HINT = Field("hint")
_FORBIDDEN = Field("forbidden")

FIELDS: dict[str, Field] = {
    "model": Field("core", _STRING),
    "messages": Field("core"),
    "temperature": Field("core", _number(0, 2)),
    "top_p": Field("core", _number(0, 1)),
    "max_tokens": Field("core", _TOKENS),
    "max_completion_tokens": Field("core", _TOKENS),
    "stop": Field("core", _stop),
    "seed": Field("core", _integer(-(1 << 63), (1 << 63) - 1)),
    "stream": Field("core", _BOOL),
    "stream_options": Field("core", _OBJECT),
    "tools": Field("capability", _objects_with_type, "tools", (None, [])),
    "tool_choice": Field("capability", _string_or_object, "tools", (None, "none", "auto")),
    "functions": Field("capability", _objects, "tools", (None, [])),
    "function_call": Field("capability", _string_or_object, "tools", (None, "none", "auto")),
    "response_format": Field("capability", _response_format, "", (None, {"type": "text"})),
    "n": Field("capability", _integer(1, 128), "n", (None, 1)),
    "logprobs": Field("capability", _BOOL, "logprobs", (None, False)),
    "top_logprobs": Field("capability", _integer(0, 20), "logprobs", (None, 0)),
    "logit_bias": Field("capability", _OBJECT, "logit_bias", (None, {})),
    "modalities": Field("capability", _strings, "audio", (None, [], ["text"])),
    "audio": Field("capability", _OBJECT, "audio"),
    "prediction": Field("capability", _OBJECT, "prediction"),
    "web_search_options": Field("capability", _OBJECT, "web_search"),
    "frequency_penalty": Field("sampling", _number(-2, 2), idle=(None, 0, 0.0)),
    "presence_penalty": Field("sampling", _number(-2, 2), idle=(None, 0, 0.0)),
    "top_k": Field("sampling", _integer(-1, (1 << 31) - 1), idle=(None, 0, -1)),
    "min_p": Field("sampling", _number(0, 1), idle=(None, 0, 0.0)),
    "repetition_penalty": Field("sampling", _number(0.01, 10), idle=(None, 1, 1.0)),  # vLLM's name …
    "repeat_penalty": Field("sampling", _number(0.01, 10), idle=(None, 1, 1.0)),  # … and llama.cpp's
    "user": Field("hint", _STRING),
    "metadata": Field("hint", _OBJECT),
    "store": Field("hint", _BOOL),
    "parallel_tool_calls": Field("hint", _BOOL),
    **dict.fromkeys(
        ("service_tier", "reasoning_effort", "verbosity", "prompt_cache_key", "prompt_cache_retention"), _HINT
    ),
    **dict.fromkeys(("safety_identifier", "prompt_cache_options"), _HINT),
    **dict.fromkeys(
        _words(
            """api_base base_url api_key api_version api_type organization project extra_headers extra_body extra_query
            headers default_headers custom_llm_provider client http_client proxy proxies deployment_id model_list
            mock_response mock_tool_calls fallbacks context_window_fallbacks callbacks success_callback
            failure_callback guardrails litellm_params litellm_metadata azure_ad_token vertex_credentials
            vertex_project aws_access_key_id aws_secret_access_key aws_session_token aws_region_name
            cache_salt tenant"""
        ),
        _FORBIDDEN,
    ),
}

# Fields of other servers, whose names may be said aloud; they are unknown all the same.
_KNOWN_ELSEWHERE = _words(
    """typical_p mirostat grammar guided_json guided_regex guided_choice
    thinking enable_thinking chat_template_kwargs ignore_eos min_tokens best_of echo suffix prompt input instructions
    system top_a tfs_z cache_prompt id_slot keep_alive options format think reasoning plugins provider transforms
    timeout"""
)
_BESIDE_TOOLS = frozenset({"tool_choice", "parallel_tool_calls"})  # they say something even at their defaults
_NOT_FOR_ENGINE = frozenset({"functions", "function_call"})  # what came before `tools`

LITELLM_ARGUMENTS = frozenset(
    name for name, field in FIELDS.items() if field.kind in ("core", "capability")
) | frozenset({"frequency_penalty", "presence_penalty", "parallel_tool_calls", "reasoning_effort"})


def read_fields(body: JsonObject) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """What a body needs (capabilities), what it hints, and which unknown fields it has.

    Raises `InvalidRequest` with `param` set for a field that holds what it may not, and for one that is forbidden.
    """
    needs: set[str] = set()
    hints: set[str] = set()
    unknown: set[str] = set()
    for name, value in body.items():
        field = FIELDS.get(name)
        if field is None:
            unknown.add(name if name in _KNOWN_ELSEWHERE else OTHER)
            continue
        if field.kind == "forbidden":
            raise InvalidRequest(
                f"`{name}` may not stand in a request: addresses, keys, headers and partitions are the gateway's own.",
                param=name,
                code="forbidden_field",
            )
        if value is not None and field.check is not None:
            field.check(name, value)
        if field.kind in ("hint", "sampling"):
            hints.add(name)
        elif field.kind == "capability":
            if _is_idle(field, value):
                hints.add(name)
            elif name == "response_format":
                needs.add("json_schema" if value["type"] == "json_schema" else "json_mode")
            else:
                needs.add(field.needs)
    _check_together(body)
    check_messages(body.get("messages"), needs, unknown)
    return frozenset(needs), frozenset(hints), frozenset(unknown)


def _is_idle(field: Field, value: object) -> bool:
    return any(value == idle and type(value) is type(idle) for idle in field.idle)


def _check_together(body: JsonObject) -> None:
    if body.get("top_logprobs") and not body.get("logprobs"):
        raise InvalidRequest("`top_logprobs` needs `logprobs: true`.", param="top_logprobs", code="invalid_value")
    options = body.get("stream_options")
    if options is not None:
        if not body.get("stream"):
            raise InvalidRequest("`stream_options` needs `stream: true`.", param="stream_options", code="invalid_value")
        if type(options.get("include_usage")) not in (bool, type(None)):
            raise _refuse("stream_options", "an object whose `include_usage` is true or false")


def max_output_tokens(body: JsonObject) -> int:
    """How many tokens the caller wants at most; 0 when it does not say."""
    return int(body.get("max_completion_tokens") or body.get("max_tokens") or 0)


def gives_logprobs(model: Model) -> bool:
    """Whether a local model may be asked for log-probabilities."""
    return model.backend == "engine" or "logprobs" in model.capabilities


def local_body(
    body: JsonObject, model: Model, *, stream: bool, want_logprobs: bool
) -> tuple[JsonObject, tuple[str, ...]]:
    """The body for a local model, and the names of the fields that it does not get.

    Only fields that the model takes go in: hints and defaults are dropped and named. Raises `InvalidRequest` for an
    unknown field, or a capability that the model lacks.
    """
    home: JsonObject = {"model": model.model, "messages": home_messages(body["messages"]), "stream": stream}
    if stream:
        home["stream_options"] = {"include_usage": True}
    ignored: list[str] = []
    for name, value in body.items():
        if name in home or name in ("stream", "stream_options"):
            continue
        field = FIELDS.get(name)
        if field is None:
            raise _not_at_home(name if name in _KNOWN_ELSEWHERE else OTHER, model)
        if field.kind == "core":
            if value is not None:
                home["max_tokens" if name == "max_completion_tokens" else name] = value
        elif _is_dropped(body, model, name, field):
            ignored.append(name)
        elif field.kind == "capability" and not _has(model, name, field, value):
            raise _not_at_home(name, model)
        else:
            home[_home_name(model, name)] = value
    if want_logprobs:
        home["logprobs"] = True
    return home, tuple(sorted(ignored))


def _is_dropped(body: JsonObject, model: Model, name: str, field: Field) -> bool:
    value = body[name]
    if value is not None and name in _BESIDE_TOOLS and body.get("tools"):
        return "tools" not in model.capabilities and field.kind == "hint"
    if field.kind == "sampling":
        if model.backend != "engine":
            return value is None
        return _is_idle(field, value) or (name == "repeat_penalty" and body.get("repetition_penalty") is not None)
    return field.kind == "hint" or (field.kind == "capability" and _is_idle(field, value))


def _home_name(model: Model, name: str) -> str:
    return "repetition_penalty" if name == "repeat_penalty" and model.backend == "engine" else name


def _has(model: Model, name: str, field: Field, value: Any) -> bool:
    capabilities = model.capabilities
    if model.backend == "engine":
        if name in _NOT_FOR_ENGINE:
            return False
        if name == "n" and value > ENGINE_MOST_CHOICES:
            raise InvalidRequest(
                f"The local model `{model.name}` gives at most {ENGINE_MOST_CHOICES} choices (`n`).",
                param="n",
                code="invalid_value",
            )
    if name == "response_format":
        has_schema = "json_schema" in capabilities
        return has_schema or (value["type"] == "json_object" and "json_mode" in capabilities)
    return field.needs in capabilities or (field.needs == "logprobs" and gives_logprobs(model))


def _not_at_home(name: str, model: Model) -> InvalidRequest:
    what = "a field of this request" if name == OTHER else f"`{name}`"
    param = None if name == OTHER else name
    message = f"The local model `{model.name}` does not take {what}. Leave it out, or ask for a model that takes it."
    return InvalidRequest(message, param=param, code="unsupported_field")


def exit_body(body: JsonObject, model: Model, *, stream: bool) -> tuple[JsonObject, tuple[str, ...]]:
    """The body for a model outside, and the names of the fields that it does not get.

    Equal as JSON to what came, but for `model` and `stream_options`. A target behind litellm gets keyword arguments:
    hints that it lacks are dropped and named; raises `InvalidRequest` for an unknown field.
    """
    out = dict(body)
    out["model"] = model.model
    if stream:
        out["stream"] = True
        out["stream_options"] = {**(body.get("stream_options") or {}), "include_usage": True}
    elif out.get("stream_options", ...) is None:
        del out["stream_options"]
    if model.backend != "litellm":
        return out, ()
    ignored: list[str] = []
    for name in body:
        if name in LITELLM_ARGUMENTS and body[name] is not None:
            continue
        if name not in FIELDS or (FIELDS[name].kind == "sampling" and name not in LITELLM_ARGUMENTS):
            raise InvalidRequest(
                f"Model `{model.name}` does not take a field of this request.", code="unsupported_field"
            )
        ignored.append(name)
        del out[name]
    return out, tuple(sorted(ignored))
