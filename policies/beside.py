"""What a second policy would have decided about a request beside the one in force: to be compared, and nothing else.

No permit can come of it: it is asked for after the request has ended, and gives words only. Pure, no content.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from classifiers.types import Signals
from policies.decide import decide
from policies.tenants import view_of
from policies.types import Decision, Facts, Policy

_EXITS = ("lan", "cloud")


@dataclass(frozen=True, slots=True)
class Beside:
    """The candidate's decision. `differs` names what is otherwise: route, model, payload, rule, sensitivity, later (the
    models that an escalation or fallback may go to)."""

    digest: str
    version: int
    differs: tuple[str, ...]
    route: str
    model: str | None
    payload: str
    rule: str
    sensitivity: str
    newly_leaves: bool  # at once or later, which it could not under the policy in force


def beside(candidate: Policy, facts: Facts, signals: Signals, decision: Decision) -> Beside:
    """The candidate over the same facts and signals. What its own dictionaries and patterns would find is not seen."""
    other = decide(view_of(candidate, facts.tenant), facts, signals)
    was, now = _parts(decision), _parts(other)
    return Beside(
        digest=candidate.digest,
        version=candidate.version,
        differs=tuple(name for name in was if was[name] != now[name]),
        route=other.route,
        model=other.model,
        payload=other.payload,
        rule=other.rule or other.reason,
        sensitivity=other.sensitivity.word,
        newly_leaves=_may_leave(other) and not _may_leave(decision),
    )


def _parts(decision: Decision) -> dict[str, object]:
    return {
        "route": decision.route,
        "model": decision.model,
        "payload": decision.payload,
        "rule": decision.rule or decision.reason,
        "sensitivity": decision.sensitivity,
        "later": frozenset(grant.model for grant in decision.grants if grant.purpose != "answer"),
    }


def _may_leave(decision: Decision) -> bool:
    return decision.route in _EXITS or bool(decision.grants)


@dataclass(slots=True)
class Summary:
    """All that was compared with one candidate. `groups`: (rule, route, then the candidate's, what differs)."""

    digest: str = ""
    requests: int = 0
    differing: int = 0
    newly_leaving: int = 0
    groups: Counter[tuple[str, str, str, str, str]] = field(default_factory=Counter)
    ids: list[str] = field(default_factory=list)  # of those that would newly leave, the first thousand


def summarise(records: Iterable[Mapping[str, Any]]) -> dict[str, Summary]:
    """By the candidates' digests, from decision records."""
    found: dict[str, Summary] = {}
    for record in records:
        told, decision = record.get("candidate"), record.get("decision")
        if not isinstance(told, Mapping) or not isinstance(decision, Mapping):
            continue
        digest = str(told["digest"])
        summary = found.setdefault(digest, Summary(digest))
        summary.requests += 1
        if not told["differs"]:
            continue
        summary.differing += 1
        rule = str(decision["rule"] or decision["reason"])
        differs = ", ".join(told["differs"])
        summary.groups[rule, decision["route"], told["rule"], told["route"], differs] += 1
        if told["newly_leaves"]:
            summary.newly_leaving += 1
            if len(summary.ids) < 1000:
                summary.ids.append(str(record["id"]))
    return found
