"""From a body and its findings to a body with placeholders, and what each placeholder stands for. Pure, no I/O.

A finding is replaceable only where it is a verbatim span of free text. What is not located exactly is never replaced;
what stands for what is known to the one request alone: its placeholders carry a tag that no other request has.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from classifiers.free_text import Body, Text, free_texts, with_texts
from classifiers.mentions import sought
from classifiers.occurrences import Flat, Needle, fold, needle_of
from classifiers.types import Finding
from classifiers.vocabulary import MEANINGS
from classifiers.walk import strings_of
from classifiers.written import rewrite

TAG_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"  # no vowels: a tag is never a word
TAG_LENGTH = 4
OWN_TERM = "TERM"  # the label of what a policy's own dictionaries and patterns find: their names are the admin's
_LABEL = re.compile(r"[A-Z][A-Z_]{1,38}[A-Z]")
_POLICY_DETECTOR = "policy"


class Span(NamedTuple):
    """A stretch of one string, in code points, and the label that its placeholder gets."""

    start: int
    end: int
    label: str = ""


class Spot(NamedTuple):
    """Where a finding stands in free text: the string, the string inside it where it is JSON, the span."""

    pointer: str
    inner: str | None
    start: int
    end: int


@dataclass(slots=True)
class Pseudonyms:
    """What the placeholders of one request stand for. It holds content: it lives as long as its request, no longer."""

    tag: str
    values: dict[str, str] = field(default_factory=dict, repr=False)  # by placeholder, as the value is first written
    _known: dict[str, str] = field(default_factory=dict, repr=False)
    _counts: Counter[str] = field(default_factory=Counter, repr=False)

    @property
    def pattern(self) -> re.Pattern[str]:
        """Our own placeholders, exactly as they were written."""
        return re.compile(rf"<[A-Z_]+_[0-9]+_{self.tag}>")

    def placeholder(self, value: str, label: str) -> str:
        """The placeholder of a value: the same for the same value, whatever its case and blanks."""
        key = fold(value)
        if key not in self._known:
            self._counts[label] += 1
            self._known[key] = f"<{label}_{self._counts[label]}_{self.tag}>"
            self.values[self._known[key]] = value
        return self._known[key]

    def labels(self) -> dict[str, str]:
        """The label of each value."""
        return {value: name.strip("<>").rsplit("_", 2)[0] for name, value in self.values.items()}


def choose_tag(body: Mapping[str, Any], letters: Callable[[int], str]) -> str:
    """A tag that stands nowhere in the body, so that nothing in it can be taken for a placeholder of this request.

    `letters` gives that many random letters of `TAG_LETTERS`.
    """
    texts = [text.upper() for text in strings_of(body)]
    while True:
        tag = letters(TAG_LENGTH)
        if not any(tag in text for text in texts):
            return tag


def replaceable(body: Body, findings: Sequence[Finding]) -> frozenset[int]:
    """The indices of the findings that can be replaced."""
    texts = free_texts(body)
    pieces = Counter(finding.group for finding in findings)
    return frozenset(
        index
        for index, finding in enumerate(findings)
        if pieces[finding.group] == 1 and finding.entity_type not in MEANINGS and _locate(texts, finding) is not None
    )


def replace(body: Body, findings: Iterable[Finding], pseudonyms: Pseudonyms) -> dict[str, Any]:
    """The body with a placeholder for each value that was found, wherever it stands in free text.

    The caller has asked `replaceable`: a finding that cannot be located is left out. The body itself is not changed.
    """
    texts = free_texts(body)
    spans: dict[tuple[str, str | None], list[Span]] = {}
    for finding in findings:
        spot = _locate(texts, finding)
        if spot is not None:
            spans.setdefault((spot.pointer, spot.inner), []).append(Span(spot.start, spot.end, _label(finding)))
    own = pseudonyms.pattern
    leaves = {key: (text, _united(text, spans.get(key, []), own)) for key, text in _leaves(texts)}
    for text, found in leaves.values():
        for span in found:
            pseudonyms.placeholder(text[span.start : span.end], span.label)
    stretches = [text[span.start : span.end] for text, found in leaves.values() for span in found]
    needles = sought((text for text, _ in leaves.values()), stretches, pseudonyms.labels())
    changed: dict[str, dict[str | None, str]] = {}
    for (pointer, inner), (text, found) in leaves.items():
        new = _spliced(text, found, needles, pseudonyms)
        if new != text:
            changed.setdefault(pointer, {})[inner] = new
    return with_texts(body, {texts[pointer]: _joined(texts[pointer], new) for pointer, new in changed.items()})


def foreign(body: Body, findings: Sequence[Finding], pseudonyms: Pseudonyms) -> tuple[Finding, ...]:
    """The findings that are more than our own placeholders; a value in pieces is foreign if one piece is."""
    texts, own = free_texts(body), pseudonyms.pattern
    groups = {finding.group for finding in findings if not _is_own(texts, finding, own)}
    return tuple(finding for finding in findings if finding.group in groups)


def holds_value(body: Body, pseudonyms: Pseudonyms) -> bool:
    """Whether a value that has a placeholder still stands somewhere: in a name, a key, a schema."""
    flats = [Flat(text) for text in strings_of(body)]
    needles = [needle for value in pseudonyms.values.values() if (needle := needle_of(value)) is not None]
    return any(flat.spans(needle) for needle in needles for flat in flats)


def _locate(texts: Mapping[str, Text], finding: Finding) -> Spot | None:
    text = texts.get(finding.pointer)
    if text is None or finding.place != "value":
        return None
    if not finding.via:
        return _spot(finding.pointer, None, text.text, finding.start, finding.end)
    if finding.inner is None or text.strings is None:
        return None
    inner, start, end = finding.inner.pointer, finding.inner.start, finding.inner.end
    if inner is None:
        found = text.string_at(start, end)
        if found is None:
            return None
        inner, start, end = found
    literal = text.strings.get(inner)
    return None if literal is None else _spot(finding.pointer, inner, literal.value, start, end)


def _spot(pointer: str, inner: str | None, text: str, start: int, end: int) -> Spot | None:
    if not 0 <= start < end <= len(text):
        return None
    value = text[start:end]
    start += len(value) - len(value.lstrip())
    end -= len(value) - len(value.rstrip())
    return Spot(pointer, inner, start, end) if start < end else None


def _leaves(texts: Mapping[str, Text]) -> Iterable[tuple[tuple[str, str | None], str]]:
    """Every string in which values may be replaced, in the order of the body."""
    for pointer, text in texts.items():
        if not text.is_json:
            yield (pointer, None), text.text
        else:
            for inner, literal in (text.strings or {}).items():
                yield (pointer, inner), literal.value


def _joined(text: Text, new: Mapping[str | None, str]) -> str:
    if None in new:
        return new[None]
    return rewrite(text.text, {inner: value for inner, value in new.items() if inner is not None})


def _label(finding: Finding) -> str:
    is_shipped = finding.detector != _POLICY_DETECTOR and _LABEL.fullmatch(finding.entity_type)
    return finding.entity_type if is_shipped else OWN_TERM


def _united(text: str, spans: Iterable[Span], own: re.Pattern[str]) -> list[Span]:
    """Spans without overlaps: those that overlap are one, with the label of the longest. Placeholders are spared."""
    united: list[Span] = []
    longest = 0
    for span in sorted(spans):
        if united and span.start < united[-1].end:
            before = united[-1]
            label = span.label if span.end - span.start > longest else before.label
            longest = max(longest, span.end - span.start)
            united[-1] = Span(before.start, max(before.end, span.end), label)
        else:
            united.append(span)
            longest = span.end - span.start
    return [piece for span in united for piece in _without(text, span, own)]


def _without(text: str, span: Span, own: re.Pattern[str]) -> Iterable[Span]:
    """The parts of a span outside our own placeholders that say anything."""
    at = span.start
    for hit in own.finditer(text):
        if hit.start() < span.end and hit.end() > at:
            yield from _part(text, at, hit.start(), span.label)
            at = hit.end()
    yield from _part(text, at, span.end, span.label)


def _part(text: str, start: int, end: int, label: str) -> Iterable[Span]:
    value = text[start:end] if start < end else ""
    if any(char.isalnum() for char in value):
        start += len(value) - len(value.lstrip())
        yield Span(start, end - (len(value) - len(value.rstrip())), label)


def _spliced(text: str, found: Sequence[Span], needles: Sequence[tuple[Needle, str]], pseudonyms: Pseudonyms) -> str:
    """The text with placeholders for what was found in it and for every other mention of a known value."""
    mentions = {
        (span.start, span.end): pseudonyms.placeholder(text[span.start : span.end], span.label) for span in found
    }
    taken = bytearray(len(text))
    for start, end in [*mentions, *(hit.span() for hit in pseudonyms.pattern.finditer(text))]:
        taken[start:end] = b"\x01" * (end - start)
    flat = Flat(text)
    for needle, label in needles:
        for start, end in flat.spans(needle):
            if not any(taken[start:end]):
                taken[start:end] = b"\x01" * (end - start)
                mentions[start, end] = pseudonyms.placeholder(needle.value, label)
    parts, at = [], 0
    for (start, end), placeholder in sorted(mentions.items()):
        parts += [text[at:start], placeholder]
        at = end
    return "".join([*parts, text[at:]])


def _is_own(texts: Mapping[str, Text], finding: Finding, own: re.Pattern[str]) -> bool:
    spot = _locate(texts, finding)
    if spot is None:
        return False
    text = texts[spot.pointer].leaf(spot.inner)
    return not any(_without(text, Span(spot.start, spot.end), own))
