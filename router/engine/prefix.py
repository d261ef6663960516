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

    index: int
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
        return min(free, key=lambda slot: (bool(slot.tokens and slot.partition), slot.used if slot.partition else 0))
