"""Takes rows out of the records without breaking their chain: a person's, and those that are older than retention says.

What was erased is told by a record of kind `erasure`, written in the same transaction. Erased bytes are overwritten.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson

from policies.keeping import kept_shorter
from policies.types import Policy
from router.records.chain import ERASURE, delinked, tombstone
from router.records.filing import FILTERS
from router.records.store import SqliteStore, StoreError, chain_on, translated
from router.types import JsonObject

_AT_ONCE = 1000  # rows of one transaction: the gateway's own writer waits for it
_CUT_AT_ONCE = 10_000
_BUSY_SECONDS = 10.0
_KEPT_KINDS = (ERASURE, "lockdown")  # what an admin did is no row of a person's
_OF_REQUESTS = ("decision", "intent", "feedback")
_EMPTY = ", ".join(f"{name} = NULL" for name in FILTERS if name != "kind")
_UPDATE = f"UPDATE records SET id = '', time = substr(time, 1, 10), kind = 'erased', {_EMPTY}, body = ? WHERE seq = ?"  # noqa: S608
_REPLACE = "UPDATE records SET id = '', time = ?, body = ? WHERE seq = ?"


@dataclass(frozen=True, slots=True)
class Erased:
    """How many rows are gone."""

    rows: int


class Eraser:
    """Erases from the records at `path`, also while a gateway writes to them. Use it as a context; calls block."""

    def __init__(self, path: Path) -> None:
        """Raises `StoreError` when there are no records, or they cannot be read."""
        if not path.exists():
            raise StoreError(f"no records yet: {path} does not exist")
        self._path = path
        SqliteStore(path).close()  # brings the file forward
        with translated(path):
            self._db = sqlite3.connect(path, isolation_level=None, timeout=_BUSY_SECONDS)
            self._db.execute("PRAGMA secure_delete = ON")
            self._db.execute("PRAGMA synchronous = FULL")

    def __enter__(self) -> Eraser:
        return self

    def __exit__(self, *_: object) -> None:
        with translated(self._path):
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # else old pages stay readable in the log
            self._db.close()

    def erase_subject(self, tenant: str, subject: str) -> Erased:
        """Empty every row of that pseudonym (`router.identity.subject_of`), and what refers to its requests."""
        with translated(self._path):
            wanted = sorted({number for number, _ in self._of_subject(tenant, subject)})
            for start in range(0, len(wanted), _AT_ONCE):
                self._empty(wanted[start : start + _AT_ONCE])
            return Erased(len(wanted))

    def delink_subject(self, tenant: str, subject: str) -> Erased:
        """Leave the same rows, for statistics and simulations, but nothing in them that says whose they were."""
        with translated(self._path):
            found = dict(self._of_subject(tenant, subject))
            names, wanted = {subject, *found.values()} - {""}, sorted(found)
            for start in range(0, len(wanted), _AT_ONCE):
                self._delink(wanted[start : start + _AT_ONCE], names)
            return Erased(len(wanted))

    def expire(self, before: datetime) -> Erased:
        """Delete what is older, from the beginning of the chain on. The months' sums of costs stay."""
        bound = before.astimezone(UTC).isoformat(timespec="milliseconds")
        total = 0
        with translated(self._path):
            while cut := self._cut_before(bound):
                total += cut
        return Erased(total)

    def empty_older(self, before: datetime, tenant: str | None = None, rule: str | None = None) -> Erased:
        """Empty the older records of a tenant's requests, or of those that a rule decided."""
        bound = before.astimezone(UTC).isoformat(timespec="milliseconds")
        wanted = {name: value for name, value in (("tenant", tenant), ("rule", rule)) if value is not None}
        if not wanted:
            raise ValueError("whose records: a tenant's or a rule's")
        where = " AND ".join(f"{name} = ?" for name in wanted)
        kinds = ", ".join("?" * len(_OF_REQUESTS))
        query = f"SELECT seq, id FROM records WHERE kind IN ({kinds}) AND time < ? AND {where}"  # noqa: S608  # fixed names
        with translated(self._path):
            found = dict(self._db.execute(query, (*_OF_REQUESTS, bound, *wanted.values())).fetchall())
            numbers = sorted({*found, *self._of_requests(set(found.values()) - {""})})
            for start in range(0, len(numbers), _AT_ONCE):
                self._empty(numbers[start : start + _AT_ONCE], why="retention")
            return Erased(len(numbers))

    def _of_requests(self, names: Collection[str]) -> Iterator[int]:
        """Numbers of all rows that speak of these requests."""
        kinds = ", ".join("?" * len(_OF_REQUESTS))
        query = f"SELECT seq FROM records WHERE id = ? AND kind IN ({kinds})"  # noqa: S608  # marks only
        for name in names:
            for (number,) in self._db.execute(query, (name, *_OF_REQUESTS)):
                yield number

    def _of_subject(self, tenant: str, subject: str) -> Iterator[tuple[int, str]]:
        """Numbers and ids of the rows that name the pseudonym, then of those with the same ids."""
        marks = ", ".join("?" * len(_KEPT_KINDS))
        query = f"""SELECT seq, id, body FROM records
            WHERE tenant = ? AND kind NOT IN ({marks}) AND instr(body, ?) > 0"""  # noqa: S608  # marks only
        found: set[str] = set()
        for number, name, text in self._db.execute(query, (tenant, *_KEPT_KINDS, subject.encode())):
            principal = orjson.loads(text).get("principal")
            if isinstance(principal, dict) and principal.get("subject") == subject:
                found.add(name)
                yield number, name
        for name in found - {""}:
            query = f"SELECT seq FROM records WHERE id = ? AND kind NOT IN ({marks})"  # noqa: S608  # marks only
            for (number,) in self._db.execute(query, (name, *_KEPT_KINDS)):
                yield number, name

    def _empty(self, numbers: Sequence[int], why: str = "subject") -> None:
        with self._transaction():
            for number in numbers:
                row = self._db.execute("SELECT body FROM records WHERE seq = ?", (number,)).fetchone()
                if row is not None:
                    self._db.execute(_UPDATE, (tombstone(row[0]), number))
            chain_on(self._db, [_erasure({"why": why, "rows": list(numbers)})])

    def _delink(self, numbers: Sequence[int], names: Collection[str]) -> None:
        with self._transaction():
            done = []
            for number in numbers:
                row = self._db.execute("SELECT body FROM records WHERE seq = ?", (number,)).fetchone()
                if row is not None:
                    text = delinked(row[0], names)
                    self._db.execute(_REPLACE, (orjson.loads(text)["time"], text, number))
                    done.append([number, hashlib.sha256(text).hexdigest()])
            chain_on(self._db, [_erasure({"why": "subject", "delinked": done})])

    def _cut_before(self, bound: str) -> int:
        """Cut off at most some thousand rows; how many it were."""
        with self._transaction():
            newer = self._db.execute("SELECT min(seq) FROM records WHERE time >= ?", (bound,)).fetchone()[0]
            first, last = self._db.execute("SELECT min(seq), max(seq) FROM records").fetchone()
            if first is None:
                return 0
            end = min((newer - 1) if newer is not None else last, first + _CUT_AT_ONCE - 1)
            if end < first:
                return 0
            digest = self._db.execute("SELECT digest FROM records WHERE seq = ?", (end,)).fetchone()[0]
            chain_on(self._db, [_erasure({"why": "retention", "cut": [end, digest]})])
            self._db.execute("DELETE FROM records WHERE seq <= ?", (end,))
            self._db.execute("INSERT OR REPLACE INTO cut VALUES (1, ?, ?)", (end, digest))
            return int(end - first + 1)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")


def expire_records(path: Path, policy: Policy, now: datetime | None = None) -> Erased:
    """Delete or empty the records that are older than the policy lets them be. Raises `StoreError`."""
    days, shorter = policy.retention_days, kept_shorter(policy)
    if not path.exists() or (days is None and not shorter):
        return Erased(0)
    today, gone = now or datetime.now(UTC), 0
    with Eraser(path) as eraser:
        if days is not None:
            gone += eraser.expire(today - timedelta(days=days)).rows
        for each in shorter:
            gone += eraser.empty_older(today - timedelta(days=each.days), each.tenant, each.rule).rows
    return Erased(gone)


def _erasure(said: JsonObject) -> JsonObject:
    return {
        "schema_version": 1,
        "kind": ERASURE,
        "id": "",
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        ERASURE: said,
    }
