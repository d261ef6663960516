"""Where the strings of a JSON text stand in it as it is written, so that one can be replaced and nothing else changes.

It answers only for strict JSON without duplicate members: of anything else its readers could keep different parts.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import NamedTuple

import orjson

_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],]', re.DOTALL)
_CHARACTER = re.compile(r"\\u[dD][89abAB]..\\u[dD][c-fC-F]..|\\u....|\\.|[^\\]", re.DOTALL)


class Written(NamedTuple):
    """One string of a JSON text: its literal, quotes included, from `start` to `end`, and what it says."""

    start: int
    end: int
    value: str


@dataclass(slots=True)
class _Frame:
    prefix: str
    index: int  # -1: an object
    names: set[str] = field(default_factory=set)
    wants_name: bool = True

    def step(self) -> str:
        return f"{self.prefix}/{self.index}"


def strings_in(text: str) -> dict[str, Written] | None:
    """The string values of a JSON text by pointer (RFC 6901), in order; None for what is not strict JSON."""
    try:
        orjson.loads(text)
    except ValueError:
        return None
    found: dict[str, Written] = {}
    stack: list[_Frame] = []
    pointer = ""
    for token in _TOKEN.finditer(text):
        mark, frame = token[0][0], stack[-1] if stack else None
        if mark == '"':
            value: str = orjson.loads(token[0])
            if frame is None or frame.index >= 0 or not frame.wants_name:
                found[pointer] = Written(token.start(), token.end(), value)
                continue
            if value in frame.names:
                return None
            frame.names.add(value)
            frame.wants_name = False
            pointer = f"{frame.prefix}/{value.replace('~', '~0').replace('/', '~1')}"
        elif mark in "{[":
            stack.append(_Frame(pointer, -1 if mark == "{" else 0))
            pointer = stack[-1].step()
        elif mark in "}]":
            stack.pop()
        elif frame is not None and frame.index < 0:
            frame.wants_name = True
        elif frame is not None:
            frame.index += 1
            pointer = frame.step()
    return found


def rewrite(text: str, values: dict[str, str]) -> str:
    """A JSON text with these strings, by pointer, in place of those that stand there. It stays the JSON that it was."""
    written = strings_in(text) or {}
    parts, at = [], 0
    for pointer, literal in written.items():
        if pointer in values:
            # An escape that the writer chose is an escape that its reader may need.
            plain = text[literal.start : literal.end]
            parts += [text[at : literal.start], json.dumps(values[pointer], ensure_ascii="\\u" in plain)]
            at = literal.end
    return "".join([*parts, text[at:]])


def span_in(text: str, literal: Written, start: int, end: int) -> tuple[int, int] | None:
    """A span of a JSON text, quotes allowed, as a span of what the literal says; None when it reaches outside."""
    if start < literal.start or end > literal.end:
        return None
    first, last = literal.start + 1, literal.end - 1
    start, end = max(start, first), min(end, last)
    if "\\" not in text[first:last]:
        return start - first, max(start, end) - first
    spans = [(first + each.start(), first + each.end()) for each in _CHARACTER.finditer(text[first:last])]
    inside = [index for index, (low, high) in enumerate(spans) if low < end and high > start]
    return (inside[0], inside[-1] + 1) if inside else None
