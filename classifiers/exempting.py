"""What a policy says is no finding, made ready to be asked: the whole text of a finding must match. Never a SECRET."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from classifiers.detectors.base import pattern
from classifiers.types import Exemption
from classifiers.values import comparable, salted_hash

IsExempt = Callable[[str, str], bool]  # entity and the whole text of the finding

_SECRET = "SECRET"  # noqa: S105 - an entity type
_DATES = "DATE"  # 2024-1-11 and 2024-11-1 differ by nothing but their dashes


class _Ready:
    """One exemption with its words folded and its patterns compiled. Raises `re2.error`."""

    def __init__(self, exemption: Exemption) -> None:
        self._tenant = exemption.tenant
        self._words = frozenset(_spaced(term) for term in exemption.terms)
        self._forms = frozenset(filter(None, map(comparable, exemption.terms)))
        if exemption.entity.startswith(_DATES):
            self._forms = frozenset()
        self._domains = frozenset(domain.casefold() for domain in exemption.domains)
        self._patterns: list[Any] = [pattern(regex) for regex in exemption.patterns]
        self._hashes = tuple((each.salt, each.digest) for each in exemption.hashes)

    def covers(self, text: str, tenant: str) -> bool:
        if self._tenant is not None and self._tenant != tenant:
            return False
        if self._words and (_spaced(text) in self._words or comparable(text) in self._forms):
            return True
        _, at, domain = text.rpartition("@")
        if at and domain.casefold() in self._domains:
            return True
        raw = text.encode("utf-8", "replace")
        if any(each.fullmatch(raw) is not None for each in self._patterns):
            return True
        return any(salted_hash(salt, text) == digest for salt, digest in self._hashes)


class Exempting:
    """The exemptions of one policy by entity. Raises `re2.error` for a pattern that the loader has not checked."""

    def __init__(self, exemptions: tuple[Exemption, ...]) -> None:
        self._by_entity: dict[str, list[_Ready]] = {}
        for exemption in exemptions:
            self._by_entity.setdefault(exemption.entity, []).append(_Ready(exemption))

    def covers(self, entity: str, text: str, tenant: str) -> bool:
        """Whether the policy says that this very text is no finding for this tenant."""
        if entity == _SECRET:
            return False
        return any(each.covers(text, tenant) for each in self._by_entity.get(entity, ()))


@lru_cache(maxsize=8)
def exempting(exemptions: tuple[Exemption, ...]) -> Exempting:
    """The exemptions made ready, once a policy."""
    return Exempting(exemptions)


def _spaced(text: str) -> str:
    return " ".join(text.casefold().split())
