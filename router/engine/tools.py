"""Tool calls in a model's own words: which of the known forms its template uses, how to read it and how to force it.

A call that does not parse, or names no tool that was offered, is text: it is handed on as the model wrote it.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import orjson

from router.engine.grammar import compose, literal
from router.engine.types import EngineError, invalid

_SPACE = " \t\r\n"
_NO_PARAMETERS: Mapping[str, Any] = {"type": "object", "additionalProperties": False}
_SAYS_NOTHING = frozenset({
    "type", "properties", "required", "additionalProperties", "title", "description", "$schema", "$id", "$defs",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that the caller is to make. `arguments` is the text of a JSON object."""

    name: str = field(repr=False)
    arguments: str = field(repr=False)
    id: str = field(default_factory=lambda: f"call_{secrets.token_hex(12)}")


@dataclass(frozen=True, slots=True)
class ToolForm:
    """How one family of models writes calls.

    A call is an object with `name` and a member for the arguments, alone or in a list, between `opening` and `closing`.
    Without an opening it must begin the answer; `also_opens` may stand before it. With `separator` the name stands
    bare, and the separator between it and the object of arguments.
    """

    opening: str = ""
    closing: str = ""
    member: str = "arguments"
    is_list: bool = False
    separator: str = ""
    also_opens: str = ""

    @property
    def openings(self) -> tuple[str, ...]:
        """The texts that begin a call wherever they stand."""
        return tuple(text for text in (self.opening, self.also_opens) if text)

    @property
    def markers(self) -> tuple[str, ...]:
        """The texts that a vocabulary may hold as control tokens."""
        return tuple(text for text in (*self.openings, self.closing, self.separator) if text)

    def grammar(self, tools: Sequence[Mapping[str, Any]], must_call: str | bool) -> str:
        """GBNF of exactly one call: of the tool named by `must_call`, or of any. Raises EngineError (400)."""
        functions = [tool["function"] for tool in tools]
        wanted = [function for function in functions if must_call in (True, function["name"])]
        schemas = [_parameters(function) for function in wanted]
        try:
            return compose(schemas, lambda rules: self._root([each["name"] for each in wanted], rules))
        except EngineError as error:
            raise invalid(error.message, "tools", error.code) from None

    def _root(self, names: list[str], rules: list[str]) -> str:
        calls = []
        for name, rule in zip(names, rules, strict=True):
            if self.separator:
                calls.append(f"{literal(name + self.separator)} {rule}")
            else:
                head = f'"{{" ws {literal(json.dumps("name"))} ws ":" ws {literal(json.dumps(name))} ws "," ws '
                calls.append(f'{head}{literal(json.dumps(self.member))} ws ":" ws {rule} ws "}}"')
        call = f"({' | '.join(calls)})"
        if self.is_list:
            call = f'"[" ws {call} ws "]"'
        before = f"{literal(self.opening)} ws " if self.opening and not self.separator else literal(self.opening) + " "
        after = f" ws {literal(self.closing)}" if self.closing else ""
        return f"{before if self.opening else ''}{call}{after}"


def _parameters(function: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema of the arguments. One that names none means none, though JSON Schema would let any stand there."""
    schema: Mapping[str, Any] = function.get("parameters") or _NO_PARAMETERS
    says_more = schema.keys() - _SAYS_NOTHING or any(schema.get(word) for word in ("properties", "required"))
    return schema if says_more or isinstance(schema.get("additionalProperties"), dict) else _NO_PARAMETERS


HERMES = ToolForm("<tool_call>", "</tool_call>")
LLAMA = ToolForm(member="parameters", also_opens="<|python_tag|>")
MISTRAL = ToolForm("[TOOL_CALLS]", is_list=True)
MISTRAL_NAMED = ToolForm("[TOOL_CALLS]", separator="[ARGS]")
PHI = ToolForm("<|tool_call|>", "<|/tool_call|>", is_list=True)
GRANITE = ToolForm("<|tool_call|>", is_list=True)
PLAIN = ToolForm()
# The first whose marker a template holds is its form.
_FORMS = (
    ("[ARGS]", MISTRAL_NAMED),
    ("[TOOL_CALLS]", MISTRAL),
    ("<|/tool_call|>", PHI),
    ("<|tool_call|>", GRANITE),
    ("<tool_call>", HERMES),
    ('"parameters":', LLAMA),
)


def form_of(template: str) -> ToolForm:
    """The form of a template that has tools: by its marker, or else a bare JSON object."""
    return next((form for marker, form in _FORMS if marker in template), PLAIN)


def _no_number(_name: str) -> NoReturn:
    raise ValueError


_DECODER = json.JSONDecoder(parse_constant=_no_number, strict=False)  # NaN and Infinity are no JSON


def parse_calls(form: ToolForm, names: frozenset[str], body: str) -> tuple[list[ToolCall], int]:
    """The calls at the beginning of `body`, and how much of it they take.

    ([], 0): it may not be whole yet. ([], length): whole JSON, but no call of a tool in `names`.
    """
    try:
        if form.separator:
            name, _, rest = body.partition(form.separator)
            value, end = _DECODER.raw_decode(rest)
            items = [{"name": name.strip(_SPACE), form.member: value}]
            used = len(body) - len(rest) + end
        else:
            start = len(body) - len(body.lstrip(_SPACE))
            value, used = _DECODER.raw_decode(body, start)
            items = value if isinstance(value, list) else [value]
    except (ValueError, RecursionError):
        return [], 0
    calls = [_call(item, names) for item in items]
    return [call for call in calls if call is not None] if None not in calls else [], used


def _call(item: Any, names: frozenset[str]) -> ToolCall | None:
    function = item.get("function", item) if isinstance(item, dict) else None
    if not isinstance(function, dict) or function.get("name") not in names:
        return None
    arguments = function.get("arguments", function.get("parameters", {}))
    try:
        if isinstance(arguments, str):
            arguments = orjson.loads(arguments)
        if not isinstance(arguments, dict):
            return None
        return ToolCall(function["name"], orjson.dumps(arguments).decode())
    except (orjson.JSONDecodeError, orjson.JSONEncodeError, TypeError):
        return None


class CallReader:
    """One answer's text, split into what is said and what is called.

    Text goes out as soon as it cannot be a call; a call is held back until it is whole. Space around calls is dropped.
    """

    def __init__(self, form: ToolForm, names: frozenset[str]) -> None:
        """`names` are the tools that were offered."""
        self._form = form
        self._names = names
        self._pending = ""
        self._is_calling = False  # what is pending begins with a call, or so it seems
        self._is_closing = False  # what is pending stands right behind a call
        self._is_quiet = True  # nothing but space has been said since the beginning or the last call
        self.has_called = False

    def push(self, text: str) -> list[str | ToolCall]:
        """Add text; return what became certain."""
        self._pending += text
        if self._is_calling and not any(mark in text for mark in ("}", "]", ">")):
            return []  # nothing that could end a call
        return self._run(is_end=False)

    def finish(self) -> list[str | ToolCall]:
        """What is left when the answer ends."""
        out = self._run(is_end=True)
        rest, self._pending = self._pending, ""
        if rest.strip(_SPACE) or (rest and not (self._is_quiet and self.has_called)):
            out.append(rest)
        return out

    def _run(self, *, is_end: bool) -> list[str | ToolCall]:
        out: list[str | ToolCall] = []
        goes_on = True
        while goes_on and self._pending:
            if self._is_closing:
                goes_on = self._close(is_end)
            elif self._is_calling:
                goes_on = self._call(out, is_end)
            else:
                goes_on = self._say(out, is_end)
        return out

    def _say(self, out: list[str | ToolCall], is_end: bool) -> bool:
        """Hand on text up to where a call begins. True: one may."""
        text = self._pending
        lead = text.lstrip(_SPACE)
        if self._is_quiet and not self._form.opening and lead[:1] in ("{", "["):
            self._is_calling = True
            return True
        start = min((at for at in map(text.find, self._form.openings) if at >= 0), default=-1)
        if start >= 0:
            self._is_calling = True
            self._emit(out, start)
            return True
        if not (self._is_quiet and not lead):
            self._emit(out, len(text) if is_end else len(text) - self._held(text))
        return False

    def _held(self, text: str) -> int:
        """How many characters at the end may be the beginning of an opening, and the space before it."""
        for size in range(min(len(text), max(map(len, self._form.openings), default=1) - 1), 0, -1):
            if any(opening.startswith(text[-size:]) for opening in self._form.openings):
                return size if text[:-size].strip(_SPACE) or not self._is_quiet else len(text)
        return 0

    def _emit(self, out: list[str | ToolCall], count: int) -> None:
        text, self._pending = self._pending[:count], self._pending[count:]
        if text and not (self._is_quiet and not text.strip(_SPACE)):
            self._is_quiet = False
            out.append(text)

    def _call(self, out: list[str | ToolCall], is_end: bool) -> bool:
        """Take the call that is pending, if it is whole; hand it on as text if it is none."""
        opening = next((mark for mark in self._form.openings if self._pending.startswith(mark)), "")
        calls, used = parse_calls(self._form, self._names, self._pending[len(opening) :])
        end = len(opening) + used
        if calls:
            out += calls
            self._pending = self._pending[end:]
            self._is_calling, self._is_closing, self._is_quiet, self.has_called = False, True, True, True
            return True
        closing = self._pending.find(self._form.closing) if self._form.closing else -1
        if closing >= 0:
            end = closing + len(self._form.closing)
        elif is_end and not used:
            end = len(self._pending)
        elif not used:
            return False
        self._is_calling = False
        self._emit(out, end)
        return True

    def _close(self, is_end: bool) -> bool:
        """Drop the closing behind a call, or what stands between two."""
        body = self._pending.lstrip(_SPACE if self._form.closing else _SPACE + ";")
        is_cut = self._form.closing.startswith(body) and body != self._form.closing
        if (is_cut if self._form.closing else not body) and not is_end:
            return False
        self._pending = body.removeprefix(self._form.closing)
        self._is_closing = False
        return True
