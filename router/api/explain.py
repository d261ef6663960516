"""A decision as `POST /v1/route` and `gatehouse explain` show it: route, reasons, what was found; never the text."""

from __future__ import annotations

from classifiers.types import Finding, Signal
from policies.candidates import SENSITIVITY
from policies.offering import offered
from policies.types import Policy
from router.planning import Plan
from router.types import JsonObject


def explanation(plan: Plan, policy: Policy) -> JsonObject:
    """The answer of `POST /v1/route` (DESIGN.md, section 9), from the decision and the signals it was made of."""
    decision, signals = plan.decision, plan.signals
    answer: JsonObject = {
        "route": decision.route,
        "model": decision.model,
        "rule": decision.rule,
        "reason": decision.reason,
        "payload": decision.payload,
        "sensitivity": decision.sensitivity.word,
        "held": decision.held,
        "release": _release(plan, policy),
        "history": {"dropped": plan.dropped} if plan.dropped else None,
        "findings": [_finding(finding) for finding in signals.scan.findings],
        "unknowns": [
            {"kind": unknown.kind, "pointer": unknown.pointer, "detail": unknown.detail}
            for unknown in signals.scan.unknowns
        ],
        "signals": {name: _signal(signal) for name, signal in signals.values.items()},
        "candidates": [
            {"model": seen.model, "lawful": seen.lawful, "able": seen.able, "why": list(seen.why)}
            for seen in decision.candidates
        ],
        "reasons": [{"rule": reason.rule, "matched": reason.matched, "why": reason.why} for reason in decision.reasons],
        "policy": policy.label,
    }
    if decision.refusal is not None:
        answer["refusal"] = {
            "code": decision.refusal.code,
            "status": decision.refusal.status,
            "message": decision.refusal.message,
        }
    return answer


def _release(plan: Plan, policy: Policy) -> JsonObject | None:
    """What of a held request may be released, or was; no token: that comes with an answer."""
    released, rule = plan.decision.release, policy.release
    if released is not None:
        return {"state": "released", "id": released.id, "model": released.model, "level": released.level.word}
    is_held = plan.decision.held is not None or plan.decision.reason == SENSITIVITY or plan.decision.refusal is not None
    offer = offered(policy, plan.facts, plan.signals) if rule is not None and is_held else None
    if offer is None or rule is None:
        return None
    told = {"state": "offered", "model": offer.model, "level": offer.level.word}
    return {**told, "by": rule.by, "ttl_seconds": rule.ttl_seconds}


def _finding(finding: Finding) -> JsonObject:
    return {
        "entity_type": finding.entity_type,
        "pointer": finding.pointer,
        "in": finding.place,
        "start": finding.start,
        "end": finding.end,
        "score": round(finding.score, 3),
        "detector": finding.detector,
        "group": finding.group,
        "via": list(finding.via),
    }


def _signal(signal: Signal) -> JsonObject:
    if signal.error is not None:
        return {"error": signal.error}
    value = sorted(signal.value) if isinstance(signal.value, frozenset) else signal.value
    return {"value": value} if signal.band is None else {"value": value, "band": signal.band}
