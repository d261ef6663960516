"""The table of names that the tagger looks words up in: 8 M slots, of which one in seventy holds some bits.

A bit for each slot says whether it holds any, and the bits of those that do stand in order: 1.2 MB where a byte a slot
takes 8. `native/names.c` reads the same three arrays.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from classifiers.tagger_features import LIST_SLOTS

_BLOCK = 512  # slots, before each of which the used ones were counted


@dataclass(frozen=True, slots=True)
class NameTable:
    """Read like `bytes`, by slot. `before` holds for each block how many used slots come before it, in 32 bits."""

    used: bytes = field(repr=False)
    before: bytes = field(repr=False)
    bits: bytes = field(repr=False)

    @classmethod
    def of(cls, slots: npt.NDArray[np.int64], bits: npt.NDArray[np.uint8]) -> NameTable:
        """Of the used slots, in rising order, and their bits. Raises `ValueError` for other slots."""
        if slots.shape != bits.shape or slots.ndim != 1 or (len(slots) and not 0 <= slots[0] <= slots[-1] < LIST_SLOTS):
            raise ValueError("slots and bits do not belong together")
        if not (np.diff(slots) > 0).all():
            raise ValueError("slots are not in rising order")
        used = np.zeros(LIST_SLOTS // 8, dtype=np.uint8)
        np.bitwise_or.at(used, slots >> 3, (1 << (slots & 7)).astype(np.uint8))
        before = np.searchsorted(slots, np.arange(0, LIST_SLOTS, _BLOCK)).astype(np.uint32)
        return cls(used.tobytes(), before.tobytes(), bits.astype(np.uint8).tobytes())

    def __getitem__(self, slot: int) -> int:
        at, bit = slot >> 3, 1 << (slot & 7)
        byte = self.used[at]
        if not byte & bit:
            return 0
        block = slot // _BLOCK
        counted = int.from_bytes(self.before[4 * block : 4 * block + 4], "little")
        within = (
            int.from_bytes(self.used[block * _BLOCK // 8 : at], "little").bit_count() + (byte & bit - 1).bit_count()
        )
        return self.bits[counted + within]
