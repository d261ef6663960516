"""Tells in one pass which of many RE2 patterns may match a text, so that the others need not be tried on it.

It names every pattern that matches, and some that do not. Where nothing is known of a pattern, it is always named.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from classifiers.factors import PAD, Chain, Step, chains
from classifiers.kernels import KERNELS

BLOCK: Final = 1024  # bits that are read at once, as in prefilter.h
_WORD: Final = 64  # bits; no chain crosses from one into the next
# The long s and the Kelvin sign, which are an `s` and a `k` to patterns in any case and to nothing else here.
_LETTERS_APART: Final = (b"\xc5\xbf", b"\xe2\x84\xaa")
_SAMPLES: Final = (
    b"",
    b"\x00",
    b"Call 212 555 2368, password: x\n\x00\nmy api_key = AKIA4111 1111, \xc3\xa9 one two six.",
)

_Words = npt.NDArray[np.uint64]


class Prefilter:
    """The chains of all patterns side by side, a bit for each of their steps (Shift-And, Baeza-Yates and Gonnet 1992).

    A bit is set while a chain has been followed up to its step; a byte moves all of them on at once.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        self._all = list(range(len(patterns)))
        self._always: list[int] = []
        owners: dict[Chain, list[int]] = {}
        for number, pattern in enumerate(patterns):
            found = chains(pattern)
            if found is None:
                self._always.append(number)
            for chain in found or ():
                owners.setdefault(chain, []).append(number)
        steps, first, self._owners = _laid_out(owners)
        self._masks, self._gaps = _rows([step.mask for step in steps]), _rows([step.gap for step in steps])
        self._first = _bits(first, len(steps))
        self._last = _bits(self._owners, len(steps))
        self._compiled = KERNELS.take("prefilter", self._in_c, self._agrees)

    @property
    def is_compiled(self) -> bool:
        """Whether it is worth asking: without the kernel it takes longer than trying the patterns."""
        return self._compiled is not None

    def candidates(self, data: bytes) -> list[int]:
        """The numbers of the patterns that may match, in order."""
        if not data.isascii() and any(letter in data for letter in _LETTERS_APART):
            return self._all
        ended = self.ends(data) if self.is_compiled else self.reference(data)
        if not ended:
            return self._always
        return sorted({number for place in ended for number in self._owners[place]}.union(self._always))

    def ends(self, data: bytes) -> list[int]:
        """The last steps of the chains that stand in a text, by the kernel."""
        found: list[int] = KERNELS.module().prefilter_ends(self._compiled, data)
        return found

    def reference(self, data: bytes) -> list[int]:
        """The same, and what the kernel is held to."""
        masks, gaps, first, last = self._numbers
        state = seen = 0
        for byte in PAD + data + PAD:
            state = (state << 1 | first) & masks[byte] | state & gaps[byte]
            seen |= state
        return [place for place in self._owners if seen & last & 1 << place]  # in order, as they were laid out

    @cached_property
    def _numbers(self) -> tuple[list[int], list[int], int, int]:
        masks, gaps = ([int.from_bytes(row.tobytes(), "little") for row in rows] for rows in (self._masks, self._gaps))
        first, last = (int.from_bytes(bits.tobytes(), "little") for bits in (self._first, self._last))
        return masks, gaps, first, last

    def _in_c(self, kernels: Any) -> Any:
        first, last, masks, gaps = map(_in_blocks, (self._first, self._last, self._masks, self._gaps))
        gapped = np.flatnonzero(gaps.any(axis=(1, 2))).max(initial=0) + 1
        return kernels.prefilter(first, last, masks, gaps[:gapped])

    def _agrees(self, compiled: Any) -> bool:
        ends = KERNELS.module().prefilter_ends
        return all(ends(compiled, sample) == self.reference(sample) for sample in _SAMPLES)


def _laid_out(owners: dict[Chain, list[int]]) -> tuple[list[Step], list[int], dict[int, list[int]]]:
    """The steps of all chains in a row, none across the border of a word; where they begin; whose each last step is.

    Those with gaps come first: only their blocks need the work that gaps make.
    """
    steps: list[Step] = []
    first: list[int] = []
    last: dict[int, list[int]] = {}
    for chain in sorted(owners, key=lambda chain: (not any(step.gap for step in chain), len(chain))):
        if len(steps) % _WORD + len(chain) > _WORD:
            steps += [Step(0)] * (-len(steps) % _WORD)
        first.append(len(steps))
        steps += chain
        last[len(steps) - 1] = owners[chain]
    return steps + [Step(0)] * (-len(steps) % BLOCK or (0 if steps else BLOCK)), first, last


def _rows(masks: Sequence[int]) -> _Words:
    """By byte, which of the masks hold it: a bit each. Shape (256, words)."""
    columns = np.frombuffer(b"".join(mask.to_bytes(32, "little") for mask in masks), dtype=np.uint8).reshape(-1, 32)
    bits = np.ascontiguousarray(np.unpackbits(columns, axis=1, bitorder="little").T)
    return np.packbits(bits, axis=1, bitorder="little").view(np.uint64)


def _bits(places: Iterable[int], count: int) -> _Words:
    """So many bits, with those at some places set. Shape (1, words)."""
    found = np.zeros((1, count), dtype=np.uint8)
    found[0, list(places)] = 1
    return np.packbits(found, axis=1, bitorder="little").view(np.uint64)


def _in_blocks(rows: _Words) -> _Words:
    """The words of a block side by side, row by row. Shape (blocks, rows, words of a block)."""
    return np.ascontiguousarray(rows.reshape(len(rows), -1, BLOCK // _WORD).transpose(1, 0, 2))
