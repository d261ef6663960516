"""From hits in a haystack to findings in the body: overlaps settled, exemptions applied, joins told from repeats.

It may drop a weaker reading of the same characters, never the only one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from classifiers.exempting import IsExempt
from classifiers.haystack import Haystack, Need, Span
from classifiers.memory import Remembered
from classifiers.scanner import Hit
from classifiers.types import Finding, Inner
from classifiers.walk import Cell, Path, pointer_of

_JSON = ("json",)
# Judgements of whole texts would be made anew for every excerpt: they need to be about what is new in it.
_NEEDS: Mapping[str, Need] = MappingProxyType({"names": "touched", "meaning": "decoded", "language": "decoded"})
_WEAK = "PHONE_NUMBER"  # digits that are also something with a check digit or a name are that thing
# Whose findings say so. Names of people and places, meanings of whole texts and the policy's own words do not: they may
# stand around a number, and may count for less than it.
_SURE = "card iban ip national_id health_id papers accounts devices crypto secret_rules passwords tokens private_keys"
_STRONGER = frozenset(_SURE.split())


@dataclass(slots=True)
class Placed:
    """Findings by cell: what each string holds by itself, and what crosses from one into another."""

    inside: dict[int, list[Remembered]] = field(default_factory=dict)
    across: list[tuple[Remembered, tuple[Span, ...]]] = field(default_factory=list)


def settle(hits: Iterable[Hit]) -> list[Hit]:
    """One hit for what is one item: the longest of an entity; secrets that overlap become one."""
    settled: list[Hit] = []
    last: dict[str, int] = {}
    strong_ends: list[tuple[int, int]] = []
    for hit in sorted(hits, key=lambda hit: (hit.start, -hit.end, -hit.score, hit.detector)):
        if hit.detector in _STRONGER:
            strong_ends.append((hit.start, hit.end))
        at = last.get(hit.entity)
        if at is not None and hit.start < settled[at].end:
            before = settled[at]
            if hit.end <= before.end:
                continue
            if hit.entity == "SECRET" or hit.start == before.start:
                settled[at] = before._replace(end=hit.end, score=max(before.score, hit.score))
                continue
        last[hit.entity] = len(settled)
        settled.append(hit)
    return _without_weak(settled, strong_ends)


def _without_weak(hits: list[Hit], strong: list[tuple[int, int]]) -> list[Hit]:
    """Without telephone numbers that share characters with something stronger."""
    kept, at, reach = [], 0, -1
    for hit in hits:
        if hit.entity == _WEAK:
            while at < len(strong) and strong[at][0] < hit.end:
                reach = max(reach, strong[at][1])
                at += 1
            if reach > hit.start:
                continue
        kept.append(hit)
    return kept


def place(haystack: Haystack, hits: Iterable[Hit], is_exempt: IsExempt, placed: Placed) -> None:
    """Add what was found in the haystack of single strings."""
    for hit in settle(hits):
        spans = haystack.place(hit.start, hit.end, _NEEDS.get(hit.detector, "near"))
        if len({span.cell for span in spans}) > 1:
            placed.across.append((_remembered(hit, spans[0]), tuple(spans)))
        elif spans and not is_exempt(hit.entity, _text(haystack, hit.start, hit.end)):
            whole = Span(spans[0].cell, spans[0].start, spans[-1].end, spans[0].via)
            items = placed.inside.setdefault(whole.cell, [])
            if whole.cell not in haystack.viewed or not _is_shown(items, whole, hit.entity):
                items.append(_remembered(hit, whole))


def place_joins(haystack: Haystack, hits: Iterable[Hit], is_exempt: IsExempt, placed: Placed) -> None:
    """Add what was found in the haystack of joins, where it crosses a border and is not one string's item repeated."""
    seen: set[tuple[str, tuple[Span, ...]]] = set()
    for hit in settle(hits):
        spans = tuple(haystack.place(hit.start, hit.end))
        if len({span.cell for span in spans}) < 2 or (hit.entity, spans) in seen:
            continue
        seen.add((hit.entity, spans))
        is_repeat = any(_overlaps(hit.entity, span, placed.inside.get(span.cell, ())) for span in spans)
        if not is_repeat and not _is_exempt_join(haystack, hit, is_exempt):
            placed.across.append((_remembered(hit, spans[0]), spans))


def findings_of(placed: Placed, cells: Sequence[Cell]) -> tuple[Finding, ...]:
    """The findings, in the order of the body; pieces of one value share a group; wrapped ones span the outer string."""
    if not placed.inside and not placed.across:
        return ()
    findings: list[Finding] = []
    seen: set[tuple[object, ...]] = set()
    inside_json = {
        _written(cells[at], item) for at in placed.inside for item in placed.inside[at] if _is_in_json(cells[at])
    }
    group = 0
    for index in sorted(placed.inside):
        for item in placed.inside[index]:
            if inside_json and _is_json(cells[index]) and _written(cells[index], item) in inside_json:
                continue
            finding = _finding(item, Span(index, item.start, item.end, item.via), cells, group)
            key = (finding.entity_type, finding.pointer, finding.start, finding.end, finding.via, finding.inner)
            if cells[index].via and key in seen:
                continue
            seen.add(key)
            findings.append(finding)
            group += 1
    for item, spans in placed.across:
        findings.extend(_finding(item, span, cells, group) for span in spans)
        group += 1
    return tuple(findings)


def _finding(item: Remembered, span: Span, cells: Sequence[Cell], group: int) -> Finding:
    cell = cells[span.cell]
    start, end = (span.start, span.end) if cell.outer_length is None else (0, cell.outer_length)
    inner = _inner(cell, span) if cell.via == _JSON and not span.via else None
    pointer = pointer_of(cell.path)
    via = (*cell.via, *span.via)
    return Finding(item.entity, pointer, cell.place, start, end, item.score, item.detector, group, via, inner)


def _is_json(cell: Cell) -> bool:
    """Whether the cell is a string of the body that is JSON, as it is written there."""
    return cell.via == _JSON and cell.place == "value" and cell.outer_length == len(cell.text)


def _is_in_json(cell: Cell) -> bool:
    """Whether the cell is a string or key inside such a one."""
    return cell.via == _JSON and not _is_json(cell)


def _written(cell: Cell, item: Remembered) -> tuple[str, Path, str]:
    return item.entity, cell.path, cell.text[item.start : item.end]


def _inner(cell: Cell, span: Span) -> Inner:
    return Inner(None if _is_json(cell) else pointer_of(cell.inner), span.start, span.end)


def _remembered(hit: Hit, span: Span) -> Remembered:
    return Remembered(hit.entity, span.start, span.end, hit.score, hit.detector, span.via)


def _is_shown(items: Iterable[Remembered], span: Span, entity: str) -> bool:
    """Whether another view of the same string has shown the same item."""
    return any(item.entity == entity and item.start <= span.start and span.end <= item.end for item in items)


def _overlaps(entity: str, span: Span, items: Iterable[Remembered]) -> bool:
    return any(item.entity == entity and item.start < span.end and span.start < item.end for item in items)


def _text(haystack: Haystack, start: int, end: int) -> str:
    return haystack.data[start:end].decode("utf-8", "replace")


def _is_exempt_join(haystack: Haystack, hit: Hit, is_exempt: IsExempt) -> bool:
    """Whether what crosses a border is exempt, or is an exempt value with a word of its neighbour run into it.

    The latter only between two letters: `a@example.com` and `Hello`, but not `a@example.com` and `.au`.
    """
    if is_exempt(hit.entity, _text(haystack, hit.start, hit.end)):
        return True
    for border in haystack.borders(hit.start, hit.end):
        between = haystack.data[border - 1 : border + 1]
        if between.isalpha() and (
            is_exempt(hit.entity, _text(haystack, hit.start, border))
            or is_exempt(hit.entity, _text(haystack, border, hit.end))
        ):
            return True
    return False


def without_approved(placed: Placed, approved: frozenset[int]) -> Placed:
    """Without what stands in approved texts, but for secrets; what reaches out of such a text stays."""
    inside = {
        index: [item for item in items if item.entity == "SECRET"] if index in approved else items
        for index, items in placed.inside.items()
    }
    across = [
        (item, spans)
        for item, spans in placed.across
        if item.entity == "SECRET" or not all(span.cell in approved for span in spans)
    ]
    return Placed(inside, across)
