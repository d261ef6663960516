"""What a policy may say of escalation: how it is compiled, what it means when nothing is said, what is told in vain."""

from __future__ import annotations

import pytest

from classifiers.complexity import band
from policies.escalation import EscalationPolicy, EscalationTarget
from policies.shape.words import MEDIUM
from policies.types import Policy
from tests.policies.worlds import BASE, OFFLINE, load


def of(text: str) -> Policy:
    return load(BASE.replace("escalation: {threshold: 0.55, max_hops: 1, stream: hold}", f"escalation: {text}"))


def test_nothing_said_is_nothing_done() -> None:
    assert load(OFFLINE).escalation == EscalationPolicy()
    assert not load(OFFLINE).escalation.may_escalate


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("{max_bad_local: 0.05}", EscalationTarget("max_bad_local", 0.05)),
        ("{max_cloud_share: 0.2}", EscalationTarget("max_cloud_share", 0.2)),
        ("{max_usd_per_month: 50}", EscalationTarget("max_usd_per_month", 50.0)),
    ],
)
def test_a_target_stands_in_place_of_a_threshold(text: str, target: EscalationTarget) -> None:
    escalation = of(f"{{target: {text}, stream: hold}}").escalation
    assert (escalation.target, escalation.threshold, escalation.may_escalate) == (target, 0.0, True)


@pytest.mark.parametrize(
    ("text", "may"), [("{threshold: 0.0}", False), ("{threshold: 0.4, max_hops: 0}", False), ("{threshold: 0.4}", True)]
)
def test_what_has_no_bar_or_no_hop_never_escalates(text: str, may: bool) -> None:
    assert of(text).escalation.may_escalate is may


def test_hops_are_models_outside_in_the_order_of_the_policy() -> None:
    assert of("{threshold: 0.5}").escalation.to == ("cloud",)
    escalation = of("{threshold: 0.5, max_hops: 3, to: [lan, eu, cloud]}").escalation
    assert (escalation.max_hops, escalation.to) == (3, ("lan", "eu", "cloud"))


def test_what_no_hop_can_reach_is_told() -> None:
    text = BASE.replace("max_hops: 1", "max_hops: 1, to: [eu]").replace(
        "regions: [site, us, eu]", "regions: [site, us]"
    )
    text = text.replace("public: {payload: full, localities", "public: {payload: full, regions: [site, us], localities")
    text = text.replace("regions: [site, eu], require: []", "regions: [site], require: []")
    assert any("no eu model can be reached, so nothing will escalate" in each for each in load(text).warnings)


def test_the_bound_of_a_race_is_where_medium_begins() -> None:
    assert (band(MEDIUM), band(MEDIUM - 1e-9)) == ("medium", "easy")


IDLE = [
    ("{threshold: 0.5, max_hops: 0}", "nothing escalates (max_hops is 0), so 'threshold' changes nothing"),
    ("{threshold: 0.0, stream: hold}", "a threshold above 0 nor a target), so 'stream' changes nothing"),
    ("{target: {max_bad_local: 0.1}, max_hops: 0}", "so 'target' changes nothing"),
    ("{threshold: 0.5, hold_tokens: 8}", "only with stream: commit is anything held; 'hold_tokens' changes nothing"),
    ("{threshold: 0.5, stream: hold, hold_ms: 90}", "'hold_ms' changes nothing"),
    ("{threshold: 0.5, max_hops: 3, to: [eu, lan]}", "'to' names 2 models, so no more are asked"),
    ("{threshold: 0.5, max_hops: 2, to: [eu]}", "'to' names 1 model, so no more are asked"),
    ("{threshold: 0.5, max_hops: 0, to: [eu]}", "so 'to' changes nothing"),
    ("{threshold: 0.5, samples: 4}", "only second_look: agreement takes samples"),
]


@pytest.mark.parametrize(("text", "says"), IDLE)
def test_what_changes_nothing_is_told(text: str, says: str) -> None:
    assert any(says in warning for warning in of(text).warnings), of(text).warnings


@pytest.mark.parametrize("text", ["{threshold: 0.0, max_hops: 0}", "{threshold: 0.5, stream: hold}", "{threshold: 0}"])
def test_what_does_something_or_plainly_nothing_is_not(text: str) -> None:
    assert not [warning for warning in of(text).warnings if "escalat" in warning or "changes nothing" in warning]


def test_a_home_without_log_probabilities_is_told() -> None:
    home = (
        'home: {locality: local, backend: openai, base_url: "http://127.0.0.1:9/v1", model: small, capabilities: [n]}'
    )
    text = BASE.replace("home: {locality: local, backend: engine, model: small, context: 8192}", home)
    assert any("no local model gives logprobs" in warning for warning in load(text).warnings)
    assert not any("no local model gives logprobs" in warning for warning in load(BASE).warnings)
