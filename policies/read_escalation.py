"""From `escalation` to its compiled form, with the checks of what does not go together and of what would do nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from policies.document import Path
from policies.escalation import EscalationPolicy, EscalationTarget, TargetKind
from policies.notes import Notes
from policies.shape_escalation import EscalationPart, TargetPart
from policies.types import Model

_HERE: Path = ("escalation",)


def read_escalation(part: EscalationPart, models: Mapping[str, Model], notes: Notes) -> EscalationPolicy:
    """The compiled policy. A key that would do nothing beside the others is a warning."""
    if part.threshold is not None and part.target is not None:
        notes.problem((*_HERE, "target"), "'threshold' and 'target' exclude each other: keep one", at_key=True)
    policy = EscalationPolicy(
        threshold=float(part.threshold or 0.0),
        max_hops=part.max_hops,
        stream=part.stream,
        target=None if part.target is None else _target(part.target, notes),
        hold_tokens=part.hold_tokens,
        hold_ms=part.hold_ms,
        race_from=part.race,
        second_look=part.second_look,
        samples=part.samples,
        deadline_seconds=None if part.deadline_ms is None else part.deadline_ms / 1000,
        affinity_seconds=None if part.affinity is None else part.affinity.minutes * 60,
    )
    _warn_of_idle(part, policy, models, notes)
    return policy


def _target(part: TargetPart, notes: Notes) -> EscalationTarget | None:
    kinds: tuple[TargetKind, ...] = get_args(TargetKind)
    given = [kind for kind in kinds if getattr(part, kind) is not None]
    if len(given) != 1:
        notes.problem((*_HERE, "target"), f"'target' must have exactly one of {', '.join(kinds)}")
        return None
    return EscalationTarget(given[0], float(getattr(part, given[0])))


def _warn_of_idle(part: EscalationPart, policy: EscalationPolicy, models: Mapping[str, Model], notes: Notes) -> None:
    """Tell what was written and changes nothing, and why."""
    written = part.model_fields_set
    if not policy.may_escalate:
        why = "max_hops is 0" if policy.max_hops == 0 else "there is neither a threshold above 0 nor a target"
        for key in (
            "threshold",
            "target",
            "stream",
            "hold_tokens",
            "hold_ms",
            "deadline_ms",
            "race",
            "second_look",
            "samples",
        ):
            is_said = key in written and getattr(part, key) != type(part).model_fields[key].default
            if is_said and not (key == "threshold" and not policy.threshold):
                notes.warn((*_HERE, key), f"nothing escalates ({why}), so '{key}' changes nothing", at_key=True)
        return
    for key in ("hold_tokens", "hold_ms"):
        if key in written and policy.stream != "commit":
            notes.warn(
                (*_HERE, key), f"only with stream: commit is anything held; '{key}' changes nothing", at_key=True
            )
    if "samples" in written and policy.second_look != "agreement":
        notes.warn((*_HERE, "samples"), "only second_look: agreement takes samples", at_key=True)
    homes = [model for model in models.values() if model.locality == "local"]
    if homes and not any(model.backend == "engine" or "logprobs" in model.capabilities for model in homes):
        notes.warn(_HERE, "no local model gives logprobs, so no answer is measured and none escalates", at_key=True)
