"""What complexity costs: processor time of `measure` on bodies that differ, so that nothing is remembered."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from classifiers.complexity import ComplexitySignal
from classifiers.injection import InjectionSignal
from classifiers.training.corpus import Row

LENGTHS = (150, 1024, 4096, 65536)
_BODIES = 200


def median_ms(call: Callable[[int], object]) -> float:
    """The median processor time of calls with 0, 1, 2, …, in milliseconds."""
    spent = []
    for place in range(_BODIES):
        start = time.process_time_ns()
        call(place)
        spent.append(time.process_time_ns() - start)
    return float(np.median(spent)) / 1e6


def speed(rows: Sequence[Row]) -> None:
    """Serving time of both signals on text of the mix, joined to length."""
    text = " ".join(row.text for row in rows[:2000])
    print("\n| characters | complexity, p50 ms | injection, p50 ms |\n| --- | --- | --- |")
    measured, suspicious = ComplexitySignal(), InjectionSignal()
    for length in LENGTHS:
        step = (len(text) - length) // _BODIES
        bodies = [
            {"messages": [{"role": "user", "content": text[place * step : place * step + length]}]}
            for place in range(_BODIES)
        ]
        first = median_ms(lambda place: measured.measure(bodies[place]))  # noqa: B023
        second = median_ms(lambda place: suspicious.measure(bodies[place]))  # noqa: B023
        print(f"| {length} | {first:.3f} | {second:.3f} |")
