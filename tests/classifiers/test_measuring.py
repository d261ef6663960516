"""Signals one after the other: what nobody asked for, what cannot be built, what fails and what comes too late."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from classifiers.measuring import Measures
from classifiers.registry import SignalSpec
from classifiers.timer import Timer
from classifiers.types import Signal
from classifiers.walk import Walk

HERE = "tests.classifiers.test_measuring:"
BODY: Mapping[str, Any] = {"messages": [{"role": "user", "content": "Hello"}]}


class Works:
    def measure(self, body: Mapping[str, Any]) -> Signal:
        return Signal("x", len(body))


class Raises:
    def measure(self, body: Mapping[str, Any]) -> Signal:
        raise ZeroDivisionError


class Unbuildable:
    def __init__(self) -> None:
        raise KeyError


class NoSignal:
    def measure(self, body: Mapping[str, Any]) -> str:
        return "a string"


class Slow:
    def measure(self, body: Mapping[str, Any]) -> Signal:
        time.sleep(0.05)
        return Signal("x", 1)


def timer(seconds: float) -> Timer:
    made = Timer(time.perf_counter, time.perf_counter, limit=seconds)
    made.resume()
    return made


async def value(spec: SignalSpec, seconds: float = 5.0, is_large: bool = False, **facts: Callable[..., Any]) -> Signal:
    measures = Measures({"x": spec}, facts)
    return (await measures.values(BODY, Walk(), timer(seconds), is_large, ()))["x"]


@pytest.mark.parametrize("is_large", [False, True])
@pytest.mark.parametrize(
    ("name", "signal"),
    [
        ("Works", Signal("x", 1)),
        ("Raises", Signal("x", error="ZeroDivisionError")),
        ("Unbuildable", Signal("x", error="KeyError")),
        ("NoSignal", Signal("x", error="TypeError")),
        ("Missing", Signal("x", error="AttributeError")),
    ],
)
async def test_a_signal_is_its_value_or_its_error(name: str, signal: Signal, is_large: bool) -> None:
    assert await value(SignalSpec("number", HERE + name), is_large=is_large) == signal


async def test_what_comes_too_late_is_an_error_and_so_is_all_behind_it() -> None:
    specs = {name: SignalSpec("number", HERE + name) for name in ("Slow", "Works")}
    measured = await Measures(specs, {}).values(BODY, Walk(), timer(0.001), False, None)
    assert [signal.error for signal in measured.values()] == ["timeout", "timeout"]


async def test_on_demand_means_when_demanded() -> None:
    measures = Measures({"x": SignalSpec("number", HERE + "Works", on_demand=True)}, {})
    for demanded, error in (((), "not_asked"), (("x",), None), (None, None)):
        assert (await measures.values(BODY, Walk(), timer(5), False, demanded))["x"].error == error


async def test_what_nobody_demands_is_not_built_and_what_cannot_be_built_is_an_error_when_it_is_demanded() -> None:
    specs = {name: SignalSpec("number", HERE + name, on_demand=True) for name in ("Works", "Unbuildable")}
    measures = Measures(specs, {})
    assert {each.error for each in (await measures.values(BODY, Walk(), timer(5), False, ())).values()} == {"not_asked"}
    assert measures.broken == {}
    demanded = await asyncio.gather(*(measures.values(BODY, Walk(), timer(5), False, specs) for _ in range(3)))
    for each in demanded:
        assert (each["Works"].error, each["Unbuildable"].error) == (None, "KeyError")
    assert measures.broken == {"Unbuildable": "KeyError"}


async def test_facts_are_read_off_the_walk_and_what_is_given_is_added_later() -> None:
    assert await value(SignalSpec("flag"), x=lambda body, walk: len(walk.cells) == 0) == Signal("x", True)
    assert await value(SignalSpec("number", is_given=True)) == Signal("x", error="not_available")


def test_what_cannot_be_built_is_named() -> None:
    specs = {name: SignalSpec("number", HERE + name) for name in ("Works", "Unbuildable")}
    assert Measures(specs, {}).broken == {"Unbuildable": "KeyError"}
