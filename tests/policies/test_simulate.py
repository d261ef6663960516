"""A record replayed through its own policy changes nothing; through another it says what would leave, stay and cost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from classifiers.types import Scan, Signals
from policies.decide import decide
from policies.replay import NotReplayable, replay
from policies.simulate import Change, judge, simulate, usual_latencies
from policies.types import Facts, Level, Policy
from router.keys import Keys
from router.records.record import build_record
from router.types import Outcome, Principal, Usage
from tests.policies.test_decision_table import ROWS, facts_of
from tests.policies.worlds import BASE, base, load, scan, signals

KEYS = Keys(b"k" * 32)


def record_of(policy: Policy, facts: Facts, seen: Signals, **outcome: Any) -> dict[str, Any]:
    """The record that the gateway writes of such a request, as it comes back from the store."""
    decision = decide(policy, facts, seen)
    became = Outcome(
        route=decision.route,
        model=decision.model or "",
        usage={decision.model: Usage(1000, 100)} if decision.model else {},
        bytes_left=500 if decision.route in ("lan", "cloud") else 0,
    )
    for name, value in outcome.items():
        setattr(became, name, value)
    return build_record(
        keys=KEYS,
        request_id="r1",
        principal=Principal(tenant=facts.tenant),
        policy=policy,
        facts=facts,
        signals=seen,
        decision=decision,
        outcome=became,
        latency_ms=800.0,
    )


def change(old: Policy, new: Policy, facts: Facts, seen: Signals, **outcome: Any) -> Change:
    return judge(new, replay(record_of(old, facts, seen, **outcome)), {}).change


@pytest.mark.parametrize("row", ROWS, ids=[row["claim"].replace(" ", "-") for row in ROWS])
def test_every_row_of_the_decision_table_is_decided_again_as_it_was(row: dict[str, Any]) -> None:
    policy, facts = base(row.get("policy", "base")), facts_of(row)
    seen = signals(row.get("signals"), scan(row.get("findings", ()), row.get("unknowns", ())))
    again = replay(record_of(policy, facts, seen))
    was, now = decide(policy, facts, seen), decide(policy, again.facts, again.signals)
    parts = ("route", "model", "rule", "reason", "payload", "sensitivity", "grants", "escalation", "held", "cacheable")
    parts += ("max_output_tokens",)
    assert {part: getattr(now, part) for part in parts} == {part: getattr(was, part) for part in parts}
    assert judge(policy, again, {}).change == "unchanged"


HARD = signals({"complexity": 0.9})
EASY = signals()
MAIL = signals({"complexity": 0.9}, scan(["EMAIL_ADDRESS"]))
CARD = signals({"complexity": 0.9}, scan(["CREDIT_CARD"]))
FACTS = Facts(input_tokens=20)
HOME_ONLY = load(BASE.replace("max_hops: 1", "max_hops: 0").replace("public: {payload: full", "public: {payload: none")
                 .replace("internal: {payload: full", "internal: {payload: none")
                 .replace("confidential: {payload: full", "confidential: {payload: none")
                 .replace("restricted: {payload: full", "restricted: {payload: none"))  # fmt: skip
MAIL_PUBLIC = load(BASE.replace("public: [LOCATION]", "public: [LOCATION, CREDIT_CARD]")
                   .replace("restricted: [CREDIT_CARD, SECRET]", "restricted: [SECRET]"))  # fmt: skip
DEAR = load(BASE.replace("route: cloud}", "route: lan}"))
PRICED = load(BASE.replace("api_key_env: CLOUD_KEY}", "price: {input_per_1m: 1.0, output_per_1m: 10.0}}"))


@pytest.mark.parametrize(
    ("old", "new", "facts", "seen", "outcome", "expected"),
    [
        (HOME_ONLY, base(), FACTS, HARD, {}, "newly leaves"),
        (HOME_ONLY, base(), FACTS, EASY, {}, "newly may leave"),
        (HOME_ONLY, base(), FACTS, EASY, {"confidence": 0.9}, "newly may leave"),
        (HOME_ONLY, base(), FACTS, EASY, {"confidence": 0.2}, "newly leaves"),
        (base(), MAIL_PUBLIC, FACTS, CARD, {}, "newly leaves"),
        (base(), MAIL_PUBLIC, FACTS, MAIL, {}, "unchanged"),
        (base(), HOME_ONLY, FACTS, HARD, {}, "newly stays"),
        (base(), HOME_ONLY, FACTS, EASY, {}, "may no longer leave"),
        (base(), HOME_ONLY, FACTS, EASY, {"bytes_left": 900, "model": "cloud"}, "newly stays"),
        (base(), HOME_ONLY, replace(FACTS, requested="cloud"), EASY, {}, "newly refused"),
        (HOME_ONLY, base(), replace(FACTS, requested="cloud"), EASY, {}, "newly leaves"),
        (DEAR, base(), FACTS, HARD, {}, "leaves with more"),
        (base(), DEAR, FACTS, HARD, {}, "leaves with less"),
        (base("pseudonymized"), base(), replace(FACTS, replaceable=frozenset({0})), MAIL, {}, "leaves with more"),
        (base(), base("pseudonymized"), FACTS, MAIL, {}, "leaves with less"),
        (HOME_ONLY, base("pseudonymized"), FACTS, MAIL, {}, "newly leaves"),
        (base(), base("home-if-denied"), replace(FACTS, requested="eu"), CARD, {}, "no longer refused"),
        (base(), load(BASE.replace("route: eu}", "route: cloud}")), FACTS, signals({"complexity": 0.65}), {},
         "changes model"),
    ],
)  # fmt: skip
def test_what_changes_is_named(
    old: Policy, new: Policy, facts: Facts, seen: Signals, outcome: dict[str, Any], expected: Change
) -> None:
    assert change(old, new, facts, seen, **outcome) == expected


def test_what_could_not_be_replaced_then_stays_and_what_was_not_asked_counts_as_if_it_could() -> None:
    some = signals({"complexity": 0.9}, scan(["EMAIL_ADDRESS", "EMAIL_ADDRESS"]))
    pseudonymized = base("pseudonymized")
    recorded = record_of(pseudonymized, replace(FACTS, replaceable=frozenset({0})), some)
    assert recorded["findings"] == {"EMAIL_ADDRESS": {"count": 2, "score": 0.99, "kept": 0.99}}
    assert judge(pseudonymized, replay(recorded), {}).becomes == "home"
    assert "kept" not in record_of(base(), FACTS, some)["findings"]["EMAIL_ADDRESS"]
    meaning = signals({"complexity": 0.9}, scan(["MEDICAL"]))
    assert change(HOME_ONLY, pseudonymized, FACTS, meaning) == "unchanged"
    assert change(HOME_ONLY, pseudonymized, replace(FACTS, taint=Level.CONFIDENTIAL), HARD) == "newly leaves"


def test_money_and_latency_are_of_what_changes_and_unknown_is_not_nothing() -> None:
    one = record_of(HOME_ONLY, FACTS, HARD)
    verdict = judge(PRICED, replay(one), {"cloud": 300.0})
    assert verdict.cost_delta_usd == pytest.approx((1000 * 1.0 + 100 * 10.0) / 1e6)
    assert verdict.latency_delta_ms == pytest.approx(-500.0)
    unpriced = judge(base(), replay(one), {})
    assert (unpriced.cost_delta_usd, unpriced.latency_delta_ms) == (None, None)
    saved = judge(HOME_ONLY, replay(record_of(PRICED, FACTS, HARD, cost_usd=0.002)), {})
    assert saved.cost_delta_usd == pytest.approx(-0.002)


def test_a_radius_counts_groups_and_ids_and_says_what_it_could_not_replay() -> None:
    records = [record_of(HOME_ONLY, replace(FACTS, tenant=tenant), HARD) for tenant in ("a", "b", "b")]
    radius = simulate(base(), [*records, {"id": "broken"}, record_of(HOME_ONLY, FACTS, CARD)], {})
    assert (radius.requests, radius.not_replayable, radius.leaving) == (4, 1, 3)
    assert dict(radius.changes) == {"newly leaves": 3, "unchanged": 1}
    group = radius.groups["newly leaves", "hard", "b", "public", "home", "cloud"]
    assert (group.requests, group.ids, group.cost_unknown) == (2, ["r1", "r1"], 2)
    by_tenant = {name: each.requests for (_, name), each in radius.by("tenant").items()}
    assert by_tenant == {"b": 2, "a": 1}
    assert {name: each.requests for (_, name), each in radius.by("sensitivity").items()} == {"public": 3}
    assert radius.ids == {"newly leaves": ["r1"] * 3}
    assert radius.cost_unknown == 3


def test_a_record_that_does_not_say_who_named_the_bound_is_refused_by_no_rules_limits() -> None:
    """It may leave, at worst: a candidate's limits must not hide that."""
    asked = record_of(HOME_ONLY, replace(FACTS, input_tokens=20, output_tokens=300), HARD)
    candidate = base("rule-limits")
    assert judge(candidate, replay(asked), {}).change == "newly refused"
    del asked["facts"]["bounded"]
    assert judge(candidate, replay(asked), {}).change == "newly leaves"


def test_a_model_is_usually_as_slow_as_the_middle_one_of_its_answers() -> None:
    answers = [("home", 100.0), ("cloud", 300.0), ("home", 900.0), ("home", 200.0)]
    assert usual_latencies(answers) == {"home": 200.0, "cloud": 300.0}


def test_each_group_has_its_own_money_and_latency() -> None:
    records = [record_of(HOME_ONLY, replace(FACTS, tenant=tenant), HARD) for tenant in ("a", "b", "b")]
    radius = simulate(PRICED, records, {"cloud": 300.0})
    of_a, of_b = (radius.by("tenant")["newly leaves", tenant] for tenant in ("a", "b"))
    one = (1000 * 1.0 + 100 * 10.0) / 1e6
    assert (of_a.cost_delta_usd, of_b.cost_delta_usd) == (pytest.approx(one), pytest.approx(2 * one))
    assert (of_a.latency_delta_ms, of_b.latency_delta_ms) == (-500.0, -500.0)
    (rule,) = radius.by("rule").values()
    assert (rule.requests, rule.cost_unknown, rule.latency_delta_ms) == (3, 0, -500.0)


@pytest.mark.parametrize("broken", [{}, {"id": "x", "facts": {}, "decision": None, "outcome": None}])
def test_a_record_of_another_form_is_no_request(broken: dict[str, Any]) -> None:
    with pytest.raises(NotReplayable):
        replay(broken)


def test_a_name_that_nobody_knew_is_refused_again() -> None:
    recorded = record_of(base(), replace(FACTS, requested="not-a-model"), EASY)
    assert recorded["facts"]["requested"] == {"unknown": True}
    assert judge(base(), replay(recorded), {}).change == "unchanged"
    assert Scan() == replay(recorded).signals.scan
