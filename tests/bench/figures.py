"""A measured figure beside its target, with a 95 % interval and a trivial baseline; and tables of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from classifiers.rates import Rate

RESAMPLES = 400


@dataclass(frozen=True)
class Figure:
    """`target` None: only reported. `at_least` says on which side of the target the good is."""

    name: str
    value: float | None
    target: float | None = None
    good: Literal["at_least", "at_most"] = "at_least"
    low: float | None = None
    high: float | None = None
    n: int = 0
    unit: str = ""
    baseline: str = ""
    note: str = ""

    @property
    def verdict(self) -> str:
        if self.value is None:
            return "not measured"
        if self.target is None:
            return "-"
        met = self.value >= self.target if self.good == "at_least" else self.value <= self.target
        return "met" if met else "MISSED"


def of_rate(name: str, rate: Rate, target: float | None, good: Literal["at_least", "at_most"], **more: str) -> Figure:
    """A share with its Wilson interval."""
    low, high = rate.interval
    return Figure(name, rate.share if rate.total else None, target, good, low, high, rate.total, **more)


def resampled(rows: Sequence[Any], measure: Callable[[Sequence[Any]], float], seed: int = 1) -> tuple[float, float]:
    """The bootstrap 95 % interval of a measure over rows."""
    draw = np.random.default_rng(seed)
    values = [measure([rows[place] for place in draw.integers(0, len(rows), len(rows))]) for _ in range(RESAMPLES)]
    low, high = np.percentile(values, (2.5, 97.5))
    return float(low), float(high)


def as_table(figures: Sequence[Figure], markdown: bool) -> str:
    """The figures as lines; `markdown` for a document."""
    head = ("figure", "measured", "95 %", "n", "target", "", "baseline", "note")
    rows = [head] + [
        (
            each.name,
            _show(each.value, each.unit),
            "" if each.low is None else f"{_show(each.low, '')} to {_show(each.high, '')}",
            str(each.n or ""),
            "" if each.target is None else f"{'≥' if each.good == 'at_least' else '≤'} {_show(each.target, each.unit)}",
            each.verdict,
            each.baseline,
            each.note,
        )
        for each in figures
    ]
    if markdown:
        lines = ["| " + " | ".join(row) + " |" for row in rows]
        return "\n".join([lines[0], "| " + " | ".join("---" for _ in head) + " |", *lines[1:]])
    widths = [max(len(row[place]) for row in rows) for place in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def as_json(figures: Sequence[Figure]) -> list[dict[str, Any]]:
    return [{**asdict(each), "verdict": each.verdict} for each in figures]


def _show(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    return f"{value:.3f}{' ' + unit if unit else ''}"
