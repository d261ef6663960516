"""A conversation goes on where it was answered: upward only, in place of the default, never against rule or law."""

from __future__ import annotations

import pytest

from policies.decide import decide
from policies.types import Decision, Facts, Policy
from tests.policies.worlds import BASE, load, scan, signals

RULE = "escalation: {threshold: 0.55, max_hops: 1, stream: hold"
TWO_HOMES = "  home: {locality: local, backend: engine, model: small, context: 8192}\n"


def policy(text: str = BASE) -> Policy:
    return load(text.replace(RULE, f"{RULE}, affinity: {{minutes: 30}}"))


def decided(*answered_by: str, findings: tuple[str, ...] = (), under: Policy | None = None, **more: object) -> Decision:
    values = {name: more.pop(name) for name in ("complexity", "injection", "has_tools", "modality") if name in more}
    facts = Facts(input_tokens=20, answered_by=answered_by, **more)  # type: ignore[arg-type]
    return decide(under or policy(), facts, signals(values, scan(findings)))


@pytest.mark.parametrize("name", ["cloud", "eu", "lan"])
def test_what_was_answered_outside_goes_on_there_with_a_grant_of_its_own(name: str) -> None:
    decision = decided(name)
    assert (decision.model, decision.reason, decision.rule) == (name, "affinity", "")
    assert [(grant.model, grant.purpose, grant.rule) for grant in decision.grants] == [(name, "answer", "affinity")]
    assert any(reason.rule == "affinity" and reason.matched for reason in decision.reasons)


def test_the_farthest_that_is_ready_counts() -> None:
    assert decided("cloud", "home").model == "cloud"
    assert decided("cloud", "eu", "home", unavailable={"cloud": "missing_key"}).model == "eu"
    assert decided("cloud", "home", unavailable={"cloud": "missing_key"}).model == "home"


def test_sensitivity_pulls_it_home_and_says_what_was_held() -> None:
    decision = decided("cloud", findings=("CREDIT_CARD",))
    assert (decision.route, decision.reason, decision.held, decision.grants) == ("local", "sensitivity", "affinity", ())


def test_a_forbid_pulls_it_home() -> None:
    decision = decided("cloud", injection=0.9)
    assert (decision.route, decision.reason, decision.held) == ("local", "no-injections-out", "affinity")


def test_the_callers_own_wish_comes_first() -> None:
    assert decided("cloud", local_only=True).route == "local"
    assert decided("cloud", requested="local").model == "home"
    assert decided("home", requested="eu").model == "eu"


def test_a_rule_comes_first_whether_it_leads_home_or_elsewhere() -> None:
    text = BASE.replace("any: [{modality: {in: [image]}}]", "any: [{has_tools: {is: false}}]")
    assert decided("cloud", under=policy(text)).reason == "pictures-home"
    assert decided("lan", complexity=0.9).model == "cloud"


def test_without_the_key_and_in_shadow_nothing_stays() -> None:
    assert decided("cloud", under=load(BASE)).route == "local"
    shadow = policy(BASE.replace("version: 3\n", "version: 3\nmode: shadow\n"))
    assert decided("cloud", under=shadow).route == "local"


def test_a_conversation_stays_at_the_same_local_model_and_may_still_escalate() -> None:
    text = BASE.replace(TWO_HOMES, TWO_HOMES + TWO_HOMES.replace("home:", "other:"))
    decision = decided("other", under=policy(text))
    assert (decision.model, decision.reason) == ("other", "affinity")
    assert decision.escalation is not None


def test_a_model_that_is_gone_is_no_wish() -> None:
    assert decided("vanished").reason == "default"
