"""From the `sensitivity` part of a file to levels and scan rules, with every check that needs no other part.

An entity that nothing produces is a warning; whatever would hide a SECRET is a problem.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass, replace

from classifiers.types import Approval, Dictionary, Exemption, Pattern, ScanRules
from policies.calendar import Calendar
from policies.reading.exceptions import SECRET, read_approvals, read_exceptions, salted
from policies.reading.notes import Notes
from policies.reading.words import check_entity, check_pattern
from policies.shape.file import PolicyFile
from policies.shape.sensitivity import DictionaryPart, SensitivityPart
from policies.shape.tenants import TenantSensitivityPart
from policies.text.document import Path
from policies.types import Level

_HERE: Path = ("sensitivity",)


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """The compiled part."""

    levels: dict[str, Level]
    min_score: dict[str, float]
    on_unknown: dict[str, Level]
    rules: ScanRules


def read_sensitivity(file: PolicyFile, entities: Collection[str], notes: Notes, calendar: Calendar) -> Sensitivity:
    """Compile the part. `entities` are the types that the loaded detectors can produce."""
    part = file.sensitivity
    own = own_names(part, notes)
    levels = _levels(part, own, notes)
    known = {*entities, *own}
    for word in ("public", "internal", "confidential", "restricted"):
        for index, entity in enumerate(getattr(part.levels, word)):
            check_entity(("sensitivity", "levels", word, index), entity, known, notes)
    for entity in part.min_score:
        check_entity(("sensitivity", "min_score", entity), entity, known, notes, at_key=True)
    for index, pattern in enumerate(part.patterns):
        check_pattern(("sensitivity", "patterns", index, "regex"), pattern.regex, notes)
    for index, dictionary in enumerate(part.dictionaries):
        _check_dictionary(("sensitivity", "dictionaries", index), dictionary, notes)
    exemptions = read_exceptions(part.exceptions, own, entities, notes, calendar)
    approvals = read_approvals(file.approved_texts, notes, calendar)
    return Sensitivity(
        levels=levels,
        min_score={entity: float(score) for entity, score in part.min_score.items()},
        on_unknown={kind: level_of(entry.counts_as) for kind, entry in part.on_unknown.items()},
        rules=_scan_rules(part, exemptions, approvals),
    )


def level_of(word: str) -> Level:
    """The level of that name."""
    return Level[word.upper()]


def own_names(part: SensitivityPart | TenantSensitivityPart, notes: Notes, at: Path = _HERE) -> dict[str, Level]:
    """Dictionaries and patterns with their levels; `at` is where the part stands."""
    own: dict[str, Level] = {}
    lists: tuple[tuple[str, list[tuple[str, str]]], ...] = (
        ("dictionaries", [(each.name, each.level) for each in part.dictionaries]),
        ("patterns", [(each.name, each.level) for each in part.patterns]),
    )
    for key, entries in lists:
        for index, (name, level) in enumerate(entries):
            if name in own:
                notes.problem((*at, key, index, "name"), f"'{name}' is the name of another one already")
            own[name] = level_of(level)
    return own


def _levels(part: SensitivityPart, own: dict[str, Level], notes: Notes) -> dict[str, Level]:
    levels: dict[str, Level] = {}
    for level in Level:
        for index, entity in enumerate(getattr(part.levels, level.word)):
            path: Path = ("sensitivity", "levels", level.word, index)
            if entity in own:
                notes.problem(path, f"'{entity}' is a dictionary or pattern: its level stands there")
            elif entity in levels:
                notes.problem(path, f"'{entity}' is listed twice (also as {levels[entity].word})")
            if entity == SECRET and level < Level.CONFIDENTIAL:
                notes.problem(path, "SECRET may not count as less than confidential")
            levels[entity] = level
    return {**levels, **own}


def _check_dictionary(path: Path, part: DictionaryPart, notes: Notes) -> None:
    if part.terms is None and part.hashes is None:
        notes.problem(path, f"'{part.name}' needs 'terms' or 'hashes'")
    for position, term in enumerate(part.terms or ()):
        if len(term.strip()) < 2:
            notes.problem((*path, "terms", position), "a term of blanks")
    salts = [salted(each).salt for each in part.hashes or ()]
    for position, salt in enumerate(salts):
        if salt != salts[0]:
            where = (*path, "hashes", position)
            notes.problem(where, "a dictionary has one salt: gatehouse policy hash --salt with that of the first")


def _scan_rules(part: SensitivityPart, exemptions: tuple[Exemption, ...], approvals: tuple[Approval, ...]) -> ScanRules:
    rules = ScanRules(
        dictionaries=tuple(_dictionary(each) for each in part.dictionaries),
        patterns=tuple(Pattern(each.name, each.regex) for each in part.patterns),
        exemptions=exemptions,
        approvals=approvals,
        countries=tuple(part.countries),
    )
    return replace(rules, digest=_digest(rules))


def with_more_rules(rules: ScanRules, part: TenantSensitivityPart, notes: Notes, at: Path) -> ScanRules:
    """The scan rules of the file with a tenant's own dictionaries and patterns beside them."""
    if not part.dictionaries and not part.patterns:
        return rules
    for index, dictionary in enumerate(part.dictionaries):
        _check_dictionary((*at, "dictionaries", index), dictionary, notes)
    for index, each in enumerate(part.patterns):
        check_pattern((*at, "patterns", index, "regex"), each.regex, notes)
    more = replace(
        rules,
        dictionaries=(*rules.dictionaries, *(_dictionary(each) for each in part.dictionaries)),
        patterns=(*rules.patterns, *(Pattern(each.name, each.regex) for each in part.patterns)),
    )
    return replace(more, digest=_digest(more))


def _dictionary(part: DictionaryPart) -> Dictionary:
    hashes = [salted(each) for each in part.hashes or ()]
    salt = hashes[0].salt if hashes else ""
    return Dictionary(part.name, tuple(part.terms or ()), tuple(each.digest for each in hashes), salt, part.words)


def _digest(rules: ScanRules) -> str:
    """SHA-256 of what changes what is found: levels and reasons do not."""
    content = [
        [[each.name, each.terms, each.hashes, each.salt, each.words] for each in rules.dictionaries],
        [[each.name, each.regex] for each in rules.patterns],
        [
            [
                *(each.entity, sorted(each.terms), sorted(each.domains), each.patterns),
                *(sorted((hashed.salt, hashed.digest) for hashed in each.hashes), each.tenant),
            ]
            for each in rules.exemptions
        ],
        [[each.digest, each.kind] for each in rules.approvals],
        rules.countries,
    ]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
