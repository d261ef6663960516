"""From `deadline` and `urgency` to their compiled form: what a rule does not say is what `defaults` says."""

from __future__ import annotations

from collections.abc import Mapping

from policies.reading.notes import Notes
from policies.serving import IN_ANY_TIME, Serving
from policies.shape.file import PolicyFile
from policies.shape.rules import DecisionPart
from policies.shape.serving import DeadlinePart
from policies.text.document import Path
from policies.types import Model


def read_default_serving(file: PolicyFile, notes: Notes) -> Serving:
    """How a request is served whose rule does not say, or that no rule decided."""
    return _serving(("defaults",), file.defaults.deadline, IN_ANY_TIME, notes)


def read_rule_serving(
    path: Path, part: DecisionPart, defaults: Serving, models: Mapping[str, Model], notes: Notes
) -> Serving | None:
    """The same for one route; None where it says nothing of its own."""
    for key in ("deadline", "urgency"):
        if part.route is None and getattr(part, key) is not None:
            notes.problem((*path, key), f"only a route has '{key}': a forbid answers nothing", at_key=True)
    if part.urgency == "low" and not any(model.backend == "engine" for model in models.values()):
        why = "only the embedded engine has a line to wait in, and no model is its own: 'urgency' changes nothing"
        notes.warn((*path, "urgency"), why, at_key=True)
    if part.deadline is None and part.urgency is None:
        return None
    serving = _serving(path, part.deadline, defaults, notes)
    return Serving(serving.total_seconds, serving.first_token_seconds, part.urgency or "normal")


def _serving(path: Path, part: DeadlinePart | None, usual: Serving, notes: Notes) -> Serving:
    if part is None:
        return usual
    total = usual.total_seconds if part.total_seconds is None else part.total_seconds
    first = usual.first_token_seconds if part.first_token_seconds is None else part.first_token_seconds
    here = (*path, "deadline")
    if not part.model_fields_set:
        notes.problem(here, "'deadline' names nothing: total_seconds, first_token_seconds or both")
    if part.first_token_seconds is not None and total is not None and part.first_token_seconds > total:
        why = f"'first_token_seconds' is more than the {total:g} seconds that the whole answer may take"
        notes.problem((*here, "first_token_seconds"), why)
    return Serving(total, first)
