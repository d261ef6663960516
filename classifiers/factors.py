"""What must stand in every text that an RE2 pattern matches: short chains of bytes, one of which has to occur.

Chains allow for more than the pattern does, never for less. A pattern that is not understood has none (`None`): it is
to be looked for in every text.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import product
from typing import Final, NamedTuple

from classifiers.expressions import (
    DIGITS,
    HIGH,
    WORD,
    Alternatives,
    Edge,
    Node,
    NotUnderstood,
    One,
    Repeat,
    Row,
    mask_of,
    parse,
)

PAD: Final = b"\n"  # stands in front of a text and behind it when chains are looked for
_ALL: Final = (1 << 256) - 1
_MOST_CHAINS: Final = 1024  # of one pattern
_MOST_STEPS: Final = 24  # of one chain
_ENOUGH: Final = 30.0  # bits by which a chain is told from usual text: more steps would say little more
_BY_FREQUENCY: Final = " etaoinshrdlcumwfgypb,.vk'-\nxjqz"


class Step(NamedTuple):
    """One byte of a mask, and behind it any number of bytes of another (`gap`)."""

    mask: int
    gap: int = 0


class Gap(NamedTuple):
    """Any number of bytes of a mask."""

    mask: int


Chain = tuple[Step, ...]
_Items = tuple[Step | Gap | Edge, ...]


@lru_cache(maxsize=1024)
def chains(pattern: str) -> frozenset[Chain] | None:
    """Chains of which every text that the pattern matches holds one; None where that cannot be said."""
    try:
        expanded = _expanded(parse(pattern))
    except NotUnderstood:
        return None
    found = [_best(items) for items in expanded]
    return None if None in found else frozenset(chain for chain in found if chain is not None)


def _expanded(node: Node) -> list[_Items]:
    """The ways through a tree, each as steps and what may stand between them."""
    if isinstance(node, Edge):
        return [(node,)]
    if isinstance(node, One):
        return [(Step(node.mask, HIGH if node.goes_on else 0),)]
    if isinstance(node, Alternatives):
        return _few([items for part in node.parts for items in _expanded(part)], node)
    if isinstance(node, Row):
        return _together(map(_expanded, node.parts), node.parts)
    if node.least == 0:
        return [(Gap(_alphabet(node.part)),)]
    copies = min(node.least, _MOST_STEPS)
    found = _together([_expanded(node.part)] * copies, [node.part] * copies)
    exact = node.most == node.least == copies
    return found if exact else [(*items, Gap(_alphabet(node.part))) for items in found]


def _together(ways: Iterable[list[_Items]], parts: Iterable[Node]) -> list[_Items]:
    """The ways through parts that follow each other; a part with too many counts as what it may begin with."""
    found: list[_Items] = [()]
    for each, part in zip(ways, parts, strict=True):
        chosen = each if len(found) * len(each) <= _MOST_CHAINS else [_loose(part)]
        found = [before + behind for before, behind in product(found, chosen)]
    return found


def _few(ways: list[_Items], node: Node) -> list[_Items]:
    return ways if len(ways) <= _MOST_CHAINS else [_loose(node)]


def _loose(node: Node) -> _Items:
    first, may_be_empty = _first(node)
    gap = Gap(_alphabet(node))
    return (gap,) if may_be_empty else (Step(first), gap)


def _alphabet(node: Node) -> int:
    """The bytes of which all that a tree matches is made."""
    if isinstance(node, One):
        return node.mask | (HIGH if node.goes_on else 0)
    if isinstance(node, Edge):
        return 0
    found = 0
    for part in (node.part,) if isinstance(node, Repeat) else node.parts:
        found |= _alphabet(part)
    return found


def _first(node: Node) -> tuple[int, bool]:
    """The bytes that it may begin with, and whether it may be empty."""
    if isinstance(node, One):
        return node.mask, False
    if isinstance(node, Edge):
        return 0, True
    if isinstance(node, Repeat):
        mask, may_be_empty = _first(node.part)
        return mask, may_be_empty or node.least == 0
    found = [_first(part) for part in node.parts]
    mask = 0
    if isinstance(node, Alternatives):
        for each, _ in found:
            mask |= each
        return mask, any(may_be_empty for _, may_be_empty in found)
    for each, may_be_empty in found:
        mask |= each
        if not may_be_empty:
            return mask, False
    return mask, True


def _best(items: _Items) -> Chain | None:
    """The rarest stretch of a way, or the shortest that is rare enough; None without a step."""
    places = [place for place, item in enumerate(items) if isinstance(item, Step)]
    bits = list(map(_bits, items))
    best, most = None, (-math.inf, 0)
    for number, first in enumerate(places):
        told = 0.0
        for count, last in enumerate(places[number : number + _MOST_STEPS], 1):
            told = sum(bits[first : last + 1])
            if (min(told, _ENOUGH), -count) > most:
                best, most = (first, last), (min(told, _ENOUGH), -count)
            if told >= _ENOUGH:
                break
    return None if best is None else tuple(_cut(items, *best))


def _cut(items: _Items, first: int, last: int) -> Iterator[Step]:
    """The steps of a stretch with the gaps behind them; an edge at either end as the byte that must stand there."""
    steps: list[Step] = []
    for item in items[first : last + 1]:
        if isinstance(item, Step):
            steps.append(item)
        elif isinstance(item, Gap):
            steps[-1] = steps[-1]._replace(gap=steps[-1].gap | item.mask)
    if first:
        yield from _beside(items[first - 1], steps[0].mask, Edge.FRONT)
    yield from steps
    if last + 1 < len(items) and not steps[-1].gap:
        yield from _beside(items[last + 1], steps[-1].mask, Edge.END)


def _beside(item: Step | Gap | Edge, mask: int, line: Edge) -> Iterator[Step]:
    """What an edge beside a step says of the byte on its other side. Word borders are those of ASCII."""
    if item is line:
        yield Step(1 << PAD[0])
    elif item is Edge.WORD and not mask & ~WORD:
        yield Step(_ALL & ~WORD)
    elif item is Edge.WORD and not mask & WORD:
        yield Step(WORD)


def _bits(item: Step | Gap | Edge) -> float:
    """How much a step tells; how much of it a gap takes away."""
    if isinstance(item, Edge):
        return 0.0
    share = _share(item.mask)
    return -math.log2(share) if isinstance(item, Step) else math.log2(1.02 - share)


@lru_cache(maxsize=4096)
def _share(mask: int) -> float:
    """Roughly how many of the bytes of a text are in a mask. Digits count for many: where one is, there are more."""
    shares = [(mask_of(sign), 0.17 * 0.87**place) for place, sign in enumerate(_BY_FREQUENCY)]
    shares += [(mask_of(sign.upper()), share / 20) for sign, (_, share) in zip(_BY_FREQUENCY, shares, strict=True)]
    total = sum(share for bits, share in shares if bits & mask) + (0.25 if DIGITS & mask else 0.0)
    return min(0.9, max(0.002, total))
