"""Which cells of the matrix are asked: a seeded covering array over position, disguise, trouble, kind and way.

Every pair of (position, disguise), (position, trouble) and (disguise, trouble) that can be is in it, and every single
value often; which ones they are depends on nothing but the tables.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

_TRIES = 8  # candidates that are weighed for a place in the array


@dataclass(frozen=True, slots=True)
class Cell:
    """One question to the gateway: this kind of value, in this disguise, in this position, in this trouble."""

    position: str
    disguise: str
    fault: str
    entity: str
    stream: bool

    def __str__(self) -> str:
        way = "stream" if self.stream else "plain"
        return f"{self.fault} / {self.position} / {self.disguise} / {self.entity} / {way}"


Pair = tuple[str, str, str]  # which two dimensions, and their values


@dataclass(frozen=True, slots=True)
class Tables:
    """What can be combined. `fits` says which disguises a kind of value can have in a position."""

    positions: Sequence[str]
    disguises: Sequence[str]
    faults: Sequence[str]
    entities: Sequence[str]
    fits: Callable[[str, str, str], bool]  # position, disguise, entity

    def entities_for(self, position: str, disguise: str) -> list[str]:
        """The kinds of value that can stand there like that."""
        return [entity for entity in self.entities if self.fits(position, disguise, entity)]


def covering(tables: Tables, *, least: int, each: int, seed: int = 1) -> list[Cell]:
    """At least `least` different cells, with every possible pair and every single value at least `each` times."""
    array = _Array(tables, random.Random(seed))
    for position, disguise in array.possible:
        array.add(position, disguise, None)
    for position, fault in product(tables.positions, tables.faults):
        if ("pf", position, fault) not in array.covered:
            array.add(position, None, fault)
    for disguise, fault in product(tables.disguises, tables.faults):
        if ("df", disguise, fault) not in array.covered:
            array.add(None, disguise, fault)
    while short := array.short(each):
        array.add(**short)
    while len(array.cells) < least:
        array.add(None, None, None)
    return list(array.cells)


def stratified(cells: Sequence[Cell], count: int) -> list[Cell]:
    """About `count` of the cells: from every trouble as many, and in each of them evenly over the positions."""
    by_fault: dict[str, list[Cell]] = {}
    for cell in cells:
        by_fault.setdefault(cell.fault, []).append(cell)
    chosen: list[Cell] = []
    for group in by_fault.values():
        group.sort(key=lambda cell: (cell.position, cell.disguise, cell.entity, cell.stream))
        wanted = min(len(group), -(-count // len(by_fault)))
        chosen += [group[index * len(group) // wanted] for index in range(wanted)]
    return chosen


class _Array:
    def __init__(self, tables: Tables, dice: random.Random) -> None:
        self.cells: dict[Cell, None] = {}
        self.covered: set[Pair] = set()
        self.possible = [
            (position, disguise)
            for position, disguise in product(tables.positions, tables.disguises)
            if tables.entities_for(position, disguise)
        ]
        self._tables, self._dice = tables, dice
        self._entities = {pair: tables.entities_for(*pair) for pair in self.possible}
        self._by_position = _grouped(self.possible, 0)
        self._by_disguise = _grouped(self.possible, 1)
        self._counts: Counter[str] = Counter()

    def add(
        self,
        position: str | None = None,
        disguise: str | None = None,
        fault: str | None = None,
        entity: str | None = None,
    ) -> None:
        """One more cell with what is given; the rest is what covers most, then what has come least often."""
        best: Cell | None = None
        weight = (-1, 0)
        for _ in range(_TRIES):
            cell = self._candidate(position, disguise, fault, entity)
            if cell in self.cells:
                continue
            gain = sum(pair not in self.covered for pair in _pairs(cell))
            rarity = -max(self._counts[name] for name in _names(cell))
            if (gain, rarity) > weight or best is None:
                best, weight = cell, (gain, rarity)
        if best is not None:
            self.cells[best] = None
            self.covered.update(_pairs(best))
            self._counts.update(_names(best))

    def _candidate(self, position: str | None, disguise: str | None, fault: str | None, entity: str | None) -> Cell:
        dice = self._dice
        if entity is not None and position is None:
            pairs = [pair for pair in self.possible if entity in self._entities[pair]]
            position, disguise = dice.choice(pairs)
        elif position is None and disguise is None:
            position, disguise = dice.choice(self.possible)
        elif position is None:
            assert disguise is not None
            position = dice.choice(self._by_disguise[disguise])[0]
        elif disguise is None:
            disguise = dice.choice(self._by_position[position])[1]
        assert position is not None
        assert disguise is not None
        entities = self._entities[position, disguise]
        chosen = entity if entity is not None else min(dice.sample(entities, min(3, len(entities))), key=self._seen)
        return Cell(position, disguise, fault or dice.choice(self._tables.faults), chosen, dice.random() < 0.5)

    def _seen(self, entity: str) -> int:
        return self._counts[f"e:{entity}"]

    def short(self, each: int) -> Mapping[str, str] | None:
        """A single value that has not come often enough, as `add` takes it."""
        for prefix, name, values in (
            ("p", "position", self._tables.positions),
            ("d", "disguise", self._tables.disguises),
            ("f", "fault", self._tables.faults),
            ("e", "entity", self._tables.entities),
        ):
            for value in values:
                if self._counts[f"{prefix}:{value}"] < each:
                    return {name: value}
        return None


def _grouped(pairs: Sequence[tuple[str, str]], by: int) -> dict[str, list[tuple[str, str]]]:
    groups: dict[str, list[tuple[str, str]]] = {}
    for pair in pairs:
        groups.setdefault(pair[by], []).append(pair)
    return groups


def _pairs(cell: Cell) -> Iterator[Pair]:
    yield "pd", cell.position, cell.disguise
    yield "pf", cell.position, cell.fault
    yield "df", cell.disguise, cell.fault


def _names(cell: Cell) -> Iterator[str]:
    yield f"p:{cell.position}"
    yield f"d:{cell.disguise}"
    yield f"f:{cell.fault}"
    yield f"e:{cell.entity}"
