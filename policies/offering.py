"""Whether consent would let a held request out at once, and where to. Pure; what it says opens nothing by itself."""

from __future__ import annotations

from dataclasses import replace

from classifiers.types import Signals
from policies.decide import decide
from policies.levels import request_level
from policies.releasing import is_checked, reaches
from policies.types import Facts, Policy, Release


def offered(policy: Policy, facts: Facts, signals: Signals, *, home_is_down: bool = False) -> Release | None:
    """What somebody could agree to: the model that the request would go to then, and its level now. No id, no end yet.

    None where the request would stay all the same. `home_is_down`: leaving as a fallback is leaving too.
    """
    if policy.release is None or not is_checked(facts, signals):
        return None
    level = request_level(policy, signals, facts)[0]
    for model in sorted(policy.models.values(), key=lambda each: each.name != policy.default_cloud):
        if not reaches(policy, level, model):
            continue
        release = Release("", model.name, level)
        decision = decide(policy, replace(facts, release=release), signals)
        falls_back = home_is_down and decision.fallback is not None and decision.fallback.model == model.name
        if decision.release is not None and (decision.model == model.name or falls_back):
            return release
    return None
