"""Parts of a body whose scan is remembered as one: all of it, the turns of a conversation, what stands beside these.

Keys are keyed digests, values spans. A part over whose borders anything was said, or that could not be read, has none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from classifiers.joins import Stretch
from classifiers.memory import Remembered, ScanMemory
from classifiers.walk import Cell, Path, Walk

_LEAST_TURNS: Final = 4
_ADDED: Final = 3  # turns that a request adds to what was sent before, at most: answer, question, and one more
_LEAST_BESIDE: Final = 8  # strings beside the messages (tools, mostly) from which they are a part
_MESSAGES: Final = "messages"


@dataclass(frozen=True, slots=True)
class Part:
    """Cells, and the key under which what was found in them is remembered."""

    key: bytes
    cells: Sequence[int]


@dataclass(slots=True)
class Parts:
    """What is known of a body (`of` names the part of a known cell), and what may be remembered after its scan."""

    found: dict[int, list[Remembered]] = field(default_factory=dict)
    of: dict[int, int] = field(default_factory=dict)
    fresh: list[Part] = field(default_factory=list)
    is_whole: bool = False  # all of the body is known, joins included

    def holds(self, run: Sequence[Stretch]) -> bool:
        """Whether neighbours all stand in one known part: they were looked at together when it was scanned."""
        part = self.of.get(run[0].cell)
        return part is not None and all(self.of.get(stretch.cell) == part for stretch in run)

    def put(self, memory: ScanMemory, inside: Mapping[int, Iterable[Remembered]], anew: AbstractSet[int]) -> None:
        """Remember the fresh parts that hold none of the cells to be scanned `anew`."""
        for part in self.fresh:
            if anew.isdisjoint(part.cells):
                found = [
                    item._replace(cell=number)
                    for number, index in enumerate(part.cells)
                    if index in inside
                    for item in inside[index]
                ]
                memory.put(part.key, tuple(found))


def look_up(memory: ScanMemory, key_of: Callable[[str, bytes], bytes], body: Any, walk: Walk) -> Parts:
    """The parts of a body; `key_of` makes the key of a kind of part from its bytes."""
    parts = Parts()
    try:
        whole = Part(key_of("body", orjson.dumps(body)), range(len(walk.cells)))
        if _is_known(parts, memory, whole):
            parts.is_whole = True
            return parts
        parts.fresh.append(whole)
        if len(walk.turns) >= _LEAST_TURNS:
            _look_up_turns(parts, memory, key_of, body[_MESSAGES], walk.turns)
        if len(walk.cells) - len(walk.turns) >= _LEAST_BESIDE:
            _look_up_beside(parts, memory, key_of, body, walk.cells)
    except TypeError:  # a lone surrogate, or a number beyond 64 bits: no JSON, no key
        pass
    return parts


def _is_known(parts: Parts, memory: ScanMemory, part: Part) -> bool:
    """Take what is remembered of a part."""
    known = memory.get(part.key)
    if known is None:
        return False
    number = len(parts.of)
    parts.of.update(dict.fromkeys(part.cells, number))
    for item in known:
        parts.found.setdefault(part.cells[item.cell], []).append(item)
    return True


def _look_up_turns(
    parts: Parts, memory: ScanMemory, key_of: Callable[[str, bytes], bytes], messages: list[Any], turns: range
) -> None:
    """The longest run of leading turns that is known; all of them, to be remembered."""
    raw = orjson.dumps(messages[: len(turns)])
    ends, at = [len(raw)], len(raw) - 1
    for message in reversed(messages[len(turns) - _ADDED : len(turns)]):
        at -= len(orjson.dumps(message)) + 1  # the comma in front of it
        ends.append(at + 1)
    view = memoryview(raw)
    for fewer, end in enumerate(ends):
        part = Part(key_of("turns", bytes(view[: end - 1])), turns[: len(turns) - fewer])
        if _is_known(parts, memory, part):
            return
        if not fewer:
            parts.fresh.append(part)


def _look_up_beside(
    parts: Parts, memory: ScanMemory, key_of: Callable[[str, bytes], bytes], body: Mapping[str, Any], cells: list[Cell]
) -> None:
    indices = [index for index, cell in enumerate(cells) if _root(cell.path) != _MESSAGES]
    if len(indices) < _LEAST_BESIDE:
        return
    rest = {name: None if name == _MESSAGES else value for name, value in body.items()}
    part = Part(key_of("beside", orjson.dumps(rest)), indices)
    if not _is_known(parts, memory, part):
        parts.fresh.append(part)


def _root(path: Path) -> Any:
    while path is not None and path[0] is not None:
        path = path[0]
    return path[1] if path is not None else None
