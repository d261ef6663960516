"""From `escalation` to its compiled form, with the checks of what does not go together and of what would do nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import get_args

from policies.errors import suggest
from policies.escalation import EscalationPolicy, EscalationTarget, TargetKind
from policies.reading.fallback import read_fallback
from policies.reading.notes import Notes
from policies.shape.escalation import EscalationPart, TargetPart
from policies.shape.rules import DecisionPart
from policies.text.document import Path
from policies.types import Model

_HERE: Path = ("escalation",)


def read_escalation(part: EscalationPart, models: Mapping[str, Model], notes: Notes) -> EscalationPolicy:
    """The compiled policy. A key that would do nothing beside the others is a warning."""
    if part.threshold is not None and part.target is not None:
        notes.problem((*_HERE, "target"), "'threshold' and 'target' exclude each other: keep one", at_key=True)
    policy = EscalationPolicy(
        threshold=float(part.threshold or 0.0),
        max_hops=part.max_hops,
        to=_to(part, models, notes),
        stream=part.stream,
        target=None if part.target is None else _target(_HERE, part.target, notes),
        hold_tokens=part.hold_tokens,
        hold_ms=part.hold_ms,
        race_from=part.race,
        second_look=part.second_look,
        samples=part.samples,
        deadline_seconds=None if part.deadline_ms is None else part.deadline_ms / 1000,
        affinity_seconds=None if part.affinity is None else part.affinity.minutes * 60,
        via=part.via,
    )
    _check_via(part.via, models, notes)
    _warn_of_idle(part, policy, models, notes)
    return policy


def read_rule_escalation(
    path: Path, part: DecisionPart, usual: EscalationPolicy, models: Mapping[str, Model], notes: Notes
) -> EscalationPolicy | None:
    """The terms of one route; None where it has none of its own."""
    own, here = part.escalation, (*path, "escalation")
    if own is None:
        return None
    model = models.get(part.route or "")
    if part.route != "local" and (model is None or model.locality != "local"):
        notes.problem(here, "only what a route keeps at home can escalate: 'route' names no local model", at_key=True)
    if (own.threshold is None) == (own.target is None):
        notes.problem(here, "'escalation' of a route must have exactly one of 'threshold' and 'target'", at_key=True)
    if usual.max_hops == 0:
        notes.warn(here, "nothing escalates (max_hops is 0), so 'escalation' changes nothing", at_key=True)
    target = None if own.target is None else _target(here, own.target, notes)
    return replace(usual, threshold=float(own.threshold or 0.0), target=target, rule=part.name)


def _to(part: EscalationPart, models: Mapping[str, Model], notes: Notes) -> tuple[str, ...]:
    """Who is asked; a model at home answers already, and is none of them."""
    if "to" in part.model_fields_set:
        read_fallback((*_HERE, "to"), part.to, None, models, notes)
    named: set[str] = set()
    for index, word in enumerate(part.to):
        meant = {each.name for each in models.values() if each.locality == word}
        if word in models and not meant:
            meant = {word}
        if word == "local" or any(models[name].locality == "local" for name in meant):
            why = f"'{word}' is at home, where the answer was doubtful: name lan, cloud or a model outside"
            notes.problem((*_HERE, "to", index), why)
        named |= meant
    if "max_hops" in part.model_fields_set and part.max_hops > max(1, len(named)):
        what = f"'to' names {len(named)} model{'s' if len(named) != 1 else ''}, so no more are asked"
        notes.warn((*_HERE, "max_hops"), what, at_key=True)
    return tuple(part.to)


def _check_via(via: str | None, models: Mapping[str, Model], notes: Notes) -> None:
    model = models.get(via or "")
    if via is None or (model is not None and model.locality == "local"):
        return
    homes = [name for name, each in models.items() if each.locality == "local"]
    notes.problem((*_HERE, "via"), f"'{via}' is no local model{suggest(via, homes)}")


def _target(here: Path, part: TargetPart, notes: Notes) -> EscalationTarget | None:
    kinds: tuple[TargetKind, ...] = get_args(TargetKind)
    given = [kind for kind in kinds if getattr(part, kind) is not None]
    if len(given) != 1:
        notes.problem((*here, "target"), f"'target' must have exactly one of {', '.join(kinds)}")
        return None
    return EscalationTarget(given[0], float(getattr(part, given[0])))


def _warn_of_idle(part: EscalationPart, policy: EscalationPolicy, models: Mapping[str, Model], notes: Notes) -> None:
    """Tell what was written and changes nothing, and why."""
    written = part.model_fields_set
    if not policy.judges and part.via is not None:
        notes.warn((*_HERE, "via"), "there is neither a threshold above 0 nor a target: nobody is asked", at_key=True)
    if not policy.has_use:
        why = "max_hops is 0" if policy.max_hops == 0 else "there is neither a threshold above 0 nor a target"
        for key in (
            "threshold",
            "target",
            "to",
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
