"""What a month of traffic brings, from decision records: local answers that may escalate, and what one costs. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from policies.types import Price
from router.calibration.targets import Volume
from router.types import JsonObject

MONTH_DAYS = 30.0
_FEWEST = 20  # escalations, before their own mean cost is taken
_LEAST_DAYS = 1.0


def measure(records: Iterable[JsonObject], model: str, price: Price | None) -> Volume | None:
    """The volume that decision records show of `model` (the policy's name), scaled to 30 days; None: they show none.

    Where fewer than 20 have escalated, one costs what the cloud's `price` makes of the mean tokens of local answers.
    """
    judged, paid, tokens = 0, [], [0, 0]
    first = last = None
    for record in records:
        outcome, decision = record.get("outcome") or {}, record.get("decision") or {}
        time = datetime.fromisoformat(str(record["time"]))
        first, last = first or time, time
        if (decision.get("target") or {}).get("model") != model or not _may_escalate(decision):
            continue
        judged += 1
        if outcome.get("reason") == "escalation":
            paid.append(float(outcome.get("cost_usd") or 0.0))
        used = (outcome.get("tokens") or {}).get(model) or {}
        tokens = [tokens[0] + int(used.get("input", 0)), tokens[1] + int(used.get("output", 0))]
    if not judged or first is None or last is None:
        return None
    days = max((last - first).total_seconds() / 86_400, _LEAST_DAYS)
    each = _cost(paid, judged, tokens, price)
    if each is None:
        return None
    return Volume(judged * MONTH_DAYS / days, each, f"{judged} records of {days:.0f} days")


def _may_escalate(decision: JsonObject) -> bool:
    return any(grant.get("purpose") == "escalation" for grant in decision.get("grants") or ())


def _cost(paid: list[float], judged: int, tokens: list[int], price: Price | None) -> float | None:
    if len(paid) >= _FEWEST and sum(paid) > 0:
        return sum(paid) / len(paid)
    if price is None:
        return None
    return (tokens[0] * price.input_per_1m + tokens[1] * price.output_per_1m) / 1e6 / judged
