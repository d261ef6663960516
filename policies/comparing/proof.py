"""The static proof: for each level, which models can be reached with which payload, whatever a request holds.

Written apart from `policies.lawful`, as sets over the whole policy: each checks the other, and neither may be loosened
alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

from policies.types import EgressRule, Level, Locality, Model, Payload, Policy

_RANK: dict[Payload, int] = {"none": 0, "pseudonymized": 1, "full": 2}


@dataclass(frozen=True, slots=True)
class Reach:
    """One cell of the table. `payload` is the most that can ever reach the model at this level; `none`: nothing.

    `released_by`: whose consent can let a held request reach it whole all the same; empty: nobody's."""

    level: Level
    model: str
    locality: Locality
    region: str | None
    payload: Payload
    released_by: str = ""


def reachable(policy: Policy) -> tuple[Reach, ...]:
    """Every level with every model, in order. Rules can only take away from it: forbids are left out of account."""
    return tuple(
        Reach(
            level,
            model.name,
            model.locality,
            model.region,
            _most(policy, level, model),
            _released(policy, level, model),
        )
        for level, model in product(Level, policy.models.values())
    )


def violations(policy: Policy) -> tuple[str, ...]:
    """What must never be: restricted at a cloud model, or a higher level where a lower one may not be."""
    found = []
    reached: dict[str, Payload] = {}  # what the level below may send to each model
    ever: dict[str, bool] = {}  # … and whether all of it could, if somebody agreed
    for cell in reachable(policy):
        if cell.level is Level.RESTRICTED and cell.locality == "cloud" and cell.payload != "none":
            found.append(f"restricted can reach the cloud model '{cell.model}'")
        below = reached.get(cell.model, cell.payload)
        if _RANK[cell.payload] > _RANK[below]:
            less = "cannot" if below == "none" else "may only pseudonymized"
            found.append(f"{cell.level.word} can reach '{cell.model}' although a lower level {less}")
        reached[cell.model] = cell.payload
        if cell.released_by and cell.level is Level.RESTRICTED:
            found.append(f"restricted can be released to '{cell.model}'")
        if cell.released_by and not ever.get(cell.model, True):
            found.append(f"{cell.level.word} can be released to '{cell.model}' although a lower level cannot")
        ever[cell.model] = cell.payload == "full" or bool(cell.released_by)
    return tuple(found)


def beyond(policy: Policy, view: Policy) -> tuple[str, ...]:
    """What a tenant's view of a policy could let out that the policy itself could not: nothing, or it is refused."""
    most = {(cell.level, cell.model): cell for cell in reachable(policy)}
    found = []
    for cell in reachable(view):
        own = most.get((cell.level, cell.model))
        if _RANK[cell.payload] > (_RANK[own.payload] if own is not None else 0):
            found.append(
                f"{cell.level.word} could reach '{cell.model}' as {cell.payload}, which is more than the file lets out"
            )
        # What the file lets out whole anyway may be made to need somebody's consent.
        if cell.released_by and (own is None or not (own.released_by or own.payload == "full")):
            found.append(f"{cell.level.word} could be released to '{cell.model}', which the file does not let it be")
    return tuple(found)


def _most(policy: Policy, level: Level, model: Model) -> Payload:
    if model.locality == "local":
        return "full"
    rule = _rule(policy, level)
    regions = {model.region} if rule.regions is None else rule.regions
    is_reached = {model.locality} <= rule.localities and {model.region} <= regions and rule.require <= model.attributes
    return rule.payload if is_reached else "none"


def _released(policy: Policy, level: Level, model: Model) -> str:
    """Whose consent lets a request at `level` reach `model` whole: each level up to it must be let out, or released."""
    if policy.release is None or model.locality == "local" or _most(policy, level, model) == "full":
        return ""
    up_to = {each for each in Level if each <= level}
    let_out = {each for each in up_to if _most(policy, each, model) == "full"}
    released = {
        each
        for each in policy.release.levels
        if _most(replace(policy, egress={each: replace(_rule(policy, each), payload="full")}), each, model) == "full"
    }
    return policy.release.by if up_to <= let_out | released else ""


def _rule(policy: Policy, level: Level) -> EgressRule:
    return policy.egress.get(level, EgressRule("none"))
