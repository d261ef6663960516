"""Anthropic's Messages API (`POST /v1/messages`): its bodies to chat completions, answers and errors back.

Thinking blocks, cache marks and ids of callers have no meaning here and go no further; what would change an answer and
cannot be mapped (tools that Anthropic runs, files by id, MCP servers) is refused. Reference: Anthropic's API, version
2023-06-01.
"""

from __future__ import annotations

from typing import Any

import orjson

from router.api.anthropic_events import MessageEvents, stopped, usage_of
from router.api.dialect import Asked, Told, read_model, read_stream, refuse, sort_fields, text_of, unsupported
from router.errors import GatehouseError
from router.types import JsonObject, Principal

# What is held or run at the provider, and would change the answer.
_AT_THE_PROVIDER = ("container", "mcp_servers", "thread", "compaction")
USED = frozenset(
    {"model", "messages", "system", "max_tokens", "stop_sequences", "stream", "temperature", "top_p", "top_k"}
    | {"tools", "tool_choice", "output_config", "output_format", *_AT_THE_PROVIDER}
)
IDLE = frozenset(
    {"metadata", "service_tier", "thinking", "context_management", "inference_geo", "speed", "cache_control"}
    | {"user_profile_id", "workspace_id", "diagnostics", "billing_policy", "fallback_credit_token"}
)
_ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}
_FAILED = "The tool call failed:"
_DROPPED_BLOCKS = frozenset({"thinking", "redacted_thinking"})


class Messages:
    """The dialect of `POST /v1/messages`."""

    async def read(self, body: JsonObject, principal: Principal) -> Asked:
        """A chat-completions body with the same meaning. Raises `InvalidRequest`."""
        ignored = _sorted(body)
        if type(body.get("max_tokens")) is not int or body["max_tokens"] < 1:
            raise refuse("max_tokens", "a whole number, at least 1: this dialect asks for it")
        return _asked(body, ignored)

    def whole(self, asked: Asked, told: Told, completion: JsonObject) -> JsonObject:
        """Anthropic's message object."""
        choice = (completion.get("choices") or [{}])[0]
        message = choice.get("message") or {}
        content: list[JsonObject] = []
        text = text_of(message.get("content")) or text_of(message.get("refusal"))
        calls = message.get("tool_calls") or ()
        if text or not calls:
            content.append({"type": "text", "text": text})
        content.extend(_tool_use(call) for call in calls)
        return {
            "id": message_id(told.request_id),
            "type": "message",
            "role": "assistant",
            "model": completion.get("model"),
            "content": content,
            **stopped(choice, asked.body),
            "usage": usage_of(completion.get("usage")),
        }

    def events(self, asked: Asked, told: Told) -> MessageEvents:
        """Anthropic's events."""
        return MessageEvents(asked.body, told, message_id(told.request_id), self.envelope)

    async def keep(self, asked: Asked, principal: Principal, answer: JsonObject) -> None:
        """There is no state."""

    def envelope(self, error: GatehouseError, request_id: str) -> bytes:
        """Anthropic's error object, with the gateway's stable code beside its type."""
        kind = _ERROR_TYPES.get(error.status, "invalid_request_error" if error.status < 500 else "api_error")
        # Its clients know by these words alone that they must shorten the conversation.
        too_long = "prompt is too long: " if error.code == "context_length_exceeded" else ""
        told = {"type": kind, "message": too_long + error.message, "code": error.code}
        return orjson.dumps({"type": "error", "error": told, "request_id": request_id})


class CountedMessages(Messages):
    """The dialect of `POST /v1/messages/count_tokens`, which asks for no answer and so for no `max_tokens`."""

    async def read(self, body: JsonObject, principal: Principal) -> Asked:
        """The same body as for an answer. Raises `InvalidRequest`."""
        return _asked(body, _sorted(body))


def _sorted(body: JsonObject) -> tuple[str, ...]:
    ignored = sort_fields(body, USED, IDLE)
    for name in _AT_THE_PROVIDER:
        if body.get(name):
            raise unsupported(
                name, "it is held or run at the provider. Send the whole conversation, and your own tools."
            )
    return ignored


def message_id(request_id: str) -> str:
    """The answer's id: that of the request, in the dialect's form."""
    return f"msg_{request_id.removeprefix('gh-')}"


def _asked(body: JsonObject, ignored: tuple[str, ...]) -> Asked:
    stream = read_stream(body)
    chat: JsonObject = {"model": read_model(body), "messages": _messages(body)}
    for name in ("max_tokens", "temperature", "top_p", "top_k"):
        if body.get(name) is not None:
            chat[name] = body[name]
    if body.get("stop_sequences"):
        chat["stop"] = body["stop_sequences"]
    _map_tools(body, chat)
    schema = _schema(body)
    if schema is not None:
        chat["response_format"] = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    if stream:
        chat["stream"] = True
    return Asked(chat, chat["model"], stream, include_usage=True, ignored=ignored)


def _schema(body: JsonObject) -> JsonObject | None:
    where, holder = "output_format", body.get("output_format")
    if holder is None:
        config = body.get("output_config")
        if config is not None and not isinstance(config, dict):
            raise refuse("output_config", "an object")
        where, holder = "output_config.format", (config or {}).get("format")
    if holder is None:
        return None
    if (
        not isinstance(holder, dict)
        or holder.get("type") != "json_schema"
        or not isinstance(holder.get("schema"), dict)
    ):
        raise refuse(where, 'an object with `type: "json_schema"` and a `schema`')
    schema: JsonObject = holder["schema"]
    return schema


def _map_tools(body: JsonObject, chat: JsonObject) -> None:
    tools = body.get("tools")
    if tools:
        if not isinstance(tools, list):
            raise refuse("tools", "a list of objects")
        chat["tools"] = [_tool(f"tools[{index}]", tool) for index, tool in enumerate(tools)]
    choice = body.get("tool_choice")
    if choice is None:
        return
    kind = choice.get("type") if isinstance(choice, dict) else None
    if kind == "tool" and isinstance(choice.get("name"), str):
        chat["tool_choice"] = {"type": "function", "function": {"name": choice["name"]}}
    elif kind in ("auto", "any", "none"):
        chat["tool_choice"] = "required" if kind == "any" else kind
    else:
        raise refuse("tool_choice", "an object with a `type` of auto, any, none, or tool and a `name`")
    if choice.get("disable_parallel_tool_use") is True:
        chat["parallel_tool_calls"] = False


def _tool(where: str, tool: Any) -> JsonObject:
    if not isinstance(tool, dict):
        raise refuse(where, "an object")
    if tool.get("type") not in (None, "custom"):
        why = "what the provider runs, or only its models know. Switch it off, or offer a tool of your own."
        raise unsupported(f"{where}.type", why)
    if not isinstance(tool.get("name"), str) or not isinstance(tool.get("input_schema", {}), dict):
        raise refuse(where, "an object with a `name` and an `input_schema`")
    function: JsonObject = {"name": tool["name"]}
    if isinstance(tool.get("description"), str):
        function["description"] = tool["description"]
    function["parameters"] = tool.get("input_schema", {"type": "object", "properties": {}})
    return {"type": "function", "function": function}


def _messages(body: JsonObject) -> list[JsonObject]:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise refuse("messages", "a list of at least one message")
    mapped: list[JsonObject] = []
    system = body.get("system")
    if system:
        mapped.append({"role": "system", "content": _system(system)})
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        role = message.get("role") if isinstance(message, dict) else None
        if role not in ("user", "assistant", "system"):
            raise refuse(f"{where}.role", "user or assistant; the system prompt stands in `system`")
        content = message.get("content")
        if isinstance(content, str):
            mapped.append({"role": role, "content": content})
            continue
        if not isinstance(content, list) or not content or not all(_is_block(block) for block in content):
            raise refuse(f"{where}.content", "a string or a list of at least one block with a `type`")
        mapped.extend(_assistant(where, content) if role == "assistant" else _user(where, role, content))
    return mapped


def _is_block(block: Any) -> bool:
    return isinstance(block, dict) and isinstance(block.get("type"), str)


def _system(system: Any) -> Any:
    if isinstance(system, str):
        return system
    if not isinstance(system, list):
        raise refuse("system", "a string or a list of text blocks")
    return [_text(f"system[{index}]", block) for index, block in enumerate(system)]


def _text(where: str, block: Any) -> JsonObject:
    if not _is_block(block) or block["type"] != "text" or not isinstance(block.get("text"), str):
        raise refuse(where, "a text block")
    return {"type": "text", "text": block["text"]}


def _assistant(where: str, content: list[JsonObject]) -> list[JsonObject]:
    parts: list[JsonObject] = []
    calls: list[JsonObject] = []
    for index, block in enumerate(content):
        here = f"{where}.content[{index}]"
        if block["type"] == "tool_use":
            if not isinstance(block.get("id"), str) or not isinstance(block.get("name"), str):
                raise refuse(here, "a tool_use block with `id`, `name` and `input`")
            arguments = orjson.dumps(block.get("input") or {}).decode()
            function = {"name": block["name"], "arguments": arguments}
            calls.append({"id": block["id"], "type": "function", "function": function})
        elif block["type"] not in _DROPPED_BLOCKS:
            parts.append(_text(here, block))
    if not parts and not calls:
        return []
    message: JsonObject = {"role": "assistant", "content": parts or None}
    if calls:
        message["tool_calls"] = calls
    return [message]


def _user(where: str, role: str, content: list[JsonObject]) -> list[JsonObject]:
    """Results of tools become messages of their own, before what else the user says."""
    results: list[JsonObject] = []
    parts: list[JsonObject] = []
    for index, block in enumerate(content):
        here = f"{where}.content[{index}]"
        if block["type"] == "tool_result":
            results.append(_result(here, block, parts))
        else:
            parts.append(_part(here, block))
    return [*results, {"role": role, "content": parts}] if parts else results


def _result(where: str, block: JsonObject, parts: list[JsonObject]) -> JsonObject:
    """The tool's message; its images go to the user's own parts, for such a message holds only text.

    Chat completions have no word for a call that failed, so the model is told so in the text.
    """
    if not isinstance(block.get("tool_use_id"), str):
        raise refuse(f"{where}.tool_use_id", "a string: the id of the call that this answers")
    content = block.get("content") or ""
    if isinstance(content, list):
        texts: list[JsonObject] = []
        for index, inner in enumerate(content):
            here = f"{where}.content[{index}]"
            part = _part(here, inner) if _is_block(inner) else _text(here, inner)
            (texts if part["type"] == "text" else parts).append(part)
        content = texts or ""
    elif not isinstance(content, str):
        raise refuse(f"{where}.content", "a string or a list of blocks")
    if not isinstance(block.get("is_error"), bool | None):
        raise refuse(f"{where}.is_error", "true or false")
    if block.get("is_error"):
        is_text = isinstance(content, str)
        content = f"{_FAILED}\n{content}".rstrip() if is_text else [{"type": "text", "text": _FAILED}, *content]
    return {"role": "tool", "tool_call_id": block["tool_use_id"], "content": content}


def _part(where: str, block: JsonObject) -> JsonObject:
    kind = block["type"]
    if kind == "text":
        return _text(where, block)
    source = block.get("source")
    form = source.get("type") if isinstance(source, dict) else None
    if kind not in ("image", "document"):
        raise unsupported(where, "blocks of this type. Text, images, documents, tool calls and results are.")
    if not isinstance(source, dict) or form not in ("base64", "url", "text"):
        raise refuse(f"{where}.source", "an object whose `type` is base64, url or text: files by id are not here")
    if form == "text":
        return _text(where, {"type": "text", "text": source.get("data")})
    address = source.get("url") if form == "url" else f"data:{source.get('media_type')};base64,{source.get('data')}"
    if not isinstance(address, str) or (form == "base64" and not isinstance(source.get("data"), str)):
        raise refuse(f"{where}.source", "an object with `data` and `media_type`, or a `url`")
    if kind == "image":
        return {"type": "image_url", "image_url": {"url": address}}
    return {"type": "file", "file": {"file_data": address}}


def _tool_use(call: JsonObject) -> JsonObject:
    function = call.get("function") or {}
    return {
        "type": "tool_use",
        "id": call.get("id"),
        "name": function.get("name"),
        "input": _arguments(function.get("arguments")),
    }


def _arguments(text: Any) -> JsonObject:
    """The call's arguments as an object; what a model wrote and is none stands under one key."""
    try:
        value = orjson.loads(text or "{}")
    except (orjson.JSONDecodeError, TypeError):
        value = text
    return value if isinstance(value, dict) else {"arguments": value}
