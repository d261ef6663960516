"""What a good policy becomes: the design's example, the recipes, the defaults, and the schema for editors."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

from classifiers.exempting import Exempting
from classifiers.registry import producible_entities
from classifiers.vocabulary import MEANINGS
from policies.decide import decide
from policies.errors import PolicyError
from policies.schema import compile_policy, load_policy
from policies.text.editors import json_schema
from policies.text.sources import recipes
from policies.types import Condition, EgressRule, Facts, Leaf, Level
from tests.policies.worlds import BASE, ENTITIES, OFFLINE, base, load, scan, signals

# The shape of the whole file, with every key of it.
EXAMPLE = Path(__file__).with_name("example.yaml").read_text("utf-8")


def test_the_example_of_the_design_loads_with_a_warning_for_what_nothing_produces() -> None:
    policy = compile_policy(EXAMPLE, "example.yaml", ENTITIES - {"ORGANIZATION"})
    assert policy.models["cloud"].capabilities == {"tools", "json_schema", "vision", "logprobs"}
    assert policy.egress[Level.CONFIDENTIAL] == EgressRule(
        "pseudonymized", frozenset({"cloud"}), frozenset({"us", "eu"}), frozenset({"zero-retention"})
    )
    assert [rule.name for rule in policy.rules] == ["no-injections-out", "hard-questions"]
    assert policy.rules[1].when == Condition("all", (Leaf("complexity", "at_least", 0.7),))
    line = EXAMPLE[: EXAMPLE.index("ORGANIZATION")].count("\n") + 1
    assert f"example.yaml:{line}:16: no loaded detector produces 'ORGANIZATION'" in policy.warnings
    assert not any("pseudonym" in warning for warning in policy.warnings)


def test_the_example_decides_as_it_says() -> None:
    policy = compile_policy(EXAMPLE, "example.yaml", ENTITIES)
    hard = {"complexity": 0.9}
    assert decide(policy, Facts(), signals(hard)).route == "cloud"
    assert decide(policy, Facts(), signals({**hard, "injection": 0.9})).reason == "no-injections-out"
    mail = signals(hard, scan(["EMAIL_ADDRESS"]))
    assert decide(policy, Facts(), mail).held == "hard-questions"
    assert decide(policy, Facts(replaceable=frozenset({0})), mail).payload == "pseudonymized"
    assert decide(policy, Facts(requested="cloud"), signals(hard, scan(["CREDIT_CARD"]))).refusal is not None


def test_retention_bounds_the_cache_and_tells_how_long_records_stay() -> None:
    policy = load(BASE + "retention: {records_days: 30, cache_seconds: 600}\n")
    assert (policy.retention_days, policy.cache.ttl_seconds) == (30, 600)
    assert (base().retention_days, base().cache.ttl_seconds) == (None, 3600)
    longer = load(BASE + "retention: {cache_seconds: 7200}\n")
    assert longer.cache.ttl_seconds == 3600


@pytest.mark.parametrize("name", recipes())
def test_each_recipe_loads_without_a_warning_under_the_shipped_detectors(name: str) -> None:
    policy = load_policy(name)
    assert policy.warnings == ()
    assert policy.source == name


@pytest.mark.parametrize("name", recipes())
def test_each_recipe_is_explained_at_its_head(name: str) -> None:
    text = files("policies").joinpath("recipes", f"{name}.yaml").read_text("utf-8")
    head = text.split("version:")[0].splitlines()
    assert 8 <= len(head) <= 16
    assert all(line.startswith("#") or not line for line in head)


@pytest.mark.parametrize("name", recipes())
def test_in_each_recipe_every_id_that_detectors_know_is_restricted_and_stays(name: str) -> None:
    policy = load_policy(name)
    contacts = {"EMAIL_ADDRESS", "PHONE_NUMBER", "IP_ADDRESS", "PERSON", "STREET_ADDRESS", "DATE_OF_BIRTH"}
    contacts |= {"MAC_ADDRESS", "IMEI", "VIN", "CRYPTO", "US_NPI", "ABA_ROUTING_NUMBER"}  # of things, or public
    contacts |= MEANINGS - {"CREDENTIALS", "TRADE_SECRET"}
    harmless = {"ORGANIZATION", "LOCATION", "NRP", "AGE", "DATE_TIME"}  # alone
    for entity in producible_entities() - harmless:
        least = Level.CONFIDENTIAL if entity in contacts else Level.RESTRICTED  # a recipe of a trade may be stricter
        assert policy.levels[entity] >= least, entity
        assert decide(policy, Facts(), signals({"complexity": 1.0}, scan([entity]))).route == "local"


def test_default_sends_a_hard_public_question_out_and_an_injection_nowhere() -> None:
    policy = load_policy("default")
    assert decide(policy, Facts(requested="gpt-4o-mini"), signals({"complexity": 0.7})).route == "cloud"
    assert decide(policy, Facts(requested="o1-preview"), signals({"complexity": 0.69})).route == "local"
    held = decide(policy, Facts(), signals({"complexity": 0.9, "injection": 0.8}))
    assert (held.route, held.reason, held.grants) == ("local", "no-injections-out", ())


def test_default_without_a_key_answers_everything_at_home() -> None:
    decision = decide(load_policy("default"), Facts(unavailable={"cloud": "missing_key"}), signals({"complexity": 1.0}))
    assert (decision.route, decision.grants) == ("local", ())


def test_default_escalates_a_plain_answer_and_not_a_stream() -> None:
    policy = load_policy("default")
    assert decide(policy, Facts(), signals()).escalation is not None
    assert decide(policy, Facts(stream=True), signals()).escalation is None


def test_offline_knows_no_model_outside() -> None:
    policy = load_policy("offline")
    assert {model.locality for model in policy.models.values()} == {"local"}
    assert decide(policy, Facts(requested="claude-3-opus"), signals({"complexity": 1.0})).route == "local"


def test_cost_first_needs_more_to_go_out_and_never_escalates() -> None:
    policy = load_policy("cost-first")
    assert decide(policy, Facts(), signals({"complexity": 0.84})).grants == ()
    assert decide(policy, Facts(), signals({"complexity": 0.85})).route == "cloud"


def test_cost_first_lets_out_exactly_what_default_lets_out() -> None:
    one, other = load_policy("cost-first"), load_policy("default")
    assert one.egress == other.egress
    assert one.scan_rules == other.scan_rules
    assert (one.levels, one.min_score, one.on_unknown) == (other.levels, other.min_score, other.on_unknown)


@pytest.mark.parametrize("name", ["default", "cost-first"])
@pytest.mark.parametrize(
    ("entity", "harmless", "not_so"),
    [
        (
            "IP_ADDRESS",
            ["127.0.0.1", "127.255.0.3", "::1", "0:0:0:0:0:0:0:1", "::FFFF:127.0.0.1", "0.0.0.0"],
            ["10.0.0.1"],
        ),
        (
            "IP_ADDRESS",
            ["255.255.255.0"],
            ["192.168.1.7", "12.7.0.1", "1127.0.0.1", "::11", "::2:1", "255.1.0.0", "::ffff:10.0.0.1"],
        ),
        ("EMAIL_ADDRESS", ["a@example.com", "A.B+c@Mail.Example.ORG", "x@y.test", "x@host.example", "x@localhost"], []),
        ("EMAIL_ADDRESS", [], ["a@example.com.au", "a@myexample.com", "a@example.de", "a@b@corp.net", "a@test.com"]),
        ("CREDIT_CARD", ["4111 1111 1111 1111", "4242424242424242", "5555-5555-5555-4444", "378282246310005"], []),
        ("CREDIT_CARD", [], ["4111 1111 1111 1112", "4012 0010 3714 1112", "4111 1111 1111 1111 3"]),
        ("SECRET", [], ["127.0.0.1", "a@example.com", "4111 1111 1111 1111"]),
        ("US_SSN", [], ["078-05-1120", "4111 1111 1111 1111"]),
    ],
)
def test_the_recipes_exceptions_are_for_what_harms_nobody_and_stand_in_the_proof(
    name: str, entity: str, harmless: list[str], not_so: list[str]
) -> None:
    policy = load_policy(name)
    covers = Exempting(policy.scan_rules.exemptions).covers
    assert [text for text in harmless if not covers(entity, text, "default")] == []
    assert [text for text in not_so if covers(entity, text, "default")] == []
    assert [each.path for each in policy.loosenings if "exceptions" in each.path] == [
        f"sensitivity.exceptions[{index}]" for index in range(3)
    ]


def test_the_schema_for_editors_is_current() -> None:
    """`python -m policies.schema > policies/policy.schema.json` makes it."""
    assert files("policies").joinpath("policy.schema.json").read_text("utf-8") == json_schema()


def test_the_schema_for_editors_is_printed_by_its_command() -> None:
    printed = subprocess.run([sys.executable, "-m", "policies.schema"], capture_output=True, text=True, check=True)
    assert printed.stdout == json_schema()


def test_the_schema_for_editors_is_what_the_module_prints(capsys: pytest.CaptureFixture[str]) -> None:
    """As the command, in this process: `make check` counts its branches."""
    runpy.run_path(str(files("policies").joinpath("schema.py")), run_name="__main__")
    assert capsys.readouterr().out == json_schema()


def test_the_schema_for_editors_explains_every_key() -> None:
    schema = json.loads(json_schema())
    parts = {"top": schema, **{name: part for name, part in schema["$defs"].items() if name.endswith("Part")}}
    silent = [
        f"{name}.{key}"
        for name, part in parts.items()
        for key, value in part["properties"].items()
        if "description" not in value and "$ref" not in value
    ]
    assert silent == []


def test_a_small_policy_has_safe_defaults() -> None:
    policy = load(OFFLINE)
    assert (policy.mode, policy.audit, policy.on_pinned_denied) == ("enforce", "best_effort", "refuse")
    assert policy.fallback_local_unavailable == "refuse"
    assert (policy.cache.mode, policy.escalation.max_hops, policy.escalation.threshold) == ("off", 0, 0.0)
    assert (policy.egress, policy.rules, policy.aliases, policy.levels) == ({}, (), (), {})
    assert policy.headers_after_seconds == 10.0
    assert policy.history == "keep_local"
    assert policy.models["home"].capabilities == {"json_mode", "json_schema", "logprobs", "n", "embeddings"}
    assert policy.models["home"].context == 8192


def test_a_cloud_model_alone_is_the_default_cloud_and_is_able_to_do_the_usual() -> None:
    cloud = '  far: {locality: cloud, backend: openai, base_url: "https://x.example/v1", model: m}\ndefaults'
    policy = load(OFFLINE.replace("defaults", cloud))
    assert policy.default_cloud == "far"
    assert policy.models["far"].context == 128_000
    assert "tools" in policy.models["far"].capabilities
    assert policy.warnings == ("policy.yaml:4:3: nothing may ever reach 'far': public stays at home",)


def test_every_other_key_arrives() -> None:
    text = (
        OFFLINE
        + """\
audit: required
on_pinned_denied: local
headers_after: 3
history: drop_turns
sensitivity:
  countries: [DE, FR]
  patterns: [{name: case-number, level: internal, regex: 'C-[0-9]{6}'}]
  exceptions:
    - {entity: EMAIL_ADDRESS, domains: [support.example.com], reason: public contact}
    - {entity: PERSON, terms: [Ada Lovelace], reason: long dead}
"""
    )
    policy = load(text)
    assert (policy.audit, policy.on_pinned_denied, policy.headers_after_seconds) == ("required", "local", 3.0)
    assert policy.history == "drop_turns"
    rules = policy.scan_rules
    assert rules.countries == ("DE", "FR")
    assert rules.patterns[0].regex == "C-[0-9]{6}"
    assert policy.levels["case-number"] is Level.INTERNAL
    assert rules.exemptions[0].domains == {"support.example.com"}
    assert rules.exemptions[1].terms == {"Ada Lovelace"}
    assert rules.digest != load(OFFLINE).scan_rules.digest
    assert rules.digest == load(text.replace("internal", "public")).scan_rules.digest


def test_meanings_that_may_leave_arrive_and_change_nothing_but_under_pseudonyms() -> None:
    meanings = "meaning_may_leave: [{entity: MEDICAL, reason: agreed with the ward}]"
    text = BASE.replace("confidential: {payload: full", f"confidential: {{{meanings}, payload: pseudonymized")
    text = text.replace("restricted: {payload: full, localities: [lan]", "restricted: {payload: none")
    policy = load(text)
    assert policy.egress[Level.CONFIDENTIAL].meaning_may_leave == {"MEDICAL"}
    warnings = load(text.replace("payload: pseudonymized", "payload: full")).warnings
    assert any("with payload full these meanings change nothing" in each for each in warnings)


def test_a_model_gets_what_is_written_of_it() -> None:
    model = '{locality: cloud, backend: litellm, model: anthropic/claude, region: eu, attributes: [a], price: {input_per_1m: 3, output_per_1m: 15}, proxy: "http://proxy.example:3128", ca_file: /ca.pem, client_cert_file: /me.pem, timeout_seconds: 5, api_key_file: /key}'  # noqa: E501  # one line of YAML
    policy = load(OFFLINE.replace("defaults", f"  far: {model}\ndefaults"))
    far = policy.models["far"]
    assert (far.base_url, far.region, far.attributes, far.api_key_file) == (None, "eu", {"a"}, "/key")
    assert far.price is not None
    assert (far.price.input_per_1m, far.price.output_per_1m) == (3, 15)
    assert (far.proxy, far.ca_file, far.client_cert_file) == ("http://proxy.example:3128", "/ca.pem", "/me.pem")
    assert far.timeout_seconds == 5.0


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:11434/v1",
        "http://localhost:1/v1",
        "http://[::1]/v1",
        "unix:///run/e.sock",
        "http://[::ffff:127.0.0.1]/v1",
    ],
)  # a table of one column
def test_a_local_server_is_on_loopback_or_a_socket(url: str) -> None:
    text = OFFLINE.replace("backend: engine", f"backend: openai, base_url: '{url}'")
    assert load(text).models["home"].base_url == url


def test_a_lan_model_by_name_is_checked_at_the_connection_and_loads() -> None:
    assert load(BASE.replace("http://10.20.0.7:8000/v1", "https://gpu.internal/v1")).models["lan"].locality == "lan"


@pytest.mark.parametrize(
    ("before", "after", "warning"),
    [
        ("https://api.example.com", "http://api.example.com", "http is not encrypted"),
        ("[10.20.0.0/16]", "[10.20.0.0/16, 8.8.0.0/16]", "this range is not a private one"),
        ("regions: [site, us, eu]", "regions: [site, us, eu, sites]", "no model has 'sites'; did you mean 'site'?"),
        (
            "[CREDIT_CARD, SECRET]",
            "[CREDITCARD, SECRET]",
            "no loaded detector produces 'CREDITCARD'; did you mean 'CREDIT_CARD'?",
        ),  # a table
        (
            "{PERSON: 0.6}",
            "{PERSON: 0.6, PERSONS: 0.6}",
            "no loaded detector produces 'PERSONS'; did you mean 'PERSON'?",
        ),
    ],
)
def test_what_is_most_likely_not_meant_is_a_warning_with_its_place(before: str, after: str, warning: str) -> None:
    warnings = load(BASE.replace(before, after)).warnings
    assert any(warning in each and each.startswith("policy.yaml:") for each in warnings), warnings


def test_plain_http_to_a_loopback_cloud_is_no_warning() -> None:
    assert load(BASE.replace("https://api.example.com", "http://127.0.0.1:9")).warnings == base().warnings


def test_what_can_never_happen_is_a_warning() -> None:
    text = OFFLINE + "escalation: {threshold: 0.5}\nfallback: {local_unavailable: cloud}\n"
    assert load(text).warnings == (
        "policy.yaml:5:1: no cloud model can be reached, so nothing will escalate",
        "policy.yaml:6:1: no cloud model can be reached, so nothing will fall back",
    )


def test_the_digest_is_of_what_the_file_says_not_of_how() -> None:
    digest = base().digest
    assert load("# a comment\n" + BASE.replace("  home:", "  'home':")).digest == digest
    assert load(BASE.replace("priority: 40", "priority: 41")).digest != digest
    assert base().label == f"3-{digest[:12]}"


def test_aliases_stand_with_the_most_specific_first() -> None:
    text = OFFLINE + 'aliases: {"*": local, "gpt-*": auto, "gpt-4*": local, gpt-4o: auto}\n'
    assert [pattern for pattern, _ in load(text).aliases] == ["gpt-4o", "gpt-4*", "gpt-*", "*"]


def test_a_bare_leaf_is_short_for_all() -> None:
    short = load(BASE.replace("{all: [{complexity: {at_least: 0.7}}]}", "{complexity: {at_least: 0.7}}"))
    assert short.rules == base().rules


def test_four_levels_of_conditions_are_enough_and_allowed() -> None:
    deep = "{all: [{any: [{all: [{any: [{complexity: {at_least: 0.7}}]}]}]}]}"
    policy = load(BASE.replace("{all: [{complexity: {at_least: 0.7}}]}", deep))
    assert decide(policy, Facts(), signals({"complexity": 0.7})).reason == "hard"


def test_conditions_on_sensitivity_read_the_level_that_the_policy_gives() -> None:
    when = "{all: [{sensitivity: {at_most: internal}}]}"
    policy = load(BASE.replace("{all: [{complexity: {at_least: 0.7}}]}", when))
    assert decide(policy, Facts(), signals(seen=scan(["ORGANIZATION"]))).reason == "hard"
    assert decide(policy, Facts(), signals(seen=scan(["EMAIL_ADDRESS"]))).reason == "default"


def test_a_name_that_is_neither_recipe_nor_file_says_which_recipes_there_are() -> None:
    with pytest.raises(PolicyError, match=r"ofline: there is no such file.*did you mean 'offline'\?"):
        load_policy("ofline")


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.yaml"
    os.mkfifo(pipe)
    for path, why in ((tmp_path, "Is a directory"), (pipe, "not a regular file")):
        with pytest.raises(PolicyError, match=f"cannot be read: {why}"):
            load_policy(str(path))
    with pytest.raises(PolicyError, match="cannot be read"):
        load_policy("a\0b")


def test_a_file_of_a_recipes_name_is_meant_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("default").write_text(OFFLINE)
    assert load_policy("./default").default_cloud is None
    assert load_policy("default").default_cloud == "cloud"


@pytest.mark.parametrize(
    ("changed", "read"),
    [
        (("", ""), set()),
        (("{complexity: {at_least: 0.7}}", "{task: {is: code}}, {complexity: {at_least: 0.7}}"), {"task"}),
        (("model: small,", "model: small, good_at: {domain: [law]},"), {"domain"}),
        (("threshold: 0.55", "target: {max_cloud_share: 0.2}"), {"task"}),
    ],
)
def test_a_policy_says_which_signals_it_reads(changed: tuple[str, str], read: set[str]) -> None:
    always = {"injection", "has_tools", "context_length", "modality", "complexity"}
    assert changed[0] in BASE
    assert load(BASE.replace(*changed)).reads == always | read
