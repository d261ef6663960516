"""Counts as rates with intervals, and what was missed or held back wrongly, by entity and language. No content."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from classifiers.labelled import Labelled, Span
from classifiers.types import Scan
from classifiers.vocabulary import MEANINGS

_Z = 1.959964  # of a 95 % interval
_COVERED = 0.5  # the share of a span's characters that findings must cover for it to count as found


@dataclass(frozen=True, slots=True)
class Rate:
    """`count` of `total`, with the Wilson 95 % interval of the share."""

    count: int
    total: int

    @property
    def share(self) -> float:
        return self.count / self.total if self.total else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Low and high end; 0 to 1 when nothing was counted."""
        if not self.total:
            return 0.0, 1.0
        square = _Z * _Z / self.total
        middle = (self.share + square / 2) / (1 + square)
        half = _Z * math.sqrt(self.share * (1 - self.share) / self.total + square / (4 * self.total)) / (1 + square)
        return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(slots=True)
class Tally:
    """What a set of labelled requests showed. Keys are (entity type or level, language)."""

    missed: Counter[tuple[str, str]] = field(default_factory=Counter)
    labelled: Counter[tuple[str, str]] = field(default_factory=Counter)
    over: Counter[tuple[str, str]] = field(default_factory=Counter)
    rows: Counter[str] = field(default_factory=Counter)  # rows with `spans`, by language
    confusion: Counter[tuple[str, str]] = field(default_factory=Counter)  # (labelled level, measured level)
    too_low: Counter[str] = field(default_factory=Counter)  # rows by language, measured below their label
    too_high: Counter[str] = field(default_factory=Counter)
    sensitive: Counter[str] = field(default_factory=Counter)  # rows by language, labelled above public
    lowerable: Counter[str] = field(default_factory=Counter)  # rows by language, labelled below restricted
    worst_missed: list[tuple[int, str]] = field(default_factory=list)  # (how bad, id)
    worst_over: list[tuple[int, str]] = field(default_factory=list)

    def add(self, row: Labelled, scan: Scan, labelled_level: int, level: int, names: tuple[str, ...]) -> None:
        """Count one row; levels are places in `names`."""
        missed = wrong = 0
        if row.spans is not None:
            missed = self._add_missed(row.spans, row.language, scan)
            wrong = self._add_over(row.spans, row.language, scan, labelled_level)
        self.confusion[names[labelled_level], names[level]] += 1
        if labelled_level > 0:
            self.sensitive[row.language] += 1
            self.too_low[row.language] += level < labelled_level
        if labelled_level < len(names) - 1:
            self.lowerable[row.language] += 1
            self.too_high[row.language] += level > labelled_level
        self._keep(self.worst_missed, missed + 10 * max(0, labelled_level - level), row.id)
        self._keep(self.worst_over, wrong + 10 * max(0, level - labelled_level), row.id)

    def _add_missed(self, spans: Iterable[Span], language: str, scan: Scan) -> int:
        total = 0
        for span in spans:
            is_missed = covered_share(span, scan) < _COVERED
            self.labelled[span.entity_type, language] += 1
            self.missed[span.entity_type, language] += is_missed
            total += is_missed
        return total

    def _add_over(self, spans: tuple[Span, ...], language: str, scan: Scan, level: int) -> int:
        self.rows[language] += 1
        wrong: set[str] = {unknown.kind for unknown in scan.unknowns if level == 0 and not spans}
        for finding in scan.findings:
            if finding.entity_type in MEANINGS:
                is_wrong = level == 0 and not spans
            else:
                is_wrong = not any(
                    span.pointer == finding.pointer and span.start < finding.end and finding.start < span.end
                    for span in spans
                )
            if is_wrong:
                wrong.add(finding.entity_type)
        self.over.update((entity, language) for entity in wrong)
        return len(wrong)

    @staticmethod
    def _keep(worst: list[tuple[int, str]], how_bad: int, name: str) -> None:
        if how_bad:
            worst.append((how_bad, name))


def covered_share(span: Span, scan: Scan) -> float:
    """The share of a span's characters that findings cover, of whatever type; the meaning of a whole text is none."""
    covered: set[int] = set()
    for finding in scan.findings:
        if finding.pointer == span.pointer and finding.place == "value" and finding.entity_type not in MEANINGS:
            covered.update(range(max(span.start, finding.start), min(span.end, finding.end)))
    return len(covered) / (span.end - span.start)
