"""From `release` to its rule. What may never be released, or not by this tenant, is a problem."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from policies.reading.notes import Notes
from policies.shape.release import ReleasePart, TenantReleasePart
from policies.text.document import Path
from policies.types import Level, ReleaseRule

_SECONDS = {"s": 1, "m": 60, "h": 3600}
_MOST = 24 * 3600


def read_release(part: ReleasePart | None, notes: Notes) -> ReleaseRule | None:
    """The compiled rule; None where nothing may be released."""
    if part is None:
        return None
    levels = _levels(("release", "levels"), part.levels, notes)
    seconds = _seconds(("release", "ttl"), part.ttl, notes)
    groups = frozenset(part.groups) if part.groups is not None else None
    return ReleaseRule(levels, part.by, seconds, groups) if levels else None


def read_tenant_release(
    path: Path, part: TenantReleasePart | None, base: ReleaseRule | None, notes: Notes
) -> ReleaseRule | None:
    """The file's rule as a tenant is held to it: each word may only take something away."""
    if part is None:
        return base
    at = (*path, "release")
    if base is None:
        if part.levels != []:
            notes.problem(at, "the file lets nothing be released, so a tenant has nothing to say of it", at_key=True)
        return None
    levels = base.levels if part.levels is None else _levels((*at, "levels"), part.levels, notes)
    for index, level in enumerate(part.levels or ()):
        if Level[level.upper()] not in base.levels:
            notes.problem((*at, "levels", index), f"the file does not let {level} be released")
    if part.by == "user" and base.by == "approver":
        notes.problem((*at, "by"), "the file asks for an approver: a tenant cannot do without")
    seconds = base.ttl_seconds if part.ttl is None else _seconds((*at, "ttl"), part.ttl, notes)
    if seconds > base.ttl_seconds:
        notes.problem((*at, "ttl"), f"this is longer than the {base.ttl_seconds:,} seconds of the file")
    return replace(base, levels=levels, by=part.by or base.by, ttl_seconds=seconds) if levels else None


def _levels(path: Path, words: Sequence[str], notes: Notes) -> frozenset[Level]:
    for index, word in enumerate(words):
        if word == Level.RESTRICTED.word:
            notes.problem((*path, index), "restricted is never released: no consent lets it leave")
    return frozenset(Level[word.upper()] for word in words)


def _seconds(path: Path, text: str, notes: Notes) -> int:
    seconds = int(text[:-1]) * _SECONDS[text[-1]]
    if seconds > _MOST:
        notes.problem(path, "'ttl' is longer than 24h")
    return seconds
