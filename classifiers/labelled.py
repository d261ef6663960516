"""Labelled requests for measuring: JSON lines that say what is sensitive in a text or a body. Never printed, only read.

A row: {"id"?, "text" or "body", "spans"?: [{"type", "start", "end", "pointer"?}], "level"?, "language"?}, with at
least one of `spans` and `level`; `[]` says that nothing in it is sensitive. Offsets are Unicode code points.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

LEVELS: Final = ("public", "internal", "confidential", "restricted")
TEXT_POINTER: Final = "/messages/0/content"
_MEMBERS: Final = frozenset({"id", "text", "body", "spans", "level", "language"})


class BadRow(Exception):
    """A line that is not a labelled request; the message names the line and the member, never a value."""


@dataclass(frozen=True, slots=True)
class Span:
    """One sensitive stretch of the string at `pointer`."""

    entity_type: str
    pointer: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Labelled:
    """A request and what is sensitive in it; `spans` is None where only the level is known."""

    id: str
    body: Mapping[str, Any] = field(repr=False)
    spans: tuple[Span, ...] | None
    level: str | None
    language: str


def read_labelled(lines: Iterable[str]) -> Iterator[Labelled]:
    """The rows, blank lines left out. Raises `BadRow`."""
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                yield _row(json.loads(line), number)
            except ValueError as error:
                raise BadRow(
                    f"line {number}: {'not JSON' if isinstance(error, json.JSONDecodeError) else error}"
                ) from None


def _row(row: Any, number: int) -> Labelled:
    if not isinstance(row, dict):
        raise ValueError("not a JSON object")
    if unknown := sorted(set(row) - _MEMBERS):
        raise ValueError(f"unknown member {unknown[0]!r}; there may be {', '.join(sorted(_MEMBERS))}")
    if ("text" in row) == ("body" in row):
        raise ValueError("give either `text` or `body`")
    if "spans" not in row and "level" not in row:
        raise ValueError("give `spans` (an empty list says that nothing is sensitive), `level`, or both")
    level, language = row.get("level"), row.get("language", "")
    if level is not None and level not in LEVELS:
        raise ValueError(f"`level` must be one of {', '.join(LEVELS)}")
    if not isinstance(language, str):
        raise ValueError("`language` must be a string")
    body = _body(row)
    spans = None if "spans" not in row else tuple(_spans(row["spans"], body, "text" in row))
    return Labelled(str(row.get("id", f"line {number}")), body, spans, level, language)


def _body(row: Mapping[str, Any]) -> Mapping[str, Any]:
    if "text" in row:
        if not isinstance(row["text"], str):
            raise ValueError("`text` must be a string")
        return {"model": "auto", "messages": [{"role": "user", "content": row["text"]}]}
    if not isinstance(row["body"], dict):
        raise ValueError("`body` must be an object, as it is sent to /v1/chat/completions")
    return row["body"]


def _spans(spans: Any, body: Mapping[str, Any], is_text: bool) -> Iterator[Span]:
    if not isinstance(spans, list):
        raise ValueError("`spans` must be a list")
    for index, span in enumerate(spans):
        where = f"spans[{index}]"
        if not isinstance(span, dict) or not isinstance(span.get("type"), str):
            raise ValueError(f"{where} must be an object with `type`, `start` and `end`")
        pointer = span.get("pointer", TEXT_POINTER if is_text else None)
        if not isinstance(pointer, str):
            raise ValueError(f"{where}.pointer is missing: it says which string of the body is meant")
        text = _at(body, pointer)
        if text is None:
            raise ValueError(f"{where}.pointer leads to no string of the body")
        start, end = span.get("start"), span.get("end")
        if type(start) is not int or type(end) is not int or not 0 <= start < end:
            raise ValueError(f"{where} needs whole numbers with 0 <= start < end")
        if end > len(text):
            raise ValueError(f"{where}.end is beyond the end of the text ({len(text)} characters)")
        yield Span(span["type"], pointer, start, end)


def _at(value: Any, pointer: str) -> str | None:
    """The string at an RFC 6901 pointer, or None."""
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and name in value:
            value = value[name]
        elif isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        else:
            return None
    return value if isinstance(value, str) else None
