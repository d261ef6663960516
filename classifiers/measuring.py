"""The signals of a body, one after the other within its time: each a value, or the error that stands in its place.

No failure of a signal passes: it is built and called behind the classifier boundary.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
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
    """One signal: what measures it, or reads it off the walk, or what it always is; and what it is when nobody asks.

    `where`: what measures it is built when somebody asks first, for models take memory.
    """

    name: str
    measure: Callable[[Mapping[str, Any]], Any] | None = None
    where: str = ""
    fact: Fact | None = None
    always: Signal | None = None
    not_asked: Signal | None = None


class Measures:
    """The signals of a table, built once: those on demand with the first demand.

    `broken`: name -> exception class of those that could not be built.
    """

    def __init__(self, specs: Mapping[str, SignalSpec], facts: Mapping[str, Fact]) -> None:
        self.broken: dict[str, str] = {}
        self._steps = {name: self._step(name, spec, facts) for name, spec in specs.items()}
        self._unbuilt = {name for name, step in self._steps.items() if step.where}

    def _step(self, name: str, spec: SignalSpec, facts: Mapping[str, Fact]) -> _Step:
        not_asked = Signal(name, error="not_asked") if spec.on_demand else None
        if spec.is_given and spec.where is None:
            return _Step(name, always=Signal(name, error="not_available"), not_asked=not_asked)
        if spec.where is None:
            return _Step(name, fact=facts[name], not_asked=not_asked)
        if spec.on_demand:
            return _Step(name, where=spec.where, not_asked=not_asked)
        return self._built(_Step(name, where=spec.where))

    def _built(self, step: _Step) -> _Step:
        """The step with what measures it."""
        measure = attempt(_measure_of, step.where)
        if isinstance(measure, Failure):
            self.broken[step.name] = measure.error
            return replace(step, where="", always=Signal(step.name, error=measure.error))
        return replace(step, where="", measure=measure)

    async def build(self, demanded: Collection[str] | None) -> None:
        """Build what is demanded (None: all) and not there yet, in a thread: that takes some 50 ms."""
        for name in list(self._unbuilt if demanded is None else self._unbuilt.intersection(demanded)):
            built = await asyncio.to_thread(self._built, self._steps[name])
            if name in self._unbuilt:  # else another request was quicker
                self._steps[name] = built
                self._unbuilt.discard(name)

    async def values(
        self, body: Mapping[str, Any], walk: Walk, timer: Timer, is_large: bool, demanded: Collection[str] | None
    ) -> dict[str, Signal]:
        """All signals; of those that are measured on demand only the `demanded` ones (None: all).

        Those of a body that `is_large` are measured in a thread.
        """
        if self._unbuilt:
            await self.build(demanded)
        values = {}
        for step in self._steps.values():
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
