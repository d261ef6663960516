"""The static proof: for each level, which models can be reached with which payload, whatever a request holds.

Written apart from `policies.lawful`, as sets over the whole policy: each checks the other, and neither may be loosened
alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

from policies.types import EgressRule, Level, Locality, Model, Payload, Policy

_RANK: dict[Payload, int] = {"none": 0, "pseudonymized": 1, "full": 2}


@dataclass(frozen=True, slots=True)
class Reach:
    """One cell of the table. `payload` is the most that can ever reach the model at this level; `none`: nothing."""

    level: Level
    model: str
    locality: Locality
    region: str | None
    payload: Payload


def reachable(policy: Policy) -> tuple[Reach, ...]:
    """Every level with every model, in order. Rules can only take away from it: forbids are left out of account."""
    return tuple(
        Reach(level, model.name, model.locality, model.region, _most(policy, level, model))
        for level, model in product(Level, policy.models.values())
    )


def violations(policy: Policy) -> tuple[str, ...]:
    """What must never be: restricted at a cloud model, or a higher level where a lower one may not be."""
    found = []
    reached: dict[str, Payload] = {}  # what the level below may send to each model
    for cell in reachable(policy):
        if cell.level is Level.RESTRICTED and cell.locality == "cloud" and cell.payload != "none":
            found.append(f"restricted can reach the cloud model '{cell.model}'")
        below = reached.get(cell.model, cell.payload)
        if _RANK[cell.payload] > _RANK[below]:
            less = "cannot" if below == "none" else "may only pseudonymized"
            found.append(f"{cell.level.word} can reach '{cell.model}' although a lower level {less}")
        reached[cell.model] = cell.payload
    return tuple(found)


def beyond(policy: Policy, view: Policy) -> tuple[str, ...]:
    """What a tenant's view of a policy could let out that the policy itself could not: nothing, or it is refused."""
    most = {(cell.level, cell.model): _RANK[cell.payload] for cell in reachable(policy)}
    return tuple(
        f"{cell.level.word} could reach '{cell.model}' as {cell.payload}, which is more than the file lets out"
        for cell in reachable(view)
        if _RANK[cell.payload] > most.get((cell.level, cell.model), 0)
    )


def _most(policy: Policy, level: Level, model: Model) -> Payload:
    if model.locality == "local":
        return "full"
    rule = policy.egress.get(level, EgressRule("none"))
    regions = {model.region} if rule.regions is None else rule.regions
    is_reached = {model.locality} <= rule.localities and {model.region} <= regions and rule.require <= model.attributes
    return rule.payload if is_reached else "none"
