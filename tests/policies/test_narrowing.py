"""A route that is called narrower never holds where it did not hold before, whichever signals are there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from classifiers.types import Signal
from policies.comparing.narrowing import is_narrower
from policies.conditions import measure, ready
from policies.types import Condition, Leaf, Level, Rule

BOUNDS = st.sampled_from([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
LEAVES = st.one_of(
    st.builds(Leaf, st.sampled_from(["complexity", "injection"]), st.sampled_from(["at_least", "at_most"]), BOUNDS),
    st.builds(Leaf, st.just("has_tools"), st.just("is"), st.booleans()),
)
PARTS = st.lists(LEAVES, min_size=1, max_size=3).map(tuple)
ANY = st.lists(st.builds(Condition, st.just("any"), PARTS), min_size=1, max_size=2).map(tuple)
CONDITIONS = st.one_of(
    st.none(),
    st.builds(Condition, st.just("all"), PARTS),
    st.builds(Condition, st.sampled_from(["all", "any"]), PARTS),
    st.builds(Condition, st.just("all"), ANY),
)
VALUES = st.fixed_dictionaries(
    {
        "complexity": st.one_of(st.none(), BOUNDS),
        "injection": st.one_of(st.none(), BOUNDS),
        "has_tools": st.one_of(st.none(), st.booleans()),
    }
)


def rule(when: Condition | None, **more: Any) -> Rule:
    return ready(Rule("r", 50, when, route="cloud", **more))


@given(was=CONDITIONS, now=CONDITIONS, values=VALUES)
def test_what_is_narrower_never_holds_where_the_other_did_not(
    was: Condition | None, now: Condition | None, values: Mapping[str, Any]
) -> None:
    before, after = rule(was), rule(now)
    if not is_narrower(before, after):
        return
    signals = {
        name: Signal(name, value) if value is not None else Signal(name, error="timeout")
        for name, value in values.items()
    }
    seen = measure(signals, Level.PUBLIC)
    assert before.test is not None
    assert after.test is not None
    assert after.test(seen) is not True or before.test(seen) is True


def test_it_says_yes_where_it_can_be_sure_and_no_elsewhere() -> None:
    low, high = (Condition("all", (Leaf("complexity", "at_least", bound),)) for bound in (0.2, 0.6))
    both = Condition("all", (Leaf("complexity", "at_least", 0.2), Leaf("has_tools", "is", False)))
    other = Condition("all", (Leaf("injection", "at_least", 0.6),))
    assert is_narrower(rule(low), rule(high))
    assert is_narrower(rule(low), rule(both))
    assert is_narrower(rule(None), rule(low))
    assert not is_narrower(rule(high), rule(low))
    assert not is_narrower(rule(both), rule(high)), "tools are not asked about any more"
    assert not is_narrower(rule(low), rule(other))
    assert not is_narrower(rule(low), replace(rule(high), priority=60))
    assert not is_narrower(rule(low), replace(rule(high), route="eu"))
    assert not is_narrower(rule(low, cel="complexity > 0.5"), rule(high, cel="complexity > 0.5"))
    assert not is_narrower(rule(low), rule(Condition("any", high.parts)))
