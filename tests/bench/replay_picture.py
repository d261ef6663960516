"""The hour of `tests.bench.replay` as a small SVG file. Needs matplotlib (the dependency group `pictures`).

python -m tests.bench.replay_picture FILE.json FILE.svg     (of what `--json` wrote)
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_MINUTES = 60


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of one request: when, its status (0: none), its final route; seconds to its first word and its end."""

    at: float
    status: int
    route: str
    error: str | None  # the code of a refusal, or of the event that ended a stream
    first: float | None
    total: float


_COLOURS = {"local": "tab:blue", "cloud": "tab:orange", "refused": "tab:red", "broken off": "black"}


def draw(seen: Sequence[Seen], path: Path) -> None:
    """Requests a minute by what came of them; seconds to the first word, and to the end, median and 95 %."""
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(3, 1, figsize=(8, 6.6), sharex=True)
    minutes = np.arange(_MINUTES)
    kinds = {name: [each for each in seen if kind_of(each) == name] for name in _COLOURS}
    bottom = np.zeros(_MINUTES)
    for name, own in kinds.items():
        count = np.array([len(each) for each in _by_minute(own, lambda one: one.total)], dtype=float)
        panels[0].bar(minutes, count, bottom=bottom, color=_COLOURS[name], label=f"{name} ({len(own)})", width=0.9)
        bottom += count
    panels[0].set_ylabel("requests a minute", fontsize=8)
    panels[0].legend(fontsize=7, loc="upper right", ncols=3)
    for panel, title, of in (
        (panels[1], "seconds to the first word", lambda one: one.first),
        (panels[2], "seconds to the end", lambda one: one.total),
    ):
        for name in ("local", "cloud"):
            for share, line in ((0.5, "-"), (0.95, ":")):
                values = [np.quantile(each, share) if each else np.nan for each in _by_minute(kinds[name], of)]
                panel.plot(
                    minutes, values, line, color=_COLOURS[name], label=f"{name}, p{share * 100:.0f}", linewidth=1.2
                )
        panel.set_ylabel(title, fontsize=8)
        panel.set_ylim(bottom=0)
        panel.legend(fontsize=6, loc="upper right", ncols=2)
    panels[2].set_xlabel("minute of the recorded hour", fontsize=8)
    save(figure, path)


def kind_of(seen: Seen) -> str:
    """Its route, `refused` before an answer, or `broken off`."""
    if seen.error is None:
        return seen.route
    return "broken off" if seen.status in (0, 200) else "refused"


def _by_minute(seen: Sequence[Seen], of: Callable[[Seen], float | None]) -> list[list[float]]:
    minutes: list[list[float]] = [[] for _ in range(_MINUTES)]
    for each in seen:
        value = of(each)
        if value is not None:
            minutes[min(_MINUTES - 1, int(each.at // 60))].append(value)
    return minutes


if __name__ == "__main__":
    draw([Seen(**each) for each in json.loads(Path(sys.argv[1]).read_text("utf-8"))["seen"]], Path(sys.argv[2]))


def save(figure: object, path: Path) -> None:
    """Write it so that equal curves give equal files."""
    import matplotlib.pyplot as plt

    plt.rcParams["svg.hashsalt"] = "routing"
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.tight_layout()  # type: ignore[attr-defined]
    figure.savefig(path, format="svg", metadata={"Date": None})  # type: ignore[attr-defined]
    plt.close(figure)  # type: ignore[arg-type]
