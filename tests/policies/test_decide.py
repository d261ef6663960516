"""What a decision says beside its route: reasons, candidates, messages without content; and when a permit is given."""

from __future__ import annotations

from dataclasses import replace

import pytest

from classifiers.types import Finding, Scan
from policies.conditions import ready
from policies.decide import decide, permit
from policies.levels import kept_level
from policies.types import Condition, Decision, EgressPermit, Facts, Leaf, Level, Policy, Refusal, Rule
from tests.policies.worlds import OFFLINE, base, finding, load, scan, signals

DIGEST = bytes(32)
FACTS = Facts(input_tokens=20)
HARD = {"complexity": 0.9}


def test_reasons_name_every_rule_that_was_asked_with_what_was_measured() -> None:
    decision = decide(base(), FACTS, signals({"complexity": 0.83, "injection": "error:timeout"}))
    lines = [(reason.rule, reason.matched, reason.why) for reason in decision.reasons]
    assert lines == [
        ("no-injections-out", None, "unknown, so it forbids: injection unavailable (timeout); forbids cloud"),
        ("no-us-tools", False, "needs has_tools is true"),
        ("long-stays-off-eu", False, "needs context_length at least 4000"),
        ("long-to-lan", False, "needs context_length at least 5000"),
        ("pictures-home", False, "needs modality in [image]"),
        (
            "hard",
            True,
            "complexity 0.83; not cloud: forbidden by no-injections-out; not eu: forbidden by no-injections-out",
        ),
        ("hard-eu", True, "complexity 0.83; not eu: forbidden by no-injections-out"),
    ]


def test_the_gravest_finding_stands_first_in_the_reasons() -> None:
    seen = scan(["LOCATION", "EMAIL_ADDRESS", "CREDIT_CARD", ["PERSON", 0.1]], ["image"])
    reasons = decide(base(), FACTS, signals(seen=seen)).reasons[:5]
    assert [reason.why for reason in reasons] == [
        "restricted: CREDIT_CARD at /messages/0/content",
        "confidential: EMAIL_ADDRESS at /messages/0/content",
        "internal: image at /messages/0/content/1 could not be checked",
        "public: LOCATION at /messages/0/content",
        "PERSON stays below its min_score 0.6",
    ]
    assert [reason.matched for reason in reasons] == [True, True, None, True, False]


def test_many_places_of_one_entity_are_counted_not_listed() -> None:
    seen = Scan(tuple(finding("CREDIT_CARD", pointer=f"/messages/{index}/content") for index in range(9)))
    why = decide(base(), FACTS, signals(seen=seen)).reasons[0].why
    assert why.endswith("/messages/0/content, /messages/1/content, /messages/2/content and 6 more")


def test_candidates_say_what_bars_a_model_and_what_it_lacks() -> None:
    facts = Facts(input_tokens=9411, needs=frozenset({"tools"}), unavailable={"cloud": "missing_key"})
    decision = decide(base(), facts, signals(seen=scan(["EMAIL_ADDRESS"])))
    said = {each.model: (each.lawful, each.able, each.why) for each in decision.candidates}
    assert said == {
        "home": (True, False, ("tools", "9,412 > 8,192 tokens")),
        "lan": (True, True, ()),
        "cloud": (False, True, ("confidential may not reach region us", "not available: missing_key")),
        "eu": (True, False, ("tools",)),
    }


def test_no_able_model_says_what_is_missing_what_keeps_it_home_and_what_to_do() -> None:
    decision = decide(base(), Facts(input_tokens=20_000), signals(seen=scan(["CREDIT_CARD"])))
    assert decision.refusal is not None
    message = decision.refusal.message
    assert "home: 20,001 > 8,192 tokens" in message
    assert "lan: 20,001 > 16,000 tokens" in message
    assert "restricted: CREDIT_CARD at /messages/0/content" in message
    assert "gatehouse serve --local-url" in message
    assert decision.refusal.should_retry is False


def test_no_able_model_names_the_rule_that_keeps_a_request_home() -> None:
    decision = decide(base(), Facts(input_tokens=20_000), signals({"injection": 0.9}))
    assert decision.refusal is not None
    assert "the rule 'no-injections-out' forbids it" in decision.refusal.message


def test_no_able_model_says_that_a_key_is_missing() -> None:
    facts = Facts(input_tokens=70_000, unavailable={"cloud": "missing_key"})
    refusal = decide(base(), facts, signals()).refusal
    assert refusal is not None
    assert "cloud: its key is missing" in refusal.message
    facts = Facts(input_tokens=70_000, unavailable={"cloud": "circuit_open"})
    refusal = decide(base(), facts, signals()).refusal
    assert refusal is not None
    assert "cloud: it is not available (circuit_open)" in refusal.message


def test_a_denial_says_what_was_found_where_and_how_to_be_answered() -> None:
    refusal = decide(base(), Facts(requested="eu"), signals(seen=scan(["SECRET"]))).refusal
    assert refusal is not None
    assert "SECRET at /messages/0/content" in refusal.message
    assert "Ask for 'auto' or 'local'" in refusal.message
    assert refusal.should_retry is False


def test_a_denial_by_the_callers_own_header_says_so() -> None:
    refusal = decide(base(), Facts(requested="eu", local_only=True), signals()).refusal
    assert refusal is not None
    assert "the request itself asks for local-only" in refusal.message


def test_a_missing_key_is_named_by_its_variable_or_file() -> None:
    down = {"cloud": "missing_key"}
    refusal = decide(base(), Facts(requested="cloud", unavailable={**down, "eu": "missing_key"}), signals()).refusal
    assert refusal is not None
    assert "CLOUD_KEY" in refusal.message
    policy = base()
    filed = replace(policy.models["eu"], api_key_env=None, api_key_file="/run/secrets/eu")
    policy = replace(policy, models={**policy.models, "eu": filed})
    refusal = decide(policy, Facts(requested="eu", unavailable={"eu": "missing_key"}), signals()).refusal
    assert refusal is not None
    assert "/run/secrets/eu" in refusal.message


def test_503_may_be_retried() -> None:
    refusal = decide(base(), Facts(unavailable={"home": "local_down"}), signals()).refusal
    assert refusal is not None
    assert refusal.should_retry is True


def test_nothing_of_the_caller_stands_in_reasons_or_messages() -> None:
    """A key of `metadata`, a numeric key, a model's name and a field's value are content; none is repeated."""
    canary = "bluebird4929"
    pointers = [
        f"/metadata/{canary}",
        "/metadata/4929000011112222",
        f"/tools/0/function/parameters/properties/{canary}",
    ]
    seen = Scan(tuple(finding("SECRET", pointer=pointer) for pointer in pointers))
    for requested in ("auto", "eu", canary):
        for tokens in (20, 99_999):
            decision = decide(base(), Facts(requested=requested, input_tokens=tokens), signals(HARD, seen))
            said = repr((decision.reasons, decision.refusal, decision.candidates))
            assert canary not in said
            assert "4929000011112222" not in said


def test_an_offline_policy_keeps_everything_and_says_whether_it_was_sensitive() -> None:
    offline = load(OFFLINE)
    down = Facts(unavailable={"home": "local_down"})
    public, secret = decide(offline, down, signals()), decide(offline, down, signals(seen=scan(["SECRET"])))
    assert public.refusal is not None
    assert public.refusal.code == "local_unavailable"
    assert secret.refusal is not None
    assert secret.refusal.code == "sensitive_data_local_unavailable"
    assert decide(offline, Facts(requested="cloud"), signals()).refusal.code == "model_not_found"  # type: ignore[union-attr]


def test_a_rule_that_was_not_compiled_is_an_error_and_not_skipped() -> None:
    rule = Rule("raw", 99, Condition("all", (Leaf("injection", "at_least", 0.0),)), forbid=frozenset({"cloud"}))
    policy = base()
    with pytest.raises(ValueError, match="raw"):
        decide(replace(policy, rules=(rule, *policy.rules)), FACTS, signals(HARD))
    assert decide(replace(policy, rules=(ready(rule), *policy.rules)), FACTS, signals(HARD)).route == "local"


def test_a_rule_without_a_condition_always_holds() -> None:
    policy = replace(base(), rules=(ready(Rule("always", 1, None, route="cloud")),))
    decision = decide(policy, FACTS, signals())
    assert (decision.route, decision.reason) == ("cloud", "always")
    assert decision.reasons[0].why == "always; routes to cloud"


def test_a_route_to_a_locality_that_no_model_has_leads_nowhere() -> None:
    offline = load(OFFLINE)
    policy = replace(offline, rules=(ready(Rule("out", 1, None, route="cloud")),))
    decision = decide(policy, FACTS, signals())
    assert (decision.route, decision.reason, decision.held) == ("local", "default", None)


# --- permits ---------------------------------------------------------------------------------------------------------


def granted(**changes: object) -> EgressPermit | Refusal:
    policy = base()
    decision = decide(policy, FACTS, signals(HARD))
    grant = decision.grants[0]
    given = {"policy": policy, "decision": decision, "grant": grant, "digest": DIGEST, "scan": Scan(), **changes}
    return permit(**given)  # type: ignore[arg-type]


def test_a_permit_is_for_one_model_one_payload_and_these_bytes() -> None:
    given = granted(digest=b"\x07" * 32)
    assert isinstance(given, EgressPermit)
    assert (given.model, given.payload, given.digest, given.rule) == ("cloud", "full", b"\x07" * 32, "hard")
    assert given.policy_digest == base().digest


@pytest.mark.parametrize("seen", [scan(["EMAIL_ADDRESS"]), scan(["CREDIT_CARD"]), scan((), ["timeout"])])
def test_what_is_found_in_the_bytes_themselves_withholds_the_permit(seen: Scan) -> None:
    given = granted(scan=seen)
    assert isinstance(given, Refusal)
    assert (given.code, given.status) == ("policy_denied", 403)


def test_findings_that_the_level_allows_do_not_withhold_it() -> None:
    assert isinstance(granted(scan=scan(["ORGANIZATION", "LOCATION"], ["image"])), EgressPermit)


def test_bytes_that_look_clean_do_not_lower_what_the_decision_found() -> None:
    policy = base()
    decision = replace(decide(policy, FACTS, signals(HARD)), sensitivity=Level.RESTRICTED)
    given = permit(policy, decision, decision.grants[0], DIGEST, Scan())
    assert isinstance(given, Refusal)


def test_a_grant_of_another_decision_policy_or_model_gives_nothing() -> None:
    policy = base()
    decision = decide(policy, FACTS, signals(HARD))
    grant = decision.grants[0]
    forged = [
        {"grant": replace(grant, model="eu")},
        {"grant": replace(grant, payload="pseudonymized")},
        {"grant": replace(grant, purpose="fallback")},
        {"grant": replace(grant, policy_digest="0" * 64)},
        {"policy": replace(policy, digest="0" * 64)},
        {"decision": replace(decision, grants=())},
        {"decision": replace(decision, policy_digest="0" * 64)},
        {"digest": b"short"},
    ]
    assert all(isinstance(granted(**change), Refusal) for change in forged)


def test_a_grant_for_a_local_model_or_one_that_is_gone_gives_nothing() -> None:
    policy = base()
    decision = decide(policy, FACTS, signals(HARD))
    for name in ("home", "gone"):
        grant = replace(decision.grants[0], model=name)
        given = permit(policy, replace(decision, grants=(grant,)), grant, DIGEST, Scan())
        assert isinstance(given, Refusal)


def test_a_grant_for_another_payload_than_the_rules_gives_nothing() -> None:
    policy = base()
    decision = decide(policy, FACTS, signals(HARD))
    grant = replace(decision.grants[0], payload="pseudonymized")
    given = permit(policy, replace(decision, grants=(grant,)), grant, DIGEST, Scan())
    assert isinstance(given, Refusal)
    assert "pseudonymized" in given.message


MAIL_AND_MORE = scan(["EMAIL_ADDRESS", "LOCATION"])


def pseudonymized(scan: Scan, replaceable: set[int], asked: str = "eu", policy: Policy | None = None) -> Decision:
    facts = Facts(requested=asked, input_tokens=20, replaceable=frozenset(replaceable))
    return decide(policy or base("pseudonymized"), facts, signals(HARD, scan))


def test_what_placeholders_can_stand_for_leaves_pseudonymized_and_says_so_in_its_grants() -> None:
    decision = pseudonymized(MAIL_AND_MORE, {0})
    assert (decision.route, decision.model, decision.payload) == ("cloud", "eu", "pseudonymized")
    assert [grant.payload for grant in decision.grants] == ["pseudonymized"]
    assert not decision.cacheable


@pytest.mark.parametrize(
    ("seen", "replaceable"),
    [
        (MAIL_AND_MORE, set()),
        (MAIL_AND_MORE, {1}),
        (scan(["EMAIL_ADDRESS", "EMAIL_ADDRESS"]), {0}),
        (scan(["EMAIL_ADDRESS", "SECRET"]), {0, 1}),  # restricted: another rule altogether
        (scan(["EMAIL_ADDRESS"], ["timeout"]), {0}),
        (scan(["EMAIL_ADDRESS", "MEDICAL"]), {0}),
    ],
)
def test_a_finding_that_no_placeholder_can_stand_for_keeps_the_request(seen: Scan, replaceable: set[int]) -> None:
    decision = pseudonymized(seen, replaceable)
    assert decision.refusal is not None
    assert decision.refusal.code == "policy_denied"
    assert decision.grants == ()
    assert pseudonymized(seen, replaceable, "auto").route == "local"


def test_the_explanation_names_what_no_placeholder_can_stand_for() -> None:
    seen = Scan((finding("EMAIL_ADDRESS", pointer="/metadata/jo@x"),))
    reasons = [reason.why for reason in pseudonymized(seen, set()).reasons]
    assert "no placeholder can stand for EMAIL_ADDRESS at /metadata/*" in reasons


def test_an_unknown_that_may_leave_whole_does_not_keep_what_placeholders_stand_for() -> None:
    assert pseudonymized(scan(["EMAIL_ADDRESS"], ["image"]), {0}).payload == "pseudonymized"


def test_a_meaning_leaves_only_where_the_levels_own_rule_lets_it_out() -> None:
    policy = base("pseudonymized")
    rule = replace(policy.egress[Level.CONFIDENTIAL], meaning_may_leave=frozenset({"MEDICAL", "PERSON"}))
    open_to = replace(policy, egress={**policy.egress, Level.CONFIDENTIAL: rule})
    seen = scan(["EMAIL_ADDRESS", "MEDICAL"])
    decision = pseudonymized(seen, {0}, policy=open_to)
    assert decision.payload == "pseudonymized"
    given = permit(open_to, decision, decision.grants[0], DIGEST, scan(["MEDICAL"]))
    assert isinstance(given, EgressPermit)
    # PERSON is no meaning: it must be replaced, whatever the list says.
    assert pseudonymized(scan(["PERSON"]), set(), policy=open_to).refusal is not None


def test_inherited_sensitivity_is_nothing_that_a_placeholder_can_stand_for() -> None:
    seen = scan(["EMAIL_ADDRESS"])
    kept = kept_level(base("pseudonymized"), Level.CONFIDENTIAL, seen, {0}, Level.CONFIDENTIAL)
    assert kept == (Level.CONFIDENTIAL, "what earlier turns brought in")
    assert kept_level(base("pseudonymized"), Level.CONFIDENTIAL, seen, {0}) == (None, "")


@pytest.mark.parametrize("seen", [scan(["EMAIL_ADDRESS"]), scan(["PERSON"]), scan((), ["timeout"]), scan(["SECRET"])])
def test_whatever_is_found_beside_placeholders_withholds_the_permit(seen: Scan) -> None:
    policy = base("pseudonymized")
    decision = pseudonymized(MAIL_AND_MORE, {0})
    grant = decision.grants[0]
    given = permit(policy, decision, grant, DIGEST, scan(["LOCATION", "ORGANIZATION"]))
    assert isinstance(given, EgressPermit)
    assert given.payload == "pseudonymized"
    assert isinstance(permit(policy, decision, grant, DIGEST, seen), Refusal)
    whole = replace(grant, payload="full")
    assert isinstance(permit(policy, replace(decision, grants=(whole,)), whole, DIGEST, Scan()), Refusal)


def test_mode_shadow_lets_nothing_out_with_placeholders_that_it_would_not_let_out_whole() -> None:
    policy = replace(base("pseudonymized"), mode="shadow")
    auto = pseudonymized(MAIL_AND_MORE, {0}, "auto", policy)
    assert (auto.route, auto.grants) == ("local", ())
    assert pseudonymized(MAIL_AND_MORE, {0}, "eu", policy).payload == "pseudonymized"


def test_what_may_leave_later_carries_its_payload_too() -> None:
    for variant, purpose in (("pseudonymized", "escalation"), ("pseudonymized-fallback", "fallback")):
        facts = Facts(input_tokens=20, replaceable=frozenset({0}))
        decision = decide(base(variant), facts, signals(seen=scan(["EMAIL_ADDRESS"])))
        assert decision.route == "local"
        assert (purpose, "pseudonymized") in {(grant.purpose, grant.payload) for grant in decision.grants}


def test_a_score_below_the_bar_does_not_withhold_a_permit() -> None:
    low = Scan((Finding("PERSON", "/messages/0/content", "value", 0, 4, 0.2, "test", 0),))
    assert isinstance(granted(scan=low), EgressPermit)
