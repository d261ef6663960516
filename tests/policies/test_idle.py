"""What can never do anything is named, its near misses are not, and the algebra agrees with the evaluator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifiers.types import Signal
from policies.comparing.examine import examine
from policies.comparing.extents import MOST, covers, extents
from policies.comparing.idle import idle
from policies.conditions import compile_test, measure
from policies.text.sources import recipes
from policies.types import Condition, Leaf, Level
from tests.policies.worlds import BASE, load

HEAD = BASE[: BASE.index("decisions:")]


def told(*rules: str) -> dict[str, str]:
    """Which rules are idle in the test policy with these in place of its own."""
    text = HEAD + "decisions:\n" + "".join(f"  - {{{rule}}}\n" for rule in rules)
    return {str(each.path[1]): each.why for each in idle(load(text)) if each.path[0] == "decisions"}


CLOUD = "name: r, priority: 5, route: cloud, "


@pytest.mark.parametrize(
    ("when", "is_idle"),
    [
        ("{all: [{complexity: {at_least: 0.7}}, {complexity: {at_most: 0.6}}]}", True),
        ("{all: [{complexity: {at_least: 0.7}}, {complexity: {at_most: 0.7}}]}", False),
        ("{any: [{complexity: {at_least: 0.7}}, {complexity: {at_most: 0.6}}]}", False),
        ("{context_length: {at_most: -1}}", True),
        ("{context_length: {at_most: 0}}", False),
        ("{all: [{has_tools: {is: true}}, {has_tools: {is: false}}]}", True),
        ("{all: [{language: {is: en}}, {language: {in: [de, fr]}}]}", True),
        ("{all: [{language: {is: de}}, {language: {in: [de, fr]}}]}", False),
        ("{all: [{modality: {is: text}}, {modality: {in: [image]}}]}", True),
        ("{all: [{modality: {is: text}}, {modality: {is: image}}]}", True),
        ("{all: [{modality: {in: [text]}}, {modality: {in: [image]}}]}", False),  # both at once
        ("{all: [{modality: {is: text}}, {modality: {in: [text, image]}}]}", False),
        ("{all: [{sensitivity: {at_least: confidential}}, {sensitivity: {at_most: internal}}]}", True),
        ("{all: [{sensitivity: {is: public}}, {sensitivity: {in: [internal, restricted]}}]}", True),
        ("{all: [{any: [{domain: {is: law}}, {domain: {is: medicine}}]}, {domain: {is: business}}]}", True),
        ("{all: [{any: [{domain: {is: law}}, {task: {is: code}}]}, {domain: {is: business}}]}", False),
        ("{any: [{all: [{domain: {is: law}}, {domain: {is: medicine}}]}, {domain: {is: business}}]}", False),
    ],
)
def test_a_rule_whose_bounds_exclude_one_another_can_never_match(when: str, is_idle: bool) -> None:
    assert told(CLOUD + f"when: {when}") == (
        {"r": "no request can match it: its bounds exclude one another"} if is_idle else {}
    )


def test_a_forbid_that_cannot_match_still_forbids_while_a_signal_is_missing() -> None:
    when = "{all: [{injection: {at_least: 0.9}}, {injection: {at_most: 0.1}}]}"
    for effect in ("forbid: [cloud]", "route: local"):
        assert "only while a signal" in told(f"name: f, priority: 9, when: {when}, {effect}")["f"]


HARD = "when: {complexity: {at_least: 0.7}}"
HARDER = "when: {complexity: {at_least: 0.9}}"


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        # a route above that holds whenever the one below does, and leads to the same
        ([f"name: a, priority: 9, route: cloud, {HARD}", f"name: b, priority: 5, route: cloud, {HARDER}"], {"b"}),
        ([f"name: a, priority: 9, route: cloud, {HARD}", f"name: b, priority: 5, route: eu, {HARDER}"], {"b"}),
        (["name: a, priority: 9, route: cloud", f"name: b, priority: 5, route: eu, {HARDER}"], {"b"}),
        ([f"name: a, priority: 9, route: cloud, {HARDER}", f"name: b, priority: 5, route: cloud, {HARD}"], set()),
        ([f"name: a, priority: 9, route: eu, {HARD}", f"name: b, priority: 5, route: cloud, {HARDER}"], set()),
        ([f"name: a, priority: 5, route: cloud, {HARD}", f"name: b, priority: 9, route: cloud, {HARDER}"], set()),
        ([f"name: a, priority: 9, route: cloud, {HARD}",
          "name: b, priority: 5, route: cloud, when: {complexity: {at_least: 0.69}}"], set()),
        ([f"name: a, priority: 9, route: cloud, {HARD}",
          "name: b, priority: 5, route: cloud, when: {any: [{complexity: {at_least: 0.8}}, {has_tools: {is: true}}]}"],
         set()),
        ([f"name: a, priority: 9, route: cloud, {HARD}",
          "name: b, priority: 5, route: cloud, when: {any: [{complexity: {at_least: 0.8}},"
          " {complexity: {at_least: 1}}]}"],
         {"b"}),
        # another list of stand-ins may answer where the first finds nobody
        ([f"name: a, priority: 9, route: cloud, {HARD}",
          f"name: b, priority: 5, route: cloud, fallback: [lan], {HARDER}"], set()),
        # home first
        (["name: a, priority: 9, route: local", f"name: b, priority: 5, route: cloud, {HARD}"], {"b"}),
        ([f"name: a, priority: 9, route: home, {HARD}", f"name: b, priority: 5, route: lan, {HARDER}"], {"b"}),
        ([f"name: a, priority: 9, route: local, {HARDER}", f"name: b, priority: 5, route: cloud, {HARD}"], set()),
        # a forbid that makes a route moot, at whatever priority
        ([f"name: f, priority: 1, forbid: [cloud], {HARD}", f"name: b, priority: 5, route: cloud, {HARDER}"], {"b"}),
        (["name: f, priority: 1, forbid: [cloud, lan]", f"name: b, priority: 5, route: lan, {HARD}"], {"b"}),
        ([f"name: f, priority: 1, forbid: [cloud], {HARDER}", f"name: b, priority: 5, route: cloud, {HARD}"], set()),
        ([f"name: f, priority: 1, forbid: [eu], {HARD}", f"name: b, priority: 5, route: cloud, {HARDER}"], set()),
        ([f"name: f, priority: 1, forbid: [eu], {HARD}", f"name: b, priority: 5, route: eu, {HARDER}"], {"b"}),
        # a forbid within another
        ([f"name: f, priority: 9, forbid: [cloud], {HARD}", f"name: g, priority: 5, forbid: [eu], {HARDER}"], {"g"}),
        ([f"name: f, priority: 9, forbid: [eu], {HARD}", f"name: g, priority: 5, forbid: [cloud], {HARDER}"], set()),
        # what holds while a signal is unavailable: within another forbid only where nothing can hide in an `any`
        ([f"name: f, priority: 9, forbid: [cloud], {HARD}",
          "name: g, priority: 5, forbid: [cloud], when: {any: [{complexity: {at_least: 0.8}},"
          " {all: [{has_tools: {is: true}}, {has_tools: {is: false}}]}]}"], set()),
        (["name: f, priority: 9, forbid: [cloud]",
          "name: g, priority: 5, forbid: [cloud], when: {any: [{complexity: {at_least: 0.8}}]}"], {"g"}),
        # levels: what may go nowhere, and what could go nowhere anyway
        (["name: b, priority: 5, route: cloud, when: {sensitivity: {is: restricted}}"], {"b"}),
        (["name: b, priority: 5, route: lan, when: {sensitivity: {is: restricted}}"], set()),
        (["name: b, priority: 5, route: cloud, when: {sensitivity: {at_least: confidential}}"], set()),
        (["name: f, priority: 5, forbid: [cloud], when: {sensitivity: {is: restricted}}"], {"f"}),
        (["name: f, priority: 5, forbid: [lan], when: {sensitivity: {is: restricted}}"], set()),
    ],
)  # fmt: skip
def test_a_rule_that_never_decides_is_named_and_its_near_misses_are_not(rules: list[str], expected: set[str]) -> None:
    assert set(told(*rules)) == expected


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        ("", {"lan", "eu", "cloud"}),
        ("fallback: {local_unavailable: cloud}\n", {"lan"}),
        ("escalation: {threshold: 0.5}\n", {"lan"}),
        ("decisions: [{name: l, priority: 1, route: lan}]\n", {"eu", "cloud"}),
        ("decisions: [{name: l, priority: 1, route: lan, fallback: [eu]}]\n", {"cloud"}),
        ("decisions: [{name: l, priority: 1, route: cloud}]\n", {"lan"}),  # all of that locality
        ("decisions: [{name: l, priority: 1, forbid: [eu]}]\n", {"lan", "eu", "cloud"}),
    ],
)
def test_a_model_to_which_nothing_leads_is_named(rest: str, expected: set[str]) -> None:
    text = HEAD.replace('aliases: {"gpt-*": auto, "gpt-4-pinned": cloud, "claude-home": home, "any-cloud": cloud}', "")
    assert {str(each.path[1]) for each in idle(load(text + rest)) if each.path[0] == "models"} == expected
    aliased = load(text + 'aliases: {"x": lan, "y": eu, "z": cloud}\n' + rest)
    assert not [each for each in idle(aliased) if each.path[0] == "models"]


@pytest.mark.parametrize("name", recipes())
def test_nothing_in_a_recipe_is_idle(name: str) -> None:
    assert examine(name).warnings == ()


def test_each_thing_is_told_at_its_place(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    text = BASE.replace("at_least: 0.6", "at_least: 0.8")
    file.write_text(text)
    line = text[: text.index("hard-eu")].count("\n") + 1
    (warning,) = [each for each in examine(str(file)).warnings if "idle" in each]
    assert warning.startswith(f"{file}:{line}:5: the rule 'hard-eu' is idle: 'hard' (priority 50)")


def test_a_condition_that_is_too_large_is_not_judged() -> None:
    pair = Condition("any", (Leaf("complexity", "at_least", 0.1), Leaf("has_tools", "is", True)))
    other = Condition("any", tuple(Leaf("language", "is", word) for word in ("de", "en", "es", "fr")))
    large = Condition(
        "all", (pair, other, Condition("any", tuple(Leaf("context_length", "at_least", n) for n in range(9))))
    )
    assert extents(large) is None
    assert len(extents(Condition("all", (pair, other))) or ()) == 8 < MOST
    assert not covers(extents(large), ({},))
    assert not covers(({},), extents(large))


LEAVES = st.one_of(
    st.builds(Leaf, st.sampled_from(["complexity", "context_length"]), st.sampled_from(["at_least", "at_most"]),
              st.sampled_from([0.0, 0.3, 0.5, 1.0])),
    st.builds(Leaf, st.just("has_tools"), st.just("is"), st.booleans()),
    st.builds(Leaf, st.just("language"), st.just("in"), st.sampled_from([("de",), ("de", "en"), ("fr",)])),
    st.builds(Leaf, st.just("language"), st.just("is"), st.sampled_from(["de", "fr"])),
    st.builds(Leaf, st.just("modality"), st.just("is"), st.sampled_from(["text", "image"])),
    st.builds(Leaf, st.just("modality"), st.just("in"), st.sampled_from([("text",), ("image", "audio"), ("image",)])),
    st.builds(Leaf, st.just("sensitivity"), st.sampled_from(["at_least", "at_most", "is"]),
              st.sampled_from(["public", "internal", "restricted"])),
)  # fmt: skip
CONDITIONS = st.recursive(
    LEAVES,
    lambda inner: st.builds(
        Condition, st.sampled_from(["all", "any"]), st.lists(inner, min_size=1, max_size=3).map(tuple)
    ),
    max_leaves=6,
)  # fmt: skip
BROKEN = [None, "error"]
SEEN = st.fixed_dictionaries(
    {
        "complexity": st.sampled_from([0.0, 0.3, 0.4, 0.5, 1.0, *BROKEN]),
        "context_length": st.sampled_from([0, 1, 7, *BROKEN]),
        "has_tools": st.sampled_from([True, False, *BROKEN]),
        "language": st.sampled_from(["de", "en", "fr", *BROKEN]),
        "modality": st.sampled_from([frozenset({"text"}), frozenset({"image"}), frozenset({"text", "image"}), *BROKEN]),
    }
)


def measured(seen: dict[str, Any], level: Level) -> Any:
    made = {
        name: Signal(name, error="x") if v == "error" else Signal(name, v) for name, v in seen.items() if v is not None
    }
    return measure(made, level)


@settings(max_examples=400, deadline=None)
@given(CONDITIONS, CONDITIONS, SEEN, st.sampled_from(Level))
def test_what_the_algebra_says_is_what_the_evaluator_does(
    one: Condition, other: Condition, seen: dict[str, Any], level: Level
) -> None:
    """What never holds never does; what is covered holds only where the wider one does, broken signals included."""
    here = measured(seen, level)
    first, second = compile_test(one)(here), compile_test(other)(here)
    if extents(one) == ():
        assert first is not True
    if covers(extents(one), extents(other)) and second is True:
        assert first is True
