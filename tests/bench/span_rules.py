"""How found spans are held against labelled ones, whatever they are called: presidio-research's SpanEvaluator's rule.

Neighbours of one type with nothing but blanks and punctuation between them are one span. A labelled span is found when
the found spans that overlap it, taken together as long as each brings them nearer, share 70 % of the union with it;
they then count as one. Unlike there, stop words between or at the ends of spans count.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from classifiers.training.tagger_evaluate import Found

OVERLAP = 0.7
_BETWEEN = re.compile(r"[\W_]*")


class Counts(NamedTuple):
    """Labelled spans that were found, all labelled spans, and found spans (those of one labelled span as one)."""

    right: int
    labelled: int
    found: int


def compare(text: str, gold: Sequence[Found], found: Sequence[Found]) -> Counts:
    """The counts of one text."""
    wanted, left, right = joined(text, gold), joined(text, found), 0
    for span in wanted:
        chosen: list[Found] = []
        nearest = 0.0
        for each in left:
            if each.start < span.end and span.start < each.end:
                share = _share(span, [*chosen, each])
                if share > nearest:
                    chosen.append(each)
                    nearest = share
        if nearest >= OVERLAP:
            right += 1
            left = [each for each in left if each not in chosen]
    return Counts(right, len(wanted), right + len(left))


def joined(text: str, spans: Sequence[Found]) -> list[Found]:
    """In order, neighbours of one type as one; of spans that overlap the later one begins where the earlier ends."""
    result: list[Found] = []
    for span in sorted(spans, key=lambda each: (each.start, -each.end)):
        last = result[-1] if result else None
        if last is not None and span.end <= last.end:
            continue
        if (
            last is not None
            and span.label == last.label
            and _BETWEEN.fullmatch(text, last.end, max(last.end, span.start))
        ):
            result[-1] = last._replace(end=span.end)
        else:
            result.append(span if last is None else span._replace(start=max(span.start, last.end)))
    return result


def _share(span: Found, spans: Sequence[Found]) -> float:
    wanted = set(range(span.start, span.end))
    marked = {place for each in spans for place in range(each.start, each.end)}
    return len(wanted & marked) / len(wanted | marked)
