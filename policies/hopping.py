"""The models outside that a doubtful answer at home may be handed on to, in their order. Pure.

Each is judged for this very request like any other: only lawful, able ones that are there are hops.
"""

from __future__ import annotations

from policies.candidates import Target, Targets
from policies.escalation import EscalationPolicy


def hops(escalation: EscalationPolicy, targets: Targets) -> tuple[Target, ...]:
    """At most `max_hops` of those that `escalation.to` names, each once."""
    ready: dict[str, Target] = {}
    for word in escalation.to:
        for each in targets.named(word):
            if each.is_ready and not each.is_home:
                ready.setdefault(each.model.name, each)
    return tuple(ready.values())[: escalation.max_hops]
