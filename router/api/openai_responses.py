"""OpenAI's Responses API (`POST /v1/responses`): items to chat completions, answers back as items.

A conversation that is continued by `previous_response_id` is put before the new items, so it is scanned and decided on
as if its caller had sent it. What the provider would run or hold itself (hosted tools, files by id, stored prompts,
background work) is refused; reasoning items are left out.
"""

from __future__ import annotations

from typing import Any, Protocol

from router.api.dialect import Asked, Told, read_model, read_stream, refuse, sort_fields, text_of, unsupported
from router.api.errors import openai_envelope
from router.api.foreign_tools import arguments_of, as_function, custom_item, names_of_custom, refusal
from router.api.item_references import resolved
from router.api.responses_events import ResponseEvents
from router.api.responses_shape import begun, call_item, ended, message_item, response_id
from router.errors import GatehouseError, NotFound
from router.types import JsonObject, Principal

USED = frozenset(
    {"model", "input", "instructions", "tools", "tool_choice", "parallel_tool_calls", "temperature", "top_p", "stream"}
    | {"max_output_tokens", "text", "top_logprobs", "previous_response_id", "store", "include", "background"}
    | {"conversation", "prompt", "moderation"}
)
IDLE = frozenset(
    {
        "metadata",
        "user",
        "safety_identifier",
        "prompt_cache_key",
        "prompt_cache_retention",
        "service_tier",
        "truncation",
    }
    | {"max_tool_calls", "reasoning", "stream_options", "context_management", "prompt_cache_options"}
    | {"client_metadata"}  # Codex names itself in it
)
_ROLES = ("user", "assistant", "system", "developer")
_LOGPROBS = "message.output_text.logprobs"


class ResponseStates(Protocol):
    """Where conversations are kept, sealed, for a time. A store that is down keeps and finds nothing."""

    async def get(self, principal: Principal, response: str) -> JsonObject | None:
        """What `put` was given; None for what is not there, has expired or is another tenant's."""
        ...

    async def put(self, principal: Principal, response: str, state: JsonObject) -> None:
        """Keep `state` under a response's id."""
        ...

    async def delete(self, principal: Principal, response: str) -> bool:
        """Forget it. False when it was not there."""
        ...


class Responses:
    """The dialect of `POST /v1/responses`."""

    def __init__(self, states: ResponseStates) -> None:
        self._states = states

    async def read(self, body: JsonObject, principal: Principal) -> Asked:
        """A chat-completions body with the same meaning, what came before put before it. Raises `InvalidRequest`."""
        ignored = sort_fields(body, USED, IDLE)
        for name in ("background", "conversation", "prompt"):
            if body.get(name):
                raise unsupported(name, "send the whole request, or continue one with `previous_response_id`.")
        if body.get("moderation"):
            raise unsupported("moderation", "it runs at the provider. Ask for it apart, where you want it.")
        earlier = await self._earlier(body.get("previous_response_id"), principal)
        said = [*earlier, *_items(await resolved(body.get("input"), principal, self._states))]
        instructions = body.get("instructions")
        if not isinstance(instructions, str | None):
            raise refuse("instructions", "a string")
        chat: JsonObject = {"model": read_model(body)}
        chat["messages"] = [{"role": "system", "content": instructions}, *said] if instructions else said
        _map_settings(body, chat)
        stream = read_stream(body)
        if stream:
            chat["stream"] = True
        return Asked(chat, chat["model"], stream, True, ignored=ignored, raw=body, history=tuple(said))

    async def _earlier(self, previous: Any, principal: Principal) -> list[JsonObject]:
        if previous is None:
            return []
        if not isinstance(previous, str):
            raise refuse("previous_response_id", "a string")
        state = await self._states.get(principal, previous)
        if state is None:
            raise NotFound(
                "The previous response is not kept here (any more). Send the whole conversation as `input`.",
                param="previous_response_id",
                code="previous_response_not_found",
                status=400,
            )
        messages: list[JsonObject] = state["messages"]
        return messages

    def whole(self, asked: Asked, told: Told, completion: JsonObject) -> JsonObject:
        """OpenAI's response object."""
        choice = (completion.get("choices") or [{}])[0]
        message = choice.get("message") or {}
        text = text_of(message.get("content")) or text_of(message.get("refusal"))
        calls = message.get("tool_calls") or []
        logprobs = (choice.get("logprobs") or {}).get("content")
        output = [message_item(told.request_id, 0, text, logprobs)] if text or not calls else []
        custom = names_of_custom(asked.raw)
        output += [
            custom_item(call_item(told.request_id, len(output) + index, call), custom)
            for index, call in enumerate(calls)
        ]
        answer = begun(asked.raw, response_id(told.request_id), completion.get("model"))
        return ended(answer, output, choice.get("finish_reason"), completion.get("usage"))

    def events(self, asked: Asked, told: Told) -> ResponseEvents:
        """OpenAI's events, numbered."""
        return ResponseEvents(asked.raw, told.request_id)

    async def keep(self, asked: Asked, principal: Principal, answer: JsonObject) -> None:
        """The conversation and the response, unless its caller does not want that."""
        if asked.raw.get("store") is False:
            return
        messages = [*asked.history, *_items(answer["output"])]
        await self._states.put(principal, answer["id"], {"messages": messages, "response": answer})

    def envelope(self, error: GatehouseError, request_id: str) -> bytes:
        """OpenAI's error object."""
        return openai_envelope(error)


def _map_settings(body: JsonObject, chat: JsonObject) -> None:
    for name in ("temperature", "top_p", "parallel_tool_calls"):
        if body.get(name) is not None:
            chat[name] = body[name]
    if body.get("max_output_tokens") is not None:
        chat["max_completion_tokens"] = body["max_output_tokens"]
    _map_logprobs(body, chat)
    if body.get("tools"):
        if not isinstance(body["tools"], list):
            raise refuse("tools", "a list of objects")
        chat["tools"] = [_tool(f"tools[{index}]", tool) for index, tool in enumerate(body["tools"])]
    choice = body.get("tool_choice")
    if choice is not None:
        chat["tool_choice"] = _tool_choice(choice)
    text = body.get("text") or {}
    if not isinstance(text, dict):
        raise refuse("text", "an object")
    form = text.get("format")
    if form is not None:
        chat["response_format"] = _form(form)
    if text.get("verbosity") is not None:
        chat["verbosity"] = text["verbosity"]


def _map_logprobs(body: JsonObject, chat: JsonObject) -> None:
    include = body.get("include") or []
    if not isinstance(include, list):
        raise refuse("include", "a list of strings")
    if _LOGPROBS in include:
        chat["logprobs"] = True
        if body.get("top_logprobs"):
            chat["top_logprobs"] = body["top_logprobs"]


def _tool(where: str, tool: Any) -> JsonObject:
    kind = tool.get("type") if isinstance(tool, dict) else None
    if kind is None:
        raise refuse(where, "an object with a `type`")
    if kind == "custom":
        return as_function(where, tool)
    if kind != "function":
        raise refusal(f"{where}.type", kind)
    if not isinstance(tool.get("name"), str):
        raise refuse(f"{where}.name", "a string")
    function = {
        name: tool[name] for name in ("name", "description", "parameters", "strict") if tool.get(name) is not None
    }
    return {"type": "function", "function": function}


def _tool_choice(choice: Any) -> Any:
    if choice in ("auto", "none", "required"):
        return choice
    if (
        isinstance(choice, dict)
        and choice.get("type") in ("function", "custom")
        and isinstance(choice.get("name"), str)
    ):
        return {"type": "function", "function": {"name": choice["name"]}}
    raise refuse("tool_choice", 'auto, none, required, or {"type": "function", "name": …}')


def _form(form: Any) -> JsonObject:
    kind = form.get("type") if isinstance(form, dict) else None
    if kind in ("text", "json_object"):
        return {"type": kind}
    if kind != "json_schema" or not isinstance(form.get("schema"), dict):
        raise refuse("text.format", "an object with `type` text, json_object, or json_schema and a `schema`")
    schema = {name: form[name] for name in ("name", "description", "schema", "strict") if form.get(name) is not None}
    return {"type": "json_schema", "json_schema": {"name": "answer", **schema}}


def _items(items: Any) -> list[JsonObject]:
    """Chat messages. Neighbouring calls, and the text before them, become one message of the assistant."""
    if isinstance(items, str):
        return [{"role": "user", "content": items}]
    if not isinstance(items, list) or not items:
        raise refuse("input", "a string or a list of at least one item")
    messages: list[JsonObject] = []
    for index, item in enumerate(items):
        where = f"input[{index}]"
        if not isinstance(item, dict):
            raise refuse(where, "an object")
        kind = item.get("type", "message")
        if kind == "message":
            messages.append(_message(where, item))
        elif kind in ("function_call", "custom_tool_call"):
            _add_call(where, item, messages)
        elif kind in ("function_call_output", "custom_tool_call_output"):
            messages.append(_output(where, item))
        elif kind != "reasoning":
            raise unsupported(where, "items of this type. Messages, function calls and their outputs are.")
    return messages


def _message(where: str, item: JsonObject) -> JsonObject:
    role, content = item.get("role"), item.get("content")
    if role not in _ROLES:
        raise refuse(f"{where}.role", f"one of {', '.join(_ROLES)}")
    return {"role": role, "content": _content(f"{where}.content", content)}


def _content(where: str, content: Any) -> Any:
    if isinstance(content, str):
        return content
    if not isinstance(content, list) or not content:
        raise refuse(where, "a string or a list of at least one part")
    return [_part(f"{where}[{index}]", part) for index, part in enumerate(content)]


def _part(where: str, part: Any) -> JsonObject:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind in ("input_text", "output_text", "text", "refusal"):
        text = part.get("refusal") if kind == "refusal" else part.get("text")
        if not isinstance(text, str):
            raise refuse(f"{where}.text", "a string")
        return {"type": "text", "text": text}
    if kind == "input_image" and isinstance(part.get("image_url"), str):
        image = {"url": part["image_url"]}
        if isinstance(part.get("detail"), str):
            image["detail"] = part["detail"]
        return {"type": "image_url", "image_url": image}
    if kind == "input_file" and isinstance(part.get("file_data"), str):
        file = {name: part[name] for name in ("file_data", "filename") if isinstance(part.get(name), str)}
        return {"type": "file", "file": file}
    if kind == "input_audio" and isinstance(part.get("input_audio"), dict):
        return {"type": "input_audio", "input_audio": part["input_audio"]}
    if kind is None:
        raise refuse(where, "an object with a `type`")
    raise unsupported(where, "parts of this form. Text, images and files with their data are; ids of files are not.")


def _add_call(where: str, item: JsonObject, messages: list[JsonObject]) -> None:
    is_custom = item["type"] == "custom_tool_call"
    given = "input" if is_custom else "arguments"
    if not all(isinstance(item.get(name), str) for name in ("call_id", "name", given)):
        raise refuse(where, f"a {item['type']} with `call_id`, `name` and `{given}`")
    function = {"name": item["name"], "arguments": arguments_of(item["input"]) if is_custom else item["arguments"]}
    call = {"id": item["call_id"], "type": "function", "function": function}
    if not messages or messages[-1]["role"] != "assistant":
        messages.append({"role": "assistant", "content": None})
    messages[-1].setdefault("tool_calls", []).append(call)


def _output(where: str, item: JsonObject) -> JsonObject:
    if not isinstance(item.get("call_id"), str):
        raise refuse(f"{where}.call_id", "a string: the id of the call that this answers")
    output = item.get("output")
    if not isinstance(output, str | list):
        raise refuse(f"{where}.output", "a string or a list of parts")
    return {"role": "tool", "tool_call_id": item["call_id"], "content": _content(f"{where}.output", output)}
