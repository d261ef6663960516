"""From a request to its decision: classify, gather facts, decide. Shared by gateway and `explain`; calls no model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from classifiers.pipeline import Pipeline
from classifiers.pseudonyms import replaceable
from classifiers.types import Signals
from policies.decide import decide
from policies.types import Decision, Facts, Policy
from router import fields
from router.types import ChatRequest


@dataclass(frozen=True, slots=True)
class Plan:
    """What was measured, what was known, what was decided."""

    signals: Signals
    facts: Facts
    decision: Decision


async def plan(request: ChatRequest, policy: Policy, unavailable: Mapping[str, str], pipeline: Pipeline) -> Plan:
    """Decide about a request. Raises `InvalidRequest` for fields that no model could take."""
    needs, hints, unknown = fields.read_fields(request.body)
    signals = await pipeline.run(request.body, policy.scan_rules, request.principal.tenant)
    context_length = signals.values["context_length"].value
    found = signals.scan.findings
    facts = Facts(
        tenant=request.principal.tenant,
        requested=request.model,
        local_only=request.local_only,
        stream=request.stream,
        needs=needs,
        hints=hints,
        unknown_fields=unknown,
        input_tokens=context_length if isinstance(context_length, int) else 0,
        output_tokens=fields.max_output_tokens(request.body),
        unavailable=unavailable,
        no_store=request.no_store,
        replaceable=replaceable(request.body, found) if found and policy.has_pseudonyms else frozenset(),
    )
    return Plan(signals, facts, decide(policy, facts, signals))
