"""What values of signals a condition can hold for, as sets: the algebra behind the static proof. Pure.

An extent is one way in which a condition holds: for each signal that it asks for, what is admitted. A condition is the
union of its extents. What grows too large to be told apart is None, and nothing is said about it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from policies.types import Condition, Leaf, Level
from policies.vocabulary import SIGNAL_KINDS, SIGNAL_LABELS, UNIT_SIGNALS

MOST = 64  # extents of one condition


@dataclass(frozen=True, slots=True)
class Bounds:
    """A number within these ends, which both belong to it."""

    low: float
    high: float

    @property
    def is_empty(self) -> bool:
        return self.low > self.high

    def __and__(self, other: Bounds) -> Bounds:
        return Bounds(max(self.low, other.low), min(self.high, other.high))

    def __le__(self, other: Bounds) -> bool:
        return other.low <= self.low and self.high <= other.high


@dataclass(frozen=True, slots=True)
class Labels:
    """A set of labels: exactly `exact`, where that is said, and at least one of each of `some`."""

    exact: frozenset[str] | None
    some: frozenset[frozenset[str]]

    @property
    def is_empty(self) -> bool:
        return self.exact is not None and any(self.exact.isdisjoint(each) for each in self.some)

    def __and__(self, other: Labels) -> Labels:
        some = self.some | other.some
        if None not in (self.exact, other.exact) and self.exact != other.exact:
            return Labels(frozenset(), some | {frozenset()})  # two exact sets at once
        return Labels(other.exact if self.exact is None else self.exact, some)

    def __le__(self, other: Labels) -> bool:
        if other.exact is not None:
            return self.exact == other.exact
        if self.exact is not None:
            return not any(self.exact.isdisjoint(wanted) for wanted in other.some)
        return all(any(each <= wanted for each in self.some) for wanted in other.some)


Admitted = Bounds | Labels | frozenset[object]
Extent = Mapping[str, Admitted]


def extents(when: Condition | Leaf | None) -> tuple[Extent, ...] | None:
    """The ways in which `when` can hold, none of them empty; none at all: it never holds. None: too many to say."""
    if when is None:
        return ({},)
    if isinstance(when, Leaf):
        admitted = _admitted(when)
        return () if _is_empty(admitted) else ({when.signal: admitted},)
    parts = [extents(part) for part in when.parts]
    if when.kind == "any":
        found = [each for part in parts if part is not None for each in part]
        return None if None in parts or len(found) > MOST else tuple(found)
    product: tuple[Extent, ...] = ({},)
    for part in sorted((part for part in parts if part is not None), key=len):
        product = tuple(both for one in product for other in part if (both := _meet(one, other)) is not None)
        if len(product) > MOST:
            return None
    return None if None in parts and product else product


def covers(wide: tuple[Extent, ...] | None, narrow: tuple[Extent, ...] | None) -> bool:
    """Whether `wide` surely holds wherever `narrow` does."""
    if wide is None or narrow is None:
        return False
    return all(any(_lies_in(one, other) for other in wide) for one in narrow)


def has_any(when: Condition | Leaf | None) -> bool:
    """Whether a condition can hold for one part of it, while another one is false or unknown."""
    return isinstance(when, Condition) and (when.kind == "any" or any(has_any(part) for part in when.parts))


def levels_of(extent: Extent) -> frozenset[Level]:
    """The levels of sensitivity that an extent admits."""
    admitted = extent.get("sensitivity")
    return admitted if isinstance(admitted, frozenset) else frozenset(Level)  # type: ignore[return-value]  # levels


def _lies_in(one: Extent, other: Extent) -> bool:
    return all(name in one and one[name] <= admitted for name, admitted in other.items())  # type: ignore[operator]


def _meet(one: Extent, other: Extent) -> Extent | None:
    merged = dict(one)
    for name, admitted in other.items():
        both = merged[name] & admitted if name in merged else admitted  # type: ignore[operator]  # of one kind
        if _is_empty(both):
            return None
        merged[name] = both
    return merged


def _is_empty(admitted: Admitted) -> bool:
    return not admitted if isinstance(admitted, frozenset) else admitted.is_empty


def _admitted(leaf: Leaf) -> Admitted:
    kind = SIGNAL_KINDS[leaf.signal]
    if kind == "number":
        whole = Bounds(0.0, 1.0 if leaf.signal in UNIT_SIGNALS else math.inf)
        number = float(leaf.value)  # type: ignore[arg-type]  # the loader admits numbers only
        return whole & (Bounds(number, math.inf) if leaf.operator == "at_least" else Bounds(-math.inf, number))
    if kind == "flag":
        return frozenset({leaf.value})
    words = frozenset(leaf.value if isinstance(leaf.value, tuple) else (str(leaf.value),))
    if kind == "level":
        return _levels(leaf.operator, words)
    if kind == "label":
        return frozenset(words & frozenset(SIGNAL_LABELS[leaf.signal]))
    return Labels(words, frozenset()) if leaf.operator == "is" else Labels(None, frozenset({words}))


def _levels(operator: str, words: frozenset[str]) -> frozenset[object]:
    named = {Level[word.upper()] for word in words}
    if operator == "at_least":
        return frozenset(level for level in Level if level >= max(named))
    if operator == "at_most":
        return frozenset(level for level in Level if level <= max(named))
    return frozenset(named)
