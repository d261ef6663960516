"""From `retention` of a route and of a tenant to how long their records are kept: never longer than everybody's."""

from __future__ import annotations

from policies.reading.notes import Notes
from policies.shape.file import PolicyFile
from policies.shape.retention import RetentionPart
from policies.shape.rules import DecisionPart
from policies.text.document import Path


def read_rule_retention(path: Path, part: DecisionPart, file: PolicyFile, notes: Notes) -> int | None:
    """Days that the records of one route's requests are kept; None where it is as long as the policy's."""
    if part.retention is None:
        return None
    here = (*path, "retention")
    if part.route is None:
        notes.problem(here, "only a route has a retention: a forbid decides where no request goes", at_key=True)
    return _fewer((*here, "records_days"), part.retention.records_days, file.retention.records_days, notes)


def read_tenant_days(path: Path, part: RetentionPart | None, most: int | None, notes: Notes) -> int | None:
    """Days that a tenant's records are kept, no longer than everybody's."""
    if part is None or part.records_days is None:
        return most
    return _fewer((*path, "retention", "records_days"), part.records_days, most, notes)


def _fewer(path: Path, days: int, most: int | None, notes: Notes) -> int:
    if most is not None and days > most:
        notes.problem(path, f"'records_days' is more than the {most:,} days of 'retention.records_days'")
    return days
