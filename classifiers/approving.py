"""Whole texts that an admin has approved, known by keyed digests: which strings of a body are among them.

The key comes from the process that scans; without it nothing is approved. One changed character voids an approval.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence, Set
from typing import Any

import orjson

from classifiers.types import Approval, Unknown, UnknownKind
from classifiers.walk import Cell, Path, pointer_of

_SYSTEM_ROLES = ("system", "developer")
_SYSTEM_KEYS = ("system", "instructions")
_TOOL_LISTS = ("tools", "functions")
_UNREAD_TEXT = ("undecodable", "unsupported_language")  # what may be wrong with a text that somebody has looked at
_OPAQUE = ("signature", "encrypted")  # in the name of a member that holds what a provider has sealed


class Approver:
    """Makes the digests under one key, and finds the cells that hold what has one of them."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.key_id = hmac.digest(key, b"key id", "sha256")[:4].hex()

    def __repr__(self) -> str:
        return "Approver()"

    def text(self, text: str) -> str:
        """The digest of a whole text; blanks and line ends around it do not count."""
        return self._digest(b"text\0", text.strip().encode("utf-8", "surrogatepass"))

    def tool(self, tool: Mapping[str, Any]) -> str:
        """The digest of a tool with all that it holds, in whichever dialect it is written. Raises `TypeError`."""
        return self._digest(b"tool\0", orjson.dumps(_plain_tool(tool), option=orjson.OPT_SORT_KEYS))

    def approved(self, body: Any, cells: Sequence[Cell], approvals: Sequence[Approval]) -> frozenset[int]:
        """The cells of the body that stand in approved texts; what is wrapped in such a text stands in it too."""
        kinds: dict[str, set[str]] = {}
        for approval in approvals:
            kinds.setdefault(approval.digest, set()).add(approval.kind)
        tools = self._approved_tools(body, kinds)
        paths = {
            cell.path
            for cell in cells
            if cell.place == "value" and _is_whole(cell) and self._is_approved(body, cell, kinds)
        }
        return frozenset(
            index
            for index, cell in enumerate(cells)
            if (cell.path in paths and (cell.via or cell.place == "value")) or (tools and _root(cell.path) in tools)
        )

    def _is_approved(self, body: Any, cell: Cell, kinds: Mapping[str, set[str]]) -> bool:
        allowed = kinds.get(self.text(cell.text))
        if allowed is None:
            return False
        # Texts without a body stand nowhere: they have been judged in their places before.
        return "any" in allowed or not isinstance(body, Mapping) or bool(allowed & _standing(body, cell.path))

    def _approved_tools(self, body: Any, kinds: Mapping[str, set[str]]) -> set[tuple[str | int, ...]]:
        if not isinstance(body, Mapping):
            return set()
        found: set[tuple[str | int, ...]] = set()
        for name in _TOOL_LISTS:
            tools = body.get(name)
            for index, tool in enumerate(tools if isinstance(tools, list) else ()):
                try:
                    is_known = isinstance(tool, Mapping) and self.tool(tool) in kinds
                except (TypeError, ValueError):
                    continue
                if is_known:
                    found.add((name, index))
        return found

    def _digest(self, domain: bytes, data: bytes) -> str:
        return f"{self.key_id}:{hmac.digest(self._key, domain + data, 'sha256')[:16].hex()}"


def _is_whole(cell: Cell) -> bool:
    """Whether the cell is a string of the body, not something that is wrapped in one."""
    return cell.outer_length is None or cell.outer_length == len(cell.text)


def still_unread(kind: UnknownKind, cells: Set[int], approved: frozenset[int], *, joined: bool) -> Set[int]:
    """Which of these cells count as unread: not those of approved texts.

    Nor, where they were run together (`joined`), what stands beside one: what a neighbour holds that cannot be read is
    told of it alone.
    """
    if kind not in _UNREAD_TEXT:
        return cells
    return set() if joined and not approved.isdisjoint(cells) else cells - approved


def unapproved(unknowns: tuple[Unknown, ...], cells: Sequence[Cell], approved: frozenset[int]) -> tuple[Unknown, ...]:
    """Without what the walk could not read in approved texts. A fault of a detector counts wherever it happens."""
    inside: set[str] = set()
    outside: set[str] = set()
    for index, cell in enumerate(cells):
        (inside if index in approved else outside).add(pointer_of(cell.path))
    return tuple(each for each in unknowns if each.kind not in _UNREAD_TEXT or each.pointer not in inside - outside)


def _plain_tool(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    """A tool without the wrapper of its dialect: the same tool is the same value wherever it stands."""
    inner = tool.get("function")
    if isinstance(inner, Mapping) and set(tool) <= {"type", "function"} and tool.get("type", "function") == "function":
        tool = inner
    elif tool.get("type") == "function":
        tool = {key: value for key, value in tool.items() if key != "type"}
    if "input_schema" in tool and "parameters" not in tool:
        tool = {"parameters" if key == "input_schema" else key: value for key, value in tool.items()}
    return tool


def _steps(path: Path) -> tuple[str | int, ...]:
    steps: list[str | int] = []
    while path is not None:
        path, step = path
        steps.append(step)
    return tuple(reversed(steps))


def _root(path: Path) -> tuple[str | int, ...]:
    return _steps(path)[:2]


def _standing(body: Mapping[str, Any], path: Path) -> set[str]:
    """The kinds of approved texts that may stand at this place."""
    steps = _steps(path)
    kinds: set[str] = set()
    if not steps:
        return kinds
    if steps[0] in _SYSTEM_KEYS or (steps[0] == "messages" and steps[2:3] == ("content",) and _is_system(body, steps)):
        kinds.add("system")
    if steps[0] in _TOOL_LISTS:
        kinds.add("tool")
    if any(word in str(steps[-1]).lower() for word in _OPAQUE):
        kinds.add("signature")
    return kinds


def _is_system(body: Mapping[str, Any], steps: Sequence[str | int]) -> bool:
    messages, index = body.get("messages"), steps[1]
    if not isinstance(messages, list) or not isinstance(index, int) or not 0 <= index < len(messages):
        return False
    message = messages[index]
    return isinstance(message, Mapping) and message.get("role") in _SYSTEM_ROLES
