"""The free text of a chat-completions body: the strings in which a value may be replaced. No shape of a body raises.

Names, ids, keys, schemas, tools, metadata and stop strings are not free text: what stands there steers programs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from classifiers.nested import TooDeeply, json_in
from classifiers.written import Written, span_in, strings_in

Body = Mapping[str, Any]
_SAID = ("content", "refusal", "reasoning", "reasoning_content")
_TEXT_PARTS = frozenset({"text", "input_text", "output_text", "refusal"})


@dataclass(frozen=True)
class Text:
    """One string of the body, with the steps that lead to it."""

    steps: tuple[str | int, ...]
    text: str = field(repr=False)

    @cached_property
    def is_json(self) -> bool:
        """Whether the scan reads it as JSON, too deep for reading included."""
        try:
            return json_in(self.text) is not None
        except TooDeeply:
            return True

    @cached_property
    def strings(self) -> dict[str, Written] | None:
        """The strings inside a JSON text, by pointer; None where it is no JSON, or none that all would read alike."""
        return strings_in(self.text) if self.is_json else None

    def leaf(self, inner: str | None) -> str:
        """The string inside at that pointer; None means the text itself."""
        return self.text if inner is None else (self.strings or {})[inner].value

    def string_at(self, start: int, end: int) -> tuple[str, int, int] | None:
        """The string inside that holds this span of the text as it is written, and the span there."""
        for pointer, literal in (self.strings or {}).items():
            span = span_in(self.text, literal, start, end)
            if span is not None:
                return (pointer, *span)
        return None


def free_texts(body: Body) -> dict[str, Text]:
    """By JSON pointer, in the order of the body."""
    found = (*_of_messages(body.get("messages")), *_of_content(body.get("prediction"), ("prediction",), ("content",)))
    return {"".join(f"/{step}" for step in text.steps): text for text in found}


def with_texts(body: Body, texts: Mapping[Text, str]) -> dict[str, Any]:
    """A body with other texts in these places. What leads to them is copied, all else is shared."""
    out: dict[str, Any] = dict(body)
    copies: set[int] = set()
    for text, new in texts.items():
        node: Any = out
        for step in text.steps[:-1]:
            child = node[step]
            if id(child) not in copies:
                child = node[step] = child.copy()
                copies.add(id(child))
            node = child
        node[text.steps[-1]] = new
    return out


def _of_messages(messages: Any) -> Iterator[Text]:
    for index, message in enumerate(messages if isinstance(messages, list) else ()):
        where = ("messages", index)
        yield from _of_content(message, where, _SAID)
        if not isinstance(message, Mapping):
            continue
        yield from _string(message.get("function_call"), (*where, "function_call"), "arguments")
        calls = message.get("tool_calls")
        for number, call in enumerate(calls if isinstance(calls, list) else ()):
            if isinstance(call, Mapping):
                here = (*where, "tool_calls", number)
                yield from _string(call.get("function"), (*here, "function"), "arguments")
                yield from _string(call.get("custom"), (*here, "custom"), "input")


def _of_content(holder: Any, where: tuple[str | int, ...], names: Iterable[str]) -> Iterator[Text]:
    if not isinstance(holder, Mapping):
        return
    for name in names:
        yield from _string(holder, where, name)
    parts = holder.get("content")
    for index, part in enumerate(parts if isinstance(parts, list) else ()):
        if isinstance(part, Mapping) and part.get("type") in _TEXT_PARTS:
            for name in ("text", "refusal"):
                yield from _string(part, (*where, "content", index), name)


def _string(holder: Any, where: tuple[str | int, ...], name: str) -> Iterator[Text]:
    value = holder.get(name) if isinstance(holder, Mapping) else None
    if isinstance(value, str):
        yield Text((*where, name), value)
