"""A detector that fails at every text it is given."""

from __future__ import annotations

from collections.abc import Sequence

from classifiers.detectors.base import Piece
from classifiers.types import Match


class RaisingDetector:
    """Built without complaint, then never of any use."""

    name = "raising"
    entities = frozenset({"CREDIT_CARD"})
    triggers: tuple[str, ...] = ()

    def detect(self, piece: Piece, hits: Sequence[int]) -> list[Match]:
        raise RuntimeError("out of order")
