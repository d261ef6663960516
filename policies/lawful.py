"""Which payload may reach which model at which sensitivity: the constraint that stands before any choice. Pure.

What cannot be done yet counts as `none`: nothing here may ever widen what an egress rule says.
"""

from __future__ import annotations

from policies.types import EgressRule, Level, Model, Payload, Policy


def lawful_payload(policy: Policy, level: Level, model: Model) -> tuple[Payload, str]:
    """What of a request at `level` may reach `model`, and, for `none`, why. A local model may take everything."""
    if model.locality == "local":
        return "full", ""
    rule = policy.egress.get(level)
    if rule is None or rule.payload == "none":
        return "none", f"{level.word} stays at home"
    if level is Level.RESTRICTED and model.locality == "cloud":
        return "none", "restricted never reaches a cloud"
    why = _misfit(rule, level, model)
    if why:
        return "none", why
    if rule.payload != "full":
        return "none", f"{level.word} may leave pseudonymized only, which is not available yet"
    return "full", ""


def _misfit(rule: EgressRule, level: Level, model: Model) -> str:
    if model.locality not in rule.localities:
        return f"{level.word} may not reach {model.locality}"
    if rule.regions is not None and model.region not in rule.regions:
        return f"{level.word} may not reach region {model.region or 'unknown'}"
    missing = rule.require - model.attributes
    return f"{level.word} requires {', '.join(sorted(missing))}" if missing else ""
