"""From the `sensitivity` part of a file to levels and scan rules, with every check that needs no other part.

An entity that nothing produces is a warning; whatever would hide a SECRET is a problem.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass, replace

import re2

from classifiers.detectors.terms import pattern_error
from classifiers.types import Dictionary, Exemption, Pattern, ScanRules
from policies.document import Path
from policies.errors import suggest
from policies.notes import Notes
from policies.shape import ExceptionPart, PatternPart, SensitivityPart
from policies.types import Level

SECRET = "SECRET"  # noqa: S105  # an entity type
_WITH_DOMAINS = ("EMAIL_ADDRESS", "URL")


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """The compiled part."""

    levels: dict[str, Level]
    min_score: dict[str, float]
    on_unknown: dict[str, Level]
    rules: ScanRules


def read_sensitivity(part: SensitivityPart, entities: Collection[str], notes: Notes) -> Sensitivity:
    """Compile the part. `entities` are the types that the loaded detectors can produce."""
    own = _own_names(part, notes)
    levels = _levels(part, own, notes)
    known = {*entities, *own}
    for word in ("public", "internal", "confidential", "restricted"):
        for index, entity in enumerate(getattr(part.levels, word)):
            _check_entity(("sensitivity", "levels", word, index), entity, known, notes)
    for entity in part.min_score:
        _check_entity(("sensitivity", "min_score", entity), entity, known, notes, at_key=True)
    for index, exception in enumerate(part.exceptions):
        _check_exception(("sensitivity", "exceptions", index), exception, known, notes)
    for index, pattern in enumerate(part.patterns):
        _check_pattern(("sensitivity", "patterns", index, "regex"), pattern, notes)
    for index, dictionary in enumerate(part.dictionaries):
        for position, term in enumerate(dictionary.terms):
            if len(term.strip()) < 2:
                notes.problem(("sensitivity", "dictionaries", index, "terms", position), "a term of blanks")
    return Sensitivity(
        levels=levels,
        min_score={entity: float(score) for entity, score in part.min_score.items()},
        on_unknown={kind: _level(entry.counts_as) for kind, entry in part.on_unknown.items()},
        rules=_scan_rules(part),
    )


def _level(word: str) -> Level:
    return Level[word.upper()]


def _own_names(part: SensitivityPart, notes: Notes) -> dict[str, Level]:
    own: dict[str, Level] = {}
    lists: tuple[tuple[str, list[tuple[str, str]]], ...] = (
        ("dictionaries", [(each.name, each.level) for each in part.dictionaries]),
        ("patterns", [(each.name, each.level) for each in part.patterns]),
    )
    for key, entries in lists:
        for index, (name, level) in enumerate(entries):
            if name in own:
                notes.problem(("sensitivity", key, index, "name"), f"'{name}' is the name of another one already")
            own[name] = _level(level)
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


def _check_entity(path: Path, entity: str, known: Collection[str], notes: Notes, *, at_key: bool = False) -> None:
    if entity not in known:
        hint = suggest(entity, known, cutoff=0.8)  # entity types have long words in common
        notes.warn(path, f"no loaded detector produces '{entity}'{hint}", at_key=at_key)


def _check_exception(path: Path, part: ExceptionPart, known: Collection[str], notes: Notes) -> None:
    if part.entity == SECRET:
        notes.problem((*path, "entity"), "a SECRET is never excepted")
    _check_entity((*path, "entity"), part.entity, known, notes)
    if part.terms is None and part.domains is None:
        notes.problem(path, "an exception needs 'terms' or 'domains'")
    if part.domains is not None and part.entity not in _WITH_DOMAINS:
        notes.problem((*path, "domains"), f"'domains' is for {' and '.join(_WITH_DOMAINS)} only", at_key=True)


def _check_pattern(path: Path, part: PatternPart, notes: Notes) -> None:
    error = pattern_error(part.regex)
    if error is not None:
        notes.problem(path, f"not an RE2 pattern: {_re2_words(error)}")
    elif re2.search(part.regex, "") is not None:
        notes.problem(path, "this pattern matches the empty text, so it would find everything")


def _re2_words(error: str) -> str:
    cause, _, what = error.partition(": ")
    if cause == "invalid perl operator" and what.startswith("(?"):
        return "look-around is not available; match the value itself"
    if cause == "invalid escape sequence":
        return f"{what} is not available (RE2 has no back-references)"
    return cause


def _scan_rules(part: SensitivityPart) -> ScanRules:
    rules = ScanRules(
        dictionaries=tuple(Dictionary(each.name, tuple(each.terms)) for each in part.dictionaries),
        patterns=tuple(Pattern(each.name, each.regex) for each in part.patterns),
        exemptions=tuple(
            Exemption(each.entity, each.reason, frozenset(each.terms or ()), frozenset(each.domains or ()))
            for each in part.exceptions
        ),
        countries=tuple(part.countries),
    )
    return replace(rules, digest=_digest(rules))


def _digest(rules: ScanRules) -> str:
    """SHA-256 of what changes what is found: levels and reasons do not."""
    content = [
        [[each.name, each.terms] for each in rules.dictionaries],
        [[each.name, each.regex] for each in rules.patterns],
        [[each.entity, sorted(each.terms), sorted(each.domains)] for each in rules.exemptions],
        rules.countries,
    ]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
