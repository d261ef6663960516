"""The chain of decision records: each record's text names the SHA-256 of the record before it. Pure; opens no file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import orjson

from router.types import JsonObject

FIRST_DIGEST = "0" * 64  # what the first record names as its predecessor

Row = tuple[int, str, bytes]  # number, digest (hex), text


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a chain: the number and the digest of its last record."""

    seq: int = 0
    digest: str = FIRST_DIGEST


@dataclass(frozen=True, slots=True)
class ChainReport:
    """How many records were found good, and the first that is not, with the reason."""

    rows: int
    broken_at: int | None = None
    why: str | None = None

    @property
    def intact(self) -> bool:
        return self.broken_at is None


def link(record: JsonObject, previous: str) -> tuple[bytes, str]:
    """The text of `record` (canonical JSON: UTF-8, sorted keys) after the one of digest `previous`, and its digest."""
    text = orjson.dumps({**record, "prev": previous}, option=orjson.OPT_SORT_KEYS)
    return text, hashlib.sha256(text).hexdigest()


def check(rows: Iterable[Row], head: Head, start: int = 0) -> ChainReport:
    """Recompute the chain over `rows`, which follow number `start` in rising order and should end at `head`."""
    seq, previous = start, None if start else FIRST_DIGEST
    for number, digest, text in rows:
        why = _fault(number, seq + 1, digest, text, previous)
        if why is not None:
            return ChainReport(seq - start, min(number, seq + 1), why)
        seq, previous = number, digest
    if seq != head.seq:
        return ChainReport(
            seq - start, seq + 1, "rows are missing at the end" if seq < head.seq else "rows after the head"
        )
    if previous not in (None, head.digest):
        return ChainReport(seq - start, seq, "the head names another digest")
    return ChainReport(seq - start)


def _fault(number: int, expected: int, digest: str, text: object, previous: str | None) -> str | None:
    if number != expected:
        return "rows are missing"
    if not isinstance(text, bytes) or hashlib.sha256(text).hexdigest() != digest:
        return "the row was changed"
    if previous is not None and predecessor(text) != previous:
        return "the row does not follow its predecessor"
    return None


def predecessor(text: bytes) -> str | None:
    """The digest that a record's text names as its predecessor; None when it names none."""
    try:
        record = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    found = record.get("prev") if isinstance(record, dict) else None
    return found if isinstance(found, str) else None
