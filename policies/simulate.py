"""The blast radius of a policy: what it would decide about requests that were decided before. Pure, no content.

It compares with what the records say was decided, not with what the old file would decide today.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Literal

from policies.decide import decide
from policies.replay import NotReplayable, Replayed, replay
from policies.tenants import view_of
from policies.types import Decision, Payload, Policy

Change = Literal[
    "newly leaves",
    "newly may leave",
    "leaves with more",
    "newly stays",
    "may no longer leave",
    "leaves with less",
    "changes model",
    "newly refused",
    "no longer refused",
    "unchanged",
]
LEAVING: tuple[Change, ...] = ("newly leaves", "newly may leave", "leaves with more")
_EXITS = ("lan", "cloud")
_SHOWN = 5  # ids of a group
_RANK: dict[Payload, int] = {"none": 0, "pseudonymized": 1, "full": 2}
_REACH = {"refused": 0, "local": 0, "lan": 1, "cloud": 2}


@dataclass(frozen=True, slots=True)
class Verdict:
    """One request under the candidate. Deltas are candidate minus record; None: not known."""

    id: str
    change: Change
    tenant: str
    rule: str  # the candidate's, or its reason
    sensitivity: str  # under the candidate
    was: str  # model, or `refused`
    becomes: str
    cost_delta_usd: float | None
    latency_delta_ms: float | None


@dataclass(slots=True)
class Group:
    """The requests of one group. `ids`: the first few. Costs that are not known are counted, never taken as nothing."""

    requests: int = 0
    cost_delta_usd: float = 0.0
    cost_unknown: int = 0
    latency_deltas_ms: list[float] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)

    @property
    def latency_delta_ms(self) -> float | None:
        """The median of what is known."""
        return median(self.latency_deltas_ms) if self.latency_deltas_ms else None

    def add(self, verdict: Verdict, most: int) -> None:
        """Count one."""
        self.requests += 1
        if len(self.ids) < most:
            self.ids.append(verdict.id)
        if verdict.cost_delta_usd is None:
            self.cost_unknown += 1
        else:
            self.cost_delta_usd += verdict.cost_delta_usd
        if verdict.latency_delta_ms is not None:
            self.latency_deltas_ms.append(verdict.latency_delta_ms)


# Change, the candidate's rule, tenant, sensitivity under the candidate, model before, model after.
Key = tuple[Change, str, str, str, str, str]


@dataclass(slots=True)
class Radius:
    """All verdicts, counted. `ids` holds those of every change but `unchanged`, the first `most` of each; `groups` has
    the same requests by everything that tells them apart."""

    requests: int = 0
    not_replayable: int = 0
    changes: Counter[Change] = field(default_factory=Counter)
    groups: dict[Key, Group] = field(default_factory=lambda: defaultdict(Group))
    ids: dict[Change, list[str]] = field(default_factory=lambda: defaultdict(list))
    cost_delta_usd: float = 0.0
    cost_unknown: int = 0
    latency_deltas_ms: list[float] = field(default_factory=list)
    most: int = 1000

    @property
    def leaving(self) -> int:
        """How many requests would leave, might leave, or would leave with more, that did not before."""
        return sum(self.changes[change] for change in LEAVING)

    @property
    def latency_delta_ms(self) -> float | None:
        """The median of what is known of all that changes."""
        return median(self.latency_deltas_ms) if self.latency_deltas_ms else None

    def by(self, part: Literal["rule", "tenant", "sensitivity"]) -> dict[tuple[Change, str], Group]:
        """The same requests by their change and one thing alone, the most first."""
        index = {"rule": 1, "tenant": 2, "sensitivity": 3}[part]
        found: dict[tuple[Change, str], Group] = defaultdict(Group)
        for key, group in self.groups.items():
            total = found[key[0], key[index]]
            total.requests += group.requests
            total.cost_delta_usd += group.cost_delta_usd
            total.cost_unknown += group.cost_unknown
            total.latency_deltas_ms += group.latency_deltas_ms
            total.ids = [*total.ids, *group.ids][:_SHOWN]
        return dict(sorted(found.items(), key=lambda item: -item[1].requests))

    def add(self, verdict: Verdict) -> None:
        """Count one."""
        self.requests += 1
        self.changes[verdict.change] += 1
        if verdict.change == "unchanged":
            return
        key = (verdict.change, verdict.rule, verdict.tenant, verdict.sensitivity, verdict.was, verdict.becomes)
        self.groups[key].add(verdict, _SHOWN)
        if len(self.ids[verdict.change]) < self.most:
            self.ids[verdict.change].append(verdict.id)
        if verdict.cost_delta_usd is None:
            self.cost_unknown += 1
        else:
            self.cost_delta_usd += verdict.cost_delta_usd
        if verdict.latency_delta_ms is not None:
            self.latency_deltas_ms.append(verdict.latency_delta_ms)


def simulate(policy: Policy, records: Iterable[Mapping[str, Any]], latencies: Mapping[str, float]) -> Radius:
    """Every record through the candidate. `latencies` are the usual milliseconds by model name (`usual_latencies`)."""
    radius = Radius()
    for record in records:
        try:
            request = replay(record)
        except NotReplayable:
            radius.not_replayable += 1
            continue
        radius.add(judge(policy, request, latencies))
    return radius


def usual_latencies(answers: Iterable[tuple[str, float]]) -> dict[str, float]:
    """The median latency of whole answers by the model that gave them, in milliseconds."""
    seen: dict[str, list[float]] = defaultdict(list)
    for model, latency in answers:
        seen[model].append(latency)
    return {model: median(values) for model, values in seen.items()}


def judge(policy: Policy, request: Replayed, latencies: Mapping[str, float]) -> Verdict:
    """What the candidate would make of one request."""
    decision, before = decide(view_of(policy, request.facts.tenant), request.facts, request.signals), request.before
    goes_out = decision.route in _EXITS or _escalates(decision, request)
    becomes = _answerer(decision, request)
    changed_model = becomes != (before.answered_by or before.model)
    return Verdict(
        id=request.id,
        change=_change(decision, request, goes_out),
        tenant=request.facts.tenant,
        rule=decision.rule or decision.reason,
        sensitivity=decision.sensitivity.word,
        was=before.answered_by or before.model or "refused",
        becomes=becomes or "refused",
        cost_delta_usd=_cost_delta(policy, request, becomes) if changed_model else 0.0,
        latency_delta_ms=_latency_delta(request, becomes, latencies) if changed_model else 0.0,
    )


def _escalates(decision: Decision, request: Replayed) -> bool:
    """Whether the answer that home gave would not do under the candidate. Without one nobody knows."""
    confidence = request.before.confidence
    return decision.escalation is not None and confidence is not None and confidence < decision.threshold


def _answerer(decision: Decision, request: Replayed) -> str | None:
    if decision.escalation is not None and _escalates(decision, request):
        return decision.escalation.model
    return decision.model


def _change(decision: Decision, request: Replayed, goes_out: bool) -> Change:
    before = request.before
    if goes_out or before.goes_out:
        return _of_exits(decision, request, goes_out)
    later = frozenset(grant.model for grant in decision.grants)
    if later - before.granted:
        return "newly may leave"
    if before.granted and not later:
        return "may no longer leave"
    if (decision.route == "refused") != (before.route == "refused"):
        return "newly refused" if decision.route == "refused" else "no longer refused"
    return "unchanged" if decision.model == before.model else "changes model"


def _of_exits(decision: Decision, request: Replayed, goes_out: bool) -> Change:
    """Of two plans of which one at least goes out."""
    before = request.before
    if not before.goes_out:
        return "newly leaves"
    if not goes_out:
        return "newly refused" if decision.route == "refused" else "newly stays"
    if decision.route in _EXITS and before.route in _EXITS:
        more = _RANK[decision.payload] - _RANK[before.payload] or _REACH[decision.route] - _REACH[before.route]
        if more:
            return "leaves with more" if more > 0 else "leaves with less"
    return "unchanged" if decision.model == before.model else "changes model"


def _cost_delta(policy: Policy, request: Replayed, becomes: str | None) -> float | None:
    before = request.before
    if before.cost_usd is None:
        return None
    if becomes is None:
        return -before.cost_usd
    model = policy.models[becomes]
    if model.price is None:
        return -before.cost_usd if model.locality != "cloud" else None
    if not before.input_tokens:
        return None
    cost = before.input_tokens * model.price.input_per_1m + before.output_tokens * model.price.output_per_1m
    return cost / 1e6 - before.cost_usd


def _latency_delta(request: Replayed, becomes: str | None, latencies: Mapping[str, float]) -> float | None:
    before = request.before.latency_ms
    after = latencies.get(becomes) if becomes is not None else None
    return None if before is None or after is None else after - before
