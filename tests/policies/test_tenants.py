"""A tenant's view of a policy: only stricter, whatever is written, whatever a request holds, and decided by itself."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifiers.types import ScanRules
from policies.comparing.compare import compare
from policies.conditions import Evaluator
from policies.decide import DIGEST_BYTES, decide, permit
from policies.errors import PolicyError
from policies.lawful import lawful_payload
from policies.levels import scan_level
from policies.override import with_local_model
from policies.tenants import view_of
from policies.types import CachePolicy, EgressPermit, Facts, Level, Limits, Policy, Refusal
from tests.policies.worlds import BASE, load, scan, signals

_RANK = {"none": 0, "pseudonymized": 1, "full": 2}
DIGEST = b"d" * DIGEST_BYTES

# What a tenant may say over the base policy, and what it then may no longer reach: level -> models.
TIGHTER: dict[str, tuple[str, dict[str, set[str]]]] = {
    "nothing": ("{}", {}),
    "payload": ("{egress: {confidential: {payload: none}, restricted: {payload: none}}}",
                {"confidential": {"lan", "eu"}, "restricted": {"lan"}}),
    "regions": (
        "{egress: {public: {regions: [eu]}, internal: {regions: [eu]}, confidential: {regions: [eu]},"
        " restricted: {payload: none}}}",
        {"public": {"lan", "cloud"}, "internal": {"lan", "cloud"}, "confidential": {"lan"}, "restricted": {"lan"}},
    ),
    "localities": (
        "{egress: {public: {localities: [lan]}, internal: {localities: [lan]}, confidential: {localities: [lan]}}}",
        {"public": {"cloud", "eu"}, "internal": {"cloud", "eu"}, "confidential": {"eu"}},
    ),
    "require": (
        "{egress: {public: {require: [zero-retention]}, internal: {require: [zero-retention]},"
        " confidential: {require: [zero-retention]}, restricted: {require: [zero-retention]}}}",
        {"public": {"lan", "cloud"}, "internal": {"lan", "cloud"}, "confidential": {"lan"}, "restricted": {"lan"}},
    ),
    "models": ("{models: [home, eu]}", {"public": {"lan", "cloud"}, "internal": {"lan", "cloud"},
                                        "confidential": {"lan"}, "restricted": {"lan"}}),
}  # fmt: skip


def with_tenant(part: str, text: str = BASE) -> Policy:
    return load(f"{text}tenants:\n  acme: {part}\n")


def told(part: str) -> list[str]:
    with pytest.raises(PolicyError) as caught:
        with_tenant(part)
    return [line for line in str(caught.value).splitlines() if line.startswith("policy.yaml:")]


def test_a_tenant_keeps_less_is_bounded_tighter_and_may_demand_its_records_first() -> None:
    text = BASE.replace("route: eu}", "route: eu, cache: {ttl_seconds: 9000}}").replace(
        "mode: exact}", "mode: exact, ttl_seconds: 600}"
    )
    text += "limits: {max_input_tokens: 5000, max_tools: 3}\nretention: {records_days: 90}\n"
    own = "cache: {ttl_seconds: 60}, audit: required, limits: {max_tools: 2, max_messages: 9}"
    policy = with_tenant(f"{{{own}, retention: {{records_days: 30}}}}", text)
    view = view_of(policy, "acme")
    assert (view.cache, view.audit, view.retention_days) == (CachePolicy("exact", 60), "required", 30)
    assert view.limits == Limits(max_input_tokens=5000, max_messages=9, max_tools=2)
    assert {rule.name: rule.cache for rule in view.rules if rule.cache} == {"hard-eu": CachePolicy("exact", 60)}
    assert (policy.cache, policy.audit, policy.limits.max_tools) == (CachePolicy("exact", 600), "best_effort", 3)
    off = view_of(with_tenant("{cache: 'off', retention: {cache_seconds: 5}}", text), "acme")
    assert (off.cache.mode, {rule.cache.mode for rule in off.rules if rule.cache}) == ("off", {"off"})
    sooner = view_of(with_tenant("{retention: {cache_seconds: 5}}", text), "acme")
    assert (sooner.cache, sooner.retention_days) == (CachePolicy("exact", 5), 90)
    assert {rule.cache for rule in sooner.rules if rule.cache} == {CachePolicy("exact", 5)}


@pytest.mark.parametrize(
    ("part", "says"),
    [
        ("{cache: {ttl_seconds: 9000}}", "the file keeps answers for 3,600 seconds at most"),
        ("{audit: best_effort}", "'best_effort' is not one of required"),
        ("{limits: {max_tools: 70}}", "'max_tools' is more than the 64 of the file's 'limits'"),
        ("{limits: {}}", "'limits' names nothing"),
        ("{retention: {records_days: 91}}", "'records_days' is more than the 90 days of 'retention.records_days'"),
    ],
)
def test_a_tenant_that_would_keep_more_or_take_more_is_an_error_at_its_place(part: str, says: str) -> None:
    with pytest.raises(PolicyError) as caught:
        with_tenant(part, BASE + "limits: {max_tools: 64}\nretention: {records_days: 90}\n")
    (problem,) = caught.value.problems
    assert says in problem.message
    assert problem.line == len((BASE + "limits\nretention\ntenants\n").splitlines()) + 1


BY_MEANING = BASE.replace("mode: exact", "mode: semantic, similarity: 0.96").replace(
    "route: eu}", "route: eu, cache: {mode: semantic, similarity: 0.92}}"
)


@pytest.mark.parametrize(
    ("part", "all_", "rule"),
    [
        ("{cache: exact}", CachePolicy("exact", 3600, 0.96), CachePolicy("exact", 3600, 0.92)),
        ("{cache: {ttl_seconds: 60}}", CachePolicy("semantic", 60, 0.96), CachePolicy("semantic", 60, 0.92)),
        (
            "{cache: {mode: semantic, similarity: 0.98}}",
            CachePolicy("semantic", 3600, 0.98),
            CachePolicy("semantic", 3600, 0.98),
        ),
        ("{cache: 'off'}", CachePolicy("off", 3600, 0.96), CachePolicy("off", 3600, 0.92)),
    ],
)
def test_a_tenant_may_compare_fewer_questions(part: str, all_: CachePolicy, rule: CachePolicy) -> None:
    view = view_of(with_tenant(part, BY_MEANING), "acme")
    assert (view.cache, {each.cache for each in view.rules if each.cache}) == (all_, {rule})


@pytest.mark.parametrize(
    ("part", "text", "says"),
    [
        ("{cache: semantic}", BASE, "the file keeps answers for the very same request alone"),
        ("{cache: semantic}", BASE.replace("mode: exact", "mode: off"), "the file keeps no answers"),
        ("{cache: {mode: semantic, similarity: 0.95}}", BY_MEANING, "the file takes questions from 0.96 on"),
    ],
)
def test_a_tenant_cannot_compare_more_questions_than_the_file(part: str, text: str, says: str) -> None:
    with pytest.raises(PolicyError, match=says):
        with_tenant(part, text)


def test_a_bar_that_nothing_is_held_against_is_a_warning() -> None:
    policy = with_tenant("{}", BASE.replace("mode: exact", "mode: exact, similarity: 0.99"))
    assert any("only mode: semantic compares questions" in warning for warning in policy.warnings)


def test_a_tenant_cannot_keep_answers_where_the_file_keeps_none() -> None:
    with pytest.raises(PolicyError, match="the file keeps no answers"):
        with_tenant("{cache: exact}", BASE.replace("mode: exact", "mode: off"))


def reached(policy: Policy) -> dict[str, set[str]]:
    return {
        level.word: {
            name
            for name, model in policy.models.items()
            if model.locality != "local" and lawful_payload(policy, level, model, None)[0] != "none"
        }
        for level in Level
    }


@pytest.mark.parametrize("name", TIGHTER)
def test_a_tenant_reaches_less_by_just_what_it_says(name: str) -> None:
    part, less = TIGHTER[name]
    policy = with_tenant(part)
    view, usual = view_of(policy, "acme"), reached(load(BASE))
    assert reached(policy) == usual, "nobody else is touched"
    assert reached(view) == {level: models - less.get(level, set()) for level, models in usual.items()}
    assert view_of(policy, "other") is policy
    assert (view.digest, view.label, view.tenant) == (policy.digest, policy.label, "acme")


@pytest.mark.parametrize(
    ("part", "says"),
    [
        ("{egress: {restricted: {localities: [cloud]}}}", "does not let restricted reach cloud"),
        ("{egress: {restricted: {regions: [us]}}}", "does not let restricted reach region us"),
        ("{egress: {internal: {regions: [us, mars]}}}", "does not let internal reach region mars"),
        ("{egress: {public: {payload: none}}}", "although public"),
        ("{sensitivity: {levels: {internal: [EMAIL_ADDRESS]}}}", "'EMAIL_ADDRESS' counts as confidential in the file"),
        ("{sensitivity: {levels: {internal: [PHONE_NUMBER]}}}", "'PHONE_NUMBER' counts as confidential in the file"),
        ("{sensitivity: {levels: {internal: [project-names]}}}", "'project-names' counts as restricted in the file"),
        ("{sensitivity: {min_score: {PERSON: 0.7}}}", "'PERSON' counts from 0.6"),
        ("{sensitivity: {min_score: {SECRET: 0.1}}}", "'SECRET' counts from 0"),
        ("{sensitivity: {on_unknown: {image: {counts_as: public, reason: art}}}}", "image is internal in the file"),
        ("{sensitivity: {on_unknown: {audio: {counts_as: internal, reason: art}}}}", "audio is restricted in"),
        ("{sensitivity: {dictionaries: [{name: project-names, level: public, terms: [Robin]}]}}", "has a meaning"),
        ("{sensitivity: {dictionaries: [{name: PERSON, level: public, terms: [Anna]}]}}", "has a meaning"),
        ("{sensitivity: {patterns: [{name: CREDIT_CARD, level: public, regex: 4.*}]}}", "has a meaning"),
        ("{sensitivity: {patterns: [{name: all, level: public, regex: '.*'}]}}", "matches the empty text"),
        ("{sensitivity: {exceptions: [{entity: PERSON, terms: [Anna], reason: none}]}}", "unknown key 'exceptions'"),
        ("{models: [cloud]}", "one of them must be local"),
        ("{models: [home, claud]}", "did you mean 'cloud'?"),
        ("{models: []}", "may not be empty"),
        ("{forbid: [home]}", "home is never forbidden"),
        ("{forbid: [claud]}", "did you mean 'cloud'?"),
        ("{egres: {}}", "did you mean 'egress'?"),
        ("{mode: shadow}", "unknown key 'mode'"),
    ],
)  # fmt: skip
def test_what_would_loosen_or_means_nothing_is_an_error_at_its_place(part: str, says: str) -> None:
    lines = told(part)
    assert any(says in line for line in lines), lines
    assert {line.split(":")[1] for line in lines} == {str(BASE.count("\n") + 2)}


def test_a_name_that_could_be_taken_for_another_is_no_tenant() -> None:
    with pytest.raises(PolicyError, match="letters, digits"):
        load(BASE + "tenants:\n  аcme: {}\n")  # a Cyrillic letter


def test_a_level_that_is_raised_counts_for_that_tenant_alone() -> None:
    policy = with_tenant("{sensitivity: {levels: {restricted: [ORGANIZATION]}, min_score: {PERSON: 0.2}}}")
    seen = scan([["ORGANIZATION", 0.9]])
    assert scan_level(policy, seen) is Level.INTERNAL
    assert scan_level(view_of(policy, "acme"), seen) is Level.RESTRICTED
    assert scan_level(policy, scan([["PERSON", 0.3]])) is Level.PUBLIC
    assert scan_level(view_of(policy, "acme"), scan([["PERSON", 0.3]])) is Level.CONFIDENTIAL


def test_its_own_words_are_looked_for_beside_those_of_the_file() -> None:
    policy = with_tenant("{sensitivity: {dictionaries: [{name: birds, level: internal, terms: [Robin]}]}}")
    rules: ScanRules = view_of(policy, "acme").scan_rules
    assert [each.name for each in rules.dictionaries] == ["project-names", "birds"]
    assert [each.name for each in policy.scan_rules.dictionaries] == ["project-names"]
    assert rules.digest != policy.scan_rules.digest, "what was remembered under other rules does not count"
    assert view_of(with_tenant("{forbid: [cloud]}"), "acme").scan_rules.digest == policy.scan_rules.digest


HARD = signals({"complexity": 0.9})


def test_models_that_it_may_not_use_do_not_exist_for_it() -> None:
    view = view_of(with_tenant("{models: [home, eu]}"), "acme")
    assert decide(view, Facts(requested="cloud"), HARD).model == "eu", "the locality"
    lonely = view_of(with_tenant("{models: [home]}"), "acme")
    for asked, names in ((view, ["lan"]), (lonely, ["lan", "cloud", "eu", "gpt-4-pinned", "any-cloud"])):
        for name in names:
            decision = decide(asked, Facts(requested=name), HARD)
            assert decision.model is None
            assert decision.refusal is not None
            assert decision.refusal.code == "model_not_found"
            assert "lan" not in decision.refusal.message
    assert decide(view, Facts(requested="eu"), HARD).model == "eu"
    assert decide(view, Facts(), HARD).model == "eu", "the route to the cloud leads to the one that is there"
    assert {each.model for each in decide(view, Facts(), HARD).candidates} == {"home", "eu"}


TWO_HOMES = BASE.replace(
    "  lan: {locality: lan",
    "  tiny: {locality: local, backend: engine, model: tiny, context: 8192}\n  lan: {locality: lan",
).replace(
    "decisions:\n",
    "decisions:\n  - {name: tools-home, priority: 85, when: {all: [{has_tools: {is: true}}]}, route: home}\n",
)


def test_where_the_default_home_is_not_among_them_the_first_that_it_lists_is() -> None:
    policy = with_tenant("{models: [tiny, cloud]}", TWO_HOMES)
    view = view_of(policy, "acme")
    assert (view.default_local, view.default_cloud) == ("tiny", "cloud")
    assert decide(view, Facts(), signals()).model == "tiny"
    tools = signals({"has_tools": True, "complexity": 0.9})
    assert decide(policy, Facts(), tools).model == "home"
    assert decide(view, Facts(), tools).model == "tiny", "what the file keeps at home stays at home"


def test_a_local_server_of_the_command_line_stands_in_every_view() -> None:
    policy = with_local_model(with_tenant("{models: [home]}"), "http://127.0.0.1:9/v1", "other")
    view = view_of(policy, "acme")
    assert view.models["home"] == policy.models["home"]
    assert set(view.models) == {"home"}
    assert view.digest == policy.digest


def test_what_it_forbids_holds_and_gives_the_reason() -> None:
    view = view_of(with_tenant("{forbid: [cloud]}"), "acme")
    held = decide(view, Facts(), HARD)
    assert (held.route, held.reason, held.held, held.grants) == ("local", "tenant", "hard", ())
    assert decide(view, Facts(requested="lan"), HARD).model == "lan"
    with pytest.raises(PolicyError, match="reason of its own"):
        load(BASE.replace("name: hard,", "name: tenant,"))


def test_no_permit_crosses_from_one_view_to_another() -> None:
    policy = with_tenant("{sensitivity: {min_score: {PERSON: 0.1}}}")
    view = view_of(policy, "acme")
    for under, asked in ((policy, view), (view, policy)):
        decision = decide(under, Facts(), HARD)
        (grant, *_) = decision.grants
        assert isinstance(permit(asked, decision, grant, DIGEST, scan()), Refusal)
        assert isinstance(permit(under, decision, grant, DIGEST, scan()), EgressPermit)


@pytest.mark.parametrize("when", ["at_most: public", "is: public", "in: [public, restricted]", "is: internal"])
def test_what_counts_as_more_does_not_slip_out_of_a_forbid(when: str) -> None:
    odd = f"{{name: odd, when: {{all: [{{sensitivity: {{{when}}}}}]}}, forbid: [cloud]}}"
    text = BASE.replace("decisions:\n", f"decisions:\n  - {odd}\n")
    policy = with_tenant("{sensitivity: {levels: {confidential: [LOCATION, ORGANIZATION]}}}", text)
    (base_rule,) = (rule for rule in policy.rules if rule.name == "odd")
    (view_rule,) = (rule for rule in view_of(policy, "acme").rules if rule.name == "odd")
    for level in Level:
        lower = [Evaluator({}, each).holds(base_rule) for each in Level if each <= level]
        assert Evaluator({}, level).holds(view_rule) is any(lower)


def test_a_forbid_of_a_low_level_still_forbids_what_a_tenant_raises() -> None:
    """Counted as confidential it may reach the EU, and would, had the rule for public requests let go of it."""
    policy = with_tenant(
        "{sensitivity: {levels: {confidential: [LOCATION]}}}", BASE.replace("decisions:\n", f"decisions:\n{ODD_RULES}")
    )
    seen = signals({"complexity": 0.9}, scan(["LOCATION"]))
    for each in (policy, view_of(policy, "acme")):
        assert decide(each, Facts(), seen).grants == ()
        assert decide(each, Facts(requested="eu"), seen).model is None


def random_tenant(chance: random.Random) -> str:
    """A tenant's part that may be too loose to load."""

    def pick(*words: str) -> str:
        return f"[{', '.join(chance.sample(words, chance.randint(1, len(words))))}]"

    egress = ", ".join(
        f"{level}: {{payload: {chance.choice(['full', 'pseudonymized', 'none'])}, localities: {pick('lan', 'cloud')},"
        f" regions: {pick('us', 'eu', 'site')}}}"
        for level in ("public", "internal", "confidential")
        if chance.random() < 0.4
    )
    levels = f"{chance.choice(['confidential', 'restricted'])}: {pick('LOCATION', 'ORGANIZATION', 'EMAIL_ADDRESS')}"
    parts = [
        f"egress: {{{egress}}}",
        f"sensitivity: {{levels: {{{levels}}}, min_score: {{PERSON: {chance.choice([0.1, 0.6])}}}}}",
        f"models: {pick('cloud', 'eu', 'lan', 'home')}",
        f"forbid: {pick('cloud', 'eu', 'lan')}",
    ]
    return f"{{{', '.join(part for part in parts if chance.random() < 0.6)}}}"


ODD_RULES = """\
  - {name: odd-0, priority: 100, when: {all: [{sensitivity: {at_most: internal}}, {complexity: {at_least: 0.3}}]}, forbid: [eu]}
  - {name: odd-1, priority: 101, when: {all: [{sensitivity: {is: public}}, {complexity: {at_least: 0.5}}]}, forbid: [cloud]}
  - {name: odd-2, priority: 102, when: {any: [{sensitivity: {in: [confidential]}}]}, forbid: [lan]}
  - {name: odd-3, priority: 103, when: {all: [{sensitivity: {at_least: confidential}}]}, route: eu}
  - {name: odd-4, priority: 104, when: {all: [{sensitivity: {at_most: internal}}, {has_tools: {is: true}}]}, route: local}
"""  # noqa: E501
ENTITIES = st.lists(
    st.tuples(st.sampled_from(["CREDIT_CARD", "EMAIL_ADDRESS", "PERSON", "ORGANIZATION", "LOCATION"]), st.floats(0, 1)),
    max_size=3,
)


@settings(max_examples=400, deadline=None)
@given(
    seed=st.integers(0, 200),
    odd=st.booleans(),
    requested=st.sampled_from(["auto", "cloud", "eu", "lan", "gpt-4", "any-cloud"]),
    complexity=st.one_of(st.floats(0, 1), st.sampled_from(["error:timeout", None])),
    found=ENTITIES,
    unknowns=st.lists(st.sampled_from(["image", "audio"]), max_size=1),
)
def test_a_view_never_lets_out_what_the_policy_holds_back(
    seed: int, odd: bool, requested: str, complexity: Any, found: list[tuple[str, float]], unknowns: list[str]
) -> None:
    """Every grant of a tenant's decision is for a model that the policy lets have this request, and no more of it."""
    policy = loaded(seed, odd)
    if policy is None:
        return
    seen = signals({"complexity": complexity}, scan([list(each) for each in found], unknowns))
    facts = Facts(tenant="acme", requested=requested, input_tokens=20)
    decision = decide(view_of(policy, "acme"), facts, seen)
    for grant in decision.grants:
        usual = decide(policy, Facts(tenant="acme", requested=grant.model, input_tokens=20), seen)
        (candidate,) = (each for each in usual.candidates if each.model == grant.model)
        assert candidate.lawful, (grant, candidate.why)
        assert usual.payload == "full" or usual.payload == grant.payload
        given = permit(view_of(policy, "acme"), decision, grant, DIGEST, seen.scan)
        if isinstance(given, EgressPermit):
            most = lawful_payload(policy, scan_level(policy, seen.scan), policy.models[grant.model], None)[0]
            assert _RANK[given.payload] <= _RANK[most]


_LOADED: dict[tuple[int, bool], Policy | None] = {}


def loaded(seed: int, odd: bool) -> Policy | None:
    """The base policy with a random tenant; None for one that would loosen, which is refused."""
    if (seed, odd) not in _LOADED:
        text = BASE.replace("decisions:\n", f"decisions:\n{ODD_RULES}") if odd else BASE
        try:
            _LOADED[seed, odd] = with_tenant(random_tenant(random.Random(seed)), text)  # reproducible
        except PolicyError:
            _LOADED[seed, odd] = None
    return _LOADED[seed, odd]


def test_enough_of_the_random_tenants_load_for_the_property_to_mean_something() -> None:
    views = [policy for seed in range(200) if (policy := loaded(seed, False)) is not None]
    assert len(views) > 60
    assert sum(reached(view_of(policy, "acme")) != reached(policy) for policy in views) > 20


def test_diff_says_what_changes_for_one_tenant_and_once_what_changes_for_all() -> None:
    before = with_tenant("{egress: {restricted: {payload: none}}, forbid: [cloud]}")
    after = with_tenant("{forbid: [cloud]}")
    (only,) = compare(before, after)
    assert (only.path, only.direction) == ("tenants.acme.egress.restricted", "loosens")
    assert {(each.path, each.direction) for each in compare(after, load(BASE))} == {
        ("tenants.acme.decisions.tenant", "loosens")
    }
    changed = load(BASE.replace("PERSON: 0.6", "PERSON: 0.7") + "tenants:\n  acme: {forbid: [cloud]}\n")
    assert [each.path for each in compare(after, changed)] == ["sensitivity.min_score"]


def test_a_child_may_not_loosen_a_tenant_of_what_it_extends() -> None:
    from policies.schema import compile_policy
    from policies.text.chain import Written

    parent = Written("base.yaml", BASE + "tenants:\n  acme: {egress: {restricted: {payload: none}}}\n")
    child = "extends: base.yaml\nversion: 4\ntenants:\n  acme: {egress: {restricted: {payload: full}}}\n"
    with pytest.raises(PolicyError, match="looser than what this extends"):
        compile_policy(child, "policy.yaml", parents=[parent])
    kept = compile_policy("extends: base.yaml\nversion: 4\n", "policy.yaml", parents=[parent])
    assert reached(view_of(kept, "acme"))["restricted"] == set()
