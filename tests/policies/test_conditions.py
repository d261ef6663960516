"""Conditions are three-valued: what is not known is neither true nor false, and no operator says otherwise."""

from __future__ import annotations

import pytest

from classifiers.types import Signal
from policies.conditions import compile_test, describe, measure
from policies.types import Condition, Leaf, Level

T = Leaf("complexity", "at_least", 0.5)
F = Leaf("injection", "at_least", 0.5)
U = Leaf("context_length", "at_least", 5)
VALUES = {
    "complexity": Signal("complexity", 0.9),
    "injection": Signal("injection", 0.1),
    "context_length": Signal("context_length", error="timeout"),
    "has_tools": Signal("has_tools", True),
    "language": Signal("language", "en"),
    "modality": Signal("modality", frozenset({"text", "image"})),
}


def holds(when: Condition | Leaf | None, level: Level = Level.INTERNAL) -> bool | None:
    return compile_test(when)(measure(VALUES, level))


@pytest.mark.parametrize(
    ("kind", "parts", "expected"),
    [
        ("all", (T, T), True),
        ("all", (T, F), False),
        ("all", (T, U), None),
        ("all", (U, F), False),
        ("all", (F, U), False),
        ("any", (F, F), False),
        ("any", (F, T), True),
        ("any", (U, F), None),
        ("any", (U, T), True),
        ("any", (T, U), True),
        ("all", (T,), True),
        ("all", (Leaf("has_tools", "is", True), F, T), False),
        ("all", (Leaf("has_tools", "is", True), T, U), None),
        ("all", (Leaf("complexity", "at_least", 0.5), Leaf("complexity", "at_most", 0.6)), False),
        ("all", (Leaf("complexity", "at_least", 0.9), Leaf("complexity", "at_most", 0.9)), True),
        ("any", (U,), None),
        ("all", (Condition("any", (F, U)), T), None),
        ("any", (Condition("all", (F, U)), T), True),
    ],
)
def test_all_and_any_follow_kleene(kind: str, parts: tuple[Leaf, ...], expected: bool | None) -> None:
    assert holds(Condition(kind, parts)) is expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("leaf", "expected"),
    [
        (Leaf("complexity", "at_least", 0.9), True),
        (Leaf("complexity", "at_least", 0.91), False),
        (Leaf("complexity", "at_most", 0.9), True),
        (Leaf("complexity", "at_most", 0.89), False),
        (Leaf("context_length", "at_most", 9), None),
        (Leaf("local_wait_ms", "at_most", 9), None),
        (Leaf("has_tools", "at_least", 0), None),
        (Leaf("has_tools", "at_most", 1), None),
        (Leaf("language", "at_least", 0), None),
        (Leaf("has_tools", "is", True), True),
        (Leaf("has_tools", "is", False), False),
        (Leaf("complexity", "is", True), None),
        (Leaf("context_length", "is", True), None),
        (Leaf("domain", "is", True), None),
        (Leaf("language", "is", "en"), True),
        (Leaf("language", "is", "de"), False),
        (Leaf("language", "in", ("de", "en")), True),
        (Leaf("language", "in", ("de",)), False),
        (Leaf("domain", "in", ("de",)), None),
        (Leaf("context_length", "in", ("de",)), None),
        (Leaf("complexity", "in", ("de",)), None),
        (Leaf("modality", "in", ("image", "audio")), True),
        (Leaf("modality", "in", ("audio",)), False),
        (Leaf("modality", "is", "text"), False),
        (Leaf("sensitivity", "at_least", "internal"), True),
        (Leaf("sensitivity", "at_least", "confidential"), False),
        (Leaf("sensitivity", "at_most", "internal"), True),
        (Leaf("sensitivity", "at_most", "public"), False),
        (Leaf("sensitivity", "is", "internal"), True),
        (Leaf("sensitivity", "in", ("public", "restricted")), False),
    ],
)
def test_each_operator_on_values_that_fit_do_not_fit_and_are_not_there(leaf: Leaf, expected: bool | None) -> None:
    assert holds(leaf) is expected


@pytest.mark.parametrize("operator", ["at_least", "at_most"])
def test_not_a_number_is_unknown(operator: str) -> None:
    test = compile_test(Leaf("complexity", operator, 0.5))  # type: ignore[arg-type]
    assert test(measure({"complexity": Signal("complexity", float("nan"))}, Level.PUBLIC)) is None


def test_an_error_beside_a_value_counts_as_unavailable() -> None:
    test = compile_test(Leaf("complexity", "at_least", 0.5))
    assert test(measure({"complexity": Signal("complexity", 0.9, error="timeout")}, Level.PUBLIC)) is None


def test_no_condition_always_holds() -> None:
    assert holds(None) is True


def test_a_condition_reads_as_a_sentence() -> None:
    when = Condition(
        "all", (T, Condition("any", (Leaf("language", "in", ("de", "en")), Leaf("has_tools", "is", True))))
    )
    assert describe(when) == "complexity at least 0.5 and (language in [de, en] or has_tools is true)"
