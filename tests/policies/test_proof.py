"""What the static proof says is impossible never happens: random policies, signals and faults, broken ones too."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifiers.types import Scan
from policies.comparing.proof import Reach, reachable, violations
from policies.decide import decide, permit
from policies.errors import PolicyError
from policies.lawful import lawful_payload, must_hide
from policies.levels import scan_level
from policies.reading.notes import Notes
from policies.schema import check_proof
from policies.text.document import parse
from policies.types import EgressPermit, EgressRule, Facts, Level, Model, Payload, Policy
from tests.policies.worlds import BASE, base, finding, load, scan, signals

SMALL = """\
version: 1
models:
  home: {locality: local, backend: engine, model: small}
  lan: {locality: lan, backend: openai, base_url: "http://10.20.0.7/v1", model: mid, region: site}
  cloud: {locality: cloud, backend: openai, base_url: "https://a.example/v1", model: big, region: us}
  eu: {locality: cloud, backend: openai, base_url: "https://b.example/v1", model: big, region: eu,
       attributes: [zero-retention]}
defaults: {local: home, cloud: cloud}
networks: {lan: [10.20.0.0/16]}
"""
LEVELS = ("public", "internal", "confidential", "restricted")
UNITS = st.one_of(
    st.floats(0, 1), st.sampled_from(["error:timeout", None, float("nan"), "high", True])
)  # a signal that is there, failed, absent, or of another kind


def egress_text(draw: Any) -> str:
    """Egress rules that keep the order of the levels: each is the one below with something taken away, or the same."""
    payload, localities, regions, require = "full", ["lan", "cloud"], ["us", "eu", "site"], ["[]", "[zero-retention]"]
    lines = []
    for level in LEVELS:
        payload = draw(st.sampled_from([payload, payload, payload, "pseudonymized" if payload == "full" else "none"]))
        localities = [word for word in localities if word == "lan" or draw(st.integers(0, 4))] or ["lan"]
        regions = [word for word in regions if draw(st.integers(0, 4))] or regions
        require = require[draw(st.integers(0, 4)) // 4 :] if len(require) > 1 else require
        where = ["lan"] if level == "restricted" else localities
        shown = "none" if not set(where) <= set(localities) else payload
        if shown == "none":
            payload = "none"
        lists = f"localities: [{', '.join(where)}], regions: [{', '.join(regions)}], require: {require[0]}"
        lines.append(f"  {level}: {{payload: {shown}, {lists}}}")
    return "egress:\n" + "\n".join(lines) + "\n"


def rules_text(draw: Any) -> list[str]:
    rules = []
    for number in range(draw(st.integers(0, 6))):
        bound = draw(st.sampled_from(["at_least", "at_most"]))
        signal = draw(st.sampled_from(["complexity", "injection"]))
        leaf = f"{{{signal}: {{{bound}: {draw(st.sampled_from([0.0, 0.3, 0.7, 1.0]))}}}}}"
        flag = f"{{has_tools: {{is: {draw(st.sampled_from(['true', 'false']))}}}}}"
        kind = draw(st.sampled_from(["all", "any"]))
        effect = draw(
            st.sampled_from(
                ["route: cloud", "route: lan", "route: local", "route: eu", "forbid: [cloud]", "forbid: [eu, lan]"]
            )
        )
        rules.append(f"  - {{name: r{number}, priority: {number}, when: {{{kind}: [{leaf}, {flag}]}}, {effect}}}\n")
    return rules


@st.composite
def policy_parts(draw: Any) -> tuple[str, list[str]]:
    """The text of a policy without its rules, and its rules."""
    mode = draw(st.sampled_from(["enforce", "shadow"]))
    pinned = draw(st.sampled_from(["refuse", "local"]))
    fallback = draw(st.sampled_from(["refuse", "cloud"]))
    threshold = draw(st.sampled_from([0.0, 0.5, 1.0]))
    return (
        f"""\
version: 1
mode: {mode}
on_pinned_denied: {pinned}
fallback: {{local_unavailable: {fallback}}}
models:
  home: {{locality: local, backend: engine, model: small}}
  lan: {{locality: lan, backend: openai, base_url: "http://10.20.0.7/v1", model: mid, region: site}}
  cloud: {{locality: cloud, backend: openai, base_url: "https://a.example/v1", model: big, region: us}}
  eu: {{locality: cloud, backend: openai, base_url: "https://b.example/v1", model: big, region: eu,
       attributes: [zero-retention]}}
  nowhere: {{locality: cloud, backend: openai, base_url: "https://c.example/v1", model: big}}
defaults: {{local: home, cloud: cloud}}
aliases: {{"gpt-*": auto, pin: eu}}
networks: {{lan: [10.20.0.0/16]}}
sensitivity:
  levels: {{restricted: [SECRET], confidential: [PERSON], internal: [ORGANIZATION], public: [LOCATION]}}
  on_unknown: {{image: {{counts_as: internal, reason: photos}}}}
escalation: {{threshold: {threshold}, stream: hold}}
cache: {{mode: exact}}
{egress_text(draw)}""",
        rules_text(draw),
    )


def with_rules(parts: tuple[str, list[str]]) -> Policy:
    head, rules = parts
    return load(head + ("decisions:\n" + "".join(rules) if rules else ""))


FACTS = st.builds(
    Facts,
    requested=st.sampled_from(["auto", "local", "lan", "cloud", "eu", "nowhere", "gpt-4", "pin", "unknown-name"]),
    local_only=st.booleans(),
    stream=st.booleans(),
    needs=st.frozensets(st.sampled_from(["tools", "vision", "json_mode"]), max_size=2),
    unknown_fields=st.frozensets(st.just("other")),
    input_tokens=st.sampled_from([1, 8191, 9000, 200_000]),
    output_tokens=st.sampled_from([0, 500]),
    replaceable=st.frozensets(st.sampled_from([0, 1])),
    unavailable=st.dictionaries(
        st.sampled_from(["home", "lan", "cloud", "eu"]), st.sampled_from(["missing_key", "local_down"])
    ),
)
SCANS = st.builds(
    scan,
    st.lists(st.sampled_from(["SECRET", "PERSON", "ORGANIZATION", "LOCATION", "NOT_LISTED"]), max_size=2),
    st.lists(st.sampled_from(["image", "audio", "timeout", "detector_error"]), max_size=1),
)
VALUES = st.fixed_dictionaries(
    {"complexity": UNITS, "injection": UNITS, "has_tools": st.sampled_from([True, False, None, "error:timeout"])}
)


@settings(max_examples=150, deadline=None)
@given(policy_parts(), FACTS, VALUES, SCANS, SCANS)
def test_no_grant_and_no_permit_reaches_what_the_proof_says_is_out_of_reach(
    parts: tuple[str, list[str]], facts: Facts, values: dict[str, object], seen: Scan, later: Scan
) -> None:
    policy = with_rules(parts)
    table = {(cell.level, cell.model): cell.payload for cell in reachable(policy)}
    decision = decide(policy, facts, signals(values, seen))
    if decision.model is not None and policy.models[decision.model].locality != "local":
        assert decision.grants
        assert decision.grants[0].model == decision.model
    for grant in decision.grants:
        assert table[decision.sensitivity, grant.model] == grant.payload != "none"
        assert not facts.local_only
        given_permit = permit(policy, decision, grant, bytes(32), later)
        if isinstance(given_permit, EgressPermit):
            level = max(decision.sensitivity, decide(policy, facts, signals(values, later)).sensitivity)
            assert table[level, grant.model] == given_permit.payload != "none"
            if grant.payload == "pseudonymized":  # what stands beside placeholders could have left by itself
                beside = scan_level(policy, later)
                assert later == Scan() or table[beside, grant.model] == "full"


@settings(max_examples=150, deadline=None)
@given(policy_parts(), FACTS, VALUES, SCANS)
def test_what_no_placeholder_can_stand_for_leaves_only_where_it_may_leave_by_itself(
    parts: tuple[str, list[str]], facts: Facts, values: dict[str, object], seen: Scan
) -> None:
    policy = with_rules(parts)
    table = {(cell.level, cell.model): cell.payload for cell in reachable(policy)}
    for grant in decide(policy, facts, signals(values, seen)).grants:
        if grant.payload == "pseudonymized":
            rest = tuple(each for index, each in enumerate(seen.findings) if index not in facts.replaceable)
            kept = Scan(rest, seen.unknowns)
            assert kept == Scan() or table[scan_level(policy, kept), grant.model] == "full"


@settings(max_examples=60, deadline=None)
@given(policy_parts(), FACTS, VALUES, SCANS)
def test_auto_in_mode_shadow_and_whatever_is_restricted_never_reach_a_cloud(
    parts: tuple[str, list[str]], facts: Facts, values: dict[str, object], seen: Scan
) -> None:
    policy = with_rules(parts)
    decision = decide(policy, facts, signals(values, seen))
    clouds = [grant for grant in decision.grants if policy.models[grant.model].locality == "cloud"]
    if decision.sensitivity is Level.RESTRICTED:
        assert clouds == []
    if policy.mode == "shadow" and facts.requested in ("auto", "gpt-4"):
        assert decision.grants == ()


@settings(max_examples=60, deadline=None)
@given(policy_parts(), FACTS, VALUES, SCANS, st.randoms(use_true_random=False))
def test_the_order_of_rules_in_the_file_never_matters(
    parts: tuple[str, list[str]], facts: Facts, values: dict[str, object], seen: Scan, shuffler: random.Random
) -> None:
    head, rules = parts
    shuffled = list(rules)
    shuffler.shuffle(shuffled)
    one, other = with_rules((head, rules)), with_rules((head, shuffled))
    first, second = (decide(policy, facts, signals(values, seen)) for policy in (one, other))
    blank = {"policy_digest": "", "grants": (), "escalation": None, "fallback": None, "refusal": None}
    assert replace(first, **blank) == replace(second, **blank)  # type: ignore[arg-type]
    assert [(grant.model, grant.rule) for grant in first.grants] == [
        (grant.model, grant.rule) for grant in second.grants
    ]
    assert getattr(first.refusal, "code", None) == getattr(second.refusal, "code", None)


@settings(max_examples=60, deadline=None)
@given(policy_parts(), FACTS, VALUES, SCANS)
def test_one_more_forbid_never_makes_anything_leave_that_stayed(
    parts: tuple[str, list[str]], facts: Facts, values: dict[str, object], seen: Scan
) -> None:
    head, rules = parts
    more = "  - {name: more, priority: 99, when: {any: [{complexity: {at_least: 0.5}}]}, forbid: [cloud]}\n"
    before = decide(with_rules((head, rules)), facts, signals(values, seen))
    after = decide(with_rules((head, [*rules, more])), facts, signals(values, seen))
    assert after.grants == () or before.grants


@settings(max_examples=60, deadline=None)
@given(policy_parts(), FACTS, VALUES, st.sampled_from(["complexity", "injection", "has_tools"]))
def test_a_broken_signal_never_sends_out_what_no_value_of_it_would(
    parts: tuple[str, list[str]], facts: Facts, values: dict[str, object], broken: str
) -> None:
    """Whatever leaves while a signal is broken would also leave for some value of it.

    Values beyond both ends stand for those that fail a bound which no value between 0 and 1 can fail.
    """
    policy = with_rules(parts)
    worst = decide(policy, facts, signals({**values, broken: "error:timeout"}))
    units: list[object] = [-1.0, 0.0, 0.15, 0.3, 0.5, 0.7, 0.85, 1.0, 2.0]
    candidates: list[object] = [True, False] if broken == "has_tools" else units
    could = {
        grant.model
        for value in candidates
        for grant in decide(policy, facts, signals({**values, broken: value})).grants
    }
    assert {grant.model for grant in worst.grants} <= could


MODELS = tuple(
    Model("m", locality, "openai", "big", region=region, attributes=frozenset(attributes))
    for locality in ("lan", "cloud")
    for region in (None, "us", "eu")
    for attributes in ((), ("zero-retention",), ("zero-retention", "more"))
)
EGRESS = tuple(
    EgressRule(payload, frozenset(localities), None if regions is None else frozenset(regions), frozenset(require))
    for payload in ("none", "pseudonymized", "full")
    for localities in (("lan",), ("cloud",), ("lan", "cloud"))
    for regions in (None, ("us",), ("us", "eu"))
    for require in ((), ("zero-retention",))
)


def may_leave(level: Level, rule: EgressRule, model: Model) -> Payload:
    """The same once more, in words of the design: written a third time, so that the other two are held to it."""
    if level is Level.RESTRICTED and model.locality == "cloud":
        return "none"
    has_place = model.locality in rule.localities and (rule.regions is None or str(model.region) in rule.regions)
    has_promises = all(promise in model.attributes for promise in rule.require)
    return rule.payload if has_place and has_promises else "none"


@pytest.mark.parametrize("level", list(Level))
def test_what_is_lawful_is_what_the_design_says_for_every_rule_and_model(level: Level) -> None:
    for rule, model in product(EGRESS, MODELS):
        policy = replace(base(), egress={level: rule}, models={"m": model})
        payload, why = lawful_payload(policy, level, model, None)
        assert payload == may_leave(level, rule, model), (rule, model)
        assert bool(why) == (payload == "none")
        for kept in Level:  # only this level's rule is there: what may leave pseudonymized only, may not leave whole
            payload, why = lawful_payload(policy, level, model, kept)
            assert payload == ("full" if may_leave(level, rule, model) == "full" else "none"), (rule, model)
            assert bool(why) == (payload == "none")


@pytest.mark.parametrize("level", [Level.PUBLIC, Level.INTERNAL, Level.CONFIDENTIAL])
def test_the_proof_says_the_same_for_every_rule_and_model(level: Level) -> None:
    for rule, model in product(EGRESS, MODELS):
        policy = replace(base(), egress={level: rule}, models={"m": model})
        reached = {cell.level: cell.payload for cell in reachable(policy)}
        assert reached.pop(level) == may_leave(level, rule, model), (rule, model)
        assert set(reached.values()) == {"none"}


def test_a_level_without_a_rule_stays_and_a_local_model_takes_everything() -> None:
    policy = replace(base(), egress={})
    for level, model in product(Level, policy.models.values()):
        expected = "full" if model.locality == "local" else "none"
        assert lawful_payload(policy, level, model)[0] == expected


def test_the_table_has_every_level_with_every_model() -> None:
    policy = base()
    table = reachable(policy)
    assert [(cell.level, cell.model) for cell in table] == list(product(Level, policy.models))
    assert Reach(Level.RESTRICTED, "lan", "lan", "site", "full") in table
    assert Reach(Level.RESTRICTED, "cloud", "cloud", "us", "none") in table
    assert Reach(Level.CONFIDENTIAL, "eu", "cloud", "eu", "full") in table
    assert Reach(Level.CONFIDENTIAL, "cloud", "cloud", "us", "none") in table


def test_the_proof_finds_what_the_loader_would_have_refused() -> None:
    """Policies that no file can give, made by hand: the last check before a policy is in force."""
    policy = base()
    leaky = replace(policy, egress={**policy.egress, Level.RESTRICTED: EgressRule("full", frozenset({"cloud", "lan"}))})
    assert any("restricted can reach the cloud model 'cloud'" in each for each in violations(leaky))
    upside_down = replace(policy, egress={Level.INTERNAL: EgressRule("full")})
    assert any("internal can reach 'cloud' although a lower level cannot" in each for each in violations(upside_down))
    more = replace(policy, egress={Level.PUBLIC: EgressRule("pseudonymized"), Level.INTERNAL: EgressRule("full")})
    assert any("internal can reach 'cloud' although a lower level may only" in each for each in violations(more))
    assert violations(policy) == ()


def test_a_policy_that_the_proof_refuses_is_refused_at_load() -> None:
    policy = replace(base(), egress={Level.RESTRICTED: EgressRule("full", frozenset({"cloud"}))})
    with pytest.raises(PolicyError, match=r"policy.yaml:21:1: restricted can reach the cloud model 'eu'"):
        check_proof(policy, Notes(parse(BASE, "policy.yaml"), "policy.yaml"))


def test_what_must_be_hidden_is_what_may_not_reach_the_model_as_it_is() -> None:
    policy = base("pseudonymized")
    hidden = {
        (entity, name)
        for entity in ("SECRET", "PERSON", "EMAIL_ADDRESS", "ORGANIZATION", "LOCATION")
        for name, model in policy.models.items()
        if must_hide(policy, Level.CONFIDENTIAL, model, finding(entity))
    }
    everywhere = {(entity, name) for entity in ("SECRET", "PERSON", "EMAIL_ADDRESS") for name in ("lan", "cloud", "eu")}
    assert hidden == everywhere
    assert not must_hide(policy, Level.CONFIDENTIAL, policy.models["eu"], finding("PERSON", 0.5))


def test_restricted_reaches_no_cloud_even_under_a_policy_that_says_so() -> None:
    """The rule stands in the deciding code too, not only in the loader."""
    policy = base()
    leaky = replace(policy, egress={**policy.egress, Level.RESTRICTED: EgressRule("full", frozenset({"cloud", "lan"}))})
    decision = decide(leaky, Facts(requested="cloud"), signals(seen=scan(["SECRET"])))
    assert decision.refusal is not None
    assert decision.refusal.code == "policy_denied"


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(LEVELS),
        st.tuples(
            st.sampled_from(["none", "pseudonymized", "full"]),
            st.lists(st.sampled_from(["lan", "cloud"]), min_size=1, max_size=2, unique=True),
            st.lists(st.sampled_from(["us", "eu", "site"]), max_size=3, unique=True),
            st.sampled_from([[], ["zero-retention"]]),
        ),
    )
)
def test_an_egress_that_loads_is_one_that_the_proof_accepts(
    egress: dict[str, tuple[str, list[str], list[str], Any]],
) -> None:
    """The loader's own checks of egress are never weaker than the proof: no load ever ends at the last check."""
    lines = [
        f"  {level}: {{payload: {payload}, localities: [{', '.join(where)}]"
        + (f", regions: [{', '.join(regions)}]" if regions else "")
        + f", require: [{', '.join(require)}]}}"
        for level, (payload, where, regions, require) in egress.items()
    ]
    told: list[str] = []
    try:
        told += violations(load(SMALL + ("egress:\n" + "\n".join(lines) + "\n" if lines else "")))
    except PolicyError as error:
        told += [problem.message for problem in error.problems]
    assert not any("can reach" in each for each in told), told
