"""Which part of the cache holds which tokens of which partition, and where a prompt finds the most of itself.

A partition is never crossed: a prompt sees only what requests of its own partition left. The one exception is the
template's own opening, which holds nothing of any caller's. Source of the danger: prompt-stealing through shared prefix
caches ("I Know What You Asked", NDSS 2025).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

Partition = tuple[str, str | None]  # the salt, and the adapter, which changes what the cache holds


@dataclass(slots=True)
class Slot:
    """One sequence's part of the cache. `partition` None: nobody may reuse what is in it."""

    index: int  # another after a move
    tokens: list[int] = field(default_factory=list, repr=False)
    partition: Partition | None = None
    adapter: str | None = None
    is_busy: bool = False
    used: int = 0  # when it was freed last, as a count of such events


@dataclass(frozen=True, slots=True)
class Place:
    """Where a prompt goes: `kept` leading tokens of it are in the cache, or are to be copied there from `source`."""

    slot: Slot
    kept: int
    source: Slot | None = None


_WORTH_COPYING = 32  # tokens; below that decoding them is as quick
_WORTH_MOVING = 1024  # tokens, of both; above that the copying would be felt


def common_prefix(left: Sequence[int], right: Sequence[int]) -> int:
    """How many leading tokens are the same."""
    for index, (one, other) in enumerate(zip(left, right, strict=False)):
        if one != other:
            return index
    return min(len(left), len(right))


class SlotTable:
    """All slots of a context."""

    def __init__(self, count: int) -> None:
        self.slots = [Slot(index) for index in range(count)]
        self._events = 0

    @property
    def has_free(self) -> bool:
        """Whether a sequence can join."""
        return any(not slot.is_busy for slot in self.slots)

    def place(self, prompt: Sequence[int], partition: Partition | None) -> Place:
        """The free slot for `prompt`; there must be one. The last token of a prompt is always decoded anew."""
        free = [slot for slot in self.slots if not slot.is_busy]
        best, kept = self._best(free, prompt, partition)
        source, copied = self._best((slot for slot in self.slots if slot.is_busy), prompt, partition)
        if source is not None and copied >= kept + _WORTH_COPYING:
            return Place(self._least_useful(free), copied, source)
        if best is not None and kept:
            return Place(best, kept)
        return Place(self._least_useful(free), 0)

    def occupy(self, slot: Slot, partition: Partition | None, adapter: str | None) -> None:
        """A sequence joins; what the slot keeps of its tokens is the caller's to cut."""
        slot.is_busy, slot.partition, slot.adapter = True, partition, adapter

    def free(self, slot: Slot) -> None:
        """A sequence leaves. What it leaves behind stays for its own partition."""
        self._events += 1
        slot.is_busy, slot.used = False, self._events

    def gap(self) -> tuple[Slot, Slot] | None:
        """A busy slot at an end, and the free one between the busy ones where it had better be. None: they stand close.

        Neighbours are decoded in one pass over the weights, and each gap costs another pass in every step.
        """
        busy = sorted((slot for slot in self.slots if slot.is_busy), key=_index)
        if not busy or busy[-1].index - busy[0].index < len(busy):
            return None
        within = range(busy[0].index, busy[-1].index)
        mover = min(busy[0], busy[-1], key=lambda slot: len(slot.tokens))
        free = [slot for slot in self.slots if not slot.is_busy and slot.index in within]
        hole = min(free, key=lambda slot: (len(slot.tokens), -abs(slot.index - mover.index)))
        return (mover, hole) if len(mover.tokens) + len(hole.tokens) <= _WORTH_MOVING else None

    def _best(
        self, slots: Iterable[Slot], prompt: Sequence[int], partition: Partition | None
    ) -> tuple[Slot | None, int]:
        found, length = None, 0
        if partition is None:
            return found, length
        for slot in slots:
            if slot.partition == partition:
                common = min(common_prefix(slot.tokens, prompt), len(prompt) - 1)
                if common > length:
                    found, length = slot, common
        return found, length

    def _least_useful(self, free: list[Slot]) -> Slot:
        """An empty slot first (the lowest: neighbours are decoded together), then the one unused for longest."""
        return min(
            free,
            key=lambda slot: (bool(slot.tokens and slot.partition), slot.used if slot.partition else 0, slot.index),
        )


def _index(slot: Slot) -> int:
    return slot.index
