"""Which releases of one host were asked for, approved, denied and used: each can be used once, by whatever worker.

One SQLite file in the state folder. Use is one row under a unique key, written before the first byte leaves. Never
holds content: who asked, by key, for which model, and types of what was found.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import orjson

from router.keys import StateFolderError, ensure_private_folder

RELEASES_FILE = "releases.sqlite"
WAITS_SECONDS = 24 * 3600.0  # that a request waits to be approved
MOST_WAITING = 1000  # of one tenant

State = Literal["waiting", "approved", "denied", "used", "expired"]
_BUSY_MS = 5000
KEPT_SECONDS = 7 * 24 * 3600.0  # that what is over is still shown, and still counts as used
_SCHEMA = """
    CREATE TABLE IF NOT EXISTS releases (
        id TEXT PRIMARY KEY, state TEXT NOT NULL, until REAL NOT NULL, used_by TEXT, tenant TEXT NOT NULL, key_id TEXT,
        asked REAL NOT NULL, ttl REAL NOT NULL, about TEXT NOT NULL, decided_by TEXT, reason TEXT
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS host (one INTEGER PRIMARY KEY CHECK (one = 1), name TEXT NOT NULL);
"""
_COLUMNS = "id, state, until, used_by, tenant, key_id, asked, ttl, about, decided_by, reason"


class ReleaseStoreError(Exception):
    """The store cannot be read or written; nobody knows what was used."""


class NoSuchRelease(Exception):
    """No request of this id waits, or ever did, as far as the asker may know."""


class NotWaiting(Exception):
    """It was decided before, or nobody did in time; `state` says which."""

    def __init__(self, state: State) -> None:
        super().__init__(state)
        self.state = state


@dataclass(frozen=True, slots=True)
class About:
    """What an approver is shown of a request: words of ours and of the policy, and sizes."""

    model: str
    level: str
    rule: str  # that would have sent it out; `pinned` where its caller named the model
    because: tuple[str, ...]  # entity types and rules that held it
    size: int  # bytes of the body
    request_id: str  # its decision record


@dataclass(frozen=True, slots=True)
class Entry:
    """One release that somebody asked an approver for, or used. Times are Unix time."""

    id: str
    state: State
    until: float  # end of what was given; of one that waits, of its waiting
    used_by: str | None  # the request that used it
    tenant: str
    key_id: str | None
    asked: float
    ttl: float
    about: About | None
    decided_by: str | None = None
    reason: str | None = None


def as_of(entry: Entry, now: float) -> Entry:
    """The entry as it counts now: what nobody decided or used in time is over."""
    is_over = entry.state in ("waiting", "approved") and not entry.until > now
    return replace(entry, state="expired") if is_over else entry


class ReleaseStore:
    """Opened by each process for itself; used by one thread at a time. Everything raises `ReleaseStoreError`."""

    def __init__(self, state_dir: Path) -> None:
        try:
            self.path = ensure_private_folder(state_dir) / RELEASES_FILE
        except StateFolderError as error:
            raise ReleaseStoreError(str(error)) from None
        with _told():
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
            self._database = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
            self._database.execute(f"PRAGMA busy_timeout={_BUSY_MS}")
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=FULL")  # what was used stays used after a power cut
            self._database.executescript(_SCHEMA)
            self._database.execute("INSERT OR IGNORE INTO host VALUES (1, ?)", (secrets.token_hex(16),))
            (self.host,) = self._database.execute("SELECT name FROM host").fetchone()

    def get(self, release_id: str, now: float) -> Entry | None:
        """What is known of it; None: nothing was asked or used."""
        with _told():
            query = f"SELECT {_COLUMNS} FROM releases WHERE id = ?"  # noqa: S608  # fixed names
            row = self._database.execute(query, (release_id,)).fetchone()
        return _entry(row, now) if row is not None else None

    def entries(self, now: float, tenant: str | None = None) -> list[Entry]:
        """Everything that is kept, the newest first; of one tenant, or of all."""
        with _told():
            query = f"SELECT {_COLUMNS} FROM releases WHERE ?1 IS NULL OR tenant = ?1 ORDER BY asked DESC, id"  # noqa: S608
            return [_entry(row, now) for row in self._database.execute(query, (tenant,))]

    def ask(self, entry: Entry, now: float) -> bool:
        """Put a request into the list, once. False where too many of its tenant's wait."""
        with self._transaction():
            self._forget(now)
            query = "SELECT COUNT(*) FROM releases WHERE tenant = ? AND state = 'waiting' AND until > ?"
            (waiting,) = self._database.execute(query, (entry.tenant, now)).fetchone()
            if waiting >= MOST_WAITING:
                return False
            self._insert(entry)
            return True

    def decide(self, release_id: str, state: Literal["approved", "denied"], by: str, reason: str, now: float) -> Entry:
        """Approve or deny one that waits; it counts for its `ttl` from now on. Raises `NoSuchRelease`, `NotWaiting`."""
        with self._transaction():
            entry = self.get(release_id, now)
            if entry is None:
                raise NoSuchRelease
            if entry.state != "waiting":
                raise NotWaiting(entry.state)
            self._database.execute(
                "UPDATE releases SET state = ?, until = ?, decided_by = ?, reason = ? WHERE id = ?",
                (state, now + entry.ttl, by, reason, release_id),
            )
            decided = self.get(release_id, now)
            assert decided is not None
            return decided

    def use(self, entry: Entry, now: float, *, approved: bool) -> bool:
        """Use it for the request `entry.used_by`; True exactly once, and again for that very request.

        `approved`: only one that was approved, and is not over, can be used; else it is the first that the store hears
        of it.
        """
        with self._transaction():
            self._forget(now)
            if approved:
                self._database.execute(
                    "UPDATE releases SET state = 'used', used_by = ? WHERE id = ? AND state = 'approved' AND until > ?",
                    (entry.used_by, entry.id, now),
                )
            else:
                self._insert(entry)
            row = self._database.execute("SELECT state, used_by FROM releases WHERE id = ?", (entry.id,)).fetchone()
            return row is not None and tuple(row) == ("used", entry.used_by)

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> ReleaseStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _insert(self, entry: Entry) -> None:
        about = orjson.dumps(entry.about).decode() if entry.about is not None else "null"
        self._database.execute(
            f"INSERT OR IGNORE INTO releases ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL)",  # noqa: S608
            (
                *(entry.id, entry.state, entry.until, entry.used_by),
                *(entry.tenant, entry.key_id, entry.asked, entry.ttl, about),
            ),
        )

    def _forget(self, now: float) -> None:
        self._database.execute("DELETE FROM releases WHERE until < ?", (now - KEPT_SECONDS,))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with _told():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")


def _entry(row: tuple[object, ...], now: float) -> Entry:
    *head, about, decided_by, reason = row
    release_id, state, until, used_by, tenant, key_id, asked, ttl = head
    told = orjson.loads(str(about))
    entry = Entry(
        str(release_id),
        state,  # type: ignore[arg-type]  # a state is written by this file alone
        float(str(until)),
        _text(used_by),
        str(tenant),
        _text(key_id),
        float(str(asked)),
        float(str(ttl)),
        About(**{**told, "because": tuple(told["because"])}) if told is not None else None,
        _text(decided_by),
        _text(reason),
    )
    return as_of(entry, now)


def _text(value: object) -> str | None:
    return None if value is None else str(value)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError, ValueError, TypeError, KeyError) as error:
        raise ReleaseStoreError(f"the store of releases: {type(error).__name__}") from None
