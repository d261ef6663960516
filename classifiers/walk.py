"""Walks a canonical chat-completions body: every string at any depth, in order, and every part that cannot be read.

It never drops a string silently: what it does not reach is an Unknown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from classifiers.nested import TooDeeply, json_in, may_be_json
from classifiers.opaque_fields import opaque_members
from classifiers.types import Place, Unknown, UnknownKind

MAX_DEPTH = 64
MAX_NODES = 100_000
_DIGITS = 64  # a list of more numbers spells none
_NUMBER_FLOOR = 1_000_000  # a JSON number below it is no phone, card or id

# A path is a linked list, so that a step costs one tuple; the pointer is spelled only for a finding.
Path = tuple[Any, str | int] | None

# Words that the API fixes, as keys: they say nothing about their value and cannot be sensitive.
_API_VOCABULARY = """
    model messages role content text type stream stream_options include_usage tools tool_choice tool_calls
    tool_call_id function name arguments parameters properties required description enum items strict
    response_format json_schema schema temperature top_p top_k n stop max_tokens max_completion_tokens
    presence_penalty frequency_penalty logit_bias logprobs top_logprobs seed metadata store service_tier user
    image_url url detail input_audio data format file file_data additionalProperties default title minimum maximum
    prediction modalities audio refusal parallel_tool_calls reasoning_effort functions function_call index id object
"""
_API_WORDS = frozenset(_API_VOCABULARY.split())
_FIXED_VALUES = frozenset({"role", "type", "object"})  # members that hold the API's words, never neighbours of text
_ROLES = frozenset({"user", "assistant", "system", "tool", "developer", "function"})
# What such a member holds as a rule: one of these words says nothing and cannot be sensitive. Anything else can.
_FIXED_VOCABULARY = """
    text input_text output_text function object string number integer boolean array null tool_use tool_result
"""
_FIXED_WORDS = _ROLES.union(_FIXED_VOCABULARY.split())
_MOST_AT_ONCE = 16  # members of an object whose strings are visited with it; of more, each has a step of its own
_MOST_TURNS = 1000  # the same of a list of messages
_TRANSPARENT = frozenset(
    {"content", "text"}
)  # wrappers of text: what they hold is a neighbour of what their parent holds
_TEXT_PARTS = frozenset({"text", "input_text", "output_text", "refusal"})
_UNREADABLE_PARTS: Mapping[str, UnknownKind] = {
    "image_url": "image",
    "input_image": "image",
    "image_file": "image",
    "image": "image",
    "input_audio": "audio",
    "output_audio": "audio",
    "audio": "audio",
    "file": "file",
    "input_file": "file",
    "document": "file",
    "container_upload": "file",
}
_UNREADABLE_KEYS: Mapping[str, UnknownKind] = {
    "image_url": "image",
    "input_audio": "audio",
    "file_id": "file",
    "file_ids": "file",
    "file_data": "file",
    "file_url": "remote_url",
}
_STATE_KEYS = frozenset({"previous_response_id", "conversation"})  # at the top: text that stands somewhere else
_TOKEN_KEYS = frozenset(
    {"prompt", "input", "inputs", "tokens", "token_ids", "input_ids", "prompt_token_ids", "context", "content"}
)

_Where = Literal["elsewhere", "body", "messages", "message", "content", "part"]


class Cell(NamedTuple):
    """One string (or long number) of the body. `column` is equal for neighbours, of which one value may be made up."""

    text: str
    path: Path
    place: Place
    via: tuple[str, ...]
    outer_length: int | None  # of wrapped text: the code points of the outer string
    column: int  # -1: no neighbours
    key: str  # the member's name, where it may say what the value is; else empty
    inner: Path = None  # inside a string that is JSON: the path there
    is_opened: bool = False  # JSON, whose strings are cells of their own


@dataclass(slots=True)
class Walk:
    """What was found. `texts` are the body's own strings, before any unwrapping.

    `turns` are the cells of the messages from the first on that are a role and a text and nothing else, one each.
    `fixed` words of the API, of `fixed_size` characters, are no cells.
    """

    cells: list[Cell] = field(default_factory=list, repr=False)
    unknowns: list[Unknown] = field(default_factory=list)
    texts: set[str] = field(default_factory=set, repr=False)
    turns: range = range(0)
    fixed: int = 0
    fixed_size: int = 0


class _Node(NamedTuple):
    value: Any
    path: Path
    depth: int
    column: int
    key: str
    where: _Where
    via: tuple[str, ...]
    outer_length: int | None
    inner: Path = None


class Walker:
    """One walk. `step` goes on for a bounded number of nodes, so that a big body can be walked in slices."""

    def __init__(self, body: Any) -> None:
        self.walk = Walk()
        self._stack = [_Node(body, None, 0, 0, "", "body", (), None)]
        self._columns: dict[tuple[int, str], int] = {}
        self._seen = 0

    def step(self, nodes: int = MAX_NODES) -> bool:
        """Visit up to `nodes` more; True when everything has been visited."""
        stack = self._stack
        for _ in range(nodes):
            if not stack:
                return True
            node = stack.pop()
            self._seen += 1
            if self._seen > MAX_NODES:
                self._report("truncated", node.path, "nodes")
                stack.clear()
                return True
            value = node.value
            if isinstance(value, str):
                self._visit_string(value, node)
            elif isinstance(value, dict | list) and node.depth > MAX_DEPTH:
                self._report("too_deep", node.path)
            elif isinstance(value, dict):
                self._visit_object(value, node)
            elif isinstance(value, list):
                self._visit_list(value, node)
            elif value is not None and not isinstance(value, bool):
                self._visit_number(value, node)
        return not stack

    def _report(self, kind: UnknownKind, path: Path, detail: str = "") -> None:
        self.walk.unknowns.append(Unknown(kind, pointer_of(path), detail))

    def _column(self, parent: int, key: str) -> int:
        return self._columns.setdefault((parent, key), len(self._columns) + 1)

    def _visit_string(self, text: str, node: _Node) -> None:
        if not node.via:
            self.walk.texts.add(text)
        if not text:
            return
        via, outer = node.via, node.outer_length
        nested = self._nested(text, node)
        if nested is not None:
            via, outer = (*via, "json"), outer if node.via else len(text)
            column = self._column(node.column, '"')
            self._stack.append(_Node(nested, node.path, node.depth + 1, column, "", "elsewhere", via, outer))
        hint = "" if node.key in _API_WORDS else node.key
        self.walk.cells.append(
            Cell(text, node.path, "value", via, outer, node.column, hint, node.inner, nested is not None)
        )

    def _nested(self, text: str, node: _Node) -> Any:
        try:
            return json_in(text)
        except TooDeeply:
            self._report("too_deep", node.path)
            return None

    def _visit_number(self, value: float, node: _Node) -> None:
        if not _NUMBER_FLOOR <= abs(value) < float("inf") or value != int(value):
            return
        hint = "" if node.key in _API_WORDS else node.key
        number = str(int(value))
        self.walk.cells.append(Cell(number, node.path, "value", node.via, node.outer_length, -1, hint, node.inner))

    def _visit_object(self, value: dict[str, Any], node: _Node) -> None:
        outside = not node.via
        if outside:
            self._check_object(value, node)
        is_small = len(value) <= _MOST_AT_ONCE
        children: list[_Node] = []
        for key, child in value.items():
            path: Path = (node.path, key) if outside else node.path
            inner: Path = None if outside else (node.inner, key)
            if outside:
                self.walk.texts.add(key)
            if key and key not in _API_WORDS:
                self.walk.cells.append(Cell(key, path, "key", node.via, node.outer_length, -1, "", inner))
            column = node.column
            if key in _FIXED_VALUES and isinstance(child, str):
                column = -1
            elif key not in _TRANSPARENT:
                column = self._column(column, key)
            if is_small and not children and type(child) is str and not may_be_json(child):
                self._visit_text(child, path, column, key, node, inner)
                continue
            where = _below(node.where, key)
            children.append(_Node(child, path, node.depth + 1, column, key, where, node.via, node.outer_length, inner))
        self._stack.extend(reversed(children))

    def _visit_text(self, text: str, path: Path, column: int, key: str, parent: _Node, inner: Path) -> None:
        """A member that is a string and no JSON, without a step of its own."""
        walk = self.walk
        self._seen += 1
        if not parent.via:
            walk.texts.add(text)
            if key in _FIXED_VALUES and text in _FIXED_WORDS:
                walk.fixed += 1
                walk.fixed_size += len(text)
                return
        if text:
            hint = "" if key in _API_WORDS else key
            walk.cells.append(Cell(text, path, "value", parent.via, parent.outer_length, column, hint, inner))

    def _visit_list(self, value: list[Any], node: _Node) -> None:
        if not node.via and node.key in _TOKEN_KEYS and value and all(type(item) is int for item in value):
            self._report("token_ids", node.path)
            return
        digits = _digits_of(value) if value and type(value[0]) is int else ""
        if digits:
            self.walk.cells.append(Cell(digits, node.path, "value", node.via, node.outer_length, -1, "", node.inner))
        where: _Where = "elsewhere"
        first = 0
        if node.where == "messages":
            where, first = "message", self._visit_turns(value, node)
        elif node.where == "content":
            where = "part"
        children = []
        for index, item in enumerate(value[first:] if first else value, first):
            path: Path = (node.path, index) if not node.via else node.path
            inner: Path = (node.inner, index) if node.via else None
            if where == "part" and not isinstance(item, dict | str):
                self._report("unknown_part", path, type(item).__name__)
            children.append(
                _Node(item, path, node.depth + 1, node.column, node.key, where, node.via, node.outer_length, inner)
            )
        self._stack.extend(reversed(children))

    def _visit_turns(self, messages: list[Any], node: _Node) -> int:
        """The leading messages that are a role and a text, all at once; how many they are."""
        if len(messages) > _MOST_TURNS:
            return 0
        walk, count, began = self.walk, 0, len(self.walk.cells)
        for message in messages:
            if type(message) is not dict or len(message) != 2:
                break
            role, text = message.get("role"), message.get("content")
            if type(role) is not str or role not in _ROLES or type(text) is not str or not text or _is_json(text):
                break
            walk.texts.add(role)
            walk.texts.add(text)
            walk.fixed_size += len(role)
            path: Path = ((node.path, count), "content")
            walk.cells.append(Cell(text, path, "value", (), None, node.column, ""))
            count += 1
        if count:
            walk.texts.update(("role", "content"))
            walk.fixed += count
            walk.turns = range(began, began + count)
            self._seen += 3 * count
        return count

    def _check_object(self, value: dict[str, Any], node: _Node) -> None:
        """Report what this object holds that no detector of text can read."""
        for member in opaque_members(value):
            self._report("undecodable", (node.path, member), member)
        kind = value.get("type")
        if node.where == "part" and kind not in _TEXT_PARTS:
            known = _UNREADABLE_PARTS.get(kind) if isinstance(kind, str) else None
            self._report(known or "unknown_part", node.path, str(kind) if known else "part")
            if _has_remote_url(value):
                self._report("remote_url", node.path, "url")
            return
        for key, child in value.items():
            if key in _UNREADABLE_KEYS and _is_reference(child):
                self._report(_UNREADABLE_KEYS[key], (node.path, key), key)
                if _has_remote_url({key: child}):
                    self._report("remote_url", (node.path, key), "url")
            elif node.where == "message" and key == "audio" and isinstance(child, dict):
                self._report("audio", (node.path, key), key)
            elif node.where == "body" and key in _STATE_KEYS and child:
                self._report("unknown_part", (node.path, key), key)


def _is_json(text: str) -> bool:
    try:
        return json_in(text) is not None
    except TooDeeply:
        return True


def _digits_of(value: list[Any]) -> str:
    """The number that a list of single digits, or of four groups of four, spells; else empty."""
    if not 4 <= len(value) <= _DIGITS or not all(type(item) is int and 0 <= item < 10_000 for item in value):
        return ""
    if all(item < 10 for item in value):
        return "".join(map(str, value))
    is_in_groups = len(value) == 4 and value[0] > 999 and sum(item > 999 for item in value) > 2
    return " ".join(f"{item:04d}" for item in value) if is_in_groups else ""


def _below(where: _Where, key: str) -> _Where:
    """Where a member stands, so that a message's content parts are told from lists that merely look like them."""
    if where == "body":
        return "messages" if key == "messages" else "message" if key == "prediction" else "elsewhere"
    return "content" if where in ("message", "part") and key == "content" else "elsewhere"


def _is_reference(value: Any) -> bool:
    """Whether a member names content (an id, data, an address), and is not the schema of such a member."""
    if isinstance(value, str):
        return bool(value)
    if isinstance(value, list):
        return any(isinstance(item, str) for item in value)
    return isinstance(value, dict) and any(
        isinstance(value.get(name), str) for name in ("url", "data", "file_id", "id")
    )


def _has_remote_url(value: Any, depth: int = 3) -> bool:
    """Whether a part holds an address that somebody else would fetch."""
    if isinstance(value, str):
        return value[:8].lower().startswith(("http://", "https://", "ftp://", "gs://", "s3://"))
    if isinstance(value, dict) and depth:
        return any(_has_remote_url(child, depth - 1) for key, child in value.items() if key not in ("text", "detail"))
    return False


def pointer_of(path: Path) -> str:
    """The RFC 6901 pointer of a path."""
    steps: list[str] = []
    while path is not None:
        path, step = path
        steps.append(str(step).replace("~", "~0").replace("/", "~1"))
    return "".join("/" + step for step in reversed(steps))


def strings_of(body: Any) -> Iterator[str]:
    """Every string of a JSON value, keys included, at any depth; for the check that each has been scanned."""
    stack = [body]
    while stack:
        value = stack.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            yield from value
            stack.extend(value.values())
        elif isinstance(value, list | tuple):
            stack.extend(value)
