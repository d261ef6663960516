"""`release`: consent lifts the payload of a level for one model, and nothing else; never anything restricted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifiers.types import Scan
from policies.comparing.compare import compare
from policies.comparing.proof import Reach, beyond, reachable, violations
from policies.decide import decide, permit
from policies.errors import PolicyError
from policies.offering import offered
from policies.releasing import reaches
from policies.schema import compile_policy
from policies.text.chain import Written
from policies.types import Decision, EgressPermit, EgressRule, Facts, Level, Policy, Refusal, Release, ReleaseRule
from tests.policies.at_random import REQUESTS, Request, compiled, files, seen_by
from tests.policies.worlds import BASE, ENTITIES, base, load, scan, signals

HARD = {"complexity": 0.9}
MAIL = scan(["EMAIL_ADDRESS"])
DIGEST = bytes(32)
CONSENT = Release("rl-1", "eu", Level.CONFIDENTIAL, 1e12)
RULE = "release: {levels: [confidential], by: user, ttl: 5m}\n"
CLOSED = BASE.replace("confidential: {payload: full", "confidential: {payload: none").replace(
    "restricted: {payload: full", "restricted: {payload: none"
)


def decided(policy: Policy, release: Release | None = CONSENT, seen: Scan = MAIL, **facts: Any) -> Decision:
    return decide(policy, Facts(input_tokens=20, release=release, **facts), signals(HARD, seen))


def problems(text: str) -> str:
    with pytest.raises(PolicyError) as caught:
        load(text)
    return str(caught.value)


# -- the permit --------------------------------------------------------------------------------------------------------


def test_a_permit_that_only_the_release_makes_lawful_names_it() -> None:
    policy = base("release")
    decision = decided(policy)
    given_permit = permit(policy, decision, decision.grants[0], DIGEST, MAIL)
    assert isinstance(given_permit, EgressPermit)
    assert (given_permit.model, given_permit.payload, given_permit.release) == ("eu", "full", CONSENT)


def test_a_permit_that_needs_no_release_names_none() -> None:
    policy = base("release")
    decision = decided(policy, seen=scan())
    given_permit = permit(policy, decision, decision.grants[0], DIGEST, scan())
    assert isinstance(given_permit, EgressPermit)
    assert given_permit.release is None


@pytest.mark.parametrize(
    ("found", "unknown"), [(["CREDIT_CARD"], []), (["EMAIL_ADDRESS"], ["image"]), (["EMAIL_ADDRESS"], ["timeout"])]
)
def test_what_the_very_bytes_show_beyond_what_was_agreed_to_gives_no_permit(
    found: list[str], unknown: list[str]
) -> None:
    policy = base("release")
    decision = decided(policy)
    assert isinstance(permit(policy, decision, decision.grants[0], DIGEST, scan(found, unknown)), Refusal)


@pytest.mark.parametrize(
    "change",
    [
        {"release": None},
        {"release": replace(CONSENT, model="cloud")},
        {"release": replace(CONSENT, level=Level.INTERNAL)},
        {"sensitivity": Level.RESTRICTED},
    ],
)
def test_a_decision_with_another_release_gives_no_permit(change: dict[str, Any]) -> None:
    policy = base("release")
    decision = decided(policy)
    assert isinstance(permit(policy, replace(decision, **change), decision.grants[0], DIGEST, MAIL), Refusal)


def test_a_release_is_no_reason_for_another_payload() -> None:
    policy = base("release")
    decision = decided(policy)
    grant = replace(decision.grants[0], payload="pseudonymized")
    assert isinstance(permit(policy, replace(decision, grants=(grant,)), grant, DIGEST, MAIL), Refusal)


# -- what is offered ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variant", "facts", "found", "expected"),
    [
        ("release", {}, MAIL, "eu"),
        ("release", {"requested": "lan"}, MAIL, "lan"),
        ("release", {"requested": "eu"}, MAIL, "eu"),
        ("release", {"requested": "cloud"}, MAIL, "eu"),  # any cloud model; the one in the us may not
        ("release", {"requested": "home"}, MAIL, None),
        ("release", {"requested": "nobody"}, MAIL, None),
        ("release", {}, scan(["CREDIT_CARD"]), None),
        ("release", {}, scan(["EMAIL_ADDRESS"], ["image"]), None),
        ("release", {"locked": True}, MAIL, None),
        ("release", {"local_only": True}, MAIL, None),
        ("release", {"unavailable": {"eu": "missing_key"}}, MAIL, None),
        ("release", {"input_tokens": 100_000}, MAIL, None),
        ("release-shadow", {}, MAIL, None),
        ("release-shadow", {"requested": "eu"}, MAIL, "eu"),
        ("base", {}, MAIL, None),
    ],
)
def test_a_release_is_offered_only_where_the_request_would_leave_with_it(
    variant: str, facts: dict[str, Any], found: Scan, expected: str | None
) -> None:
    known = Facts(**{"input_tokens": 20, **facts})
    offer = offered(base(variant), known, signals(HARD, found))
    assert (offer.model if offer is not None else None) == expected
    assert offer is None or offer.level is Level.CONFIDENTIAL


def test_where_home_is_down_leaving_as_a_fallback_counts() -> None:
    policy, seen = base("release-pseudonymized"), signals(None, scan(["MEDICAL"]))
    assert offered(policy, Facts(input_tokens=20), seen) is None
    offer = offered(policy, Facts(input_tokens=20), seen, home_is_down=True)
    assert offer is not None
    assert offer.model == "eu"


# -- the file ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ("{levels: [restricted], by: user}", "restricted is never released"),
        ("{levels: [confidential], by: nobody}", "is not one of user, approver"),
        ("{levels: [confidential]}", "'by' is missing in 'release'"),
        ("{by: user}", "'levels' is missing in 'release'"),
        ("{levels: [confidental], by: user}", "did you mean 'confidential'?"),
        ("{levels: [confidential], by: user, ttl: 5}", "'ttl' must be text"),
        ("{levels: [confidential], by: user, ttl: 5d}", "'ttl' must be a time such as 90s, 5m or 1h"),
        ("{levels: [confidential], by: user, ttl: 25h}", "'ttl' is longer than 24h"),
        ("{levels: [confidential], by: user, groups: []}", "'groups' may not be empty"),
        ("{levels: [confidential], by: user, reason: x}", "unknown key 'reason' in 'release'"),
    ],
)
def test_what_is_no_release_is_refused(rule: str, told: str) -> None:
    assert told in problems(f"{CLOSED}release: {rule}\n")


def test_a_release_without_levels_is_none() -> None:
    assert load(f"{CLOSED}release: {{levels: [], by: user}}\n").release is None
    assert load(CLOSED + RULE).release == ReleaseRule(frozenset({Level.CONFIDENTIAL}), "user", 300)


def test_a_level_of_which_nothing_can_be_released_is_a_warning() -> None:
    text = CLOSED.replace("internal: {payload: full", "internal: {payload: none")
    assert any("releasing confidential" in each for each in load(text + RULE).warnings)
    both = text + RULE.replace("[confidential]", "[internal, confidential]")
    assert not any("releasing" in each for each in load(both).warnings)
    assert not any("releasing" in each for each in load(CLOSED + RULE).warnings)


def test_the_proof_shows_who_must_agree_and_counts_it_as_a_loosening() -> None:
    policy = load(CLOSED + RULE)
    cells = {(cell.level, cell.model): (cell.payload, cell.released_by) for cell in reachable(policy)}
    assert cells[Level.CONFIDENTIAL, "eu"] == ("none", "user")
    assert cells[Level.CONFIDENTIAL, "lan"] == ("none", "user")
    assert cells[Level.CONFIDENTIAL, "cloud"] == ("none", "")
    assert cells[Level.INTERNAL, "eu"] == ("full", "")
    assert {by for (level, _), (_, by) in cells.items() if level is Level.RESTRICTED} == {""}
    assert [each.path for each in policy.loosenings if each.path == "release"] == ["release"]
    assert "release" not in [each.path for each in load(CLOSED).loosenings]


def test_the_proof_refuses_what_the_loader_should_never_let_pass() -> None:
    policy = load(CLOSED + RULE)
    rule = EgressRule("none", frozenset({"cloud"}))
    wrong = replace(policy, release=ReleaseRule(frozenset(Level), "user", 300), egress={Level.RESTRICTED: rule})
    assert any("restricted can be released to 'cloud'" in each for each in violations(wrong))
    assert violations(policy) == ()
    assert not reaches(wrong, Level.RESTRICTED, policy.models["cloud"])


@pytest.mark.parametrize(
    ("old", "new", "direction", "what"),
    [
        ("", RULE, "loosens", "confidential may be released by the user"),
        ("", RULE, "loosens", "confidential may be released to 'eu'"),
        (RULE, "", "tightens", "confidential may no longer be released by the user"),
        (RULE, "", "tightens", "confidential may no longer be released to 'eu'"),
        (RULE, RULE.replace("user", "approver"), "tightens", "user -> approver"),
        (RULE.replace("user", "approver"), RULE, "loosens", "approver -> user"),
        (RULE, RULE.replace("5m", "1h"), "loosens", "300 s -> 3,600 s"),
        (RULE, RULE.replace("5m", "60s"), "tightens", "300 s -> 60 s"),
        (RULE, RULE.replace("5m", "5m, groups: [a]"), "tightens", "fewer keys are offered it"),
        (RULE.replace("5m", "5m, groups: [a]"), RULE, "loosens", "other keys are offered it"),
        (RULE.replace("5m", "5m, groups: [a]"), RULE.replace("5m", "5m, groups: [b]"), "loosens",
         "other keys are offered it"),
        (RULE.replace("5m", "5m, groups: [a, b]"), RULE.replace("5m", "5m, groups: [b]"), "tightens",
         "fewer keys are offered it"),
    ],
)  # fmt: skip
def test_a_difference_is_named_with_its_direction(old: str, new: str, direction: str, what: str) -> None:
    found = [(each.direction, each.what) for each in compare(load(CLOSED + old), load(CLOSED + new))]
    assert (direction, what) in found


@pytest.mark.parametrize(
    ("tenant", "told"),
    [
        ("{levels: [internal]}", "the file does not let internal be released"),
        ("{levels: [restricted]}", "restricted is never released"),
        ("{ttl: 10m}", "this is longer than the 300 seconds of the file"),
        ("{ttl: 5y}", "'ttl' must be a time"),
    ],
)
def test_a_tenant_may_only_take_away(tenant: str, told: str) -> None:
    assert told in problems(f"{CLOSED}{RULE}tenants: {{lab: {{release: {tenant}}}}}\n")


def test_a_tenant_cannot_do_without_an_approver_nor_release_what_the_file_does_not() -> None:
    asks = RULE.replace("user", "approver")
    assert "a tenant cannot do without" in problems(f"{CLOSED}{asks}tenants: {{lab: {{release: {{by: user}}}}}}\n")
    nothing = f"{CLOSED}tenants: {{lab: {{release: {{levels: [confidential]}}}}}}\n"
    assert "the file lets nothing be released" in problems(nothing)
    assert load(f"{CLOSED}tenants: {{lab: {{release: {{levels: []}}}}}}\n").tenants["lab"].release is None


def test_a_tenants_view_is_the_stricter_one() -> None:
    text = (
        f"{CLOSED}{RULE}tenants: {{lab: {{release: {{by: approver, ttl: 60s}}}}, off: {{release: {{levels: []}}}}}}\n"
    )
    policy = load(text)
    assert policy.tenants["lab"].release == ReleaseRule(frozenset({Level.CONFIDENTIAL}), "approver", 60)
    assert policy.tenants["off"].release is None
    assert decided(policy.tenants["off"]).route == "local"
    assert beyond(policy, policy.tenants["lab"]) == ()
    more = replace(
        policy.tenants["off"], release=ReleaseRule(frozenset({Level.INTERNAL, Level.CONFIDENTIAL}), "user", 9)
    )
    assert beyond(policy.tenants["off"], more)


def test_who_extends_a_policy_may_only_take_away() -> None:
    parent = Written("house.yaml", CLOSED + RULE)

    def child(text: str) -> Policy:
        return compile_policy(f"extends: house.yaml\nversion: 4\n{text}", "own.yaml", ENTITIES, parents=[parent])

    assert child("release: {by: approver}").release == ReleaseRule(frozenset({Level.CONFIDENTIAL}), "approver", 300)
    assert child("release: {levels: []}").release is None
    for text, told in (
        ("release: {levels: [internal, confidential]}", "internal may be released"),
        ("release: {ttl: 6m}", "300 s -> 360 s"),
    ):
        with pytest.raises(PolicyError, match="looser than what this extends") as caught:
            child(text)
        assert told in str(caught.value)
        assert "own.yaml:3:" in str(caught.value)


# -- whatever a file and a request hold --------------------------------------------------------------------------------

RELEASES = st.builds(
    Release,
    st.just("rl-1"),
    st.sampled_from(["home", "desk", "lan", "us", "eu", "nowhere", "gone"]),
    st.sampled_from(list(Level)),
)
LISTS = st.lists(st.sampled_from(["public", "internal", "confidential"]), min_size=1, max_size=3, unique=True)


@settings(max_examples=200, deadline=None)
@given(files(), LISTS, REQUESTS, REQUESTS, RELEASES)
def test_no_release_ever_lets_out_what_is_restricted_unread_or_not_in_the_proof(
    file: dict[str, Any], levels: list[str], request: Request, other: Request, release: Release
) -> None:
    policy = compiled({**file, "release": {"levels": levels, "by": "user"}})
    table: dict[tuple[Level, str], Reach] = {(cell.level, cell.model): cell for cell in reachable(policy)}
    seen = seen_by(policy, request)
    decision = decide(policy, replace(request[0], release=release), seen)
    plain = decide(policy, request[0], seen)
    if decision.release is not None:
        assert decision.sensitivity < Level.RESTRICTED
        assert not seen.scan.unknowns
        assert decision.sensitivity <= release.level
    for grant in decision.grants:
        cell = table[decision.sensitivity, grant.model]
        assert cell.payload == grant.payload or (cell.released_by and grant.model == release.model)
        found = seen_by(policy, other).scan
        given_permit = permit(policy, decision, grant, DIGEST, found)
        if isinstance(given_permit, EgressPermit) and given_permit.release is not None:
            assert not found.unknowns
            assert grant.model == release.model
    if decision.release is None:
        assert {(each.model, each.payload) for each in decision.grants} == {
            (each.model, each.payload) for each in plain.grants
        }
