"""API keys and tokens of named services, by the rules in `artifacts/gitleaks_rules.json`, and the gateway's own keys.

Never tries a secret out.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import resources
from typing import Any

from classifiers.detectors.base import Piece, pattern
from classifiers.detectors.entropy import entropy
from classifiers.detectors.placeholders import is_placeholder, is_random
from classifiers.types import Match

# The gateway's own keys: those of `gatehouse keys`, and the one that a first start makes.
_OWN_RULE: dict[str, Any] = {
    "id": "gatehouse-api-key",
    "triggers": ["gh-[A-Za-z0-9_-]{43}"],
    "regex": r"\bgh-(?:[a-z2-9]{12}-[0-9A-Za-z]{49}|[A-Za-z0-9_-]{43})",
    "group": 0,
    "entropy": 4.2,  # words with hyphens between them stay below it
    "allow_secret": [],
    "allow_match": [],
    "stopwords": [],
}
_DOTTED = pattern("^[a-z_]\\w*(?:\\.[A-Za-z_]\\w*)+$")  # a member of a module


class SecretRule:
    """One rule. Its expressions are compiled when its trigger is first seen."""

    def __init__(self, row: dict[str, Any]) -> None:
        self.triggers: tuple[str, ...] = tuple(row["triggers"])
        self._row = row
        self._stopwords = tuple(word.encode("utf-8") for word in row["stopwords"] if row["id"] != "generic-api-key")
        self._is_generic = row["id"] == "generic-api-key"  # names no service: the value itself must look made
        self._compiled: tuple[Any, tuple[Any, ...], tuple[Any, ...]] | None = None

    def find(self, piece: Piece) -> list[tuple[int, int]]:
        """Spans of the secrets in the piece."""
        regex, allow_secret, allow_match = self._expressions()
        found = []
        for hit in piece.find(regex):
            group = self._row["group"] or next((n for n in range(1, regex.groups + 1) if hit.span(n) != (-1, -1)), 0)
            start, end = hit.span(group)
            secret = piece.data[start:end]
            if end - start < 4 or (self._row["entropy"] and entropy(secret) <= self._row["entropy"]):
                continue
            if is_placeholder(secret) or (self._is_generic and (_DOTTED.search(secret) or not is_random(secret))):
                continue
            if any(allowed.search(secret) for allowed in allow_secret) or self._is_stopped(secret):
                continue
            if allow_match and any(allowed.search(_whole(piece, *hit.span())) for allowed in allow_match):
                continue
            found.append((start, end))
        return found

    def _expressions(self) -> tuple[Any, tuple[Any, ...], tuple[Any, ...]]:
        if self._compiled is None:
            row = self._row
            self._compiled = (
                pattern(row["regex"]),
                tuple(pattern(regex) for regex in row["allow_secret"]),
                tuple(pattern(regex) for regex in row["allow_match"]),
            )
        return self._compiled

    def _is_stopped(self, secret: bytes) -> bool:
        lowered = secret.lower()
        return any(word in lowered for word in self._stopwords)


def _whole(piece: Piece, start: int, end: int) -> bytes:
    """The match with the name in front of it (`public_` of `public_key=`), of which the lists of exceptions speak."""
    first = start
    while first > max(0, start - 50) and (piece.data[first - 1 : first].isalnum() or piece.data[first - 1] in b"_.-"):
        first -= 1
    return piece.data[first:end]


class SecretDetector:
    """SECRET, by the service rules."""

    name = "secret_rules"
    entities = frozenset({"SECRET"})

    def __init__(self) -> None:
        source = resources.files("classifiers") / "artifacts" / "gitleaks_rules.json"
        rows = [*json.loads(source.read_text("utf-8")), _OWN_RULE]
        self._rules = tuple(SecretRule(row) for row in rows)
        by_trigger: dict[str, list[int]] = {}
        for index, rule in enumerate(self._rules):
            for trigger in rule.triggers:
                by_trigger.setdefault(trigger, []).append(index)
        self.triggers = tuple(by_trigger)
        self._wanted = tuple(tuple(indices) for indices in by_trigger.values())

    def detect(self, piece: Piece, hits: Sequence[int]) -> list[Match]:
        """Secrets of the rules whose trigger occurs."""
        indices = sorted({index for hit in hits for index in self._wanted[hit]})
        return [Match("SECRET", start, end, 1.0) for index in indices for start, end in self._rules[index].find(piece)]
