"""One sequence's part of a step, and what a step that is only read may be: long, because it can be given up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from router.engine.pace import SPARE_S
from router.engine.sequence import Sequence


@dataclass(slots=True)
class Part:
    """One sequence's tokens from `start` on, and where the rows of their logits begin."""

    sequence: Sequence
    start: int
    tokens: list[int]
    row: int = -1  # -1: no logits are wanted

    @property
    def is_prompt(self) -> bool:
        """Whether it reads."""
        return self.start < len(self.sequence.generation.prompt)


def index_of(sequence: Sequence) -> int:
    """Which part of the cache is its own."""
    assert sequence.slot is not None
    return sequence.slot.index


def may_be_long(sequences: Iterable[Sequence]) -> bool:
    """Whether a step of these hurts nobody by its length: all of them read, and giving it up has cost none too much."""
    return all(sequence.is_prefilling and sequence.lost_s < SPARE_S for sequence in sequences)
