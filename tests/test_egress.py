"""The only way out: which bytes leave, that all of them were scanned, and when no permit is given."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import orjson
import pytest

from classifiers.pipeline import Pipeline
from classifiers.types import Scan, ScanRules, Signals, Unknown
from policies.decide import decide
from policies.schema import compile_policy
from policies.types import Decision, EgressPermit, Facts, Grant, Level, Policy
from router.backends.cloud import CloudBackend
from router.backends.permits import digest_of
from router.backends.scripted import Script
from router.egress import Egress
from router.errors import Denied, GatehouseError, InvalidRequest
from router.settings import Settings
from router.types import ChatRequest, JsonObject, Principal
from tests.support.recorder import Recorder

CARD = "4111 1111 1111 1111"
POLICY = """\
version: 1
models:
  home: {locality: local, backend: engine, model: smollm2-135m-instruct}
  cloud: {locality: cloud, backend: openai, base_url: "http://127.0.0.1:9/v1", model: gpt-4o-mini, region: us}
  claude: {locality: cloud, backend: litellm, base_url: "http://127.0.0.1:9", model: anthropic/claude-x, region: us}
defaults: {local: home, cloud: cloud}
sensitivity:
  levels:
    restricted: [CREDIT_CARD, IBAN_CODE, US_SSN, SECRET]
    confidential: [EMAIL_ADDRESS, PHONE_NUMBER]
    public: [LOCATION, ORGANIZATION, PERSON, DATE_TIME, NRP, URL]
egress:
  public: {payload: full}
"""


@pytest.fixture(scope="module")
def policy() -> Policy:
    return compile_policy(POLICY, "test.yaml")


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return Pipeline(budget_ms=2000)  # a busy machine is not what these tests are about


def chat(content: Any = "What is the capital of Norway?", **fields: Any) -> ChatRequest:
    body = {"model": "cloud", "messages": [{"role": "user", "content": content}], **fields}
    stream = bool(fields.get("stream"))
    return ChatRequest(
        id="r1",
        body=body,
        model="cloud",
        principal=Principal(),
        stream=stream,
        include_usage=False,
        local_only=False,
        no_store=False,
        received=time.perf_counter(),
    )


async def planned(
    policy: Policy, pipeline: Pipeline, request: ChatRequest, target: str = "cloud"
) -> tuple[Decision, Signals]:
    signals = await pipeline.run(request.body, policy.scan_rules, "default")
    return decide(policy, Facts(requested=target, stream=request.stream), signals), signals


async def prepared(policy: Policy, pipeline: Pipeline, request: ChatRequest, target: str = "cloud") -> Any:
    decision, signals = await planned(policy, pipeline, request, target)
    (grant,) = decision.grants
    return await Egress(pipeline).prepare(request, decision, policy, signals, grant)


class Counting:
    """A scanner that counts what it is asked, in front of the real one."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self.asked: list[str] = []

    async def scan_texts(self, texts: Iterable[str], rules: ScanRules, tenant: str) -> Scan:
        asked = list(texts)
        self.asked += asked
        return await self._pipeline.scan_texts(asked, rules, tenant)

    async def scan_body(self, body: Mapping[str, Any], rules: ScanRules, tenant: str) -> Scan:
        raise AssertionError("nothing was replaced, so no body is to be scanned again")


class Fixed:
    """A scanner that always says the same."""

    def __init__(self, scan: Scan) -> None:
        self._scan = scan

    async def scan_texts(self, texts: Iterable[str], rules: ScanRules, tenant: str) -> Scan:
        return self._scan

    async def scan_body(self, body: Mapping[str, Any], rules: ScanRules, tenant: str) -> Scan:
        return self._scan


async def test_what_leaves_is_the_body_but_for_model_and_stream_options(policy: Policy, pipeline: Pipeline) -> None:
    request = chat(stream=True, temperature=0.5, user="u-1", metadata={"team": "blue"}, top_k=4, max_tokens=9)
    out = await prepared(policy, pipeline, request)
    expected = {**request.body, "model": "gpt-4o-mini", "stream_options": {"include_usage": True}}
    assert orjson.loads(out.body) == expected
    assert out.stream
    assert out.request_id == "r1"


async def test_the_permit_is_for_these_bytes_and_this_target(policy: Policy, pipeline: Pipeline) -> None:
    out = await prepared(policy, pipeline, chat())
    assert isinstance(out.permit, EgressPermit)
    assert out.permit.digest == digest_of(out.body)
    assert (out.permit.model, out.permit.payload, out.permit.policy_digest) == ("cloud", "full", policy.digest)


async def test_the_whole_way_a_permitted_request_arrives_unchanged(policy: Policy, pipeline: Pipeline) -> None:
    async with Recorder(Script(answer="Oslo.")) as upstream:
        request = chat(seed=7)
        out = await prepared(policy, pipeline, request)
        backend = CloudBackend(replace(policy.models["cloud"], base_url=upstream.url), Settings())
        reply = await backend.complete(out)
        await backend.close()
        assert reply["choices"][0]["message"]["content"] == "Oslo."
        assert upstream.exchanges[0].body == out.body


async def test_a_request_that_was_scanned_is_not_scanned_again(policy: Policy, pipeline: Pipeline) -> None:
    counting = Counting(pipeline)
    request = chat(stream=True, tools=[{"type": "function", "function": {"name": "f", "description": "d"}}])
    decision, signals = await planned(policy, pipeline, request)
    await Egress(counting).prepare(request, decision, policy, signals, decision.grants[0])
    assert counting.asked == []


@pytest.mark.parametrize("value", [CARD, f'{{"card": "{CARD}"}}'])
async def test_a_string_that_no_scan_has_seen_is_scanned_before_it_may_leave(
    policy: Policy, pipeline: Pipeline, value: str
) -> None:
    """The body gained a value after it was scanned: as a later step of the gateway might by mistake do."""
    request = chat()
    decision, signals = await planned(policy, pipeline, request)
    counting = Counting(pipeline)
    late = replace(request, body={**request.body, "metadata": {"note": value}})
    with pytest.raises(Denied) as caught:
        await Egress(counting).prepare(late, decision, policy, signals, decision.grants[0])
    assert value in counting.asked
    assert caught.value.status == 403
    assert CARD not in caught.value.message


async def test_a_key_counts_as_a_string(policy: Policy, pipeline: Pipeline) -> None:
    request = chat()
    decision, signals = await planned(policy, pipeline, request)
    late = replace(request, body={**request.body, "metadata": {CARD: 1}})
    with pytest.raises(Denied):
        await Egress(pipeline).prepare(late, decision, policy, signals, decision.grants[0])


async def test_a_scanner_that_did_not_see_everything_withholds_the_permit(policy: Policy, pipeline: Pipeline) -> None:
    request = chat()
    decision, signals = await planned(policy, pipeline, request)
    blind = replace(signals, scan=replace(signals.scan, texts=frozenset()))
    with pytest.raises(Denied) as caught:
        await Egress(Fixed(Scan())).prepare(request, decision, policy, blind, decision.grants[0])
    assert caught.value.code == "unscannable_content"


async def test_a_scan_that_fails_here_makes_it_restricted(policy: Policy, pipeline: Pipeline) -> None:
    request = chat()
    decision, signals = await planned(policy, pipeline, request)
    failed = Scan(unknowns=(Unknown("timeout", "/0"),), texts=signals.scan.texts)
    blind = replace(signals, scan=replace(signals.scan, texts=frozenset()))
    with pytest.raises(Denied) as caught:
        await Egress(Fixed(failed)).prepare(request, decision, policy, blind, decision.grants[0])
    assert caught.value.code == "policy_denied"


def _forged(decision: Decision, **changes: Any) -> Grant:
    return replace(decision.grants[0], **changes)


@pytest.mark.parametrize(
    "changes",
    [{"payload": "none"}, {"payload": "pseudonymized"}, {"model": "home"}, {"policy_digest": "x"}, {"rule": "x"}],
)
async def test_a_grant_that_the_decision_did_not_give_gives_nothing(
    policy: Policy, pipeline: Pipeline, changes: JsonObject
) -> None:
    request = chat()
    decision, signals = await planned(policy, pipeline, request)
    with pytest.raises(Denied):
        await Egress(pipeline).prepare(request, decision, policy, signals, _forged(decision, **changes))


async def test_a_decision_of_a_higher_level_withholds_the_permit(policy: Policy, pipeline: Pipeline) -> None:
    request = chat()
    decision, signals = await planned(policy, pipeline, request)
    graver = replace(decision, sensitivity=Level.CONFIDENTIAL)
    with pytest.raises(Denied):
        await Egress(pipeline).prepare(request, graver, policy, signals, graver.grants[0])


async def test_keyword_arguments_are_canonical_and_name_what_they_leave_out(policy: Policy, pipeline: Pipeline) -> None:
    request = chat(user="u", seed=3, temperature=0.5)
    out = await prepared(policy, pipeline, request, "claude")
    arguments = {"model": "anthropic/claude-x", "messages": request.body["messages"], "seed": 3, "temperature": 0.5}
    assert out.body == orjson.dumps(arguments, option=orjson.OPT_SORT_KEYS)
    assert out.ignored == ("user",)
    with pytest.raises(InvalidRequest):
        await prepared(policy, pipeline, chat(top_k=1), "claude")


async def test_the_request_itself_is_never_changed(policy: Policy, pipeline: Pipeline) -> None:
    request = chat(stream=True, stream_options={"include_usage": False})
    before = orjson.dumps(request.body)
    await prepared(policy, pipeline, request)
    assert orjson.dumps(request.body) == before


async def test_a_refusal_says_nothing_of_the_content(policy: Policy, pipeline: Pipeline) -> None:
    request = chat()
    decision, signals = await planned(policy, pipeline, request)
    late = replace(request, body={**request.body, "user": CARD})
    with pytest.raises(GatehouseError) as caught:
        await Egress(pipeline).prepare(late, decision, policy, signals, decision.grants[0])
    assert "4111" not in f"{caught.value.message} {caught.value.param} {caught.value!r}"
