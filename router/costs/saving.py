"""What requests cost against "everything to the default cloud model", net of what was wasted, from records. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Literal

from router.costs.cost import amount
from router.types import JsonObject

By = Literal["rule", "key", "model", "day"]


@dataclass(slots=True)
class Sums:
    """What some requests cost. Amounts in USD, exact; joules are an estimate."""

    requests: int = 0
    at_home: int = 0
    compared: int = 0  # both sides of the comparison are known
    estimated: int = 0  # … and some of their tokens were not reported by the model that is priced
    unknown: int = 0  # a price is not known, or there is no default cloud model
    unmeasured: int = 0  # answered at home, energy not known
    cost: Decimal = field(default_factory=Decimal)
    wasted: Decimal = field(default_factory=Decimal)
    baseline: Decimal = field(default_factory=Decimal)
    saved: Decimal = field(default_factory=Decimal)
    saved_unlawful: Decimal = field(default_factory=Decimal)  # part of `saved`: the policy would not have let it out
    joules: float = 0.0
    energy_cost: Decimal = field(default_factory=Decimal)


def parse_since(text: str, now: datetime) -> str | None:
    """The moment (ISO 8601, UTC) that `30d` or `2026-05-01` means; None for anything else."""
    if re.fullmatch(r"[0-9]{1,5}d", text):
        return (now - timedelta(days=int(text[:-1]))).isoformat(timespec="milliseconds")
    try:
        return f"{date.fromisoformat(text).isoformat()}T00:00:00.000+00:00"
    except ValueError:
        return None


def tally(records: Iterable[JsonObject], by: By) -> dict[str, Sums]:
    """The sums of each group, the dearest baseline first, and of all requests under the empty name."""
    groups: dict[str, Sums] = {}
    total = Sums()
    for record in records:
        for sums in (groups.setdefault(_group_of(record, by), Sums()), total):
            _add(sums, record)
    ordered = sorted(groups.items(), key=lambda item: (-item[1].baseline, -item[1].cost, item[0]))
    return {**dict(sorted(groups.items()) if by == "day" else ordered), "": total}


def _group_of(record: JsonObject, by: By) -> str:
    if by == "day":
        return str(record.get("time", ""))[:10]
    if by == "key":
        principal = record.get("principal") or {}
        return f"{principal.get('tenant', '-')}/{principal.get('key_id') or '-'}"
    if by == "model":
        return str((record.get("outcome") or {}).get("model") or "-")
    decision = record.get("decision") or {}
    return str(decision.get("rule") or decision.get("reason") or "-")


def _add(sums: Sums, record: JsonObject) -> None:
    sums.requests += 1
    is_home = (record.get("outcome") or {}).get("route") == "local"
    sums.at_home += is_home
    costs = record.get("costs")
    if not isinstance(costs, dict):  # a record of an older gateway
        sums.unknown += 1
        return
    cost, saved = amount(costs["usd"]), amount(costs["saved_usd"])
    sums.cost += cost or Decimal(0)
    sums.wasted += amount(costs["wasted_usd"]) or Decimal(0)
    _add_energy(sums, costs, is_home)
    if saved is None:
        sums.unknown += 1
        return
    sums.compared += 1
    baseline = costs["baseline"]
    sums.baseline += amount(baseline["usd"]) or Decimal(0)
    sums.saved += saved
    if not baseline["lawful"]:
        sums.saved_unlawful += saved
    methods = {baseline["method"], *(call["method"] for call in costs["calls"])}
    sums.estimated += not methods <= {"reported", "none"}


def _add_energy(sums: Sums, costs: JsonObject, is_home: bool) -> None:
    energy = costs["energy"]
    if isinstance(energy, dict):
        sums.joules += energy["joules"]
        sums.energy_cost += amount(energy["usd"]) or Decimal(0)
    else:
        sums.unmeasured += is_home


def sums_json(sums: Sums) -> JsonObject:
    """Amounts as text: a decimal is exact, a JSON number of many of them added is not."""
    return {
        "requests": sums.requests,
        "at_home": sums.at_home,
        "compared": sums.compared,
        "estimated": sums.estimated,
        "unknown": sums.unknown,
        "energy_unknown": sums.unmeasured,
        "baseline_usd": f"{sums.baseline:f}",
        "cost_usd": f"{sums.cost:f}",
        "wasted_usd": f"{sums.wasted:f}",
        "saved_usd": f"{sums.saved:f}",
        "saved_not_lawful_usd": f"{sums.saved_unlawful:f}",
        "energy_joules": round(sums.joules, 3),
        "energy_usd": f"{sums.energy_cost:f}",
    }


def groups_json(since: str, by: By, groups: dict[str, Sums]) -> JsonObject:
    """What `tally` gave, as plain JSON."""
    named = {name: sums_json(sums) for name, sums in groups.items() if name}
    return {"since": since, "by": by, "total": sums_json(groups[""]), "groups": named}
