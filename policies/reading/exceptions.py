"""From `sensitivity.exceptions` and `approved_texts` to what the scan leaves out, with every check of them.

What has expired is void and a warning; nothing that is written here can hide a SECRET.
"""

from __future__ import annotations

from collections.abc import Collection

import re2

from classifiers.detectors.base import pattern
from classifiers.types import Approval, Exemption, SaltedHash
from classifiers.vocabulary import MEANINGS
from policies.calendar import Calendar, day_of
from policies.reading.notes import Notes
from policies.reading.words import check_entity, check_pattern
from policies.shape.sensitivity import ApprovedTextPart, ExceptionPart
from policies.text.document import Path
from policies.types import Level

SECRET = "SECRET"  # noqa: S105  # an entity type
_WITH_DOMAINS = ("EMAIL_ADDRESS", "URL")
_ANYTHING = ("Qx7 kvz@w-3 \u00e9", "0#p2", "Zzyzx")  # what no pattern for certain values matches, all three of them


def read_exceptions(
    parts: list[ExceptionPart],
    own: dict[str, Level],
    entities: Collection[str],
    notes: Notes,
    calendar: Calendar,
) -> tuple[Exemption, ...]:
    """The exceptions that count today. `own` are the policy's dictionaries and patterns with their levels."""
    made = []
    for index, part in enumerate(parts):
        path: Path = ("sensitivity", "exceptions", index)
        _check(path, part, own, {*entities, *own}, notes)
        if _counts(path, part.expires, "this exception", notes, calendar):
            made.append(
                Exemption(
                    part.entity,
                    part.reason,
                    terms=frozenset(part.terms or ()),
                    domains=frozenset(part.domains or ()),
                    patterns=tuple(part.patterns or ()),
                    hashes=frozenset(salted(each) for each in part.hashes or ()),
                    tenant=part.tenant,
                )
            )
    return tuple(made)


def read_approvals(parts: list[ApprovedTextPart], notes: Notes, calendar: Calendar) -> tuple[Approval, ...]:
    """The approved texts that count today."""
    made = []
    seen: dict[tuple[str, str], int] = {}
    for index, part in enumerate(parts):
        path: Path = ("approved_texts", index)
        first = seen.setdefault((part.digest, part.kind), index)
        if first != index:
            notes.warn((*path, "digest"), f"this text is approved already, as '{parts[first].name[:64]}'")
        _check_day((*path, "approved"), part.approved, notes)
        if _counts(path, part.expires, "this approval", notes, calendar):
            made.append(Approval(part.digest, part.kind))
    return tuple(made)


def salted(text: str) -> SaltedHash:
    """`sha256:SALT:DIGEST` in its parts."""
    _, salt, digest = text.split(":")
    return SaltedHash(salt, digest)


def _counts(path: Path, expires: str | None, what: str, notes: Notes, calendar: Calendar) -> bool:
    if expires is not None:
        _check_day((*path, "expires"), expires, notes)
    if calendar.counts(expires):
        return True
    notes.warn((*path, "expires"), f"{what} has expired and is void: take it out, or set a later day")
    return False


def _check_day(path: Path, text: str, notes: Notes) -> None:
    if day_of(text) is None:
        notes.problem(path, "there is no such day")


def _check(path: Path, part: ExceptionPart, own: dict[str, Level], known: Collection[str], notes: Notes) -> None:
    here = (*path, "entity")
    if part.entity == SECRET:
        notes.problem(here, "a SECRET is never excepted")
    check_entity(here, part.entity, known, notes)
    if own.get(part.entity) is Level.RESTRICTED:
        notes.warn(here, f"'{part.entity}' is a restricted list of your own: this takes something out of it again")
    if part.entity in MEANINGS:
        notes.warn(here, f"{part.entity} is about a whole text, which has to match: approved_texts is for those")
    if part.terms is None and part.domains is None and part.patterns is None and part.hashes is None:
        notes.problem(path, "an exception needs 'terms', 'domains', 'patterns' or 'hashes'")
    if part.domains is not None and part.entity not in _WITH_DOMAINS:
        notes.problem((*path, "domains"), f"'domains' is for {' and '.join(_WITH_DOMAINS)} only", at_key=True)
    if part.hashes is not None and part.entity.startswith("DATE"):
        notes.problem((*path, "hashes"), "'hashes' is not for dates, which anybody could try out", at_key=True)
    for index, regex in enumerate(part.patterns or ()):
        place = (*path, "patterns", index)
        check_pattern(place, regex, notes)
        if _matches_anything(regex):
            notes.warn(place, f"this pattern matches anything: no {part.entity} would be found at all")


def _matches_anything(regex: str) -> bool:
    try:
        compiled = pattern(regex)
    except re2.error:
        return False
    return all(compiled.fullmatch(text.encode()) is not None for text in _ANYTHING)
