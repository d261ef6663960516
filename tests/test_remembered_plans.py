"""A body that comes again is neither scanned nor decided about again, and its plan is what it would be without that."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from classifiers.pipeline import Pipeline
from classifiers.types import ScanRules, Signal, Signals
from policies.schema import compile_policy
from policies.types import Level, Policy, Release
from router.keys import Keys
from router.planning import Plan, Planner
from router.records.filing import FiledRecord, filed
from router.records.record import build_record
from router.remembered_plans import RememberedPlans
from router.types import ChatRequest, JsonObject, Outcome, Principal

POLICY = """\
version: 1
models:
  home: {locality: local, backend: openai, base_url: "http://127.0.0.1:1/v1", model: small, context: 8000}
  cloud: {locality: cloud, backend: openai, base_url: "http://127.0.0.1:2/v1", model: large, region: us}
defaults: {local: home, cloud: cloud}
sensitivity:
  levels: {confidential: [EMAIL_ADDRESS], public: [LOCATION, DATE_TIME, NRP]}
egress: {public: {payload: full}, internal: {payload: full}}
decisions:
  - {name: hard-questions, priority: 50, when: {all: [{complexity: {at_least: 0.7}}]}, route: cloud}
limits: {max_output_tokens: 500}
tenants: {other: {limits: {max_output_tokens: 100}}}
"""
TEXT = "How do birds find their way over the sea?"


class Scans:
    """The pipeline, and how often it was asked."""

    def __init__(self) -> None:
        self._pipeline = Pipeline(budget_ms=2000)
        self.asked = 0
        self.error: str | None = None  # of complexity, should it fail

    async def run(
        self,
        body: Mapping[str, Any],
        rules: ScanRules,
        tenant: str,
        demanded: frozenset[str] | None = None,
        *,
        is_new: bool = False,
    ) -> Signals:
        self.asked += 1
        signals = await self._pipeline.run(body, rules, tenant, demanded, is_new=is_new)
        if self.error is None:
            return signals
        return replace(signals, values={**signals.values, "complexity": Signal("complexity", error=self.error)})


@pytest.fixture(scope="module")
def scans() -> Scans:
    return Scans()


@pytest.fixture(scope="module")
def policy() -> Policy:
    return compile_policy(POLICY, "policy.yaml")


def asked(text: str = TEXT, *, tenant: str = "default", **fields: Any) -> ChatRequest:
    body: JsonObject = {"model": "auto", "messages": [{"role": "user", "content": text}], **fields}
    return ChatRequest(
        id="gh-1",
        body=body,
        model=body["model"],
        principal=Principal(tenant),
        stream=bool(body.get("stream")),
        include_usage=False,
        local_only=False,
        no_store=False,
        received=0.0,
        size=len(text),
    )


def same(one: Plan, other: Plan) -> bool:
    """All but how long it took."""
    return replace(one, signals=replace(one.signals, elapsed_ms=0.0)) == replace(
        other, signals=replace(other.signals, elapsed_ms=0.0)
    )


async def test_the_third_time_nothing_is_scanned_and_the_plan_is_the_same(scans: Scans, policy: Policy) -> None:
    planner, before = Planner(scans), scans.asked  # type: ignore[arg-type]  # what it asks of a pipeline is `run`
    plans = [await planner.plan(asked(), policy, {}) for _ in range(4)]
    assert scans.asked - before == 2
    assert all(same(plan, plans[0]) for plan in plans)
    assert plans[3].signals.scan.texts == plans[0].signals.scan.texts != frozenset()
    assert plans[3].request.body["max_completion_tokens"] == 500


@pytest.mark.parametrize(
    ("request_", "unavailable", "release"),
    [
        (asked(), {"cloud": "missing_key"}, None),
        (asked(model="cloud"), {}, None),
        (asked(model="gpt-4o"), {}, None),
        (replace(asked(), local_only=True), {}, None),
        (replace(asked(), no_store=True), {}, None),
        (replace(asked(), stream=True), {}, None),
        (asked(stream=True), {}, None),
        (asked(max_tokens=9000), {}, None),
        (asked([{"type": "text", "text": TEXT}], response_format={"type": "json_object"}), {}, None),  # type: ignore[arg-type]
        (asked('{"question": "Where do birds sleep?"}', metadata={"page": "seven"}, stop=["END"]), {}, None),
        (asked(tenant="other"), {}, None),
        (asked(TEXT + " "), {}, None),
        (asked(tools=[{"type": "function", "function": {"name": "look_up"}}]), {}, None),
        (asked(), {}, Release("r", "cloud", Level.CONFIDENTIAL)),
    ],
)
async def test_whatever_else_is_so_the_plan_is_that_of_a_planner_that_remembers_nothing(
    scans: Scans, policy: Policy, request_: ChatRequest, unavailable: Mapping[str, str], release: Release | None
) -> None:
    planner = Planner(scans)  # type: ignore[arg-type]
    for _ in range(3):
        await planner.plan(asked(), policy, {})
    view = policy.tenants.get(request_.principal.tenant, policy)
    for _ in range(4):
        fresh = await Planner(scans).plan(request_, view, unavailable, release=release)  # type: ignore[arg-type]
        assert same(await planner.plan(request_, view, unavailable, release=release), fresh)
    again = await planner.plan(asked(), policy, {})
    assert same(again, await Planner(scans).plan(asked(), policy, {}))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "request_",
    [
        asked("Write to ana.lopez@mail.example.org about it."),
        asked([{"type": "text", "text": TEXT}, {"type": "image_url", "image_url": {"url": "data:,x"}}]),  # type: ignore[arg-type]
        replace(asked(), size=1 << 20),
    ],
    ids=["a finding", "an unknown", "large"],
)
async def test_what_is_not_clean_or_not_small_is_scanned_each_time(
    scans: Scans, policy: Policy, request_: ChatRequest
) -> None:
    planner, before = Planner(scans), scans.asked  # type: ignore[arg-type]
    for _ in range(4):
        await planner.plan(request_, policy, {})
    assert scans.asked - before == 4


def written(plan: Plan, policy: Policy) -> FiledRecord:
    """The record of a plan that ended well."""
    record = build_record(
        keys=Keys(b"k" * 32),
        time=datetime(2030, 1, 1, tzinfo=UTC),
        request_id="gh-1",
        principal=Principal(),
        policy=policy,
        facts=plan.facts,
        signals=replace(plan.signals, elapsed_ms=0.0),
        decision=plan.decision,
        outcome=Outcome(),
        said=plan.said,
    )
    return filed(record, None, (plan.decision.rule, plan.decision.sensitivity.word))


async def test_its_records_say_what_they_would_say_without_that(scans: Scans, policy: Policy) -> None:
    planner = Planner(scans)  # type: ignore[arg-type]
    records = [written(await planner.plan(asked(), policy, {}), policy) for _ in range(5)]
    assert records == [records[0]] * 5
    assert orjson.loads(records[4].text)["decision"]["reasons"]
    plan = await planner.plan(asked(), policy, {})
    assert plan.said is not None
    assert set(plan.said.parts) == {"facts", "signals", "decision"}
    held = replace(plan, decision=replace(plan.decision, threshold=0.5))
    assert orjson.loads(written(held, policy).text)["decision"]["threshold"] == 0.5
    other = await planner.plan(asked(), policy, {"cloud": "missing_key"})
    assert orjson.loads(written(other, policy).text)["facts"]["unavailable"] == {"cloud": "missing_key"}


async def test_a_signal_that_failed_is_measured_again(scans: Scans, policy: Policy) -> None:
    planner, before = Planner(scans), scans.asked  # type: ignore[arg-type]
    scans.error = "timeout"
    try:
        for _ in range(3):
            await planner.plan(asked(), policy, {})
    finally:
        scans.error = None
    plan = await planner.plan(asked(), policy, {})
    assert scans.asked - before == 4
    assert plan.signals.values["complexity"].error is None


async def test_whoever_explains_is_shown_every_signal(scans: Scans, policy: Policy) -> None:
    planner = Planner(scans)  # type: ignore[arg-type]
    for _ in range(3):
        await planner.plan(asked(), policy, {})
    explained = await planner.plan(asked(), policy, {}, explains=True)
    assert explained.signals.values["language"].value is not None


async def test_a_policy_that_was_read_again_is_another_one_and_the_old_one_is_let_go(scans: Scans) -> None:
    planner, before = Planner(scans), scans.asked  # type: ignore[arg-type]
    first = compile_policy(POLICY, "policy.yaml")
    for _ in range(3):
        await planner.plan(asked(), first, {})
    count = sum(isinstance(each, Policy) for each in gc.get_objects())
    del first
    gc.collect()
    assert sum(isinstance(each, Policy) for each in gc.get_objects()) < count
    await planner.plan(asked(), compile_policy(POLICY, "policy.yaml"), {})
    assert scans.asked - before == 3


def test_only_so_many_bodies_are_known_and_of_none_its_words(policy: Policy) -> None:
    plans = RememberedPlans()
    keys = [plans.key(asked(f"canary {number}"), policy) for number in range(5000)]
    assert len(set(keys)) == 5000
    for key in keys:
        plans.put(key, policy, Signals({}, None), None, None)  # type: ignore[arg-type]  # the first time nothing is looked at
    assert len(plans) == 2048
    assert "canary" not in repr(vars(plans))


def test_a_body_that_is_no_json_has_no_key(policy: Policy) -> None:
    assert RememberedPlans().key(asked("\ud800"), policy) is None
