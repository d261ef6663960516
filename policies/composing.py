"""From the text of a policy to plain values, event by event: the only place that reads YAML for them.

It must never construct anything but plain values, within the bounds of `policies.text.document`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, StreamMark, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    DocumentStartEvent,
    Event,
    NodeEvent,
    ScalarEvent,
    SequenceStartEvent,
)

from policies.errors import Problem
from policies.text.document import MAX_DEPTH, MAX_NODES, Document, Path, Place, Value, at_offset

# YAML 1.2's core schema, without its octal and hexadecimal forms: a plain scalar that is none of these is text.
_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


def compose(text: str, problems: list[Problem]) -> Document:
    """The document that a text is, as far as it could be read; what is wrong with it is added to `problems`."""
    composer = _Composer(problems)
    try:
        composer.run(YAML(typ="safe", pure=True).parse(text))
    except _TooMuchError as error:
        problems.append(error.problem)
    except MarkedYAMLError as error:
        problems.append(_syntax(error))
    except YAMLError as error:  # the reader's: a character that YAML does not allow
        position = getattr(error, "position", 0)
        problems.append(at_offset(text, position, "a control character may not stand in a policy"))
    return composer.document


class _TooMuchError(Exception):
    """Stops the parser at a bound; `problem` says which."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class _Composer:
    """Builds plain values from parser events; the bounds hold before anything is built, so recursion is shallow."""

    def __init__(self, problems: list[Problem]) -> None:
        self.document = Document()
        self._problems = problems
        self._nodes = 0
        self._events: Iterator[Event] = iter(())

    def run(self, events: Iterator[Event]) -> None:
        self._events = events
        documents = 0
        for event in events:
            if isinstance(event, DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise _TooMuchError(_problem(event, "a second document (---): a policy is one document"))
                if event.version or event.tags:
                    self._refuse(event, "directives (%) are not allowed")
            elif isinstance(event, NodeEvent):
                self.document.value = self._node(event, (), 1)

    def _refuse(self, event: Event, message: str) -> None:
        self._problems.append(_problem(event, message))

    def _node(self, event: Event, path: Path, depth: int) -> Value:
        self._nodes += 1
        if depth > MAX_DEPTH:
            raise _TooMuchError(_problem(event, f"nested deeper than {MAX_DEPTH} levels"))
        if self._nodes > MAX_NODES:
            raise _TooMuchError(_problem(event, f"more than {MAX_NODES:,} values"))
        self.document.values[path] = _place(event)
        if isinstance(event, AliasEvent):
            self._refuse(event, f"alias '*{event.anchor}': aliases are not allowed, write the value out")
            return None
        anchor = getattr(event, "anchor", None)
        if anchor is not None:
            self._refuse(event, f"anchor '&{anchor}': anchors are not allowed")
        if _has_tag(event):
            self._refuse(event, "tags (!) are not allowed")
        if isinstance(event, ScalarEvent):
            return _scalar(event)
        if isinstance(event, SequenceStartEvent):
            return self._sequence(path, depth)
        return self._mapping(path, depth)

    def _sequence(self, path: Path, depth: int) -> Value:
        items: list[Value] = []
        for event in self._events:
            if isinstance(event, CollectionEndEvent):
                break
            items.append(self._node(event, (*path, len(items)), depth + 1))
        return items

    def _mapping(self, path: Path, depth: int) -> Value:
        members: dict[str, Value] = {}
        for event in self._events:
            if isinstance(event, CollectionEndEvent):
                break
            key = self._key(event, path, depth)
            member = (*path, key)
            if key in members:
                first = self.document.keys[member][0]
                self._refuse(event, f"duplicate key '{key}': it stands in line {first} already")
            if key == "<<":
                self._refuse(event, "merge keys (<<) are not allowed, write the values out")
            self.document.keys.setdefault(member, _place(event))
            members[key] = self._node(next(self._events), member, depth + 1)
            if members[key] is None:  # an empty value has no place: it would be that of the next key
                self.document.values[member] = _place(event)
        return members

    def _key(self, event: Event, path: Path, depth: int) -> str:
        if isinstance(event, ScalarEvent):
            if getattr(event, "anchor", None) is not None or _has_tag(event):
                self._refuse(event, "anchors and tags are not allowed")
            return str(event.value)
        self._refuse(event, "a key must be plain text")
        self._node(event, (*path, "?"), depth + 1)
        return "?"


def _has_tag(event: Event) -> bool:
    tag = getattr(event, "ctag", None)
    return tag is not None and str(tag) not in ("", "None")


def _scalar(event: ScalarEvent) -> Value:
    text = str(event.value)
    if event.style is not None:  # quoted or block: text, whatever it looks like
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text) if len(text) <= 18 else float(text)
    return float(text) if _FLOAT.fullmatch(text) else text


def _place(event: Event) -> Place:
    mark: StreamMark = event.start_mark
    return mark.line + 1, mark.column + 1


def _problem(event: Event, message: str) -> Problem:
    return Problem(*_place(event), message)


def _syntax(error: MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    words = " ".join(part for part in (error.context, error.problem) if part)
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    return Problem(line, column, f"not YAML: {' '.join(words.split())}")
