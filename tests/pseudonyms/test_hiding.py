"""What leaves with placeholders: what stands in it, that it was scanned again, and when it stays after all."""

from __future__ import annotations

import json
import re
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

import orjson
import pytest

from classifiers.pipeline import Pipeline
from classifiers.pseudonyms import replaceable
from classifiers.types import Finding, Scan, ScanRules, Signals, Unknown
from policies.decide import decide
from policies.schema import compile_policy
from policies.types import Decision, EgressPermit, Facts, Policy
from router.backends.permits import digest_of
from router.egress import Egress
from router.errors import Denied
from router.pseudonyms.hiding import LINE
from router.types import ChatRequest, Outgoing, Principal

MAIL, OTHER, PHONE = "jo.berg@corp-mail.com", "ann@corp-mail.org", "+49 30 901820"
POLICY = """\
version: 1
models:
  home: {locality: local, backend: engine, model: smollm2-135m-instruct}
  cloud: {locality: cloud, backend: openai, base_url: "http://127.0.0.1:9/v1", model: gpt-4o-mini, region: us}
  claude: {locality: cloud, backend: litellm, base_url: "http://127.0.0.1:9", model: anthropic/claude-x, region: us}
defaults: {local: home, cloud: cloud}
sensitivity:
  levels:
    restricted: [CREDIT_CARD, SECRET]
    confidential: [EMAIL_ADDRESS, PHONE_NUMBER]
    internal: [IP_ADDRESS]
    public: [LOCATION, ORGANIZATION, PERSON, DATE_TIME, NRP, URL]
  dictionaries: [{name: bluebird-names, level: confidential, terms: [Bluebird]}]
egress:
  public: {payload: full}
  internal: {payload: full}
  confidential: {payload: pseudonymized}
"""


@pytest.fixture(scope="module")
def policy() -> Policy:
    return compile_policy(POLICY, "test.yaml")


@pytest.fixture
async def pipeline() -> AsyncIterator[Pipeline]:
    pipeline = Pipeline(budget_ms=5000)
    yield pipeline
    await pipeline.close()


def chat(*messages: Any, **fields: Any) -> ChatRequest:
    listed = [each if isinstance(each, dict) else {"role": "user", "content": each} for each in messages]
    return ChatRequest(
        id="r1",
        body={"model": "cloud", "messages": listed, **fields},
        model="cloud",
        principal=Principal(),
        stream=bool(fields.get("stream")),
        include_usage=False,
        local_only=False,
        no_store=False,
        received=time.perf_counter(),
    )


async def planned(
    policy: Policy, pipeline: Pipeline, request: ChatRequest, target: str = "cloud"
) -> tuple[Decision, Signals]:
    signals = await pipeline.run(request.body, policy.scan_rules, "default")
    places = replaceable(request.body, signals.scan.findings)
    return decide(policy, Facts(requested=target, replaceable=places), signals), signals


async def prepared(policy: Policy, pipeline: Pipeline, request: ChatRequest, target: str = "cloud") -> Outgoing:
    decision, signals = await planned(policy, pipeline, request, target)
    (grant,) = decision.grants
    assert grant.payload == "pseudonymized"
    return await Egress(pipeline).prepare(request, decision, policy, signals, grant)


def names(out: Outgoing) -> dict[str, str]:
    """The value of each placeholder, by its name without the tag."""
    assert out.pseudonyms is not None
    return {name.strip("<>").rpartition("_")[0]: value for name, value in out.pseudonyms.values.items()}


async def test_values_leave_as_placeholders_and_the_permit_is_for_these_bytes(
    policy: Policy, pipeline: Pipeline
) -> None:
    request = chat(f"Write to {MAIL} and {OTHER}, not to {MAIL.upper()}.", temperature=0.5, user="u-1")
    before = json.dumps(request.body)
    out = await prepared(policy, pipeline, request)
    assert json.dumps(request.body) == before
    body = orjson.loads(out.body)
    assert names(out) == {"EMAIL_ADDRESS_1": MAIL, "EMAIL_ADDRESS_2": OTHER}
    said = re.sub("_[A-Z]{4}>", ">", body["messages"][1]["content"])
    assert said == "Write to <EMAIL_ADDRESS_1> and <EMAIL_ADDRESS_2>, not to <EMAIL_ADDRESS_1>."
    assert body["messages"][0] == {"role": "system", "content": LINE}
    assert {**body, "messages": 0} == {**request.body, "model": "gpt-4o-mini", "messages": 0}
    assert isinstance(out.permit, EgressPermit)
    assert (out.permit.payload, out.permit.digest) == ("pseudonymized", digest_of(out.body))
    assert b"corp-mail" not in out.body.lower()


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        ("Be brief.", f"Be brief.\n\n{LINE}"),
        ("", LINE),
        (
            [{"type": "text", "text": "Be brief."}],
            [{"type": "text", "text": "Be brief."}, {"type": "text", "text": LINE}],
        ),
    ],
)
async def test_our_line_joins_the_callers_own_system_message(
    policy: Policy, pipeline: Pipeline, first: Any, expected: Any
) -> None:
    out = await prepared(policy, pipeline, chat({"role": "system", "content": first}, f"Write to {MAIL}."))
    messages = orjson.loads(out.body)["messages"]
    assert len(messages) == 2
    assert messages[0] == {"role": "system", "content": expected}


async def test_our_line_holds_nothing_that_a_detector_finds(pipeline: Pipeline) -> None:
    assert await pipeline.scan_texts([LINE], ScanRules(), "") == Scan(texts=frozenset({LINE}))


async def test_what_may_leave_by_itself_is_not_replaced(policy: Policy, pipeline: Pipeline) -> None:
    out = await prepared(policy, pipeline, chat(f"The host 203.0.113.77 of {MAIL} is down."))
    assert b"203.0.113.77" in out.body
    assert names(out) == {"EMAIL_ADDRESS_1": MAIL}


async def test_tool_calls_results_and_keyword_arguments_hold_placeholders_too(
    policy: Policy, pipeline: Pipeline
) -> None:
    call = {
        "id": "c1",
        "type": "function",
        "function": {"name": "send", "arguments": json.dumps({"to": [MAIL], "n": 1.50})},
    }
    request = chat(
        f"Send it to {MAIL}.",
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": json.dumps({"sent": {"to": MAIL, "from": OTHER}})},
        user="u-1",
    )
    for target in ("cloud", "claude"):
        out = await prepared(policy, pipeline, request, target)
        assert b"corp-mail" not in out.body
        messages = orjson.loads(out.body)["messages"]
        arguments = json.loads(messages[2]["tool_calls"][0]["function"]["arguments"])
        sent = json.loads(messages[3]["content"])["sent"]
        assert arguments == {"to": [sent["to"]], "n": 1.5}
        assert messages[1]["content"] == f"Send it to {sent['to']}."
        assert set(names(out).values()) == {MAIL, OTHER}
    assert out.ignored == ("user",)


async def test_a_policys_own_name_for_a_term_stays_at_home(policy: Policy, pipeline: Pipeline) -> None:
    out = await prepared(policy, pipeline, chat("When does Bluebird fly?"))
    assert b"luebird" not in out.body
    assert names(out) == {"TERM_1": "Bluebird"}


async def test_two_requests_with_the_same_values_share_no_placeholder(policy: Policy, pipeline: Pipeline) -> None:
    request = chat(f"Write to {MAIL}.")
    outs = [await prepared(policy, pipeline, request) for _ in range(5)]
    assert len({name for out in outs for name in (out.pseudonyms.values if out.pseudonyms else ())}) == 5
    assert len({out.body for out in outs}) == 5


async def test_a_placeholder_that_stands_in_the_request_already_is_never_one_of_ours(
    policy: Policy, pipeline: Pipeline
) -> None:
    old = "<EMAIL_ADDRESS_1_KXQD>"
    out = await prepared(policy, pipeline, chat(f"{old} wrote to {MAIL}."))
    assert out.pseudonyms is not None
    assert old not in out.pseudonyms.values
    assert old.encode() in out.body


@pytest.mark.parametrize(
    "fields",
    [
        {"metadata": {"note": MAIL}},
        {"user": MAIL},
        {"stop": [MAIL]},
        {"tools": [{"type": "function", "function": {"name": "f", "description": f"for {MAIL}"}}]},
    ],
)
async def test_a_value_that_cannot_be_replaced_is_refused_before_anything_is_prepared(
    policy: Policy, pipeline: Pipeline, fields: dict[str, Any]
) -> None:
    decision, _ = await planned(policy, pipeline, chat("What is a monad?", **fields))
    assert decision.grants == ()
    assert decision.refusal is not None


async def test_a_value_that_also_stands_where_no_detector_sees_it_and_nothing_is_replaced_stays(
    policy: Policy, pipeline: Pipeline
) -> None:
    request = chat("The code is 49 30 AB 82.", metadata={"code": "4930-ab82"})
    signals = await pipeline.run(request.body, policy.scan_rules, "default")
    finding = Finding("EMAIL_ADDRESS", "/messages/0/content", "value", 12, 23, 1.0, "test", 0)
    signals = Signals(signals.values, Scan((finding,), (), signals.scan.texts))
    decision = decide(policy, Facts(requested="cloud", replaceable=frozenset({0})), signals)
    with pytest.raises(Denied) as caught:
        await Egress(pipeline).prepare(request, decision, policy, signals, decision.grants[0])
    assert "49 30" not in caught.value.message


class Second:
    """A scanner that says this of a replaced body; `rounds` counts how often it was asked."""

    def __init__(self, *scans: Scan) -> None:
        self._scans = scans
        self.rounds = 0
        self.bodies: list[Mapping[str, Any]] = []

    async def scan_texts(self, texts: Iterable[str], rules: ScanRules, tenant: str) -> Scan:
        return Scan(texts=frozenset(texts))

    async def scan_body(self, body: Mapping[str, Any], rules: ScanRules, tenant: str) -> Scan:
        self.bodies.append(body)
        self.rounds += 1
        return self._scans[min(self.rounds, len(self._scans)) - 1]


def again(entity: str, start: int, end: int, pointer: str = "/messages/0/content") -> Scan:
    return Scan((Finding(entity, pointer, "value", start, end, 1.0, "test", 0),))


class Never(Second):
    """A scanner that is never content: it always finds the last word."""

    async def scan_body(self, body: Mapping[str, Any], rules: ScanRules, tenant: str) -> Scan:
        self.rounds += 1
        word = list(re.finditer(r"\b[a-z]+\b", body["messages"][0]["content"]))[-1]
        return again("PHONE_NUMBER", *word.span())


@pytest.mark.parametrize(
    "second",
    [
        again("CREDIT_CARD", 0, 5),  # restricted, so no placeholder helps
        again("PHONE_NUMBER", 0, 5, "/user"),
        again("MEDICAL", 0, 20),
        Scan(unknowns=(Unknown("timeout", "", "scan"),)),
        Scan(unknowns=(Unknown("detector_error", "", "x: ValueError"),)),
    ],
)
async def test_anything_found_beside_placeholders_withholds_the_permit(
    policy: Policy, pipeline: Pipeline, second: Scan
) -> None:
    request = chat(f"Hello and write to {MAIL} or so.", user="u-1")
    decision, signals = await planned(policy, pipeline, request)
    with pytest.raises(Denied):
        await Egress(Second(second)).prepare(request, decision, policy, signals, decision.grants[0])


async def test_what_is_found_only_beside_placeholders_is_replaced_in_another_round(
    policy: Policy, pipeline: Pipeline
) -> None:
    request = chat(f"Hello and write to {MAIL} or so.")
    decision, signals = await planned(policy, pipeline, request)
    scanner = Second(again("PHONE_NUMBER", 0, 5), Scan())
    out = await Egress(scanner).prepare(request, decision, policy, signals, decision.grants[0])
    assert names(out) == {"EMAIL_ADDRESS_1": MAIL, "PHONE_NUMBER_1": "Hello"}
    assert scanner.rounds == 2


async def test_a_scanner_that_always_finds_more_is_not_asked_for_ever(policy: Policy, pipeline: Pipeline) -> None:
    request = chat(f"Hello and write to {MAIL} or so, please do it now for me and for all of us.")
    decision, signals = await planned(policy, pipeline, request)
    scanner = Never()
    with pytest.raises(Denied):
        await Egress(scanner).prepare(request, decision, policy, signals, decision.grants[0])
    assert scanner.rounds == 3


async def test_findings_that_are_our_own_placeholders_are_no_findings(policy: Policy, pipeline: Pipeline) -> None:
    class Sees:
        async def scan_texts(self, texts: Iterable[str], rules: ScanRules, tenant: str) -> Scan:
            return await pipeline.scan_texts(texts, rules, tenant)

        async def scan_body(self, body: Mapping[str, Any], rules: ScanRules, tenant: str) -> Scan:
            text = body["messages"][0]["content"]
            span = (text.index("<"), text.index(">") + 1)
            return Scan((Finding("PERSON", "/messages/0/content", "value", *span, 1.0, "test", 0),))

    request = chat(f"Write to {MAIL}.")
    decision, signals = await planned(policy, pipeline, request)
    out = await Egress(Sees()).prepare(request, decision, policy, signals, decision.grants[0])
    assert names(out) == {"EMAIL_ADDRESS_1": MAIL}


async def test_a_large_body_is_searched_beside_the_loop_with_the_same_result(
    policy: Policy, pipeline: Pipeline
) -> None:
    filler = "".join(f"In week {number} the garden had {number % 7} days of rain. " for number in range(600))
    out = await prepared(policy, pipeline, chat(f"{filler} Write to {MAIL}. {filler}", f"And again: {MAIL}!"))
    assert b"corp-mail" not in out.body
    assert names(out) == {"EMAIL_ADDRESS_1": MAIL}
    await pipeline.close()


async def test_without_a_finding_nothing_is_added_to_what_leaves_pseudonymized(pipeline: Pipeline) -> None:
    policy = compile_policy(
        POLICY.replace("public: {payload: full}", "public: {payload: pseudonymized}").replace(
            "internal: {payload: full}", "internal: {payload: pseudonymized}"
        ),
        "test.yaml",
    )
    request = chat("What is a monad?")
    out = await prepared(policy, pipeline, request)
    assert orjson.loads(out.body) == {**request.body, "model": "gpt-4o-mini"}
    assert out.pseudonyms is not None
    assert out.pseudonyms.values == {}


async def test_what_leaves_and_the_map_show_nothing_of_a_value_in_a_repr(policy: Policy, pipeline: Pipeline) -> None:
    out = await prepared(policy, pipeline, chat(f"Write to {MAIL}."))
    assert "corp-mail" not in repr(out)
