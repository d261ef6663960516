"""A detector that never comes to an end in time."""

from __future__ import annotations

import time
from collections.abc import Sequence

from classifiers.detectors.base import Piece
from classifiers.types import Match


class SlowDetector:
    """Finds nothing, and takes longer than it is given."""

    name = "slow"
    entities = frozenset({"CREDIT_CARD"})
    triggers: tuple[str, ...] = ()

    def detect(self, piece: Piece, hits: Sequence[int]) -> list[Match]:
        time.sleep(0.02)
        return []
