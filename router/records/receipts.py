"""Whether a receipt of the SDK says what the gateway's own record says of the request. Pure."""

from __future__ import annotations

from typing import Any

from router.types import JsonObject

_FIELDS = ("route", "model", "rule", "sensitivity", "policy_version", "policy_digest", "held")


def differences(receipt: JsonObject, record: JsonObject) -> list[str]:
    """A line for each word of the receipt that the record does not say; none where they agree.

    Raises `ValueError` for what is no receipt, and for a record of which nothing is left to compare with (erased).
    """
    if not isinstance(receipt.get("request_id"), str) or not all(name in receipt for name in _FIELDS):
        raise ValueError("this is no receipt of the SDK: it has request_id, " + ", ".join(_FIELDS))
    said = _said(record)
    return [
        f"{name}: the receipt says {receipt[name] or None!r}, the record {said[name]!r}"
        for name in _FIELDS
        if (receipt[name] or None) != said[name]
    ]


def _said(record: JsonObject) -> dict[str, Any]:
    outcome, decision, policy = (record.get(name) for name in ("outcome", "decision", "policy"))
    if not isinstance(outcome, dict) or not isinstance(decision, dict) or not isinstance(policy, dict):
        raise ValueError("the record tells of no decision: it was erased, or the request was refused before one")
    return {
        "route": outcome.get("route"),
        "model": outcome.get("model"),
        "rule": outcome.get("reason"),
        "sensitivity": decision.get("sensitivity"),
        "policy_version": str(policy.get("version")),
        "policy_digest": str(policy.get("digest"))[:12],
        "held": outcome.get("held"),
    }
