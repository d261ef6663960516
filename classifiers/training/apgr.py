"""How a router is scored: the average performance gap recovered (RouteLLM, arXiv 2406.18665)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def recovered(score: Floats, gap: Floats, jitter: Floats) -> Floats:
    """The share of the gap that is recovered when the 0, 1, … n highest scores go to the strong model.

    Ties are broken by `jitter`; `gap` is strong minus weak for each question, and its sum must not be 0.
    """
    order = np.lexsort((jitter, -score))
    return np.asarray(np.concatenate(([0.0], np.cumsum(gap[order]))) / gap.sum(), dtype=np.float64)


def apgr(score: Floats, gap: Floats, jitter: Floats) -> float:
    """The area under `recovered` over the share of questions that go to the strong model: 0.5 for a random order."""
    return float(np.trapezoid(recovered(score, gap, jitter), dx=1 / len(gap)))
