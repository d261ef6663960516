"""A second local model and the terms of a rule: who is asked after a doubtful answer at home, and by which measure."""

from __future__ import annotations

import re
from typing import Any

import pytest

from policies.comparing.compare import compare
from policies.decide import decide
from policies.errors import PolicyError
from policies.escalation import EscalationTarget
from policies.schema import compile_policy
from policies.types import Decision, Facts, Policy
from tests.policies.worlds import scan, signals

MODELS = """\
version: 1
models:
  home: {locality: local, backend: engine, model: smollm2-135m-instruct}
  ward: {locality: local, backend: openai, base_url: "http://127.0.0.1:9", model: ward-7b, capabilities: [logprobs]}
  cloud: {locality: cloud, backend: openai, base_url: "https://api.example.com/v1", model: big}
defaults: {local: home, cloud: cloud}
aliases: {"gpt-*": auto}
sensitivity: {levels: {restricted: [CREDIT_CARD], public: [LOCATION]}}
egress: {public: {payload: full}}
"""
VIA = "escalation: {threshold: 0.6, via: ward, stream: hold}\n"
SUPPORT = "decisions: [{name: support, priority: 5, when: {all: [{task: {is: chat}}]}, route: local%s}]\n"


def policy(text: str) -> Policy:
    return compile_policy(MODELS + text, "p.yaml")


def decided(text: str, *, sensitive: bool = False, task: str = "chat", **facts: Any) -> Decision:
    seen = scan(["CREDIT_CARD"]) if sensitive else None
    return decide(policy(text), Facts(**facts), signals({"task": task}, seen))


@pytest.mark.parametrize("sensitive", [False, True])
def test_a_second_local_model_is_lawful_for_everything(sensitive: bool) -> None:
    made = decided(VIA, sensitive=sensitive)
    assert (made.route, made.model, made.via, made.threshold) == ("local", "home", "ward", 0.6)
    assert (made.escalation is None) is sensitive
    assert all(grant.model != "ward" for grant in made.grants)  # it needs none: nothing leaves
    assert any("ward is asked first" in reason.why for reason in made.reasons)


@pytest.mark.parametrize(
    "facts",
    [
        {"requested": "home"},
        {"requested": "ward"},
        {"unavailable": {"ward": "local_down"}},
        {"needs": frozenset({"vision"}), "unavailable": {"home": "local_down"}},
        {"waits": {"home": 100_000.0, "ward": 30_000.0}},
    ],
)
def test_nobody_is_asked_second_for_a_named_model_or_by_one_that_cannot(facts: dict[str, Any]) -> None:
    assert decided(VIA, **facts).via is None


def test_nobody_is_asked_second_where_nothing_is_judged() -> None:
    assert decided("escalation: {threshold: 0.6, via: ward, stream: before}\n", stream=True).via is None
    assert decided("mode: shadow\n" + VIA).via is None
    assert decided(VIA.replace("ward", "home")).via is None
    local = SUPPORT % ""
    assert decided(local + VIA).via == "ward"
    assert decided(local.replace("route: local", "route: home") + VIA).via is None


def test_without_any_cloud_the_second_model_is_asked_all_the_same() -> None:
    made = decided("escalation: {threshold: 0.6, via: ward, max_hops: 0, stream: hold}\n")
    assert (made.via, made.escalation, made.grants) == ("ward", None, ())


def test_what_a_rule_keeps_at_home_escalates_only_where_the_rule_says_so() -> None:
    general = "escalation: {threshold: 0.6, stream: hold, hold_tokens: 9}\n"
    kept = decided(SUPPORT % "" + general)
    assert (kept.route, kept.rule, kept.escalation, kept.threshold) == ("local", "support", None, 0.0)
    own = SUPPORT % ", escalation: {threshold: 0.9}" + general
    made = decided(own)
    assert (made.route, made.rule, made.threshold) == ("local", "support", 0.9)
    assert made.escalation is not None
    assert (made.terms.rule, made.terms.hold_tokens, made.fallback) == ("support", 9, None)
    assert decided(own, task="code").threshold == 0.6
    assert decided(own, sensitive=True).escalation is None  # a rule makes nothing lawful
    assert decided("mode: shadow\n" + own).grants == ()
    assert decided(own, stream=True).stream == "hold"


def test_a_rules_target_stands_in_place_of_the_policys() -> None:
    text = SUPPORT % ", escalation: {target: {max_bad_local: 0.05}}"
    assert decided(text).terms.target == EscalationTarget("max_bad_local", 0.05)
    assert decided(text).escalation is not None  # though the policy itself has no threshold
    assert decided(text, task="code").escalation is None
    assert "task" in policy(text).reads


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (VIA.replace("ward", "wrd"), "'wrd' is no local model; did you mean 'ward'?"),
        (VIA.replace("ward", "cloud"), "'cloud' is no local model"),
        (SUPPORT % ", escalation: {}", "exactly one of 'threshold' and 'target'"),
        (SUPPORT % ", escalation: {threshold: 0.5, target: {max_bad_local: 0.1}}", "exactly one of"),
        (SUPPORT % ", escalation: {target: {max_bad_local: 0.1, max_cloud_share: 0.1}}", "exactly one of max_bad"),
        ((SUPPORT % ", escalation: {threshold: 0.5}").replace("route: local", "route: cloud"), "names no local model"),
    ],
)
def test_what_makes_no_sense_is_refused_at_its_place(text: str, why: str) -> None:
    with pytest.raises(PolicyError, match=re.escape(why)):
        policy(text)


def test_a_rule_that_begins_to_escalate_sends_out_and_one_that_ceases_tightens() -> None:
    general = "escalation: {threshold: 0.6}\n"
    old, new = policy(SUPPORT % "" + general), policy(SUPPORT % ", escalation: {threshold: 0.9}" + general)
    (there,) = compare(old, new)
    assert (there.path, there.direction) == ("decisions.support", "sends out")
    assert "escalating by 0.9" in there.what
    (back,) = compare(new, old)
    assert back.direction == "tightens"
