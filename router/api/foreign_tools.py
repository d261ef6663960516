"""Tools of the Responses API that are no functions: the caller's own with free text, and those that a provider runs.

A tool with free text (`custom`) is asked of models as a function of one string, for that is what all of them can call.
What runs at a provider is refused: no permit covers what would go there.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import orjson

from router.api.dialect import refuse, unsupported
from router.errors import InvalidRequest
from router.types import JsonObject

# Named in the message; whatever else is no function is refused without its name, which is the caller's text.
_HOSTED = frozenset(
    {"web_search", "web_search_preview", "file_search", "code_interpreter", "image_generation", "mcp", "computer"}
    | {"computer_use_preview", "tool_search"}
)
_UNMAPPED = frozenset({"local_shell", "shell", "apply_patch"})  # the caller runs them, in a form of their own


def refusal(where: str, kind: Any) -> InvalidRequest:
    """Why a tool of that type cannot be offered here, and what can be done."""
    if kind in _UNMAPPED:
        why = f"`{kind}` has a form that only its provider's models know. Offer it as a function of your own."
    elif kind in _HOSTED or (isinstance(kind, str) and kind.startswith("web_search_preview_")):
        name = kind if kind in _HOSTED else "web_search_preview"
        why = (
            f"`{name}` runs at the provider, where nothing of this request may go by the gateway's permit. "
            "Switch it off in the client, or offer a function of your own that does the same."
        )
    else:
        why = "tools of this type are not known. Functions are, and `custom` tools."
    return unsupported(where, why)


def names_of_custom(body: JsonObject) -> frozenset[str]:
    """The tools of a request whose calls are free text."""
    tools = body.get("tools")
    listed = tools if isinstance(tools, list) else ()
    return frozenset(
        tool["name"] for tool in listed if isinstance(tool, dict) and tool.get("type") == "custom" and _is_named(tool)
    )


def as_function(where: str, tool: JsonObject) -> JsonObject:
    """A `custom` tool as a function of one string. The grammar of its text, where it has one, is told in words."""
    if not _is_named(tool):
        raise refuse(f"{where}.name", "a string")
    form = tool.get("format") or {"type": "text"}
    if not isinstance(form, dict) or form.get("type") not in ("text", "grammar"):
        raise refuse(f"{where}.format", "an object with `type` text or grammar")
    said = tool.get("description") if isinstance(tool.get("description"), str) else ""
    if form["type"] == "grammar":
        if not isinstance(form.get("definition"), str) or form.get("syntax") not in ("lark", "regex"):
            raise refuse(f"{where}.format", "a grammar with `syntax` lark or regex, and a `definition`")
        said = f"{said}\n\n`input` must match this {form['syntax']} grammar:\n{form['definition']}".strip()
    text = {"type": "string", "description": "The whole input of the tool, as free text."}
    parameters = {"type": "object", "properties": {"input": text}, "required": ["input"], "additionalProperties": False}
    described = {"description": said} if said else {}
    return {"type": "function", "function": {"name": tool["name"], **described, "parameters": parameters}}


def arguments_of(text: str) -> str:
    """The arguments of the function that stands for a custom tool."""
    return orjson.dumps({"input": text}).decode()


def input_of(arguments: str) -> str:
    """The free text of a call; what a model wrote in another form comes as it is."""
    try:
        value = orjson.loads(arguments)
    except orjson.JSONDecodeError:
        return arguments
    text = value.get("input") if isinstance(value, dict) else None
    return text if isinstance(text, str) else arguments


def custom_item(item: JsonObject, custom: Collection[str]) -> JsonObject:
    """The item of a call: as one of a custom tool where its name is among `custom`."""
    if item["name"] not in custom:
        return item
    kept = {name: item[name] for name in ("call_id", "name", "status")}
    own_id = "ctc" + item["id"].removeprefix("fc")
    return {"id": own_id, "type": "custom_tool_call", **kept, "input": input_of(item["arguments"])}


def _is_named(tool: JsonObject) -> bool:
    return isinstance(tool.get("name"), str) and bool(tool["name"])
