"""One layout for policy files: order of the top-level keys, indentation, blank lines. Pure: text in, text out.

It moves and indents whole lines, so that comments, quotes and what is written in braces stay as they were written. What
comes out says the same, has every comment, and is formatted already; else the file is left alone, and said so.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from ruamel.yaml import YAML
from ruamel.yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode, SequenceNode

from policies.errors import PolicyError, Problem
from policies.shape.file import PolicyFile
from policies.text.document import parse

_STEP = 2
_ORDER = {name: number for number, name in enumerate(PolicyFile.model_fields)}


def formatted(text: str, source: str) -> str:
    """The text in the one layout. Raises `PolicyError` for what cannot be parsed, or has a layout that is not known."""
    before = parse(text, source).value
    once = _laid_out(text)
    if parse(once, source).value != before or _words(once) != _words(text) or _laid_out(once) != once:
        raise PolicyError(source, [Problem(1, 1, "this layout is one that cannot be formatted: nothing is changed")])
    return once


def _laid_out(text: str) -> str:
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    text = _in_order(text.rstrip() + "\n") if text.strip() else "\n"
    lines = text.split("\n")[:-1]
    return "\n".join(_spaced(*_indented(lines, _root(text)))) + "\n"


def _root(text: str) -> Node | None:
    composed: Node | None = YAML(pure=True).compose(text)
    return composed


def _in_order(text: str) -> str:
    """The top-level keys in the order of the language, each with the comment right above it; the head stays first."""
    root = _root(text)
    if not isinstance(root, MappingNode) or root.flow_style:
        return text
    lines = text.split("\n")[:-1]
    starts = [key.start_mark.line for key, _ in root.value]
    first = _above(lines, starts[0]) if any(not line.strip() for line in lines[: starts[0]]) else starts[0]
    cuts = [first, *(_above(lines, start) for start in starts[1:]), len(lines)]
    names = [str(key.value) for key, _ in root.value]
    blocks = sorted(
        ((_ORDER.get(name, len(_ORDER)), number) for number, name in enumerate(names)), key=lambda each: each
    )
    if [number for _, number in blocks] == list(range(len(names))):
        return text
    moved = [lines[:first], *(lines[cuts[number] : cuts[number + 1]] for _, number in blocks)]
    return "\n".join(line for block in moved for line in [*_without_end(block), *_gap(block)]).rstrip() + "\n"


def _above(lines: list[str], start: int) -> int:
    """Where the comment right above a line begins."""
    while start > 0 and lines[start - 1].startswith("#"):
        start -= 1
    return start


def _without_end(block: list[str]) -> list[str]:
    while block and not block[-1].strip():
        block = block[:-1]
    return block


def _gap(block: list[str]) -> list[str]:
    return [""] if len(_without_end(block)) != len(block) else []


@dataclass(slots=True)
class _Lines:
    """What is known of the lines: how far the old indentation of one reaches, and what takes its place."""

    text: list[str]
    prefixes: dict[int, tuple[int, str]] = field(default_factory=dict)
    inside: set[int] = field(default_factory=set)  # of a scalar or braces that began above
    literal: set[int] = field(default_factory=set)  # … of a scalar: its blanks may be its own


def _indented(lines: list[str], root: Node | None) -> tuple[list[str], set[int]]:
    known = _Lines(lines)
    if isinstance(root, CollectionNode) and not root.flow_style:
        _visit(known, root, 0)
    made, shift, begun = [], 0, sorted(known.prefixes)
    for number, line in enumerate(lines):
        if number in known.prefixes:
            end, prefix = known.prefixes[number]
            shift = len(prefix) - end
            made.append(prefix + line[end:].rstrip() if number + 1 not in known.literal else prefix + line[end:])
        elif not line.strip():
            made.append("")
        else:
            by = shift if number in known.inside else _comment_shift(known, begun, number, shift)
            column = len(line) - len(line.lstrip(" "))
            moved = " " * max(0, column + by) + line[column:]
            made.append(moved if number in known.literal else moved.rstrip())
    return made, known.literal


def _comment_shift(known: _Lines, begun: list[int], number: int, shift: int) -> int:
    """A comment goes with the line below it, if it begins where that line does; else with the one above."""
    line = known.text[number]
    column = len(line) - len(line.lstrip(" "))
    after = bisect_right(begun, number)
    if after < len(begun):
        following = begun[after]
        below = known.text[following]
        if len(below) - len(below.lstrip(" ")) == column:
            prefix = known.prefixes[following][1]
            return len(prefix) - len(prefix.lstrip(" ")) - column
    return shift


def _visit(known: _Lines, node: Node, column: int) -> None:
    """Note the new beginning of each line on which a member or an item of block style begins."""
    for head, value in _members(node):
        line, old = head.start_mark.line, head.start_mark.column
        if isinstance(node, SequenceNode):
            before = known.prefixes[line][1] if line in known.prefixes else " " * column
            known.prefixes[line] = (old, before + "- ")
            inner = len(before) + _STEP
        else:
            known.prefixes.setdefault(line, (old, " " * column))
            inner = column + _STEP
        if isinstance(value, CollectionNode) and not value.flow_style:
            _visit(known, value, inner)
        else:
            _note_inside(known, value, head)


def _members(node: Node) -> Iterator[tuple[Node, Node]]:
    if isinstance(node, MappingNode):
        yield from node.value
    elif isinstance(node, SequenceNode):
        yield from ((item, item) for item in node.value)


def _note_inside(known: _Lines, value: Node, head: Node) -> None:
    end = value.end_mark.line + (value.end_mark.column > 0)
    lines = range(head.start_mark.line + 1, end)
    known.inside.update(lines)
    if isinstance(value, ScalarNode):
        known.literal.update(lines)


def _spaced(lines: list[str], literal: set[int]) -> Iterator[str]:
    """At most one blank line in a row, and none at the beginning; inside a scalar all stay."""
    last = ""
    for number, line in enumerate(lines):
        if line or last or number in literal:
            yield line
        last = line


def _words(text: str) -> Counter[str]:
    """Every line that says something, without its blanks: lines are moved, never lost."""
    return Counter(" ".join(line.split()) for line in text.removeprefix("\ufeff").split("\n") if line.strip())
