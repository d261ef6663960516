"""Checks of single words of the `sensitivity` part: entity types that nothing produces, patterns that RE2 refuses."""

from __future__ import annotations

from collections.abc import Collection

import re2

from classifiers.detectors.terms import pattern_error
from policies.errors import suggest
from policies.reading.notes import Notes
from policies.text.document import Path


def check_entity(path: Path, entity: str, known: Collection[str], notes: Notes, *, at_key: bool = False) -> None:
    """Warn of an entity type that no loaded detector produces."""
    if entity not in known:
        hint = suggest(entity, known, cutoff=0.8)  # entity types have long words in common
        notes.warn(path, f"no loaded detector produces '{entity}'{hint}", at_key=at_key)


def check_pattern(path: Path, regex: str, notes: Notes) -> None:
    """Refuse what is no RE2 pattern, and what matches the empty text."""
    error = pattern_error(regex)
    if error is not None:
        notes.problem(path, f"not an RE2 pattern: {_re2_words(error)}")
    elif re2.search(regex, "") is not None:
        notes.problem(path, "this pattern matches the empty text, so it would find everything")


def _re2_words(error: str) -> str:
    cause, _, what = error.partition(": ")
    if cause == "invalid perl operator" and what.startswith("(?"):
        return "look-around is not available; match the value itself"
    if cause == "invalid escape sequence":
        return f"{what} is not available (RE2 has no back-references)"
    return cause
