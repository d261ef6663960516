"""The curves of `tests.bench.routing` as small SVG files. Needs matplotlib (the dependency group `pictures`)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from classifiers.training.apgr import recovered

Floats = npt.NDArray[np.float64]
_POINTS = 101


def quality(curves: Mapping[str, tuple[Floats, Mapping[str, Floats]]], path: Path) -> None:
    """Share of the gap recovered against the share of questions that leave, a panel for each set."""
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, len(curves), figsize=(4 * len(curves), 3.6), sharey=True)
    share = np.linspace(0, 1, _POINTS)
    for panel, (name, (gap, columns)) in zip(panels, curves.items(), strict=True):
        panel.plot(share, share, color="0.7", linestyle=":", label="random")
        jitter = np.random.default_rng(0).random(len(gap))
        for router, score in columns.items():
            whole = recovered(score, gap, jitter)
            panel.plot(share, np.interp(share, np.linspace(0, 1, len(whole)), whole), label=router, linewidth=1.2)
        panel.set_title(name, fontsize=9)
        panel.set_xlabel("share sent to the strong model", fontsize=8)
    panels[0].set_ylabel("share of the gap recovered", fontsize=8)
    panels[-1].legend(fontsize=6, loc="lower right")
    save(figure, path)


def reliability(chance: Floats, target: Floats, path: Path) -> None:
    """Promised against observed share of failures, in ten bins, with how many prompts are in each."""
    import matplotlib.pyplot as plt

    place = np.minimum((chance * 10).astype(int), 9)
    bins = [each for each in range(10) if (place == each).any()]
    figure, panel = plt.subplots(figsize=(4, 3.8))
    panel.plot((0, 1), (0, 1), color="0.7", linestyle=":")
    promised = [chance[place == each].mean() for each in bins]
    observed = [target[place == each].mean() for each in bins]
    panel.plot(promised, observed, marker="o", markersize=4)
    for each, first, second in zip(bins, promised, observed, strict=True):
        panel.annotate(
            str(int((place == each).sum())), (first, second), fontsize=6, xytext=(4, -8), textcoords="offset points"
        )
    panel.set_xlabel("complexity (promised)", fontsize=8)
    panel.set_ylabel("share of failures (observed)", fontsize=8)
    save(figure, path)


def save(figure: object, path: Path) -> None:
    """Write it so that equal curves give equal files."""
    import matplotlib.pyplot as plt

    plt.rcParams["svg.hashsalt"] = "routing"
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.tight_layout()  # type: ignore[attr-defined]
    figure.savefig(path, format="svg", metadata={"Date": None})  # type: ignore[attr-defined]
    plt.close(figure)  # type: ignore[arg-type]
