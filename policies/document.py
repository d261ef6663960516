"""Reads the YAML subset that policies are written in, and remembers where everything stands.

Only what an admin can read at a glance is accepted: no anchors, aliases, merge keys, tags, directives, second documents
or duplicate keys, within fixed bounds. It must never construct anything but plain values.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

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

from policies.errors import PolicyError, Problem

MAX_BYTES = 256 * 1024  # a policy of 1,000 rules has about 130 KB
MAX_DEPTH = 32
MAX_NODES = 50_000

Value = bool | int | float | str | list["Value"] | dict[str, "Value"] | None
Path = tuple[str | int, ...]
Place = tuple[int, int]  # line and column, from 1

# YAML 1.2's core schema, without its octal and hexadecimal forms: a plain scalar that is none of these is text.
_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
# Characters that make text read differently from what it says (bidirectional controls, invisible ones).
_HIDDEN = re.compile("[\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]")


@dataclass(slots=True)
class Document:
    """A parsed file: its value, and the place of each value and each key by path."""

    value: Value = None
    values: dict[Path, Place] = field(default_factory=dict)
    keys: dict[Path, Place] = field(default_factory=dict)
    origins: dict[Path, str] = field(default_factory=dict)  # the file of what stands in another one than this

    def problem(self, path: Path, message: str, *, at_key: bool = False) -> Problem:
        """What is wrong at the value (or the key) of `path`, or at the nearest thing around it."""
        place = self.key_at(path) if at_key else self.value_at(path)
        return Problem(*place, message, self.origins.get(self._nearest(path), ""))

    def value_at(self, path: Path) -> Place:
        """Where the value at `path` starts, or that of the nearest thing around it."""
        return self.values.get(self._nearest(path), (1, 1))

    def key_at(self, path: Path) -> Place:
        """Where the key of the member at `path` starts; for an item of a list, the item."""
        return self.keys.get(path) or self.value_at(path)

    def _nearest(self, path: Path) -> Path:
        while path and path not in self.values:
            path = path[:-1]
        return path


def decode(data: bytes, source: str) -> str:
    """The text of a policy file. Raises `PolicyError` for one that is too long or not UTF-8."""
    if len(data) > MAX_BYTES:
        raise PolicyError(source, [_too_long(len(data))])
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
        raise PolicyError(source, [Problem(line, column, "not UTF-8: save the file as UTF-8")]) from None


def parse(text: str, source: str) -> Document:
    """Parse one policy. Raises `PolicyError` with every problem that was met."""
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_BYTES:
        raise PolicyError(source, [_too_long(size)])
    text = text.removeprefix("\ufeff")
    problems = [_hidden(text, match.start()) for match in _HIDDEN.finditer(text)]
    composer = _Composer(problems)
    try:
        composer.run(YAML(typ="safe", pure=True).parse(text))
    except _TooMuchError as error:
        problems.append(error.problem)
    except MarkedYAMLError as error:
        problems.append(_syntax(error))
    except YAMLError as error:  # the reader's: a character that YAML does not allow
        position = getattr(error, "position", 0)
        problems.append(_at_offset(text, position, "a control character may not stand in a policy"))
    if problems:
        raise PolicyError(source, problems)
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


def _at_offset(text: str, offset: int, message: str) -> Problem:
    before = text[:offset]
    return Problem(before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1, message)


def _hidden(text: str, offset: int) -> Problem:
    code = f"U+{ord(text[offset]):04X}"
    return _at_offset(text, offset, f"the invisible character {code}: write it as an escape in double quotes")


def _too_long(size: int) -> Problem:
    return Problem(0, 0, f"{size:,} bytes: a policy may have {MAX_BYTES:,}")
