"""Which rules a request need not be asked about: an index over what they demand, made once, when a policy is loaded.

It only passes over rules that cannot hold; whether another one does, its own test says (`policies.conditions`).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from policies.conditions import compile_test, unmatched
from policies.types import Leaf, Level, Measured, Reason, Rule

_STEPS = 256  # bounds of one signal that are told apart: each takes a bit a rule


class _Bounds(NamedTuple):
    """For one signal: the rules (a bit each) that a value between two of the bounds does not let hold."""

    signal: str
    bounds: list[float]
    closed: list[int]  # one longer than `bounds`


class _Words(NamedTuple):
    """For one signal: all rules that demand certain labels (or a flag) of it, and for each label those that take it."""

    signal: str
    of: type
    all: int
    taken: dict[object, int]


class Gate:
    """Rules in the order in which they are asked, and which of them may hold at all."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = tuple(rules)
        self._misses = [unmatched(rule) for rule in self.rules]
        self._all = (1 << len(self.rules)) - 1
        demands = [(1 << index, leaf) for index, rule in enumerate(self.rules) for leaf in rule.demands]
        self._lows = _bounds(demands, "at_least")
        self._highs = _bounds(demands, "at_most")
        self._words = _words(demands)
        self._by_level = [_closed_at(demands, level) for level in Level]

    def asked(self, measured: Measured, reasons: list[Reason]) -> Iterator[Rule]:
        """The rules that may hold, in order; those that are passed over leave their reason, as if they were asked."""
        open_, at, misses = self._all & ~self._closed(measured), 0, self._misses
        while open_:
            lowest = open_ & -open_
            open_ ^= lowest
            index = lowest.bit_length() - 1
            reasons += misses[at:index]
            at = index + 1
            yield self.rules[index]
        reasons += misses[at:]

    def _closed(self, measured: Measured) -> int:
        """The rules that cannot hold: of what they demand together, something that is known is not so."""
        closed = self._by_level[measured.level]
        numbers = measured.numbers
        for signal, bounds, masks in self._lows:
            value = numbers.get(signal)
            if value is not None:
                closed |= masks[bisect_right(bounds, value)]
        for signal, bounds, masks in self._highs:
            value = numbers.get(signal)
            if value is not None:
                closed |= masks[bisect_left(bounds, value)]
        for signal, of, every, taken in self._words:
            found = measured.signals.get(signal)
            if found is not None and found.error is None and type(found.value) is of:
                closed |= every & ~taken.get(found.value, 0)
        return closed


def _bounds(demands: Sequence[tuple[int, Leaf]], operator: str) -> list[_Bounds]:
    by_signal: dict[str, list[tuple[float, int]]] = {}
    for bit, leaf in demands:
        if leaf.operator == operator and leaf.signal != "sensitivity" and isinstance(leaf.value, int | float):
            by_signal.setdefault(leaf.signal, []).append((float(leaf.value), bit))
    return [_Bounds(signal, *_steps(pairs, operator)) for signal, pairs in by_signal.items()]


def _steps(pairs: list[tuple[float, int]], operator: str) -> tuple[list[float], list[int]]:
    """Of too many bounds only some are told apart: between them fewer rules are passed over than could be."""
    values = sorted({value for value, _ in pairs})
    steps = values[:: -(-len(values) // _STEPS)]
    closed = [0] * (len(steps) + 1)
    if operator == "at_least":  # closed[n] is for values below steps[n]
        for value, bit in pairs:
            closed[bisect_right(steps, value) - 1] |= bit
        for index in range(len(steps) - 1, -1, -1):
            closed[index] |= closed[index + 1]
    else:  # closed[n + 1] is for values above steps[n]
        for value, bit in pairs:
            index = bisect_left(steps, value) + 1
            if index < len(closed):
                closed[index] |= bit
        for index in range(1, len(closed)):
            closed[index] |= closed[index - 1]
    return steps, closed


def _words(demands: Sequence[tuple[int, Leaf]]) -> list[_Words]:
    found: dict[tuple[str, type], _Words] = {}
    for bit, leaf in demands:
        if leaf.operator not in ("in", "is") or leaf.signal == "sensitivity":
            continue
        values = leaf.value if isinstance(leaf.value, tuple) else (leaf.value,)
        of = bool if isinstance(leaf.value, bool) else str
        entry = found.get((leaf.signal, of), _Words(leaf.signal, of, 0, {}))
        for value in values:
            entry.taken[value] = entry.taken.get(value, 0) | bit
        found[leaf.signal, of] = entry._replace(all=entry.all | bit)
    return list(found.values())


def _closed_at(demands: Sequence[tuple[int, Leaf]], level: Level) -> int:
    closed, measured = 0, Measured({}, {}, level)
    for bit, leaf in demands:
        if leaf.signal == "sensitivity" and compile_test(leaf)(measured) is False:
            closed |= bit
    return closed
