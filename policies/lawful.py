"""Which payload may reach which model at which sensitivity: the constraint that stands before any choice. Pure.

Nothing here may ever widen what an egress rule says; what pseudonyms cannot hide is held to the rule of its own level.
"""

from __future__ import annotations

from classifiers.types import Finding
from policies.levels import counted_level
from policies.types import EgressRule, Level, Model, Payload, Policy


def lawful_payload(
    policy: Policy, level: Level, model: Model, kept: Level | None = Level.RESTRICTED
) -> tuple[Payload, str]:
    """What of a request at `level` may reach `model`, and, for `none`, why. A local model may take everything.

    `kept` is the level of what no placeholder can stand for (`policies.levels.kept_level`); None: of nothing.
    """
    if model.locality == "local":
        return "full", ""
    rule = policy.egress.get(level)
    if rule is None or rule.payload == "none":
        return "none", f"{level.word} stays at home"
    if level is Level.RESTRICTED and model.locality == "cloud":
        return "none", "restricted never reaches a cloud"
    why = misfit(rule, level, model)
    if why:
        return "none", why
    if rule.payload == "full":
        return "full", ""
    if kept is not None and not takes_whole(policy, kept, model):
        return "none", f"{level.word} may leave pseudonymized only, and not all of it can be replaced"
    return "pseudonymized", ""


def must_hide(policy: Policy, level: Level, model: Model, finding: Finding) -> bool:
    """Whether a finding of a request at `level` may reach `model` as a placeholder only.

    What may leave whole by itself needs none; nor does a meaning that the level's rule lets out.
    """
    counted = counted_level(policy, level, finding)
    return counted is not None and not takes_whole(policy, counted, model)


def takes_whole(policy: Policy, level: Level, model: Model) -> bool:
    """Whether a request at this level may reach the model as it is."""
    if model.locality == "local":
        return True
    rule = policy.egress.get(level)
    if rule is None or rule.payload != "full" or (level is Level.RESTRICTED and model.locality == "cloud"):
        return False
    return not misfit(rule, level, model)


def misfit(rule: EgressRule, level: Level, model: Model) -> str:
    """Why a model is none that the rule of a level lets anything reach, whatever the payload; empty when it is one."""
    if model.locality not in rule.localities:
        return f"{level.word} may not reach {model.locality}"
    if rule.regions is not None and model.region not in rule.regions:
        return f"{level.word} may not reach region {model.region or 'unknown'}"
    missing = rule.require - model.attributes
    return f"{level.word} requires {', '.join(sorted(missing))}" if missing else ""
