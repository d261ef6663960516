"""The decision record: what was known of a request, what was decided and what became of it, once a request.

Never holds content: words of ours and of the policy, numbers, and keyed digests. A name that only the caller chose (a
model, a field) is not written down either. `prev`, the link of the chain, is added by the one writer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Protocol

import orjson

from classifiers.types import Finding, Signal, Signals, Unknown
from policies.causes import Cause, causes
from policies.serving import Serving
from policies.tenants import view_of
from policies.tools import known_as
from policies.types import Decision, EgressPermit, Facts, Model, Policy, Release
from router.costs.cost import Costs, to_json
from router.keys import Keys
from router.records.filing import FiledRecord
from router.types import JsonObject, Outcome, Principal

SCHEMA_VERSION = 1

_OUR_NAMES = frozenset({"auto", "local", "cloud"})
_HELD_CODES = frozenset({"policy_denied", "sensitive_data_local_unavailable", "no_able_lawful_model"})
_FINISH_REASONS = frozenset(
    {"stop", "length", "tool_calls", "content_filter", "function_call"}
)  # others are a backend's


class Said:
    """What records say of a decision that is made again and again of the same facts and signals: written once."""

    __slots__ = ("decision", "parts")

    def __init__(self, decision: Decision) -> None:
        self.decision = decision
        self.parts: dict[str, orjson.Fragment] = {}


class RecordSink(Protocol):
    """Where a worker hands its records on. Neither call raises."""

    def offer(self, record: FiledRecord) -> None:
        """Take a record, or drop and count it; never waits."""
        ...

    async def intend(self, record: JsonObject) -> bool:
        """True only once the record is durable: before that nothing may leave under `audit: required`."""
        ...


def build_record(
    *,
    keys: Keys,
    request_id: str,
    principal: Principal,
    time: datetime | None = None,
    policy: Policy | None = None,
    facts: Facts | None = None,
    signals: Signals | None = None,
    decision: Decision | None = None,
    outcome: Outcome | None = None,
    permits: Sequence[EgressPermit] = (),
    latency_ms: float | None = None,
    first_chunk_ms: float | None = None,
    artifacts: Mapping[str, str] | None = None,
    model_digests: Mapping[str, str] | None = None,
    costs: Costs | None = None,
    promise: JsonObject | None = None,
    said: Said | None = None,
    decided: Said | None = None,
) -> JsonObject:
    """The record of one request, as plain JSON values. `time` is when it ended; None: now.

    Without `outcome` it is an intent: what is about to leave, to be made durable first. What is None was not reached (a
    request refused before it was parsed has neither facts, nor signals, nor a decision). `artifacts` names the digests
    of what classified, `model_digests` those of the models' weights, by the policy's names. `promise` is what the
    answer was held against, and by which calibration card. `said` keeps in writing what its next record says too,
    `decided` the decision alone, of one that equals this one.
    """
    record: JsonObject = {
        "schema_version": SCHEMA_VERSION,
        "kind": "intent" if outcome is None else "decision",
        "id": request_id,
        "time": (time or datetime.now(UTC)).isoformat(timespec="milliseconds"),
        "principal": {"tenant": principal.tenant, "key_id": principal.key_id, "subject": principal.subject},
        "artifacts": dict(artifacts or {}),
        "permits": [_permit(permit, keys) for permit in permits],
    }
    view = view_of(policy, principal.tenant) if policy is not None else None
    if policy is not None:
        record["policy"] = {"version": policy.version, "digest": policy.digest, "mode": policy.mode}
    if facts is not None:
        record["facts"] = _once(said, decision, "facts", lambda: _facts(facts, policy))
    if signals is not None:
        hides = view is not None and view.has_pseudonyms and facts is not None
        record["signals"] = _once(said, decision, "signals", lambda: _signals(signals))
        _add_findings(record, signals, facts.replaceable if hides and facts is not None else None)
    if decision is not None:
        private = facts.unknown_fields if facts is not None else frozenset()
        kept = said if said is not None and said.decision is decision else decided
        same = kept.decision if kept is not None else None
        record["decision"] = _once(kept, same, "decision", lambda: _decision(decision, policy, private))
        if view is not None and signals is not None and _is_held(decision, outcome):
            held_by = [_cause(cause) for cause in causes(view, decision, signals.scan)]
            record.update({"held_by": held_by} if held_by else {})
    if promise is not None:
        record["promise"] = promise
    if outcome is not None:
        record["outcome"] = _outcome(outcome, policy)
        record["model_digests"] = {
            name: digest for name, digest in (model_digests or {}).items() if name in outcome.usage
        }
        if costs is not None:
            record["costs"] = to_json(costs)
        record["latency_ms"] = _milliseconds(latency_ms)
        record["first_chunk_ms"] = _milliseconds(first_chunk_ms)
    return record


def _milliseconds(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _permit(permit: EgressPermit, keys: Keys) -> JsonObject:
    return {
        "model": permit.model,
        "payload": permit.payload,
        "rule": permit.rule,
        "purpose": permit.purpose,
        "release": permit.release.id if permit.release is not None else None,
        "digest": keys.digest(permit.digest),
    }


def _once(said: Said | None, decision: Decision | None, name: str, make: Callable[[], JsonObject]) -> Any:
    """A part of a record: made now, or as it was written when the same decision was recorded before."""
    if said is None or said.decision is not decision:
        return make()
    part = said.parts.get(name)
    if part is None:
        part = said.parts[name] = orjson.Fragment(orjson.dumps(make(), option=orjson.OPT_SORT_KEYS))
    return part


def _signals(signals: Signals) -> JsonObject:
    return {name: _signal(signal) for name, signal in signals.values.items()}


def _add_findings(record: JsonObject, signals: Signals, replaceable: frozenset[int] | None) -> None:
    record["findings"] = _count_findings(signals.scan.findings, replaceable)
    record["unknowns"] = _count_unknowns(signals.scan.unknowns)
    record["scan_ms"] = _milliseconds(signals.elapsed_ms)


def _facts(facts: Facts, policy: Policy | None) -> JsonObject:
    return {
        "requested": _known_name(facts.requested, policy),
        "local_only": facts.local_only,
        "locked": facts.locked,
        "stream": facts.stream,
        "needs": sorted(facts.needs),
        "hints": sorted(facts.hints),
        "unknown_fields": len(facts.unknown_fields),
        "tools": [known_as(policy, name) for name in facts.tools] if policy is not None else [],
        "messages": facts.messages,
        "input_tokens": facts.input_tokens,
        "output_tokens": facts.output_tokens,
        "bounded": facts.bounded,
        "unavailable": dict(facts.unavailable) if facts.unavailable else {},
        "no_store": facts.no_store,
        "answered_by": list(facts.answered_by),
        "waits": dict(facts.waits) if facts.waits else {},
        "release": _release(facts.release),
        "taint": facts.taint.word,
        "taint_kept": facts.taint_kept.word,
        "taint_source": facts.taint_source or None,
    }


def _release(release: Release | None) -> JsonObject | None:
    if release is None:
        return None
    return {"id": release.id, "model": release.model, "level": release.level.word}


def _known_name(requested: str, policy: Policy | None) -> str | JsonObject:
    """The model's name as the caller wrote it, if the policy or we know it; else the alias that it matched."""
    if requested in _OUR_NAMES or (policy is not None and requested in policy.models):
        return requested
    for pattern, _ in policy.aliases if policy is not None else ():
        if requested == pattern or (pattern.endswith("*") and requested.startswith(pattern[:-1])):
            return {"alias": pattern}
    return {"unknown": True}


def _signal(signal: Signal) -> JsonObject:
    if signal.error is not None:
        return {"error": signal.error}
    value = sorted(signal.value) if isinstance(signal.value, frozenset) else signal.value
    return {"value": value} if signal.band is None else {"value": value, "band": signal.band}


def _count_findings(findings: Sequence[Finding], replaceable: frozenset[int] | None) -> JsonObject:
    """By entity type: how many, and the highest score (what `min_score` is compared with).

    `kept` is the highest score of those that no placeholder can stand for, None when one can for each; it is there only
    where that was asked, because something may leave with placeholders.
    """
    counted: JsonObject = {}
    for index, finding in enumerate(findings):
        entry = counted.setdefault(finding.entity_type, {"count": 0, "score": finding.score})
        entry["count"] += 1
        entry["score"] = max(entry["score"], finding.score)
        if replaceable is not None:
            kept = entry.setdefault("kept", None)
            if index not in replaceable:
                entry["kept"] = finding.score if kept is None else max(kept, finding.score)
    return counted


def _count_unknowns(unknowns: Sequence[Unknown]) -> dict[str, int]:
    counted: dict[str, int] = {}
    for unknown in unknowns:
        counted[unknown.kind] = counted.get(unknown.kind, 0) + 1
    return counted


def _decision(decision: Decision, policy: Policy | None, private: frozenset[str]) -> JsonObject:
    return {
        "route": decision.route,
        "rule": decision.rule,
        "sensitivity": decision.sensitivity.word,
        "reason": decision.reason,
        "payload": decision.payload,
        "held": decision.held,
        "cacheable": decision.cacheable,
        "cache_similarity": decision.cache_similarity,
        "threshold": decision.threshold,
        "deadline": _deadline(decision.serving),
        "refusal": decision.refusal.code if decision.refusal is not None else None,
        "shadow_route": decision.shadow_route,
        "target": _target(decision.model, policy),
        "grants": [
            {"model": grant.model, "payload": grant.payload, "rule": grant.rule, "purpose": grant.purpose}
            for grant in decision.grants
        ],
        "candidates": [
            {
                "model": candidate.model,
                "lawful": candidate.lawful,
                "able": candidate.able,
                "why": [_before(why, private) for why in candidate.why],
            }
            for candidate in decision.candidates
        ],
        "reasons": [
            {"rule": reason.rule, "matched": reason.matched, "why": _before(reason.why, private)}
            for reason in decision.reasons
        ],
    }


def _deadline(serving: Serving) -> JsonObject:
    return {
        "total_seconds": serving.total_seconds,
        "first_token_seconds": serving.first_token_seconds,
        "urgency": serving.urgency,
    }


def _is_held(decision: Decision, outcome: Outcome | None) -> bool:
    """Whether the policy kept a request at home that would have gone out, or refused it."""
    codes = {
        decision.refusal.code if decision.refusal is not None else None,
        outcome.error_code if outcome is not None else None,
    }
    return decision.held is not None or not codes.isdisjoint(_HELD_CODES)


def _cause(cause: Cause) -> JsonObject:
    return {"kind": cause.kind, "name": cause.name, "count": cause.count, "places": list(cause.places)}


def _before(why: str, private: frozenset[str]) -> str:
    """An explanation up to the first name of a field that only the caller chose."""
    found = [at for name in private if (at := why.find(name)) >= 0]
    return f"{why[: min(found)]}…" if found else why


def _target(name: str | None, policy: Policy | None) -> JsonObject | None:
    if name is None:
        return None
    model: Model | None = policy.models.get(name) if policy is not None else None
    if model is None:
        return {"model": name}
    return {"model": name, "locality": model.locality, "region": model.region, "backend_model": model.model}


def _outcome(outcome: Outcome, policy: Policy | None) -> JsonObject:
    is_named = policy is not None and outcome.model in policy.models
    finish = outcome.finish_reason
    return {
        "route": outcome.route,
        "model": outcome.model if is_named else None,
        "reason": outcome.reason,
        "held": outcome.held,
        "dropped": outcome.dropped,
        "release": {"result": outcome.release[0], "id": outcome.release[1]} if outcome.release is not None else None,
        "complexity": outcome.complexity,
        "confidence": outcome.confidence,
        "similarity": _rounded(outcome.similarity),
        "answer_features": list(outcome.answer_features) or None,
        "judgement": asdict(outcome.judgement) if outcome.judgement is not None else None,
        "passed_over": [{"model": model, "judgement": asdict(judged)} for model, judged in outcome.passed_over],
        "raced": outcome.raced,
        "escalation_error": outcome.escalation_error,
        "hops": [{"model": model, "error": code} for model, code in outcome.hops],
        "retries": outcome.retries,
        "failed_over": [{"model": model, "error": code} for model, code in outcome.failed_over],
        "tokens": {
            name: {"input": usage.input_tokens, "output": usage.output_tokens} for name, usage in outcome.usage.items()
        },
        "cost_usd": outcome.cost_usd,
        "finish_reason": finish if finish is None or finish in _FINISH_REASONS else "other",
        "error": outcome.error_code,
        "bytes_left": outcome.bytes_left,
        "pseudonyms": {"hidden": outcome.hidden, "restored": outcome.restored, "strange": outcome.strange},
    }
