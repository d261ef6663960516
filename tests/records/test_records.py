"""A record holds every fact and signal that the decision saw, what became of it, and not one word of content."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest

from classifiers.types import Finding, Scan, ScanRules, Signal, Signals, Unknown
from policies.escalation import EscalationPolicy
from policies.types import (
    CachePolicy,
    Candidate,
    Decision,
    EgressPermit,
    Facts,
    Grant,
    Level,
    Model,
    Policy,
    Reason,
    Refusal,
)
from router.keys import Keys
from router.records.filing import filed
from router.records.record import SCHEMA_VERSION, build_record
from router.types import Outcome, Principal, Usage

CANARY = "canary-4111-1111"
KEYS = Keys(b"k" * 32)
POLICY = Policy(
    version=7,
    digest="d" * 64,
    source="default",
    mode="enforce",
    models={
        "home": Model("home", "local", "engine", "small"),
        "cloud": Model("cloud", "cloud", "openai", "big", region="us"),
    },
    default_local="home",
    default_cloud="cloud",
    aliases=(("gpt-*", "auto"),),
    lan_networks=(),
    levels={},
    min_score={},
    on_unknown={},
    scan_rules=ScanRules(),
    egress={},
    rules=(),
    escalation=EscalationPolicy(),
    cache=CachePolicy(),
)
PERMIT = EgressPermit("cloud", "full", b"\x07" * 32, "hard-questions", "d" * 64, "answer")
SIGNALS = Signals(
    {
        "complexity": Signal("complexity", 0.81, band="hard"),
        "modality": Signal("modality", frozenset({"text", "image"})),
        "language": Signal("language", error="timeout"),
    },
    Scan(
        findings=(
            Finding("EMAIL_ADDRESS", "/messages/0/content", "value", 3, 9, 0.7, "email", 1),
            Finding("EMAIL_ADDRESS", "/messages/1/content", "value", 3, 9, 0.9, "email", 2),
            Finding("SECRET", "/metadata/" + CANARY, "key", 0, 16, 1.0, "secret", 3),
        ),
        unknowns=(Unknown("image", "/messages/0"), Unknown("image", "/messages/1"), Unknown("timeout", "", "names")),
        texts=frozenset({CANARY}),
    ),
    elapsed_ms=0.51234,
)
DECISION = Decision(
    route="cloud",
    model="cloud",
    rule="hard-questions",
    reason="hard-questions",
    payload="full",
    sensitivity=Level.PUBLIC,
    policy_digest="d" * 64,
    grants=(Grant("cloud", "full", "hard-questions", "d" * 64, "answer"),),
    candidates=(Candidate("home", True, False, ("window",)), Candidate("cloud", True, True, ())),
    reasons=(Reason("hard-questions", True, "complexity 0.81 is at least 0.7"), Reason("by-language", None, "timeout")),
)


BY_FIELDS = Decision(
    route="cloud",
    model="cloud",
    rule="x",
    reason="capability",
    payload="full",
    sensitivity=Level.PUBLIC,
    policy_digest="d" * 64,
    candidates=(Candidate("home", True, False, (f"fields that a local model does not take: {CANARY}, zone",)),),
    reasons=(Reason("x", True, f"not home: fields that a local model does not take: zone, {CANARY}"),),
)


def built(**changed: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "keys": KEYS,
        "request_id": "req-1",
        "principal": Principal("acme", "k1", "ab" * 16, ("group-" + CANARY,)),
        "policy": POLICY,
        "facts": Facts(requested="auto", needs=frozenset({"tools"}), unavailable={"cloud": "missing_key"}),
        "signals": SIGNALS,
        "decision": DECISION,
        "outcome": Outcome(
            "cloud", "cloud", "hard-questions", usage={"cloud": Usage(12, 34)}, cost_usd=0.5, bytes_left=99
        ),
        "permits": [PERMIT],
        "latency_ms": 12.34567,
        "artifacts": {"complexity": "a" * 64},
        "model_digests": {"cloud": "m" * 64, "home": "n" * 64},
    }
    return build_record(**{**given, **changed})


def test_a_record_of_a_held_request_names_what_held_it_and_others_do_not() -> None:
    held = replace(DECISION, sensitivity=Level.CONFIDENTIAL, held="hard-questions", reason="sensitivity", route="local")
    places = ["/messages/0/content", "/messages/*/content"]
    causes = [
        {"kind": "finding", "name": "EMAIL_ADDRESS", "count": 2, "places": places},
        {"kind": "finding", "name": "SECRET", "count": 1, "places": ["/metadata/*"]},
    ]
    assert built(decision=held)["held_by"] == causes
    assert built(decision=replace(held, held=None), outcome=Outcome(error_code="policy_denied"))["held_by"] == causes
    assert "held_by" not in built()
    assert "held_by" not in built(decision=replace(held, held=None))
    assert CANARY not in str(built(decision=held))


def test_a_record_tells_the_whole_decision() -> None:
    record = built()
    assert record["schema_version"] == SCHEMA_VERSION
    assert record["kind"] == "decision"
    assert record["id"] == "req-1"
    assert record["principal"] == {"tenant": "acme", "key_id": "k1", "subject": "ab" * 16}
    assert record["policy"] == {"version": 7, "digest": "d" * 64, "mode": "enforce"}
    assert record["signals"]["complexity"] == {"value": 0.81, "band": "hard"}
    assert record["signals"]["modality"] == {"value": ["image", "text"]}
    assert record["signals"]["language"] == {"error": "timeout"}
    assert record["findings"] == {"EMAIL_ADDRESS": {"count": 2, "score": 0.9}, "SECRET": {"count": 1, "score": 1.0}}
    assert record["unknowns"] == {"image": 2, "timeout": 1}
    assert record["facts"]["needs"] == ["tools"]
    assert record["facts"]["unavailable"] == {"cloud": "missing_key"}
    assert record["decision"]["rule"] == "hard-questions"
    target = {"model": "cloud", "locality": "cloud", "region": "us", "backend_model": "big"}
    assert record["decision"]["target"] == target
    assert record["decision"]["payload"] == "full"
    assert record["decision"]["candidates"][0] == {"model": "home", "lawful": True, "able": False, "why": ["window"]}
    assert record["decision"]["reasons"][1] == {"rule": "by-language", "matched": None, "why": "timeout"}
    assert record["permits"][0]["digest"] == KEYS.digest(PERMIT.digest)
    assert record["outcome"]["bytes_left"] == 99
    assert record["outcome"]["tokens"] == {"cloud": {"input": 12, "output": 34}}
    assert record["outcome"]["cost_usd"] == 0.5
    assert [record["outcome"][name] for name in ("route", "model", "error")] == ["cloud", "cloud", None]
    assert record["artifacts"] == {"complexity": "a" * 64}
    assert record["model_digests"] == {"cloud": "m" * 64}
    assert record["latency_ms"] == 12.346


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"facts": Facts(requested=CANARY, unknown_fields=frozenset({CANARY}))},
        {"facts": Facts(requested="gpt-" + CANARY)},
        {"facts": Facts(unknown_fields=frozenset({CANARY, "zone"})), "decision": BY_FIELDS},
        {"facts": Facts(requested=CANARY), "policy": None},
        {"outcome": Outcome(model=CANARY, finish_reason=CANARY, error_code="model_not_found", ignored=(CANARY,))},
        {"outcome": Outcome(model=CANARY), "policy": None},
    ],
)
def test_no_text_and_no_name_that_only_the_caller_chose_is_in_it(changed: dict[str, Any]) -> None:
    text = filed(built(**changed)).text
    assert CANARY.encode() not in text
    assert PERMIT.digest.hex().encode() not in text  # keyed: a guess at what left cannot be confirmed with it


@pytest.mark.parametrize(
    ("requested", "written"),
    [
        ("auto", "auto"),
        ("local", "local"),
        ("home", "home"),
        ("gpt-4o-mini", {"alias": "gpt-*"}),
        ("something", {"unknown": True}),
    ],
)
def test_the_asked_name_is_written_as_the_policy_knows_it(requested: str, written: object) -> None:
    assert built(facts=Facts(requested=requested))["facts"]["requested"] == written


def test_a_request_refused_before_it_was_understood_has_a_record_too() -> None:
    record = build_record(
        keys=KEYS, request_id="r", principal=Principal(), outcome=Outcome(error_code="invalid_request"), latency_ms=0.1
    )
    assert [record["outcome"][name] for name in ("error", "route", "model")] == ["invalid_request", "refused", None]
    assert not {"facts", "signals", "decision", "policy"} & set(record)


def test_an_explanation_keeps_its_words_and_loses_the_callers() -> None:
    record = built(facts=Facts(unknown_fields=frozenset({CANARY, "zone"})), decision=BY_FIELDS)
    assert record["decision"]["candidates"][0]["why"] == ["fields that a local model does not take: …"]
    assert record["decision"]["reasons"][0]["why"] == "not home: fields that a local model does not take: …"
    assert record["facts"]["unknown_fields"] == 2


def test_a_refusal_is_recorded_by_its_code() -> None:
    refused = Decision(
        "refused",
        None,
        "x",
        "sensitivity",
        "none",
        Level.RESTRICTED,
        "d",
        refusal=Refusal("policy_denied", 403, CANARY),
    )
    record = built(decision=refused)
    assert record["decision"]["refusal"] == "policy_denied"
    assert record["decision"]["sensitivity"] == "restricted"
    assert CANARY.encode() not in filed(record).text


def test_without_an_outcome_it_is_an_intent() -> None:
    record = built(outcome=None)
    assert record["kind"] == "intent"
    assert not {"outcome", "latency_ms"} & set(record)
    assert record["permits"][0]["model"] == "cloud"


def test_it_is_plain_json_with_its_keys_sorted() -> None:
    record = built()
    text = filed(record).text
    assert orjson.loads(text) == record
    assert text == orjson.dumps(orjson.loads(text), option=orjson.OPT_SORT_KEYS)
