"""Measures the tagger: spans, names in noisy text, whole requests, documents, everyday text held back, and time.

Training only; it prints counts and shares, never a text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from classifiers.detectors.names import spans
from classifiers.detectors.namesakes import Lists
from classifiers.registry import DETECTORS
from classifiers.scanner import Report, Scanner
from classifiers.tagger import LABELS, Tagger, TaggerModel
from classifiers.tagger_features import tokenize
from classifiers.types import ScanRules

HELD: Final = frozenset({"PERSON", "STREET_ADDRESS", "DATE_OF_BIRTH"})
MIN_SCORE: Final = 0.6
LEARNED: Final = frozenset({"names", "meaning", "language"})  # detectors that go by no rule
_GAP = re.compile(r"\s*")


class Found(NamedTuple):
    """A stretch of a text, in characters."""

    start: int
    end: int
    label: str
    score: float = 1.0


Finder = Callable[[str], list[Found]]


def tagger_finder(model: TaggerModel) -> Finder:
    """Findings of a model that need not be shipped yet, as the detector decodes them."""
    tagger, lists = Tagger(model), Lists(model.listed, model.known)

    def find(text: str) -> list[Found]:
        tokens = tokenize(text)
        if not tokens:
            return []
        ends, at = [], 0
        for token in tokens:
            at += len(token)
            ends.append(at)
        return [
            Found(ends[first] - len(tokens[first].lstrip(" ")), ends[last], LABELS[label], score)
            for label, first, last, score in spans(tokens, tagger.logits(tokens), lists)
        ]

    return find


def pattern_finder(without: Iterable[str] = LEARNED) -> Finder:
    """Findings of the shipped detectors but those named."""
    scanner = Scanner({name: where for name, where in DETECTORS.items() if name not in set(without)})

    def find(text: str) -> list[Found]:
        report, data = Report(), text.encode("utf-8", "surrogatepass")
        for _ in scanner.scan(data, ScanRules(), report, lambda: False):
            pass
        ascii_only = len(data) == len(text)

        def place(at: int) -> int:
            return at if ascii_only else len(data[:at].decode("utf-8", "surrogatepass"))

        return [Found(place(hit.start), place(hit.end), hit.entity, hit.score) for hit in report.hits]

    return find


def merged(text: str, found: Iterable[Found], by_label: bool = True) -> list[Found]:
    """Neighbours of one type (or of any) as one, overlapping ones too."""
    result: list[Found] = []
    for item in sorted(found, key=lambda each: (each.start, -each.end)):
        if result:
            last = result[-1]
            joined = not by_label or last.label == item.label
            if item.end <= last.end or (item.start < last.end and not joined):
                continue
            if joined and (item.start <= last.end or _GAP.fullmatch(text, last.end, item.start)):
                result[-1] = last._replace(end=max(last.end, item.end))
                continue
        result.append(item)
    return result


def matches(gold: Sequence[Found], found: Sequence[Found], overlap: float = 0.7) -> int:
    """How many gold spans have a found one of their own that shares `overlap` of their union."""
    free, count = list(found), 0
    for item in gold:
        for other in free:
            common = min(item.end, other.end) - max(item.start, other.start)
            if common > 0 and common / (max(item.end, other.end) - min(item.start, other.start)) >= overlap:
                free.remove(other)
                count += 1
                break
    return count


def f_score(right: int, gold: int, found: int, beta: float = 2.0) -> tuple[float, float, float]:
    """Precision, recall and their F."""
    precision, recall = right / max(found, 1), right / max(gold, 1)
    square = beta * beta
    return precision, recall, (1 + square) * precision * recall / max(square * precision + recall, 1e-9)


def holds(found: Iterable[Found]) -> bool:
    """Whether a text with these findings is held back under the default levels."""
    return any(item.label in HELD and item.score >= MIN_SCORE for item in found)


def share_held(find: Finder, texts: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """The share of texts that are held back, by source."""
    return {name: round(sum(holds(find(text)) for text in rows) / max(len(rows), 1), 4) for name, rows in texts.items()}


def coverage(text: str, gold: Sequence[Found], found: Sequence[Found]) -> tuple[float, float, float]:
    """Characters of the gold that are covered, characters of the gold, and characters marked."""
    marked = [False] * len(text)
    for item in found:
        marked[item.start : item.end] = [True] * (item.end - item.start)
    covered = sum(sum(marked[item.start : item.end]) for item in gold)
    return covered, sum(item.end - item.start for item in gold), sum(marked)
