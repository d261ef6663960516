"""What somebody's consent can let out that the level's own rule keeps at home: one request, whole, to one model. Pure.

It lifts the payload of a level and nothing else: regions, localities and attributes, forbids, tools and locks stay, and
`restricted` is never lifted.
"""

from __future__ import annotations

from classifiers.types import Scan, Signals
from policies.lawful import misfit, takes_whole
from policies.types import Decision, EgressRule, Facts, Grant, Level, Model, Policy, Reason, Release

RELEASE = "release"  # the word for it among the reasons

_STAYS = EgressRule("none")


def reaches(policy: Policy, level: Level, model: Model) -> bool:
    """Whether consent can let a request at `level` reach `model` whole: never what a lower level may not reach."""
    rule = policy.release
    if rule is None or level not in rule.levels or level is Level.RESTRICTED or model.locality == "local":
        return False
    if misfit(policy.egress.get(level, _STAYS), level, model):
        return False
    return all(takes_whole(policy, each, model) or reaches(policy, each, model) for each in Level if each < level)


def is_checked(facts: Facts, signals: Signals) -> bool:
    """Whether all of a request could be read: nobody can agree to what nobody has seen, whatever `on_unknown` says."""
    measured = signals.values.get("sensitivity")
    has_failed = measured is not None and measured.error is not None
    return not has_failed and not signals.scan.unknowns and facts.taint_source not in ("unavailable", "forgotten")


def standing(policy: Policy, facts: Facts, level: Level, signals: Signals, reasons: list[Reason]) -> Release | None:
    """The release that a request brought with it, where it counts for what the request is found to be now."""
    release = facts.release
    if release is None:
        return None
    why = _why_void(policy, facts, level, signals, release)
    said = why or f"{level.word} may reach {release.model} once: it was released"
    reasons.append(Reason(RELEASE, not why, said))
    return None if why else release


def lifted(policy: Policy, decision: Decision, grant: Grant, level: Level, scan: Scan) -> Release | None:
    """The release of a decision, where it covers bytes at `level` for this grant; None where it does not."""
    release = decision.release
    if release is None or grant.model != release.model or grant.payload != "full" or scan.unknowns:
        return None
    if level > release.level or not reaches(policy, level, policy.models[grant.model]):
        return None
    return release


def _why_void(policy: Policy, facts: Facts, level: Level, signals: Signals, release: Release) -> str:
    model = policy.models.get(release.model)
    if level > release.level:
        return f"not released: it counts as {level.word} now, and {release.level.word} was agreed to"
    if not is_checked(facts, signals):
        return "not released: a part of it could not be checked"
    if model is None or not reaches(policy, level, model):
        return f"nothing to release: {level.word} may not be released to {release.model}, or needs none"
    return ""
