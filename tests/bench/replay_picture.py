"""The hour of `tests.bench.replay` as a small SVG file, written by hand: it needs no other package.

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
_LEFT, _WIDTH, _HEIGHT, _GAP = 56, 720, 150, 34
_STYLE = 'font-family="sans-serif" font-size="11"'
_COLOURS = {"local": "#1f77b4", "cloud": "#ff7f0e", "refused": "#d62728", "broken off": "#000000"}
_LINES = {0.5: "", 0.95: ' stroke-dasharray="2 3"'}


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of one request: when, its status (0: none), its final route; seconds to its first word and its end."""

    at: float
    status: int
    route: str
    error: str | None  # the code of a refusal, or of the event that ended a stream
    first: float | None
    total: float


def draw(seen: Sequence[Seen], path: Path) -> None:
    """Requests a minute by what came of them; seconds to the first word, and to the end, median and 95 %."""
    kinds = {name: [each for each in seen if kind_of(each) == name] for name in _COLOURS}
    parts = _bars(kinds)
    parts += _curves(kinds, "seconds to the first word", lambda one: one.first, 1)
    parts += _curves(kinds, "seconds to the end", lambda one: one.total, 2)
    height = 3 * (_HEIGHT + _GAP) + 20
    parts.append(f'<text x="{_LEFT}" y="{height - 6}" fill="#333">minute of the recorded hour (0 to 60)</text>')
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDTH + 10} {height}" {_STYLE}>'
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join((head, *parts, "</svg>", "")), "utf-8")


def kind_of(seen: Seen) -> str:
    """Its route, `refused` before an answer, or `broken off`."""
    if seen.error is None:
        return seen.route
    return "broken off" if seen.status in (0, 200) else "refused"


def _bars(kinds: dict[str, list[Seen]]) -> list[str]:
    """How many came a minute, one kind upon the other."""
    counts = {name: [len(each) for each in _by_minute(own, lambda one: one.total)] for name, own in kinds.items()}
    most = max(1, *(sum(minute) for minute in zip(*counts.values(), strict=True)))
    parts = _frame(0, "requests a minute", most)
    wide = _WIDTH / _MINUTES
    below = [0] * _MINUTES
    for name, own in counts.items():
        for minute, count in enumerate(own):
            if count:
                below[minute] += count
                x, y = _LEFT + minute * wide, _y(0, below[minute], most)
                size = f'width="{0.9 * wide:.1f}" height="{count / most * _HEIGHT:.1f}"'
                parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" {size} fill="{_COLOURS[name]}"/>')
    for number, name in enumerate(kinds):
        x = _LEFT + 130 + 140 * number
        parts.append(f'<text x="{x}" y="{_GAP - 8}" fill="{_COLOURS[name]}">{name} ({len(kinds[name])})</text>')
    return parts


def _curves(kinds: dict[str, list[Seen]], title: str, of: Callable[[Seen], float | None], panel: int) -> list[str]:
    """Median and 95 % of each minute in which there was an answer."""
    minutes = {name: _by_minute(kinds[name], of) for name in ("local", "cloud")}
    found = {
        (name, share): [(minute, float(np.quantile(values, share))) for minute, values in enumerate(own) if values]
        for name, own in minutes.items()
        for share in _LINES
    }
    most = max((value for points in found.values() for _, value in points), default=1.0)
    parts = _frame(panel, f"{title}: median, and 95 % dotted", most)
    for (name, share), points in found.items():
        line = " ".join(
            f"{_LEFT + (minute + 0.5) * _WIDTH / _MINUTES:.1f},{_y(panel, value, most):.1f}" for minute, value in points
        )
        colour = _COLOURS[name]
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"{_LINES[share]}/>')
    return parts


def _y(panel: int, value: float, most: float) -> float:
    return panel * (_HEIGHT + _GAP) + _GAP + _HEIGHT * (1 - value / most)


def _frame(panel: int, title: str, most: float) -> list[str]:
    top = panel * (_HEIGHT + _GAP) + _GAP
    size = f'width="{_WIDTH}" height="{_HEIGHT}" fill="none" stroke="#999"'
    return [
        f'<rect x="{_LEFT}" y="{top}" {size}/>',
        f'<text x="{_LEFT}" y="{top - 8}" fill="#333">{title}</text>',
        f'<text x="{_LEFT - 6}" y="{top + 8}" text-anchor="end" fill="#777">{most:.3g}</text>',
        f'<text x="{_LEFT - 6}" y="{top + _HEIGHT}" text-anchor="end" fill="#777">0</text>',
    ]


def _by_minute(seen: Sequence[Seen], of: Callable[[Seen], float | None]) -> list[list[float]]:
    minutes: list[list[float]] = [[] for _ in range(_MINUTES)]
    for each in seen:
        value = of(each)
        if value is not None:
            minutes[min(_MINUTES - 1, int(each.at // 60))].append(value)
    return minutes


if __name__ == "__main__":
    draw([Seen(**each) for each in json.loads(Path(sys.argv[1]).read_text("utf-8"))["seen"]], Path(sys.argv[2]))
