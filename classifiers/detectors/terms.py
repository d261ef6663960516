"""The policy's own dictionaries (whole words, any case) and RE2 patterns, as one detector. Never shipped data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import re2

from classifiers.detectors.base import Piece, pattern
from classifiers.types import Match, ScanRules

_EDGE = "[^\\pL\\pN_]"
_LONG = 4  # characters of a word that is known without the blank beside it
_MEMORY = 256 << 20  # a bound, not an allocation: RE2 refuses a program above it
_LINE_ANCHORS = {"A": "(?m:^)", "z": "(?m:$)"}


def pattern_error(regex: str) -> str | None:
    """Why RE2 refuses an admin's pattern, or None; for the policy's loader."""
    try:
        pattern(_anchored_to_lines(regex))
    except re2.error as error:
        reason = error.args[0] if error.args else "not a valid RE2 expression"
        return reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
    return None


class TermDetector:
    """A finding's entity type is the dictionary's or the pattern's name.

    `^`, `$`, `\\A` and `\\z` of a pattern hold at the borders of each string and each of its lines. Raises `re2.error`.
    """

    name = "policy"

    def __init__(self, rules: ScanRules) -> None:
        dictionaries = [
            (entry.name, expression) for entry in rules.dictionaries if (expression := _expression(entry.terms))
        ]
        patterns = [(entry.name, _anchored_to_lines(entry.regex)) for entry in rules.patterns]
        self.entities = frozenset(name for name, _ in dictionaries + patterns)
        self.triggers = tuple(expression for _, expression in dictionaries + patterns)
        self._names = tuple(name for name, _ in dictionaries + patterns)
        self._words = len(dictionaries)
        self._compiled: list[Any] = [
            pattern(expression, max_mem=_MEMORY, longest=index < self._words)
            for index, expression in enumerate(self.triggers)
        ]

    def detect(self, piece: Piece, hits: Sequence[int]) -> list[Match]:
        """Spans of the terms, or of what the patterns match (their whole match)."""
        found = []
        for index in hits:
            if index < self._words:
                found += [Match(self._names[index], start, end, 1.0) for start, end in self._terms(piece, index)]
            else:
                spans = (hit.span() for hit in piece.find(self._compiled[index]))
                found += [Match(self._names[index], start, end, 1.0) for start, end in spans if end > start]
        return found

    def _terms(self, piece: Piece, index: int) -> list[tuple[int, int]]:
        """Terms one after the other: the search goes on at the end of a term, so that one edge may serve two."""
        found, at = [], piece.start
        while hit := self._compiled[index].search(piece.data, at, piece.stop):
            start, end = next(span for n in range(1, 5) if (span := hit.span(n)) != (-1, -1))
            found.append((start, end))
            at = end
        return found


def _expression(terms: Iterable[str]) -> str:
    """All terms as one expression of four groups, by which of their ends are word characters; blanks match blanks."""
    kinds: dict[tuple[bool, bool], list[str]] = {}
    for term in terms:
        words = term.split()
        if words:
            escaped = _between(words).join(re2.escape(word) for word in words)
            kinds.setdefault((_is_word(words[0][0]), _is_word(words[-1][-1])), []).append(escaped)
    parts = [
        (f"(?:^|{_EDGE})" if left else "") + "(" + "|".join(sorted(escaped)) + ")" + (f"(?:$|{_EDGE})" if right else "")
        for (left, right), escaped in sorted(kinds.items())
    ]
    return "(?i)" + "|".join(parts) if parts else ""


def _between(words: Sequence[str]) -> str:
    """What stands between the words of a term: blanks; or nothing, where they are long enough."""
    return "[\\s\\x{a0}]" + ("*" if all(len(word) >= _LONG for word in words) else "+")


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"


def _anchored_to_lines(regex: str) -> str:
    """The expression with its anchors taken for lines: many strings stand in one haystack, each on lines of its own."""
    parts, at = ["(?m)"], 0
    while at < len(regex):
        if regex[at] == "\\" and at + 1 < len(regex):
            parts.append(_LINE_ANCHORS.get(regex[at + 1], regex[at : at + 2]))
            at += 2
        else:
            parts.append(regex[at])
            at += 1
    return "".join(parts)
