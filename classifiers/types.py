"""The nouns of classification: findings, unknowns and signals. No finding holds the matched text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from classifiers.frozen import quickly_made

Place = Literal["value", "key"]
Band = Literal["easy", "medium", "hard"]
ApprovalKind = Literal["system", "tool", "signature", "any"]  # where an approved text may stand

# Everything that can make a part of a request unreadable to the detectors. Each counts as `restricted`
# unless the policy lowers that kind by name (`sensitivity.on_unknown`).
UnknownKind = Literal[
    "image",
    "audio",
    "file",
    "remote_url",
    "token_ids",
    "unknown_part",
    "too_deep",
    "detector_error",
    "timeout",
    "truncated",
    "unsupported_language",
    "undecodable",
]


@quickly_made
@dataclass(frozen=True, slots=True)
class Match:
    """What a detector reports inside one text: a span in code points, before it is placed in the body."""

    entity_type: str
    start: int
    end: int
    score: float


@dataclass(frozen=True, slots=True)
class Gap:
    """What a detector says that it could not read, inside one text: it becomes an `Unknown` of that kind."""

    kind: UnknownKind
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Inner:
    """Where a finding stands inside a string that is JSON itself, in code points: what a replacement must know.

    `pointer` leads to a string inside that JSON (or to the member whose key it is); None: the text as it is written.
    """

    pointer: str | None
    start: int
    end: int


@quickly_made
@dataclass(frozen=True, slots=True)
class Finding:
    """One detected item, without its text. Offsets are Unicode code points of the decoded string at `pointer`."""

    entity_type: str
    pointer: str
    place: Place
    start: int
    end: int
    score: float
    detector: str
    group: int  # the pieces of one value share a group
    via: tuple[str, ...] = ()
    inner: Inner | None = None  # set where `via` is ("json",) alone


@dataclass(frozen=True, slots=True)
class Unknown:
    """A part that could not be checked, as a value: never an empty list of findings."""

    kind: UnknownKind
    pointer: str
    detail: str = ""  # a type or a detector's name, never content


@quickly_made
@dataclass(frozen=True, slots=True)
class Scan:
    """Everything the detectors said about one body, and the strings that they have seen.

    `texts` holds content and lives in memory for the request only; it lets egress prove that each string of the
    bytes it is about to write has been scanned.
    """

    findings: tuple[Finding, ...] = ()
    unknowns: tuple[Unknown, ...] = ()
    texts: frozenset[str] = field(default=frozenset(), repr=False)


@quickly_made
@dataclass(frozen=True, slots=True)
class Signal:
    """One measured fact, or the typed error that stands in its place. Exactly one of `value` and `error` is set."""

    name: str
    value: float | int | bool | str | frozenset[str] | None = None
    error: str | None = None  # `timeout`, `not_available`, `not_asked`, or an exception's class name
    band: Band | None = None


@quickly_made
@dataclass(frozen=True, slots=True)
class Signals:
    """All signals of one request, by name, with the scan that sensitivity is derived from."""

    values: Mapping[str, Signal]
    scan: Scan
    elapsed_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Dictionary:
    """An admin's list of exact terms; a hit is a finding whose entity type is the dictionary's name.

    `hashes` are salted SHA-256 digests (hex, `classifiers.values`) of terms of up to `words` words, all with one salt.
    """

    name: str
    terms: tuple[str, ...] = ()
    hashes: tuple[str, ...] = ()
    salt: str = ""
    words: int = 4


@dataclass(frozen=True, slots=True)
class Pattern:
    """An admin's RE2 pattern; a hit is a finding whose entity type is the pattern's name."""

    name: str
    regex: str


@dataclass(frozen=True, slots=True)
class SaltedHash:
    """A value that must not stand in a file: SHA-256 (hex) of its comparable form, with a salt."""

    salt: str
    digest: str


@dataclass(frozen=True, slots=True)
class Exemption:
    """What is not a finding here, for one tenant or for all.

    The whole matched text must be one of `terms`, an address at one of `domains`, what one of the RE2 `patterns`
    matches, or have one of `hashes`.
    """

    entity: str
    reason: str
    terms: frozenset[str] = frozenset()
    domains: frozenset[str] = frozenset()
    patterns: tuple[str, ...] = ()
    hashes: frozenset[SaltedHash] = frozenset()
    tenant: str | None = None


@dataclass(frozen=True, slots=True)
class Approval:
    """A whole text that an admin has looked at, by its keyed digest: but for secrets, nothing in it is a finding."""

    digest: str
    kind: ApprovalKind


@dataclass(frozen=True, slots=True)
class ScanRules:
    """What a policy adds to the shipped detectors. `digest` names this set in the scan memory's keys."""

    dictionaries: tuple[Dictionary, ...] = ()
    patterns: tuple[Pattern, ...] = ()
    exemptions: tuple[Exemption, ...] = ()
    approvals: tuple[Approval, ...] = ()
    countries: tuple[str, ...] = ()
    digest: str = ""
