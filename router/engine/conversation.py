"""The messages and tools of a chat-completions body, as chat templates read them; all texts are strings.

A part that no template shows is refused, never dropped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from router.engine.fields import boolean, shown
from router.engine.types import invalid

_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool"}
# What the official client sends back of an answer that it was given: nothing, when it is empty.
_EMPTY_FIELDS = frozenset({"function_call", "refusal", "audio", "annotations"})
_MAX_TOOLS = 128
_MAX_ID = 256
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Offer:
    """The tools that a call offers: what the template shows, and what the answer must do with it."""

    tools: tuple[dict[str, Any], ...] = field(default=(), repr=False)
    must_call: str | bool = False
    parallel: bool = True


def read_messages(value: Any) -> tuple[dict[str, Any], ...]:
    """Each has `role` and `content`, and where they belong `tool_calls`, `tool_call_id`. Raises EngineError (400)."""
    if not isinstance(value, list) or not value:
        raise invalid("`messages` must be a list with at least one message.", "messages")
    return tuple(_message(message, f"messages[{index}]") for index, message in enumerate(value))


def read_offer(body: Mapping[str, Any]) -> Offer:
    """`tools`, `tool_choice` and `parallel_tool_calls`. Raises EngineError (400)."""
    value = body.get("tools")
    if value is not None and (not isinstance(value, list) or len(value) > _MAX_TOOLS):
        raise invalid(f"`tools` must be a list of at most {_MAX_TOOLS} tools.", "tools")
    tools = tuple(_tool(tool, index) for index, tool in enumerate(value or []))
    names = [tool["function"]["name"] for tool in tools]
    if len(set(names)) < len(names):
        raise invalid("Two of `tools` have the same name.", "tools")
    parallel = boolean(body, "parallel_tool_calls", default=True)
    choice = _choice(body.get("tool_choice"))
    if choice == "none" or not tools:
        if choice not in ("none", "auto"):
            raise invalid("`tool_choice` needs `tools`.", "tool_choice")
        return Offer()
    if choice in ("auto", "required"):
        return Offer(tools, choice == "required", parallel)
    if choice.removeprefix("=") not in names:
        raise invalid("`tool_choice` names no function of `tools`.", "tool_choice")
    return Offer(tools, choice.removeprefix("="), parallel)


def _choice(value: Any) -> str:
    """`none`, `auto`, `required`, or a function's name behind `=`."""
    if value is None:
        return "auto"
    if value in ("none", "auto", "required"):
        return str(value)
    function = value.get("function") if isinstance(value, dict) and value.get("type") == "function" else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise invalid("`tool_choice` must be none, auto, required, or an object that names a function.", "tool_choice")
    return f"={function['name']}"


def _tool(tool: Any, index: int) -> dict[str, Any]:
    place = f"tools[{index}]"
    function = tool.get("function") if isinstance(tool, dict) and tool.get("type") == "function" else None
    if not isinstance(function, dict) or tool.keys() - {"type", "function"}:
        raise invalid(f"`{place}` must be an object of type `function` with a `function`.", "tools")
    for name in function:
        if name not in ("name", "description", "parameters", "strict"):
            raise invalid(f"Unknown field `{shown(name)}` in `{place}`.", "tools", "unsupported_field")
    if not isinstance(function.get("name"), str) or not _NAME.fullmatch(function["name"]):
        raise invalid(f"`{place}.function.name` must be 1 to 64 letters, digits, `_` and `-`.", "tools")
    if not isinstance(function.get("description"), str | None):
        raise invalid(f"`{place}.function.description` must be a string.", "tools")
    if not isinstance(function.get("parameters"), dict | None):
        raise invalid(f"`{place}.function.parameters` must be an object.", "tools")
    shape = {
        "name": function["name"],
        "description": function.get("description") or "",
        "parameters": function.get("parameters") or {"type": "object", "properties": {}},
    }
    return {"type": "function", "function": shape}


def _message(message: Any, place: str) -> dict[str, Any]:
    if not isinstance(message, dict):
        raise invalid(f"`{place}` must be an object.", place)
    role = message.get("role")
    if not isinstance(role, str) or role not in _ROLES:
        known = ", ".join(_ROLES)
        raise invalid(f"`{place}.role` must be one of {known}.", place)
    allowed = {"role", "content"}
    if role == "assistant":
        allowed.add("tool_calls")
    elif role == "tool":
        allowed.add("tool_call_id")
    for name, value in message.items():
        if name in allowed or (name == "name" and isinstance(value, str | None)):
            continue
        if name not in _EMPTY_FIELDS and name != "tool_calls":
            raise invalid(f"Unknown field `{shown(name)}` in `{place}`.", place, "unsupported_field")
        if value not in (None, []):
            raise invalid(f"This model cannot take `{name}` in `{place}`.", place, "unsupported_field")
    read: dict[str, Any] = {"role": _ROLES[role], "content": _content(message.get("content"), role, place)}
    if role == "tool":
        read["tool_call_id"] = _identifier(message.get("tool_call_id"), f"{place}.tool_call_id", place)
    elif message.get("tool_calls"):
        read["tool_calls"] = _calls(message["tool_calls"], place)
    return read


def _identifier(value: Any, name: str, place: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_ID:
        raise invalid(f"`{name}` must be a string of 1 to {_MAX_ID} characters.", place)
    return value


def _calls(value: Any, place: str) -> list[dict[str, Any]]:
    if not isinstance(value, list):
        raise invalid(f"`{place}.tool_calls` must be a list.", place)
    return [_call(call, f"{place}.tool_calls[{index}]", place) for index, call in enumerate(value)]


def _call(call: Any, name: str, place: str) -> dict[str, Any]:
    function = call.get("function") if isinstance(call, dict) and call.get("type", "function") == "function" else None
    if not isinstance(function, dict):
        raise invalid(f"`{name}` must be an object with a `function`.", place)
    if not isinstance(function.get("name"), str) or not _NAME.fullmatch(function["name"]):
        raise invalid(f"`{name}.function.name` must be 1 to 64 letters, digits, `_` and `-`.", place)
    arguments = function.get("arguments")
    if not isinstance(arguments, str):
        raise invalid(f"`{name}.function.arguments` must be a string.", place)
    shape = {"name": function["name"], "arguments": _arguments(arguments)}
    return {"id": _identifier(call.get("id"), f"{name}.id", place), "type": "function", "function": shape}


def _arguments(text: str) -> Any:
    """An object, as templates want it. What another model wrote amiss stays the text that it is."""
    try:
        value = orjson.loads(text or "{}")
    except orjson.JSONDecodeError:
        return text
    return value if isinstance(value, dict) else text


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
            raise invalid(f"Unknown field `{shown(name)}` in a part of `{place}`.", place, "unsupported_field")
    return str(part["text"])


def refuse_tools(messages: tuple[dict[str, Any], ...], tools: tuple[dict[str, Any], ...]) -> None:
    """For a model that has no tools. Raises EngineError (400) when a call has anything of them."""
    if tools:
        raise invalid("This model has no tools.", "tools", "unsupported_field")
    for index, message in enumerate(messages):
        if message["role"] == "tool" or message.get("tool_calls"):
            place = f"messages[{index}]"
            raise invalid(f"This model has no tools: it cannot take `{place}`.", place, "unsupported_field")
