"""What a predicted wait may change: who is sent out at once, and never anybody who may not leave."""

from __future__ import annotations

import pytest

from policies.decide import decide
from policies.schema import compile_policy, load_policy
from policies.types import Facts
from tests.policies.worlds import BASE, base, scan, signals

HELD_MS = 10_001.0  # more than `headers_after`
LONG_MS = 120_001.0  # more than the local model's timeout


def facts(wait: float | None, *, stream: bool = False, local_only: bool = False, requested: str = "auto") -> Facts:
    waits = {} if wait is None else {"home": wait}
    return Facts(input_tokens=20, stream=stream, local_only=local_only, requested=requested, waits=waits)


def test_what_home_cannot_answer_in_time_to_be_judged_goes_out_at_once_with_a_grant_of_its_own() -> None:
    decision = decide(base(), facts(LONG_MS), signals())
    assert (decision.route, decision.model, decision.reason) == ("cloud", "cloud", "escalation")
    assert [(grant.model, grant.purpose) for grant in decision.grants] == [("cloud", "answer")]
    assert decision.escalation is None
    assert decision.reasons[-1].why == "home would take 120001 ms, more than 120000 ms to be judged"


@pytest.mark.parametrize(
    ("claim", "variant", "asked", "findings"),
    [
        ("in time", "base", facts(119_000.0), ()),
        ("wait unknown", "base", facts(None), ()),
        ("sensitive", "base", facts(LONG_MS), ("CREDIT_CARD",)),
        ("nothing escalates", "no-escalation", facts(LONG_MS), ()),
        ("a stream is not judged", "before", facts(LONG_MS, stream=True), ()),
        ("mode shadow", "shadow", facts(LONG_MS), ()),
        ("the caller says local-only", "base", facts(LONG_MS, local_only=True), ()),
        ("the caller names home", "base", facts(LONG_MS, requested="home"), ()),
        ("no held stream", "base", facts(HELD_MS), ()),
    ],
)
def test_everything_else_is_answered_at_home(claim: str, variant: str, asked: Facts, findings: tuple[str, ...]) -> None:
    decision = decide(base(variant), asked, signals(seen=scan(list(findings))))
    assert decision.route == "local", claim


def test_a_rule_that_leads_home_keeps_what_would_take_too_long() -> None:
    decision = decide(base(), facts(LONG_MS), signals({"modality": ["image"]}))
    assert (decision.route, decision.rule) == ("local", "pictures-home")


def test_a_held_stream_may_take_as_long_as_its_headers_may_wait() -> None:
    assert decide(base(), facts(HELD_MS, stream=True), signals()).reason == "escalation"
    assert decide(base(), facts(HELD_MS - 2, stream=True), signals()).route == "local"


def test_a_deadline_of_the_policy_counts_where_it_is_shorter() -> None:
    policy = compile_policy(BASE.replace("max_hops: 1,", "max_hops: 1, deadline_ms: 5000,"), "test")
    assert policy.escalation.deadline_seconds == 5.0
    assert decide(policy, facts(5001.0), signals()).reason == "escalation"
    assert decide(policy, facts(4999.0), signals()).route == "local"


@pytest.mark.parametrize(
    ("wait", "findings", "route", "reason"),
    [
        (8001.0, (), "cloud", "busy-home"),
        (7999.0, (), "local", "default"),
        ("error:not_available", (), "local", "default"),
        (8001.0, ("ORGANIZATION",), "local", "default"),  # internal may leave, but not for this
        (8001.0, ("EMAIL_ADDRESS",), "local", "default"),
    ],
)
def test_the_default_recipe_sends_what_is_public_and_would_wait_more_than_8_seconds(
    wait: float | str, findings: tuple[str, ...], route: str, reason: str
) -> None:
    measured = {"complexity": 0.1, "injection": 0.0, "local_wait_ms": wait}
    decision = decide(load_policy("default"), Facts(input_tokens=20), signals(measured, scan(list(findings))))
    assert (decision.route, decision.reason) == (route, reason)
