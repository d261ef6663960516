"""The curves of the routing benchmarks as small SVG files, written by hand: equal numbers give equal files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from classifiers.training.apgr import recovered

Floats = npt.NDArray[np.float64]
Curve = tuple[str, Floats, Floats]  # what it is, across, up; both in [0, 1]
_SIDE = 260  # of a panel, pixels
_LEFT, _TOP, _GAP = 48, 30, 28
_COLOURS = ("#36c", "#c33", "#393", "#a3a", "#777")
_POINTS = 51
_STYLE = 'font-family="sans-serif" font-size="11"'


def quality(curves: Mapping[str, tuple[Floats, Mapping[str, Floats]]], path: Path) -> None:
    """Share of the gap recovered against the share of questions that leave, a panel for each set."""
    share = np.linspace(0, 1, _POINTS)
    panels = {}
    for name, (gap, columns) in curves.items():
        jitter = np.random.default_rng(0).random(len(gap))
        lines = []
        for router, score in columns.items():
            whole = recovered(score, gap, jitter)
            lines.append((router, share, np.interp(share, np.linspace(0, 1, len(whole)), whole)))
        panels[name] = lines
    write(panels, "share sent to the strong model", "share of the gap recovered", path)


def reliability(chance: Floats, target: Floats, path: Path) -> None:
    """Promised against observed share of failures, in ten bins, with how many prompts are in each."""
    place = np.minimum((chance * 10).astype(int), 9)
    bins = [each for each in range(10) if (place == each).any()]
    promised = np.array([chance[place == each].mean() for each in bins])
    observed = np.array([target[place == each].mean() for each in bins])
    counts = [str(int((place == each).sum())) for each in bins]
    write({"": [("complexity", promised, observed)]}, "promised", "observed share of failures", path, counts)


def cascade(panels: Mapping[str, Mapping[str, tuple[Floats, Floats, Floats]]], path: Path) -> None:
    """Mean quality against the share that escalates: for each panel, router -> (order, local good, strong good)."""
    share = np.linspace(0, 1, _POINTS)
    drawn = {}
    for name, routers in panels.items():
        lines = []
        for router, (order, good, strong) in routers.items():
            gain = (strong - good)[np.argsort(-order, kind="stable")]
            mean = good.mean() + np.concatenate(([0.0], np.cumsum(gain))) / len(good)
            lines.append((router, share, np.interp(share, np.linspace(0, 1, len(mean)), mean)))
        drawn[name] = lines
    write(drawn, "share that escalates", "share of good answers", path, diagonal=False)


def write(
    panels: Mapping[str, Sequence[Curve]],
    across: str,
    up: str,
    path: Path,
    counts: Sequence[str] = (),
    *,
    diagonal: bool = True,
) -> None:
    """Panels side by side, each from 0 to 1 both ways. `counts` stand beside the points of the first curve."""
    names = list(dict.fromkeys(name for curves in panels.values() for name, _, _ in curves))
    width = _LEFT + len(panels) * (_SIDE + _GAP)
    height = _TOP + _SIDE + 48 + 16 * len(names)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {_STYLE}>']
    for number, (title, curves) in enumerate(panels.items()):
        left = _LEFT + number * (_SIDE + _GAP)
        parts += _frame(left, title, diagonal)
        for name, xs, ys in curves:
            points = [f"{left + x * _SIDE:.1f},{_TOP + (1 - y) * _SIDE:.1f}" for x, y in zip(xs, ys, strict=True)]
            colour = _COLOURS[names.index(name) % len(_COLOURS)]
            parts.append(f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
            for point, count in zip(points, counts, strict=False):
                x, y = point.split(",")
                parts.append(f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>')
                parts.append(f'<text x="{float(x) + 6:.1f}" y="{float(y) + 12:.1f}" fill="#777">{count}</text>')
    parts.append(f'<text x="{_LEFT}" y="{_TOP + _SIDE + 32}" fill="#333">{across}</text>')
    parts.append(f'<text transform="translate(14,{_TOP + _SIDE}) rotate(-90)" fill="#333">{up}</text>')
    for number, name in enumerate(names):
        y = _TOP + _SIDE + 52 + 16 * number
        parts.append(f'<text x="{_LEFT}" y="{y}" fill="{_COLOURS[number % len(_COLOURS)]}">{name}</text>')
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join((*parts, "</svg>", "")), "utf-8")


def _frame(left: int, title: str, diagonal: bool) -> list[str]:
    found = [f'<rect x="{left}" y="{_TOP}" width="{_SIDE}" height="{_SIDE}" fill="none" stroke="#999"/>']
    if diagonal:
        ends = f'x1="{left}" y1="{_TOP + _SIDE}" x2="{left + _SIDE}" y2="{_TOP}"'
        found.append(f'<line {ends} stroke="#bbb" stroke-dasharray="3 3"/>')
    found.append(f'<text x="{left}" y="{_TOP - 10}" fill="#333">{title}</text>')
    for share in (0, 0.5, 1):
        found.append(f'<text x="{left + share * _SIDE - 4:.0f}" y="{_TOP + _SIDE + 14}" fill="#777">{share:g}</text>')
        if left == _LEFT:
            found.append(f'<text x="{left - 20}" y="{_TOP + (1 - share) * _SIDE + 4:.0f}" fill="#777">{share:g}</text>')
    return found
