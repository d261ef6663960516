"""What holds requests back most, from the content-free records, and what can be done about it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from classifiers.vocabulary import MEANINGS
from router.types import JsonObject

_FIXED = ("/messages/0/", "/tools/", "/functions/", "/system", "/instructions")  # comes with every request
_FAULTS = ("detector_error", "timeout", "truncated")


@dataclass(slots=True)
class Holder:
    """One entity type, kind of unknown, rule or inheritance, with the requests that it held back."""

    kind: str
    name: str
    requests: int = 0
    alone: int = 0  # of them, those that nothing else held
    tenants: Counter[str] = field(default_factory=Counter)
    places: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Ranking:
    """All requests of some days, those that were held back, and by what, the most frequent first."""

    requests: int = 0
    held: int = 0
    holders: list[Holder] = field(default_factory=list)


def rank(records: Iterable[JsonObject]) -> Ranking:
    """Count what held requests back; a request that two things hold counts for both."""
    ranking = Ranking()
    holders: dict[tuple[str, str], Holder] = {}
    for record in records:
        ranking.requests += 1
        causes = record.get("held_by")
        if causes is None:
            continue
        ranking.held += 1
        tenant = str((record.get("principal") or {}).get("tenant", ""))
        for cause in causes:
            holder = holders.setdefault((cause["kind"], cause["name"]), Holder(cause["kind"], cause["name"]))
            holder.requests += 1
            holder.alone += len(causes) == 1
            holder.tenants[tenant] += 1
            holder.places.update(cause["places"])
    ranking.holders = sorted(holders.values(), key=lambda each: (-each.requests, -each.alone, each.kind, each.name))
    return ranking


def hint(holder: Holder) -> str:
    """What an admin can do about it."""
    if holder.kind == "rule":
        return f"see `decisions`: {holder.name}"
    if holder.kind == "tools":
        return "see `tools.outside`"
    if holder.kind == "earlier_turns":
        return "`history: drop_turns`, or a new conversation"
    if holder.kind == "unknown" and holder.name in _FAULTS:
        return "a fault or too little time: gatehouse doctor, GATEHOUSE_SCAN_BUDGET_MS"
    if holder.name == "SECRET":
        return "take it out of the text: a SECRET is never excepted"
    first = next(iter(holder.places.most_common(1)), ("", 0))[0]
    if first.startswith(_FIXED):
        return "a text that comes every time? gatehouse policy approve-text"
    if holder.kind == "unknown":
        return f"`sensitivity.on_unknown.{holder.name}`, with a reason"
    if holder.name in MEANINGS:
        return "`egress.<level>.meaning_may_leave`, or approve-text"
    return "`sensitivity.exceptions`, `min_score`, or payload pseudonymized"


def is_of(record: JsonObject, policy: str | None) -> bool:
    """Whether this version decided it: as x-gatehouse-policy says, or the beginning of its digest; None: any."""
    if policy is None:
        return True
    known = record.get("policy") or {}
    version, digest = str(known.get("version", "")), str(known.get("digest", ""))
    return (
        policy == version or f"{version}-{digest}".startswith(policy) or (len(policy) > 5 and digest.startswith(policy))
    )


def ranking_json(ranking: Ranking, limit: int) -> JsonObject:
    """The first `limit` of it, as plain JSON."""
    return {
        "requests": ranking.requests,
        "held": ranking.held,
        "by": [
            {
                "kind": holder.kind,
                "name": holder.name,
                "requests": holder.requests,
                "alone": holder.alone,
                "tenants": dict(holder.tenants.most_common()),
                "places": dict(holder.places.most_common()),
                "hint": hint(holder),
            }
            for holder in ranking.holders[:limit]
        ],
    }
