"""The chain of decision records: each record's text names the SHA-256 of the record before it. Pure; opens no file.

A row may be emptied or de-linked (a person's), or its beginning cut off (retention): the chain stays whole as long as a
later record of it, of kind `erasure`, says so. See docs/decisions/013-erasing-from-a-chain.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson

from router.records.filing import in_front

FIRST_DIGEST = "0" * 64  # what the first record names as its predecessor

ERASURE = "erasure"  # the kind of the records that tell of erased rows
_TOMBSTONE = "erased"  # the one key, beside `prev`, of an emptied row
_DELINKED = "delinked"  # true in a row that says no more whose it was; in an erasure record, each with its new digest

Row = tuple[int, str, bytes]  # number, digest (hex), text


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a chain: the number and the digest of its last record."""

    seq: int = 0
    digest: str = FIRST_DIGEST


@dataclass(frozen=True, slots=True)
class ChainReport:
    """How many records were found good, `erased` ones among them, and the first that is not, with the reason."""

    rows: int
    broken_at: int | None = None
    why: str | None = None
    erased: int = 0

    @property
    def intact(self) -> bool:
        return self.broken_at is None


def link(text: bytes, previous: str) -> tuple[bytes, str]:
    """A record's text (`router.records.filing`) behind that of digest `previous`, which it names first; its digest."""
    linked = in_front(text, "prev", previous)
    return linked, hashlib.sha256(linked).hexdigest()


def tombstone(text: bytes) -> bytes:
    """What stands in the place of an erased record: its link to the one before it, and nothing else of it."""
    return orjson.dumps({_TOMBSTONE: True, "prev": predecessor(text)}, option=orjson.OPT_SORT_KEYS)


def check(rows: Iterable[Row], head: Head, start: int = 0, cut: Head | None = None) -> ChainReport:
    """Recompute the chain over `rows`, which follow number `start` in rising order and should end at `head`.

    `cut` is the last row of a beginning that was cut off, where `start` is its number.
    """
    seq, previous = start, cut.digest if cut is not None else None if start else FIRST_DIGEST
    told = _Told(cut)
    for number, digest, text in rows:
        why = _fault(number, seq + 1, digest, text, previous)
        if why is not None:
            return ChainReport(seq - start, min(number, seq + 1), why)
        told.take(number, text)
        seq, previous = number, digest
    if seq != head.seq:
        return ChainReport(
            seq - start, seq + 1, "rows are missing at the end" if seq < head.seq else "rows after the head"
        )
    if previous not in (None, head.digest):
        return ChainReport(seq - start, seq, "the head names another digest")
    if told.untold:
        return ChainReport(seq - start, min(told.untold), "the row was erased, and no record tells of it")
    return ChainReport(seq - start, erased=len(told.emptied))


def delinked(text: bytes, names: Collection[str]) -> bytes:
    """What stands in the place of a record that is to say nothing any more of whose it was: without its id, the
    principal's subject and groups, the time of day, and whatever names one of `names`."""
    record = _without(orjson.loads(text), frozenset(names))
    principal = record.get("principal")
    if isinstance(principal, dict):
        record["principal"] = {**principal, "subject": None, "groups": []}
    day = str(record.get("time", ""))[:10]
    made = {**record, "id": "", "time": f"{day}T00:00:00.000+00:00", _DELINKED: True, "prev": predecessor(text)}
    return orjson.dumps(made, option=orjson.OPT_SORT_KEYS)


def _without(value: Any, names: frozenset[str]) -> Any:
    if isinstance(value, dict):
        return {key: _without(each, names) for key, each in value.items() if key not in names}
    if isinstance(value, list):
        return [_without(each, names) for each in value]
    return None if isinstance(value, str) and value in names else value


@dataclass(slots=True)
class _Told:
    """Rows that are gone, and what later records say of them."""

    cut: Head | None
    emptied: set[int] = field(default_factory=set)
    untold: set[int] = field(default_factory=set)
    delinked: dict[int, str] = field(default_factory=dict)  # number -> digest of what stands there now

    def __post_init__(self) -> None:
        if self.cut is not None:
            self.untold.add(self.cut.seq)

    def take(self, number: int, text: object) -> None:
        if isinstance(text, bytes) and _is_tombstone(text):
            self.emptied.add(number)
            self.untold.add(number)
            self.delinked.pop(number, None)
        elif isinstance(text, bytes) and _is_delinked(text):
            self.emptied.add(number)
            self.untold.add(number)
            self.delinked[number] = hashlib.sha256(text).hexdigest()
        elif isinstance(text, bytes) and b'"erasure"' in text:
            record = orjson.loads(text)
            said = record.get(ERASURE) if record.get("kind") == ERASURE else None
            if isinstance(said, dict):
                self.untold.difference_update(set(said.get("rows", ())) - self.delinked.keys())
                for number, digest in said.get(_DELINKED, ()):
                    if self.delinked.get(number) == digest:
                        self.untold.discard(number)
                if self.cut is not None and said.get("cut") == [self.cut.seq, self.cut.digest]:
                    self.untold.discard(self.cut.seq)


def _is_tombstone(text: bytes) -> bool:
    if not text.startswith(b'{"erased":true,'):
        return False
    record = orjson.loads(text)
    return isinstance(record, dict) and record.keys() == {_TOMBSTONE, "prev"}


def _is_delinked(text: bytes) -> bool:
    if not text.startswith(b"{") or b'"delinked":true' not in text:
        return False
    record = orjson.loads(text)
    return isinstance(record, dict) and record.get(_DELINKED) is True


def _fault(number: int, expected: int, digest: str, text: object, previous: str | None) -> str | None:
    if number != expected:
        return "rows are missing"
    if not isinstance(text, bytes):
        return "the row was changed"
    if hashlib.sha256(text).hexdigest() != digest and not (_is_tombstone(text) or _is_delinked(text)):
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
