"""How random a run of bytes is. A pure measure."""

from __future__ import annotations

import math
from collections import Counter


def entropy(data: bytes) -> float:
    """Shannon entropy in bits a byte; 0 for nothing."""
    total = len(data)
    return -sum(count / total * math.log2(count / total) for count in Counter(data).values())
