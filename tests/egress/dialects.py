"""The other dialects' places for a caller's text, and all places of the matrix together.

The same words stand in the same kinds of place as in `positions`; what arrives outside is always chat completions.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.egress import positions as chat
from tests.egress.positions import QUESTION, Body, Plant

SYSTEM = 'You are a careful mathematician. Ünïcödé ✓ 數學 \\ " /'


@dataclass(frozen=True, slots=True)
class Place:
    """A position: where its dialect is asked, a public request, and what plants a text in it."""

    path: str
    base: Callable[[bool], Body]
    plant: Plant


def _messages(stream: bool) -> Body:
    body: Body = {
        "model": "auto",
        "max_tokens": 64,
        "temperature": 1.0,
        "system": SYSTEM,
        "messages": [{"role": "user", "content": QUESTION}],
        "stop_sequences": ["\n\n\n", "END"],
    }
    return body | {"stream": True} if stream else body


def _responses(stream: bool) -> Body:
    body: Body = {
        "model": "auto",
        "max_output_tokens": 64,
        "temperature": 1.0,
        "instructions": SYSTEM,
        "input": [{"role": "user", "content": QUESTION}],
        "store": False,
    }
    return body | {"stream": True} if stream else body


def _completions(stream: bool) -> Body:
    body: Body = {"model": "auto", "max_tokens": 64, "prompt": QUESTION, "stop": ["\n\n\n", "END"]}
    return body | {"stream": True} if stream else body


def _says(key: str, content: Callable[[str], Any]) -> Plant:
    """The user's own words, in the list that is called `key`."""

    def plant(body: Body, text: str) -> None:
        body[key][-1]["content"] = content(text)

    return plant


def _before(key: str, items: Callable[[str], list[Body]], *, tools: bool = False) -> Plant:
    """What stands in the list before the user's own words."""

    def plant(body: Body, text: str) -> None:
        body[key][-1:-1] = items(text)
        if tools:
            (_offer_messages if key == "messages" else _offer_responses)(body)

    return plant


def _halves(text: str) -> tuple[str, str]:
    return text[:-5], text[-5:]


def _split(key: str) -> Plant:
    """One value in two of the user's messages, cut near its end."""

    def plant(body: Body, text: str) -> None:
        first, second = _halves(text)
        body[key][-1]["content"] = f"{QUESTION} {first}"
        body[key].append({"role": "user", "content": f"{second} it is."})

    return plant


def _typed(kind: str, text: str) -> Body:
    return {"type": kind, "text": text}


def _parts(kind: str) -> Callable[[str], list[Body]]:
    return lambda text: [_typed(kind, QUESTION), _typed(kind, f"Note: {text}.")]


def _cut_parts(kind: str) -> Callable[[str], list[Body]]:
    return lambda text: [_typed(kind, f"{QUESTION} {_halves(text)[0]}"), _typed(kind, f"{_halves(text)[1]} it is.")]


def _schema(query: Body | None = None) -> Body:
    return {"type": "object", "properties": {"query": query or {"type": "string"}}}


def _offer_messages(body: Body, query: Body | None = None, **tool: Any) -> None:
    body["tools"] = [{"name": "lookup", "input_schema": _schema(query), **tool}]


def _offer_responses(body: Body, query: Body | None = None, **tool: Any) -> None:
    body["tools"] = [{"type": "function", "name": "lookup", "parameters": _schema(query), **tool}]


# Where in a tool that is offered a text can stand: what `_offer_…` is given for it.
_TOOL: dict[str, Callable[[str], dict[str, Any]]] = {
    "tool name": lambda text: {"name": text},
    "tool description": lambda text: {"description": f"Looks up {text}."},
    "tool parameter description": lambda text: {"query": {"type": "string", "description": text}},
    "tool parameter enum": lambda text: {"query": {"type": "string", "enum": ["none", text]}},
    "tool parameter default": lambda text: {"query": {"type": "string", "default": text}},
    "tool parameter name": lambda text: {"query": {"type": "object", "properties": {text: {"type": "string"}}}},
}


def _offered(offer: Callable[..., None], given: Callable[[str], dict[str, Any]]) -> Plant:
    return lambda body, text: offer(body, **given(text))


def _used(result: Any = "done", *, name: str = "lookup", key: str = "call_1", given: Body | None = None) -> list[Body]:
    """A tool that was used, in Anthropic's form."""
    use = {"type": "tool_use", "id": key, "name": name, "input": given or {}}
    told = {"type": "tool_result", "tool_use_id": key, "content": result}
    return [
        {"role": "user", "content": "Look it up first."},
        {"role": "assistant", "content": [use]},
        {"role": "user", "content": [told]},
    ]


def _called(result: Any = "done", *, name: str = "lookup", key: str = "call_1", given: str = "{}") -> list[Body]:
    """The same in the Responses API."""
    return [
        {"role": "user", "content": "Look it up first."},
        {"type": "function_call", "call_id": key, "name": name, "arguments": given},
        {"type": "function_call_output", "call_id": key, "output": result},
    ]


def _answer_schema(text: str) -> Body:
    proof = {"type": "string", "description": text}
    return {"type": "object", "properties": {"proof": proof}, "required": ["proof"], "additionalProperties": False}


def _document(text: str) -> list[Body]:
    source = {"type": "text", "media_type": "text/plain", "data": f"Minutes. {text}. End."}
    return [{"type": "document", "source": source}, _typed("text", QUESTION)]


def _said(kind: str, text: str) -> list[Body]:
    return [{"role": "user", "content": "Hello."}, {"role": "assistant", "content": [_typed(kind, text)]}]


_MESSAGES: dict[str, Plant] = {
    "content": _says("messages", lambda text: f"{QUESTION} By the way: {text}."),
    "block": _says("messages", _parts("text")),
    "split over two blocks": _says("messages", _cut_parts("text")),
    "split over two messages": _split("messages"),
    "document": _says("messages", _document),
    "system": lambda body, text: body.update(system=f"Keep in mind: {text}."),
    "system block": lambda body, text: body.update(system=[_typed("text", SYSTEM), _typed("text", f"And: {text}.")]),
    "assistant history": _before("messages", lambda text: _said("text", f"You said {text}.")),
    "tool use input": _before("messages", lambda text: _used(given={"note": text}), tools=True),
    "tool use input name": _before("messages", lambda text: _used(given={text: 1}), tools=True),
    "tool use name": _before("messages", lambda text: _used(name=text), tools=True),
    "tool use id": _before("messages", lambda text: _used(key=text), tools=True),
    "tool result": _before("messages", lambda text: _used(f"found {text}"), tools=True),
    "tool result block": _before("messages", lambda text: _used([_typed("text", f"found {text}")]), tools=True),
    "stop sequence": lambda body, text: body.update(stop_sequences=["END", text]),
    "output schema": lambda body, text: body.update(
        output_config={"format": {"type": "json_schema", "schema": _answer_schema(text)}}
    ),
    **{name: _offered(_offer_messages, given) for name, given in _TOOL.items()},
}
_RESPONSES: dict[str, Plant] = {
    "input": lambda body, text: body.update(input=f"{QUESTION} And by the way: {text}."),
    "content": _says("input", lambda text: f"{QUESTION} By the way: {text}."),
    "part": _says("input", _parts("input_text")),
    "split over two parts": _says("input", _cut_parts("input_text")),
    "split over two messages": _split("input"),
    "instructions": lambda body, text: body.update(instructions=f"Keep in mind: {text}."),
    "developer": _before("input", lambda text: [{"role": "developer", "content": f"Remember {text}."}]),
    "assistant history": _before("input", lambda text: _said("output_text", f"You said {text}.")),
    "call arguments": _before("input", lambda text: _called(given=json.dumps({"note": text})), tools=True),
    "call argument name": _before("input", lambda text: _called(given=json.dumps({text: 1})), tools=True),
    "call name": _before("input", lambda text: _called(name=text), tools=True),
    "call id": _before("input", lambda text: _called(key=text), tools=True),
    "call output": _before("input", lambda text: _called(f"found {text}"), tools=True),
    "call output part": _before("input", lambda text: _called([_typed("input_text", f"found {text}")]), tools=True),
    "text format": lambda body, text: body.update(
        text={"format": {"type": "json_schema", "name": "proof", "schema": _answer_schema(text)}}
    ),
    "text format name": lambda body, text: body.update(
        text={"format": {"type": "json_schema", "name": text, "schema": _answer_schema("A proof.")}}
    ),
    **{name: _offered(_offer_responses, given) for name, given in _TOOL.items()},
}
_COMPLETIONS: dict[str, Plant] = {
    "prompt": lambda body, text: body.update(prompt=f"{QUESTION} By the way: {text}."),
    "prompt in a list": lambda body, text: body.update(prompt=[f"{QUESTION} And by the way: {text}."]),
    "stop": lambda body, text: body.update(stop=["END", text]),
}

CHAT = "/chat/completions"
PLACES: dict[str, Place] = {
    **{name: Place(CHAT, chat.base, plant) for name, plant in chat.POSITIONS.items()},
    **{f"messages: {name}": Place("/messages", _messages, plant) for name, plant in _MESSAGES.items()},
    **{f"responses: {name}": Place("/responses", _responses, plant) for name, plant in _RESPONSES.items()},
    **{f"completions: {name}": Place("/completions", _completions, plant) for name, plant in _COMPLETIONS.items()},
}


def asked(position: str, text: str, *, stream: bool, model: str = "auto") -> Body:
    """The request with the text in that position, in its dialect."""
    place = PLACES[position]
    body = place.base(stream)
    place.plant(body, text)
    return body | {"model": model}


def path_of(position: str) -> str:
    """Where it is asked, under `/v1`."""
    return PLACES[position].path


def strings(value: Any) -> Iterator[str]:
    """Every text in a body, names and values, also those of JSON in a string."""
    if isinstance(value, str):
        yield value
        if value[:1] in "{[":
            try:
                yield from strings(json.loads(value))
            except ValueError:
                return
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)
