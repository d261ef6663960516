"""Strings of a body of which one value may be made up: neighbours in a list, messages, members that name its parts.

Only the ends of long strings are put together. It says what stands beside what, and never looks for anything in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from classifiers.walk import Cell

_WINDOW = 128  # code points at each end of a string in which a value may go on in its neighbour
_FRAGMENT = re.compile(r"(?=[^@\d.]*[@\d.])[\w@.+\-/()]{1,48}(?: [\w@.+\-/()]{1,16}){0,4}")
_ID = re.compile(r"[A-Za-z0-9_.:\-]{1,64}")
_IDS_OF_CALLS = frozenset({"tool_call_id", "tool_use_id", "call_id"})
_STEPS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|\d+")
# Words of members' names that number the parts of one value.
_PART_WORDS = """
    first second third last middle part piece chunk segment half start end begin head tail left right prefix suffix
    front back one two three top bottom rest remainder next pre post upper lower beginning ending initial final
"""
_PARTS = frozenset(_PART_WORDS.split())


class Stretch(NamedTuple):
    """Characters of a cell, from `offset` on."""

    cell: int
    offset: int
    text: str


def runs(
    cells: Sequence[Cell], is_known: Callable[[Sequence[Stretch]], bool] = lambda run: False
) -> Iterator[list[Stretch]]:
    """Stretches that follow each other, two or more; of neighbours, those that are not known."""
    columns: dict[int, list[int]] = {}
    for index, cell in enumerate(cells):
        if cell.column >= 0 and cell.text:
            columns.setdefault(cell.column, []).append(index)
    for neighbours in columns.values():
        if len(neighbours) > 1:
            for run in _in_stretches(cells, neighbours):
                if not is_known(run):
                    yield run
    if len(cells) > 1:
        for members in _parts_of_one(cells):
            yield [Stretch(index, 0, cells[index].text) for index in members]


def glues(run: Sequence[Stretch]) -> tuple[str, ...]:
    """What to put between the stretches: nothing; and a blank, where there is none anywhere yet."""
    for left, right in pairwise(run):
        if not (left.text[-1:].isspace() or right.text[:1].isspace()):
            return ("", " ")
    return ("",)


def is_id_of_a_call(cell: Cell) -> bool:
    """Whether a string is the short random id that binds a tool's call to its result, by the member that it is.

    Several stand beside each other in every turn of an agent that calls tools at once; together they are no blob.
    """
    if cell.path is None or _ID.fullmatch(cell.text) is None:
        return False
    parent, member = cell.path
    if member != "id":
        return member in _IDS_OF_CALLS
    above = parent[0] if parent is not None else None
    return above is not None and above[1] == "tool_calls"


def _in_stretches(cells: Sequence[Cell], neighbours: Sequence[int]) -> Iterator[list[Stretch]]:
    """Neighbours run together; a long one ends a run with its beginning and begins the next with its end."""
    run: list[Stretch] = []
    for position, index in enumerate(neighbours):
        text = cells[index].text
        if len(text) <= 2 * _WINDOW:
            run.append(Stretch(index, 0, text))
            continue
        if position:
            yield [*run, Stretch(index, 0, text[:_WINDOW])]
        run = [Stretch(index, len(text) - _WINDOW, text[-_WINDOW:])]
    if len(run) > 1:
        yield run


def _parts_of_one(cells: Sequence[Cell]) -> Iterator[list[int]]:
    """Members one after the other whose names differ only in the part that they number, and that hold fragments."""
    members: list[int] = []
    stem: frozenset[str] | None = None
    for index, cell in enumerate(cells):
        if cell.place == "key":
            continue
        name = _stem(cell) if len(cell.text) <= 64 and _FRAGMENT.fullmatch(cell.text) else None
        if name is None or name != stem:
            if len(members) > 1:
                yield members
            members, stem = [], name
        if name is not None:
            members.append(index)
    if len(members) > 1:
        yield members


def _stem(cell: Cell) -> frozenset[str] | None:
    """A member's name without what numbers a part; None for what is no member."""
    name = cell.key or (cell.path[1] if cell.path is not None and isinstance(cell.path[1], str) else "")
    if not name:
        return None
    steps = [step.lower() for step in _STEPS.findall(name)]
    return frozenset(step for step in steps if len(step) > 1 and not step.isdigit() and step not in _PARTS)
