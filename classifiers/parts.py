"""Parts of a body whose scan is remembered as one: all of it, the turns of a conversation, what stands beside these.

Keys are keyed digests, values spans. A cell over whose borders anything was said, or that could not be read, is no part
of what is remembered: it is looked at anew, with its neighbours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import orjson

from classifiers.frozen import quickly_made
from classifiers.joins import Stretch
from classifiers.memory import Remembered, ScanMemory
from classifiers.walk import Cell, Path, Walk

LEAST_TURNS: Final = 4
_ADDED: Final = 3  # turns that a request adds to what was sent before, at most: answer, question, and one more
_LEAST_BESIDE: Final = 8  # strings beside the messages (tools, mostly) from which they are a part
_MESSAGES: Final = "messages"
_ANEW: Final = ""  # in place of an entity: the cell is to be looked at anew


class Keys(Protocol):
    """Makes the keys of one tenant's parts under its rules; `kind` tells parts of different kinds apart."""

    def __call__(self, kind: str, raw: bytes, *ends: int) -> list[bytes]:
        """The key of the bytes up to each of these ends, in rising order."""
        ...


@quickly_made
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
    is_whole: bool = False  # all of the body is known, joins included, and nothing is to be looked at anew

    def holds(self, run: Sequence[Stretch]) -> bool:
        """Whether neighbours all stand in one known part: they were looked at together when it was scanned."""
        of, part = self.of, self.of.get(run[0].cell)
        if part is None:
            return False
        # Each run of two is asked about, of which there is one for each two neighbours.
        return of.get(run[-1].cell) == part and (len(run) == 2 or all(of.get(each.cell) == part for each in run))

    def put(self, memory: ScanMemory, inside: Mapping[int, Iterable[Remembered]], anew: set[int]) -> None:
        """Remember the fresh parts without their cells that are to be scanned `anew`, where more than half are left."""
        for part in self.fresh:
            missing = anew.intersection(part.cells)
            if 2 * len(missing) > len(part.cells):
                continue
            found: list[Remembered] = []
            of_note = bool(missing) or any(index in part.cells for index in inside)
            for number, index in enumerate(part.cells if of_note else ()):
                if index in missing:
                    found.append(Remembered(_ANEW, 0, 0, 0.0, "", (), number))
                elif index in inside:
                    found += [item._replace(cell=number) for item in inside[index]]
            memory.put(part.key, tuple(found))


def look_up(memory: ScanMemory, keys: Keys, body: Any, walk: Walk) -> Parts:
    """The parts of a body."""
    parts = Parts()
    try:
        turns = _turns(keys, body[_MESSAGES], walk.turns) if len(walk.turns) >= LEAST_TURNS else []
        whole = Part(_key_of_all(keys, body, turns), range(len(walk.cells)))
        if _is_known(parts, memory, whole):
            parts.is_whole = len(parts.of) == len(walk.cells)
            return parts
        parts.fresh.append(whole)
        parts.fresh += turns[:1]
        for part in turns:  # the longest run of leading turns that is known
            if _is_known(parts, memory, part):
                break
        if len(walk.cells) - len(walk.turns) >= _LEAST_BESIDE:
            _look_up_beside(parts, memory, keys, body, walk.cells)
    except TypeError:  # a lone surrogate, or a number beyond 64 bits: no JSON, no key
        pass
    return parts


def _is_known(parts: Parts, memory: ScanMemory, part: Part) -> bool:
    """Take what is remembered of a part."""
    known = memory.get(part.key)
    if known is None:
        return False
    number = len(parts.of) + 1
    parts.of.update(dict.fromkeys(part.cells, number))
    for item in known:
        if item.entity == _ANEW:
            del parts.of[part.cells[item.cell]]
        else:
            parts.found.setdefault(part.cells[item.cell], []).append(item)
    return True


def _turns(keys: Keys, messages: list[Any], turns: range) -> list[Part]:
    """All leading turns, and those without one, two or three of the last: with keys made in one reading."""
    raw = orjson.dumps(messages[: len(turns)])
    ends = [len(raw) - 1]
    for message in reversed(messages[len(turns) - _ADDED : len(turns)]):
        ends.append(ends[-1] - len(orjson.dumps(message)) - 1)  # the comma in front of it
    made = reversed(keys("turns", raw, *reversed(ends)))
    return [Part(key, turns[: len(turns) - fewer]) for fewer, key in enumerate(made)]


def _key_of_all(keys: Keys, body: Any, turns: Sequence[Part]) -> bytes:
    """The key of the whole body: where it has leading turns, of theirs and of the rest."""
    if not turns:
        raw = orjson.dumps(body)
        return keys("body", raw, len(raw))[0]
    rest = body[_MESSAGES][len(turns[0].cells) :]
    raw = turns[0].key + orjson.dumps([{**body, _MESSAGES: None}, rest])
    return keys("conversation", raw, len(raw))[0]


def _look_up_beside(parts: Parts, memory: ScanMemory, keys: Keys, body: Mapping[str, Any], cells: list[Cell]) -> None:
    indices = [index for index, cell in enumerate(cells) if _root(cell.path) != _MESSAGES]
    if len(indices) < _LEAST_BESIDE:
        return
    raw = orjson.dumps({**body, _MESSAGES: None})
    part = Part(keys("beside", raw, len(raw))[0], indices)
    if not _is_known(parts, memory, part):
        parts.fresh.append(part)


def _root(path: Path) -> Any:
    while path is not None and path[0] is not None:
        path = path[0]
    return path[1] if path is not None else None
