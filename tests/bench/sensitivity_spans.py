"""Spans of names and the like on sentences whose templates were not learned from; names in noisy text; documents.

What counts as found is `tests.bench.span_rules`; F2 weighs recall twice.
"""

from __future__ import annotations

from argparse import Namespace
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from classifiers.rates import Rate
from classifiers.training import tagger, tagger_data, tagger_evaluate, tagger_lists, tagger_measure
from classifiers.training.tagger_evaluate import Finder, Found
from tests.bench.figures import Figure, of_rate, resampled
from tests.bench.span_rules import Counts, compare

# Entities of which one alone says who somebody is, as the given sentences name them.
DIRECT = frozenset(
    {
        "PERSON", "ADDRESS", "CREDIT_CARD", "PHONE_NUMBER", "EMAIL_ADDRESS", "IBAN_CODE", "US_SSN", "IP_ADDRESS",
        "US_DRIVER_LICENSE",
    }
)  # fmt: skip
# What holds a request back under the shipped levels.
_PUBLIC = frozenset({"LOCATION", "DATE_TIME", "NRP", "URL", "ORGANIZATION", "AGE"})


@dataclass(frozen=True)
class Judged:
    """One sentence: labelled spans, spans found, and how they compare."""

    gold: tuple[Found, ...]
    found: tuple[Found, ...]
    counts: Counts
    is_direct: bool
    is_held: bool


def spans(given: Namespace) -> Iterator[Figure]:
    """F2 of spans, recall by entity, and the recall of requests with a direct identifier."""
    data, shipped = given.data, given.shipped
    rows = tagger_data.read(data / "sensitivity/pii_spans_large.jsonl.gz")
    patterns = tagger_evaluate.pattern_finder()
    parts = list(_shipped(rows) if shipped else _cross_validated(rows, data, given.folds))
    judged = [_judge(row, find, patterns) for find, part in parts for row in part]
    note = "shipped tagger, which has seen the templates" if shipped else f"{given.folds} of 5 folds by template"
    low, high = resampled(judged, _f2)
    only = [_judge(row, lambda text: [], patterns) for _, part in parts for row in part]
    yield Figure(
        "PII spans, F2",
        _f2(judged),
        0.85,
        "at_least",
        low,
        high,
        len(judged),
        baseline=f"patterns only {_f2(only):.3f}",
        note=note,
    )
    yield from _by_entity(judged)
    direct = [each for each in judged if each.is_direct]
    held = Rate(sum(each.is_held for each in direct), len(direct))
    baseline = f"patterns only {sum(each.is_held for each in only if each.is_direct) / len(direct):.3f}, hold all 1.000"
    yield of_rate("requests with a direct identifier held", held, 0.97, "at_least", baseline=baseline, note=note)
    clean = [each for each in judged if not each.gold]
    yield of_rate(
        "sentences without a labelled span held", Rate(sum(each.is_held for each in clean), len(clean)), None, "at_most"
    )


def _shipped(rows: list[dict[str, Any]]) -> Iterator[tuple[Finder, list[dict[str, Any]]]]:
    from classifiers.tagger import load

    yield tagger_evaluate.tagger_finder(load()), rows


def _cross_validated(
    rows: list[dict[str, Any]], data: Path, folds: int
) -> Iterator[tuple[Finder, list[dict[str, Any]]]]:
    from classifiers.tagger import expand

    docs, packed = tagger.collect(data), tagger_lists.arrays(tagger.table(data))
    for test in tagger.folds(docs)[:folds]:
        learned = tagger.train(tagger.without(docs, test), packed)
        part = [row for row in rows if f"presidio/{row['template_id']}" in test]
        yield tagger_evaluate.tagger_finder(learned.model(expand(packed))), part


def _judge(row: dict[str, Any], find: Finder, patterns: Finder) -> Judged:
    text = row["text"]
    sure = patterns(text)
    rest = [item for item in find(text) if not any(each.start < item.end and item.start < each.end for each in sure)]
    gold = [Found(each["start"], each["end"], each["type"]) for each in row["spans"]]
    found = [*sure, *rest]
    return Judged(
        tuple(gold),
        tuple(found),
        compare(text, gold, found),
        any(item.label in DIRECT for item in gold),
        any(item.label not in _PUBLIC and item.score >= tagger_evaluate.MIN_SCORE for item in found),
    )


def _f2(judged: Sequence[Judged]) -> float:
    right, labelled, found = (sum(each.counts[place] for each in judged) for place in range(3))
    return tagger_evaluate.f_score(right, labelled, found)[2]


def _by_entity(judged: Sequence[Judged]) -> Iterator[Figure]:
    """Missed and over-marked by entity: the share of gold spans of which under half is covered by anything found."""
    total: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    for each in judged:
        for item in each.gold:
            marked = {place for other in each.found for place in range(other.start, other.end)}
            covered = len(marked.intersection(range(item.start, item.end)))
            total[item.label] += 1
            missed[item.label] += covered < 0.5 * (item.end - item.start)
    for label, count in total.most_common():
        yield of_rate(f"missed: {label}", Rate(missed[label], count), None, "at_most")


def noisy(given: Namespace) -> Iterator[Figure]:
    """Persons in WNUT rows that were kept from the training."""
    from classifiers.tagger import load

    find = tagger_evaluate.tagger_finder(load())
    hit = total = flagged = clean = 0
    for doc in tagger_data.noisy(given.data):
        if not tagger_data.held_out(doc.text):
            continue
        people = [item for item in find(doc.text) if item.label == "PERSON" and item.score >= tagger_evaluate.MIN_SCORE]
        gold = [span for span in doc.spans if span[2] == "PERSON"]
        clean += not gold
        flagged += not gold and bool(people)
        total += len(gold)
        hit += sum(any(item.start < high and low < item.end for item in people) for low, high, _ in gold)
    yield of_rate(
        "persons in noisy text (WNUT), recall", Rate(hit, total), 0.6, "at_least", baseline="flag nothing 0.000"
    )
    yield of_rate("clean WNUT rows flagged", Rate(flagged, clean), 0.02, "at_most", baseline="flag everything 1.000")


def documents(given: Namespace) -> Iterator[Figure]:
    """Messy documents (CVs, mails, notices, chats) in six languages that nothing was trained on."""
    from classifiers.tagger import load

    shares = tagger_measure.documents(tagger_evaluate.tagger_finder(load()), tagger_evaluate.pattern_finder())
    for language, row in sorted(shares.items()):
        is_all = language == "all"
        yield Figure(f"documents, {language}: private items covered", row["items"], 0.85 if is_all else None)
        if is_all:
            yield Figure("documents: text marked beside them", row["marked_beside"], 1 / 6, "at_most")
