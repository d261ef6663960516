"""Runs the detectors over a haystack, piece by piece: one pass of one RE2 set tells which of them are called where.

Every failure (a detector that raises, one that could not be built, a set that gives up) is a value in the result.
"""

from __future__ import annotations

import hashlib
import importlib
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata, resources
from typing import Any, NamedTuple

from classifiers.boundary import Failure, attempt
from classifiers.detectors.base import Detector, Piece
from classifiers.detectors.hashed_terms import HashedTermDetector
from classifiers.detectors.terms import TermDetector
from classifiers.patterns import Patterns
from classifiers.types import Gap, ScanRules, UnknownKind

PIECE = 4096
OVERLAP = 1024  # no shipped pattern needs more to recognise an item
_KEPT_RULES = 64  # each tenant may have words of its own
_FORM = re.compile(r"\{\d|\\d")
_LONG = re.compile(r"\{\d\d")  # a repetition that is counted to ten or more
_GAP = "\\x{a0}"  # stands in what is put between the digits of a number
_SAMPLE = (
    b"Call (212) 555-2368 or +44 20 7946 0958, mail someone@example.org, card 4111 1111 1111 1111, from 192.0.2.7 or "
    b"2001:db8::7, GB82 WEST 1234 5698 7654 32, ssn 536-90-4399. The password is Sample-2468! "
    b"api_key = q8Zr2LkPw9Xt4Vn7Yb1M"
)


class Hit(NamedTuple):
    """One match in a haystack, in bytes."""

    entity: str
    start: int
    end: int
    score: float
    detector: str


class Unread(NamedTuple):
    """A stretch of a haystack that a detector could not read, in bytes."""

    kind: UnknownKind
    start: int
    end: int
    detector: str


@dataclass(slots=True)
class Report:
    """What the detectors said. `errors` are `detector: exception class`; `complete` is False after an overrun."""

    hits: set[Hit] = field(default_factory=set)
    unread: set[Unread] = field(default_factory=set)
    errors: set[str] = field(default_factory=set)
    complete: bool = True


class _Bank:
    """Some detectors behind their triggers.

    Words, and forms (digits, counted repetitions) with gaps, with long repetitions, and others are groups of their own:
    one automaton for two has as many states as the two have multiplied, which text unlike the text before pays for.
    """

    def __init__(self, detectors: Sequence[Detector], *, prefiltered: bool = True) -> None:
        self._always = [detector for detector in detectors if not detector.triggers]
        owners: dict[str, list[tuple[Detector, int]]] = {}
        for detector in detectors:
            for index, trigger in enumerate(detector.triggers):
                owners.setdefault(trigger, []).append((detector, index))
        kinds: dict[str, list[str]] = {}
        for trigger in owners:
            kinds.setdefault(_kind_of(trigger), []).append(trigger)
        groups = [kinds[kind] for kind in sorted(kinds)]
        self._owners = [owners[trigger] for group in groups for trigger in group]
        self._triggers = Patterns(groups, prefiltered=prefiltered)

    def called(self, data: bytes) -> list[tuple[Detector, list[int]]]:
        """The detectors to call for this text, each with its triggers that occur. Raises `RuntimeError` when unsure."""
        called: dict[int, tuple[Detector, list[int]]] = {id(detector): (detector, []) for detector in self._always}
        for number in self._triggers.matching(data):
            for detector, index in self._owners[number]:
                called.setdefault(id(detector), (detector, []))[1].append(index)
        return list(called.values())


def _kind_of(trigger: str) -> str:
    plain = trigger.replace("\\x{", "")
    if not _FORM.search(plain):
        return "word"
    if _GAP in trigger:
        return "gap"
    return "long" if _LONG.search(plain) else "form"


class Scanner:
    """All detectors of a table (name to `module:Class`), built once; a broken one is an error of each scan."""

    def __init__(self, table: Mapping[str, str]) -> None:
        self.broken: set[str] = set()
        self.entities: frozenset[str] = frozenset()
        detectors: list[Detector] = []
        digest = hashlib.blake2b(digest_size=16)
        for name, where in table.items():
            detector = attempt(construct, where)
            if isinstance(detector, Failure):
                self.broken.add(f"{name}: {detector.error}")
                continue
            detectors.append(detector)
            version = getattr(detector, "version", "")  # of the package behind an optional one
            digest.update(f"{name}={where}{version}\n".encode() + _source_of(where))
        self.entities = frozenset(entity for detector in detectors for entity in detector.entities)
        self._bank = _Bank(detectors)
        self._terms: OrderedDict[tuple[str, ScanRules], _Bank | str] = OrderedDict()
        self.digest = _with_artifacts(digest)
        self._warm()

    def scan(self, data: bytes, rules: ScanRules, report: Report, is_over: Callable[[], bool]) -> Iterator[None]:
        """Fill the report, a detector that reads all text at a step; between steps the caller may give way or stop."""
        report.errors |= self.broken
        banks = [self._bank]
        if rules.dictionaries or rules.patterns:
            terms = self._bank_of(rules)
            if isinstance(terms, str):
                report.errors.add(terms)
            else:
                banks.append(terms)
        countries = tuple(country.upper() for country in rules.countries)
        for start, stop in pieces(data):
            if is_over():
                report.complete = False
                return
            yield from self._scan_piece(Piece(data, start, stop, countries), banks, report, is_over)
        if is_over():
            report.complete = False

    def _warm(self) -> None:
        """Let every detector meet something once: libraries load their tables and automata get their first states."""
        for _ in self.scan(_SAMPLE, ScanRules(), Report(), lambda: False):
            pass

    def _scan_piece(
        self, piece: Piece, banks: list[_Bank], report: Report, is_over: Callable[[], bool]
    ) -> Iterator[None]:
        text = piece.data if piece.stop - piece.start == len(piece.data) else piece.data[piece.start : piece.stop]
        for bank in banks:
            try:
                called = bank.called(text)
            except RuntimeError as error:
                report.errors.add(f"triggers: {type(error).__name__}")
                continue
            for detector, hits in called:
                if is_over():
                    report.complete = False
                    return
                found = attempt(detector.detect, piece, hits)
                if isinstance(found, Failure):
                    report.errors.add(f"{detector.name}: {found.error}")
                    continue
                for match in found:
                    if isinstance(match, Gap):
                        report.unread.add(Unread(match.kind, match.start, match.end, detector.name))
                    else:
                        report.hits.add(Hit(match.entity_type, match.start, match.end, match.score, detector.name))
                if not hits:
                    yield

    def _bank_of(self, rules: ScanRules) -> _Bank | str:
        """The policy's terms, compiled once a policy; or the error that stands in their place."""
        key = (rules.digest, ScanRules() if rules.digest else rules)
        if key not in self._terms:
            bank = attempt(_policy_bank, rules)
            self._terms[key] = f"policy: {bank.error}" if isinstance(bank, Failure) else bank
            while len(self._terms) > _KEPT_RULES:
                self._terms.popitem(last=False)
        return self._terms[key]


def _policy_bank(rules: ScanRules) -> _Bank:
    hashed = [HashedTermDetector(dictionary) for dictionary in rules.dictionaries if dictionary.hashes]
    return _Bank([TermDetector(rules), *hashed], prefiltered=False)  # an admin's patterns may be of any kind


def construct(where: str) -> Any:
    """An instance of `module:Class`, built without arguments."""
    module, _, name = where.partition(":")
    return getattr(importlib.import_module(module), name)()


def pieces(data: bytes) -> Iterator[tuple[int, int]]:
    """Overlapping stretches of at most 4 KB, none of which begins or ends inside a character."""
    start, size = 0, len(data)
    while start < size:
        stop = min(start + PIECE, size)
        while stop < size and stop > start and data[stop] & 0xC0 == 0x80:
            stop -= 1
        yield start, stop
        if stop == size:
            return
        start = stop - OVERLAP
        while start < stop and data[start] & 0xC0 == 0x80:
            start += 1


def _source_of(where: str) -> bytes:
    module = importlib.import_module(where.partition(":")[0])
    loader = module.__spec__.loader if module.__spec__ else None
    source = loader.get_source(module.__name__) if loader is not None and hasattr(loader, "get_source") else None
    return (source or "").encode("utf-8")


def _with_artifacts(digest: Any) -> str:
    """The digest with what the detectors load: their data, and the versions of the libraries that judge for them."""
    for artifact in sorted((resources.files("classifiers") / "artifacts").iterdir(), key=lambda entry: entry.name):
        if artifact.name.endswith((".json", ".npz", ".txt")):
            digest.update(artifact.name.encode() + artifact.read_bytes())
    for source in sorted((resources.files("classifiers") / "detectors").iterdir(), key=lambda entry: entry.name):
        if source.name.endswith(".py"):  # what several detectors share is a part of each
            digest.update(source.name.encode() + source.read_bytes())
    for package in ("google-re2", "phonenumbers", "python-stdnum"):
        digest.update(f"{package}={metadata.version(package)}\n".encode())
    return str(digest.hexdigest())
