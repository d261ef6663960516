"""The signals of a body, one after the other within its time: each a value, or the error that stands in its place.

No failure of a signal passes: it is built and called behind the classifier boundary.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from classifiers.boundary import Failure, attempt
from classifiers.registry import SignalSpec
from classifiers.scanner import construct
from classifiers.timer import Timer
from classifiers.types import Signal
from classifiers.walk import Walk

Fact = Callable[[Mapping[str, Any], Walk], bool | int | frozenset[str]]


@dataclass(frozen=True, slots=True)
class _Step:
    """One signal: what measures it, or reads it off the walk, or what it always is; and what it is when nobody asks."""

    name: str
    measure: Callable[[Mapping[str, Any]], Any] | None = None
    fact: Fact | None = None
    always: Signal | None = None
    not_asked: Signal | None = None


class Measures:
    """The signals of a table, built once. `broken`: name -> exception class of those that could not be built."""

    def __init__(self, specs: Mapping[str, SignalSpec], facts: Mapping[str, Fact]) -> None:
        self.broken: dict[str, str] = {}
        self._steps = [self._step(name, spec, facts) for name, spec in specs.items()]

    def _step(self, name: str, spec: SignalSpec, facts: Mapping[str, Fact]) -> _Step:
        not_asked = Signal(name, error="not_asked") if spec.on_demand else None
        if spec.is_given and spec.where is None:
            return _Step(name, always=Signal(name, error="not_available"), not_asked=not_asked)
        if spec.where is None:
            return _Step(name, fact=facts[name], not_asked=not_asked)
        measure = attempt(_measure_of, spec.where)
        if isinstance(measure, Failure):
            self.broken[name] = measure.error
            return _Step(name, always=Signal(name, error=measure.error), not_asked=not_asked)
        return _Step(name, measure=measure, not_asked=not_asked)

    async def values(
        self, body: Mapping[str, Any], walk: Walk, timer: Timer, is_large: bool, demanded: Collection[str] | None
    ) -> dict[str, Signal]:
        """All signals; of those that are measured on demand only the `demanded` ones (None: all).

        Those of a body that `is_large` are measured in a thread.
        """
        values = {}
        for step in self._steps:
            if step.not_asked is not None and demanded is not None and step.name not in demanded:
                values[step.name] = step.not_asked
            elif step.always is not None:
                values[step.name] = step.always
            elif step.fact is not None:
                values[step.name] = Signal(step.name, step.fact(body, walk))
            elif step.measure is not None:
                if timer.is_over():
                    values[step.name] = Signal(step.name, error="timeout")
                    continue
                if is_large:
                    measured = await asyncio.to_thread(attempt, step.measure, body)
                else:
                    measured = attempt(step.measure, body)
                values[step.name] = _checked(step.name, measured, timer)
                if timer.is_slice_over():
                    await timer.give_way()
        return values


def _measure_of(where: str) -> Callable[[Mapping[str, Any]], Any]:
    measure: Callable[[Mapping[str, Any]], Any] = construct(where).measure
    return measure


def _checked(name: str, measured: Any, timer: Timer) -> Signal:
    if isinstance(measured, Failure):
        return Signal(name, error=measured.error)
    if timer.is_over():
        return Signal(name, error="timeout")
    return measured if isinstance(measured, Signal) else Signal(name, error="TypeError")
