"""A conversation goes on where it was answered: upward only, and only to what is lawful, able and there now. Pure.

It replaces the default alone: a rule's word comes first, and what sensitivity bars is barred for a conversation too.
"""

from __future__ import annotations

from policies.candidates import Target
from policies.choosing import Case, Choice, Held

AFFINITY = "affinity"


def stay(case: Case) -> tuple[Choice | None, Held | None]:
    """The model that has answered this conversation, or None; and what keeps the conversation from one outside.

    `Facts.answered_by` names the farthest first. Where the conversation was outside and may not be there now, it comes
    home like any other request.
    """
    if case.policy.escalation.affinity_seconds is None or case.policy.mode == "shadow":
        return None, None
    held: Held | None = None
    for name in case.facts.answered_by:
        target = next((each for each in case.targets if each.model.name == name), None)
        if target is None:
            continue
        if target.is_ready:
            case.note(AFFINITY, True, f"{name} has answered this conversation")
            return Choice(target, reason=AFFINITY, may_leave_later=target.is_home), held
        case.note(AFFINITY, False, f"{name} has answered this conversation; {_why_not(target)}")
        if not target.is_lawful and held is None:
            held = Held(AFFINITY, target.barred)
    return None, held


def _why_not(target: Target) -> str:
    return ", ".join(target.candidate().why)
