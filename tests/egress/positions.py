"""Everywhere in a chat-completions body where a caller's text can stand, as functions that plant a text there.

Each position is filled by turns with something public (the request then leaves, unchanged) and with a sensitive value.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

Body = dict[str, Any]
Plant = Callable[[Body, str], None]

QUESTION = (
    "Prove that every continuous function on a closed bounded interval is uniformly continuous, and then construct, "
    "with full justification, a bounded continuous function on the open interval that is not."
)
PUBLIC = "this theorem stands in every textbook of analysis"


def base(stream: bool) -> Body:
    """A public request with values that a careless gateway would change: floats, unicode, null, empty things, order."""
    body: Body = {
        "temperature": 1.0,
        "top_p": 0.9500000000000001,
        "messages": [
            {"role": "system", "content": 'You are a careful mathematician. Ünïcödé ✓ 數學 \u2028 \\ " /'},
            {"role": "user", "content": QUESTION},
        ],
        "seed": -12,
        "max_tokens": 64,
        "presence_penalty": 0,
        "stop": ["\n\n\n", "END"],
        "metadata": {"team": "algebra", "empty": ""},
        "n": 1,
        "model": "auto",
    }
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return body


def _user(body: Body, content: Any) -> None:
    body["messages"][-1]["content"] = content


def _before_user(body: Body, *messages: Body) -> None:
    body["messages"][-1:-1] = messages


def _call(arguments: str, name: str = "lookup", call_id: str = "call_1") -> Body:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def _history(body: Body, call: Body, result: str = "done") -> None:
    _before_user(
        body,
        {"role": "user", "content": "Look it up first."},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": call["id"], "content": result},
    )
    _tool(body)


def _tool(body: Body, schema: Body | None = None, **function: Any) -> None:
    parameters = {"type": "object", "properties": {"query": schema or {"type": "string"}}}
    body["tools"] = [{"type": "function", "function": {"name": "lookup", "parameters": parameters, **function}}]


def _format(body: Body, schema: Body, **rest: Any) -> None:
    properties = {
        "type": "object",
        "properties": {"proof": schema},
        "required": ["proof"],
        "additionalProperties": False,
    }
    described = {"name": "proof", "schema": properties, "strict": True, **rest}
    body["response_format"] = {"type": "json_schema", "json_schema": described}


def _user_parts(body: Body, text: str) -> None:
    _user(body, [{"type": "text", "text": QUESTION}, {"type": "text", "text": f"Note: {text}."}])


def _split_parts(body: Body, text: str) -> None:
    """One value in two parts, cut in its middle."""
    cut = len(text) - 5
    _user(
        body, [{"type": "text", "text": f"{QUESTION} {text[:cut]}"}, {"type": "text", "text": f"{text[cut:]} it is."}]
    )


def _split_messages(body: Body, text: str) -> None:
    cut = len(text) - 5
    _user(body, f"{QUESTION} {text[:cut]}")
    body["messages"].append({"role": "user", "content": f"{text[cut:]} it is."})


def _assistant(body: Body, text: str) -> None:
    _before_user(body, {"role": "user", "content": "Hello."}, {"role": "assistant", "content": f"You said {text}."})


def _developer(body: Body, text: str) -> None:
    _before_user(body, {"role": "developer", "content": f"Remember {text}."})


def _refusal(body: Body, text: str) -> None:
    _before_user(body, {"role": "user", "content": "Hello."}, {"role": "assistant", "refusal": text, "content": ""})


def _custom_tool(body: Body, text: str) -> None:
    call = {"id": "call_1", "type": "custom", "custom": {"name": "run", "input": text}}
    _history(body, call)


def _function_history(body: Body, text: str) -> None:
    """OpenAI's older form of calls."""
    call = {"name": "lookup", "arguments": json.dumps({"note": text})}
    _before_user(
        body,
        {"role": "assistant", "content": None, "function_call": call},
        {"role": "function", "name": "lookup", "content": "done"},
    )
    body["functions"] = [{"name": "lookup", "parameters": {"type": "object", "properties": {}}}]


POSITIONS: dict[str, Plant] = {
    "user content": lambda body, text: _user(body, f"{QUESTION} By the way: {text}."),
    "user content part": _user_parts,
    "split over two parts": _split_parts,
    "split over two messages": _split_messages,
    "split over two stop strings": lambda body, text: body.update(stop=[text[:-5], text[-5:]]),
    "system": lambda body, text: body["messages"][0].update(content=f"Keep in mind: {text}."),
    "developer": _developer,
    "assistant history": _assistant,
    "assistant refusal": _refusal,
    "tool result": lambda body, text: _history(body, _call("{}"), f"found {text}"),
    "tool result in JSON": lambda body, text: _history(body, _call("{}"), json.dumps({"rows": [{"field": text}]})),
    "tool call arguments": lambda body, text: _history(body, _call(json.dumps({"note": text}))),
    "tool call arguments, escaped": lambda body, text: _history(body, _call(_escaped({"note": text}))),
    "tool call argument name": lambda body, text: _history(body, _call(json.dumps({text: 1}))),
    "tool call name": lambda body, text: _history(body, _call("{}", name=text)),
    "tool call id": lambda body, text: _history(body, _call("{}", call_id=text)),
    "custom tool input": _custom_tool,
    "older function call": _function_history,
    "tool name": lambda body, text: _tool(body, name=text),
    "tool description": lambda body, text: _tool(body, description=f"Looks up {text}."),
    "tool parameter description": lambda body, text: _tool(body, {"type": "string", "description": text}),
    "tool parameter enum": lambda body, text: _tool(body, {"type": "string", "enum": ["none", text]}),
    "tool parameter default": lambda body, text: _tool(body, {"type": "string", "default": text}),
    "tool parameter name": lambda body, text: _tool(body, {"type": "object", "properties": {text: {"type": "string"}}}),
    "message name": lambda body, text: body["messages"][-1].update(name=text),
    "metadata value": lambda body, text: body["metadata"].update(note=text),
    "metadata key": lambda body, text: body["metadata"].update({text: "note"}),
    "user": lambda body, text: body.update(user=text),
    "safety identifier": lambda body, text: body.update(safety_identifier=text),
    "prompt cache key": lambda body, text: body.update(prompt_cache_key=text),
    "stop": lambda body, text: body.update(stop=["END", text]),
    "response format description": lambda body, text: _format(body, {"type": "string", "description": text}),
    "response format enum": lambda body, text: _format(body, {"type": "string", "enum": [text]}),
    "response format name": lambda body, text: _format(body, {"type": "string"}, name=text),
    "prediction": lambda body, text: body.update(prediction={"type": "content", "content": f"As said: {text}."}),
    "JSON in a string": lambda body, text: _user(body, json.dumps({"question": QUESTION, "customer": {"note": text}})),
    "JSON in JSON in a string": lambda body, text: _user(body, _nested(text)),
    "unknown field": lambda body, text: body.update(x_extra=text),
    "unknown field, deep": lambda body, text: body.update(x_extra={"a": [{"b": [[text]]}]}),
    "unknown field name": lambda body, text: body.update({text: True}),
    "unknown message field": lambda body, text: body["messages"][-1].update(x_note=text),
}
# A local model takes no unknown field: such a request, when it may not leave, is a 400.
NOT_AT_HOME = frozenset(name for name in POSITIONS if name.startswith("unknown"))


def _escaped(value: Any) -> str:
    """JSON with every character of its strings written as an escape."""
    text = json.dumps(value, ensure_ascii=False)
    return "".join(_units(char) if (char.isalnum() and not char.isupper()) or char > "~" else char for char in text)


def _units(char: str) -> str:
    return "".join(f"\\u{high:02x}{low:02x}" for high, low in _pairs(char.encode("utf-16-be")))


def _pairs(raw: bytes) -> list[tuple[int, int]]:
    return list(zip(raw[::2], raw[1::2], strict=True))


def _nested(text: str) -> str:
    return json.dumps({"question": QUESTION, "payload": json.dumps({"inner": json.dumps({"note": text})})})


def filled(position: str, text: str, *, stream: bool, model: str = "auto") -> Body:
    """The request with the text in that position."""
    body = base(stream)
    POSITIONS[position](body, text)
    body["model"] = model
    return body
