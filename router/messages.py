"""The `messages` of a chat-completions body: what they may hold and need, and their form for a local model.

Errors say where (an index), never what.
"""

from __future__ import annotations

from typing import Any

from router.errors import InvalidRequest
from router.types import JsonObject

_ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
_PART_NEEDS = {"image_url": "vision", "input_audio": "audio", "file": "file", "video_url": "video"}
_PLAIN_PARTS = frozenset({"text", "refusal"})
_CARRIED = ("name", "tool_calls", "tool_call_id", "function_call")
UNKNOWN_PART = "content_part"  # a part of a type that this table does not have
UNKNOWN_MESSAGE_FIELD = "message_field"
# Fields that clients send back with an assistant's message, or that only steer a cache.
_KNOWN = frozenset(
    {*_CARRIED, "role", "content", "refusal", "audio", "annotations", "cache_control", "id"}
    | {"reasoning", "reasoning_content", "reasoning_details"}
)


def _refuse(where: str, what: str) -> InvalidRequest:
    return InvalidRequest(f"`{where}` must be {what}.", param=where, code="invalid_value")


def check_messages(messages: Any, needs: set[str], unknown: set[str]) -> None:
    """Check them all; add the capabilities that they need and the unknown things that they hold to the two sets."""
    if not isinstance(messages, list) or not messages:
        raise _refuse("messages", "a list of at least one message")
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        if not isinstance(message, dict):
            raise _refuse(where, "an object")
        role = message.get("role")
        if not isinstance(role, str) or role not in _ROLES:
            raise _refuse(f"{where}.role", "one of system, developer, user, assistant, tool, function")
        content = message.get("content")
        if not isinstance(content, str):
            _check_content(where, role, content, needs, unknown)
        if len(message) > 2:
            _check_rest(where, message, needs, unknown)
        if role == "tool" and not isinstance(message.get("tool_call_id"), str):
            raise _refuse(f"{where}.tool_call_id", "a string: the id of the call that this answers")


def _check_content(where: str, role: str, content: Any, needs: set[str], unknown: set[str]) -> None:
    if content is None and role in ("assistant", "function"):
        return
    if not isinstance(content, list) or not content:
        raise _refuse(f"{where}.content", "a string or a list of at least one part")
    for index, part in enumerate(content):
        kind = part.get("type") if isinstance(part, dict) else None
        if not isinstance(kind, str):
            raise _refuse(f"{where}.content[{index}]", "an object with a `type`")
        if kind == "text" and not isinstance(part.get("text"), str):
            raise _refuse(f"{where}.content[{index}].text", "a string")
        if kind in _PART_NEEDS:
            needs.add(_PART_NEEDS[kind])
        elif kind not in _PLAIN_PARTS:
            unknown.add(UNKNOWN_PART)


def _check_rest(where: str, message: JsonObject, needs: set[str], unknown: set[str]) -> None:
    name = message.get("name")
    if name is not None and not isinstance(name, str):
        raise _refuse(f"{where}.name", "a string")
    calls = message.get("tool_calls")
    if calls:
        _check_calls(where, calls)
    elif calls is not None and calls != []:
        raise _refuse(f"{where}.tool_calls", "a list")
    if calls or message.get("function_call") or message["role"] in ("tool", "function"):
        needs.add("tools")
    if any(value not in (None, [], {}, "") for key, value in message.items() if key not in _KNOWN):
        unknown.add(UNKNOWN_MESSAGE_FIELD)


def _check_calls(where: str, calls: Any) -> None:
    if not isinstance(calls, list):
        raise _refuse(f"{where}.tool_calls", "a list")
    for index, call in enumerate(calls):
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(call, dict) and function is None and call.get("type") == "custom":
            continue
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise _refuse(f"{where}.tool_calls[{index}].function", "an object with a `name`")
        if not isinstance(function.get("arguments", ""), str):
            raise _refuse(f"{where}.tool_calls[{index}].function.arguments", "a string that holds JSON")


def home_messages(messages: list[JsonObject]) -> list[JsonObject]:
    """The messages for a local model: `developer` becomes `system`, parts that are all text become one string, and
    fields that chat templates do not know are left out."""
    return [_home_message(message) for message in messages]


def _home_message(message: JsonObject) -> JsonObject:
    role, content = message["role"], message.get("content")
    if role == "developer":
        role = "system"
    if isinstance(content, list) and all(part.get("type") == "text" for part in content):
        content = "\n".join(part["text"] for part in content)
    home = {"role": role, "content": content}
    if len(message) > 2:
        for name in _CARRIED:
            value = message.get(name)
            if value:
                home[name] = value
    return home
