"""Rules are passed over without being asked only where they cannot hold: decisions and reasons are what they were."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings

from policies.conditions import compile_test, measure, ready
from policies.decide import decide
from policies.gate import Gate
from policies.tenants import view_of
from policies.types import Condition, Facts, Leaf, Level, Policy, Reason, Rule
from tests.policies.at_random import REQUESTS, File, Request, compiled, files, seen_by
from tests.policies.worlds import base, signals

FACTS = Facts(input_tokens=20)
LEAVES = (
    Leaf("complexity", "at_least", 0.5),
    Leaf("complexity", "at_most", 0.5),
    Leaf("context_length", "at_least", 1000),
    Leaf("sensitivity", "at_least", "confidential"),
    Leaf("sensitivity", "at_most", "internal"),
    Leaf("sensitivity", "in", ("public", "restricted")),
    Leaf("language", "in", ("de", "fr")),
    Leaf("language", "is", "en"),
    Leaf("modality", "in", ("image",)),
    Leaf("modality", "is", "text"),
    Leaf("has_tools", "is", True),
    Leaf("has_tools", "is", False),
)
MEASURED = (
    {},
    {"complexity": 0.5, "language": "de", "has_tools": True},
    {"complexity": 0.49, "context_length": 1000, "modality": ["image"]},
    {"complexity": 0.51, "context_length": 999, "modality": ["text", "image"]},
    {"complexity": "error:timeout", "language": "error:timeout", "has_tools": None, "modality": None},
    {"complexity": float("nan"), "context_length": None, "has_tools": 1.0},
    {"complexity": True, "language": ["en"], "modality": "text"},
    {"complexity": "high", "language": 1.0, "has_tools": "yes"},
)


def asking_all(policy: Policy) -> Policy:
    """The same policy, none of whose rules can be passed over."""
    rules = tuple(replace(rule, demands=()) for rule in policy.rules)
    views = {name: asking_all(view) for name, view in policy.tenants.items()}
    return replace(policy, rules=rules, tenants=views)


@settings(max_examples=200, deadline=None)
@given(files(), REQUESTS)
def test_what_is_decided_and_why_is_as_if_every_rule_were_asked(file: File, request: Request) -> None:
    policy, seen = compiled(file), seen_by(compiled(file), request)
    for tenant in ("default", *policy.tenants):
        facts = replace(request[0], tenant=tenant)
        every = decide(view_of(asking_all(policy), tenant), facts, seen)
        assert decide(view_of(policy, tenant), facts, seen) == every


def test_each_leaf_alone_and_in_every_pair_is_passed_over_only_where_it_is_false() -> None:
    whens = [Condition("all", (leaf,)) for leaf in LEAVES]
    whens += [Condition(kind, (one, other)) for one in LEAVES for other in LEAVES for kind in ("all", "any")]  # type: ignore[arg-type]
    whens += [Condition("all", (one, Condition("any", (other, LEAVES[0])))) for one in LEAVES for other in LEAVES]
    rules = [ready(Rule(f"r{index}", index, when, route="cloud")) for index, when in enumerate(whens)]
    gate, passed = Gate(rules), 0
    for values in MEASURED:
        for level in Level:
            measured = measure(signals(values).values, level)
            reasons: list[Reason] = []
            asked = {rule.name for rule in gate.asked(measured, reasons)}
            passed += len(reasons)
            assert asked | {reason.rule for reason in reasons} == {rule.name for rule in rules}
            for rule in rules:
                if rule.name not in asked:
                    assert compile_test(rule.when)(measured) is False, (rule.when, values, level)
    assert passed > len(rules) * len(MEASURED)  # a quarter of all, and more


def test_of_a_thousand_rules_hardly_any_is_asked_and_none_that_holds_is_left_out() -> None:
    rules = []
    for number in range(1000):
        low, high = Leaf("context_length", "at_least", number * 10), Leaf("context_length", "at_most", number * 10 + 25)
        rules.append(ready(Rule(f"r{number}", number, Condition("all", (low, high)), route="cloud")))
    gate = Gate(rules)
    for length in (0, 5, 25, 26, 1000, 4321, 9990, 10015, 10016, 10**9):
        measured = measure(signals({"context_length": length}).values, Level.PUBLIC)
        asked = {rule.name for rule in gate.asked(measured, [])}
        assert {rule.name for rule in rules if compile_test(rule.when)(measured)} <= asked
        assert len(asked) <= 16


def test_rules_that_are_passed_over_leave_their_reasons_in_their_places() -> None:
    rules = [
        ready(Rule("too-hard", 9, Condition("all", (Leaf("complexity", "at_least", 0.9),)), route="cloud")),
        ready(Rule("always", 8, None, forbid=frozenset({"lan"}))),
        ready(Rule("german", 7, Condition("all", (Leaf("language", "is", "de"),)), route="cloud")),
    ]
    reasons: list[Reason] = []
    for rule in Gate(rules).asked(measure(signals().values, Level.PUBLIC), reasons):
        reasons += [Reason(rule.name, True, "asked")]
    assert [tuple(each) for each in reasons] == [
        ("too-hard", False, "needs complexity at least 0.9"),
        ("always", True, "asked"),
        ("german", False, "needs language is de"),
    ]


def test_what_requests_share_is_not_changed_by_any_of_them() -> None:
    """Models that are barred, down or too small for one request are there again for the next."""
    policy, fresh = base(), replace(base())
    usual = decide(policy, FACTS, signals({"complexity": 0.9}))
    for facts in (
        replace(FACTS, unavailable={"cloud": "missing_key"}),
        replace(FACTS, local_only=True),
        replace(FACTS, locked=True),
        replace(FACTS, input_tokens=10**6),
        replace(FACTS, output_tokens=10**6),
        replace(FACTS, needs=frozenset({"vision"})),
        replace(FACTS, unknown_fields=frozenset({"novel"})),
    ):
        assert decide(policy, facts, signals({"complexity": 0.9})) == decide(
            replace(base()), facts, signals({"complexity": 0.9})
        )
        assert decide(policy, FACTS, signals({"complexity": 0.9})) == usual
    assert usual == decide(fresh, FACTS, signals({"complexity": 0.9}))


def test_a_copy_with_other_models_forgets_what_was_made_of_the_first() -> None:
    policy = base()
    assert decide(policy, FACTS, signals({"complexity": 0.9})).model == "cloud"
    small = replace(policy, models={**policy.models, "cloud": replace(policy.models["cloud"], context=10)})
    assert decide(small, FACTS, signals({"complexity": 0.9})).model == "eu"
