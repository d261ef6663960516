"""Durable state: the `Store` seam and its SQLite form, an append-only table of records chained by SHA-256.

Each row's text holds its predecessor's digest, so a changed, removed or reordered row shows. Never holds content, and
never changes a row that it has written; `router.records.erasing` alone empties rows, and writes down that it did.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol
from urllib.parse import quote

import orjson

from router.keys import ensure_private_folder
from router.records import spending
from router.records.chain import ChainReport, Head, Row, check, link
from router.records.filing import FILTERS, FiledRecord, filed
from router.types import JsonObject

RECORDS_FILE = "records.sqlite"

_PAGE_BYTES = 4096
_LEAST_PAGES = 16
_TAIL_CHECKED = 1000
_BUSY_MS = 2000

# Forward only: entry n brings a file from version n to n + 1. An entry that has shipped is never edited.
_MIGRATIONS = (
    """
    CREATE TABLE records (
        seq INTEGER PRIMARY KEY, id TEXT NOT NULL, time TEXT NOT NULL, kind TEXT NOT NULL, tenant TEXT, route TEXT,
        model TEXT, rule TEXT, reason TEXT, sensitivity TEXT, error TEXT, digest TEXT NOT NULL, body BLOB NOT NULL
    );
    CREATE INDEX records_id ON records (id);
    CREATE TABLE head (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, digest TEXT NOT NULL);
    """,
    spending.TABLE,
    """
    CREATE TABLE cut (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, digest TEXT NOT NULL);
    """,
)
_COLUMNS = ("seq", "id", "time", *FILTERS, "digest", "body")
_INSERT = f"INSERT INTO records ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608  # fixed names
_SET_HEAD = (
    "INSERT INTO head VALUES (1, ?, ?) ON CONFLICT (one) DO UPDATE SET seq = excluded.seq, digest = excluded.digest"
)


class StoreError(Exception):
    """The store cannot be read or written; the message names the cause and holds no content."""


class StoreFullError(StoreError):
    """The store's limit or the disk is full."""


class Store(Protocol):
    """Where records are kept. Calls block: run them in a thread."""

    def append(self, records: Sequence[JsonObject | FiledRecord], *, durable: bool) -> None:
        """Chain and write all of `records`, or none. `durable`: on the disk before it returns. Raises `StoreError`."""
        ...

    def close(self) -> None:
        """Flush and close. Idempotent."""
        ...


def _word(error: sqlite3.Error) -> str:
    return str(getattr(error, "sqlite_errorname", None) or type(error).__name__)


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """SQLite's and the system's errors as `StoreError`."""
    try:
        yield
    except sqlite3.Error as error:
        word = _word(error)
        if word.startswith("SQLITE_FULL"):
            raise StoreFullError(
                f"{path} is full: raise GATEHOUSE_RECORDS_MAX_BYTES, or free space on its disk"
            ) from None
        raise StoreError(f"{path}: {word}") from None
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from None


class SqliteStore:
    """The writing side: SQLite in WAL mode. For one thread at a time, any thread.

    The head of the chain is read inside each write transaction, so that a second gateway on the same folder continues
    the chain instead of forking it. `damage` says in words what was found wrong at opening, if anything: a file that
    SQLite cannot read is set aside under a new name, a broken tail is left for `verify` to show.
    """

    def __init__(self, path: Path, max_bytes: int = 1 << 30) -> None:
        ensure_private_folder(path.parent)
        self.path = path
        self.damage: str | None = None
        self._max_pages = max(max_bytes // _PAGE_BYTES, _LEAST_PAGES)
        self._full: bool | None = None  # the durability that the connection is set to
        with translated(path):
            try:
                self._db = self._open()
            except sqlite3.DatabaseError as error:
                if _word(error) not in {"SQLITE_NOTADB", "SQLITE_CORRUPT"}:
                    raise
                self._set_aside(_word(error))
                self._db = self._open()

    def _open(self) -> sqlite3.Connection:
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # SQLite's own files take this mode
        database = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=_BUSY_MS / 1000)
        try:
            database.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA fullfsync = ON")  # macOS: what is synced must have left the drive's cache too
            database.execute("PRAGMA journal_size_limit = 16777216")
            migrate(database, self.path, _MIGRATIONS)
            database.execute(f"PRAGMA max_page_count = {self._max_pages}")
            report = _verify(database, _TAIL_CHECKED)
        except BaseException:
            database.close()
            raise
        if not report.intact:
            self.damage = f"the chain of records is broken at {report.broken_at}: {report.why}"
        return database

    def _set_aside(self, why: str) -> None:
        kept = self.path.with_name(f"{self.path.name}.damaged-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")
        for suffix in ("-wal", "-shm", ""):
            with contextlib.suppress(FileNotFoundError):
                self.path.with_name(self.path.name + suffix).rename(kept.with_name(kept.name + suffix))
        self.damage = f"{self.path} could not be read ({why}); it is kept as {kept.name} and a new chain has begun"

    def append(self, records: Sequence[JsonObject | FiledRecord], *, durable: bool) -> None:
        """Chain and write all of `records` in one transaction; with `durable`, on the disk before it returns.

        Raises `StoreFullError` and `StoreError`; nothing of the batch is then kept.
        """
        with translated(self.path):
            if durable is not self._full:
                self._db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
                self._full = durable
            self._db.execute("BEGIN IMMEDIATE")
            try:
                chain_on(self._db, records)
                self._db.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):  # SQLite may have rolled back by itself
                    self._db.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close; SQLite folds its log into the file. Idempotent."""
        with translated(self.path):
            self._db.close()


def chain_on(database: sqlite3.Connection, records: Sequence[JsonObject | FiledRecord]) -> None:
    """Chain `records` on, within a write transaction of the caller's."""
    head = _head(database)
    seq, digest = head.seq, head.digest
    rows, ready = [], [filed(record) for record in records]
    for record in ready:
        seq += 1
        text, digest = link(record.text, digest)
        rows.append((seq, *record.columns, digest, text))
    database.executemany(_INSERT, rows)
    database.execute(_SET_HEAD, (seq, digest))
    database.executemany(spending.ADD, spending.rows_of(ready))


def migrate(database: sqlite3.Connection, path: Path, scripts: Sequence[str]) -> None:
    """Bring a file forward to the last of `scripts`, all or nothing. Raises `StoreError` for one of a newer version."""
    database.execute("BEGIN IMMEDIATE")
    try:
        database.execute("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)")
        row = database.execute("SELECT max(version) FROM schema_version").fetchone()
        version = row[0] or 0
        if version > len(scripts):
            raise StoreError(f"{path} was written by a newer gatehouse (schema {version}): upgrade, or move it away")
        for script in scripts[version:]:
            for statement in filter(str.strip, script.split(";")):
                database.execute(statement)
            version += 1
            database.execute("INSERT INTO schema_version VALUES (?)", (version,))
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


def _head(database: sqlite3.Connection) -> Head:
    row = database.execute("SELECT seq, digest FROM head").fetchone()
    return Head(row[0], row[1]) if row else Head()


def _verify(database: sqlite3.Connection, last: int | None) -> ChainReport:
    head, cut = _head(database), _cut(database)
    begins = cut.seq if cut is not None else 0
    start = max(head.seq - last, begins) if last is not None else begins
    query = "SELECT seq, digest, body FROM records WHERE seq > ? ORDER BY seq"
    return check(database.execute(query, (start,)), head, start, cut if start == begins else None)


def _cut(database: sqlite3.Connection) -> Head | None:
    try:
        row = database.execute("SELECT seq, digest FROM cut").fetchone()
    except sqlite3.OperationalError:  # a file that no gateway of this version has opened yet
        return None
    return Head(row[0], row[1]) if row else None


class RecordReader:
    """The reading side, for the CLI: a read-only connection that neither waits for the writer nor delays it."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise StoreError(f"no records yet: {path} does not exist")
        self._path = path
        with translated(path):
            self._db = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=_BUSY_MS / 1000)

    def __enter__(self) -> RecordReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def list_records(self, limit: int = 50, filters: Mapping[str, str] | None = None) -> list[JsonObject]:
        """The newest records first, at most `limit`, equal to every filter. Raises `ValueError` for an unknown filter.

        Intents are left out unless `kind` asks for them.
        """
        wanted = {"kind": "decision", **(filters or {})}
        unknown = sorted(set(wanted) - set(FILTERS))
        if unknown:
            raise ValueError(f"no filter {unknown[0]!r}: use one of {', '.join(FILTERS)}")
        where = " AND ".join(f"{name} = ?" for name in wanted)
        query = f"SELECT seq, digest, body FROM records WHERE {where} ORDER BY seq DESC LIMIT ?"  # noqa: S608  # names checked above
        with translated(self._path):
            return [_shown(row) for row in self._db.execute(query, (*wanted.values(), limit))]

    def decisions_since(self, time: str) -> Iterator[JsonObject]:
        """Every decision from that moment (ISO 8601, UTC) on, oldest first, one at a time."""
        query = "SELECT seq, digest, body FROM records WHERE kind = 'decision' AND time >= ? ORDER BY seq"
        with translated(self._path):
            for row in self._db.execute(query, (time,)):
                yield _shown(row)

    def count_decisions(self, time: str) -> int:
        """How many decisions `decisions_since` would give."""
        with translated(self._path):
            query = "SELECT COUNT(*) FROM records WHERE kind = 'decision' AND time >= ?"
            return int(self._db.execute(query, (time,)).fetchone()[0])

    def latencies_since(self, time: str) -> Iterator[tuple[str, float]]:
        """Of every decision since then that ended without an error: the model that answered, and the milliseconds."""
        text = "CAST(body AS TEXT)"
        query = f"""SELECT model, CASE WHEN json_valid({text}) THEN json_extract({text}, '$.latency_ms') END AS latency
            FROM records WHERE kind = 'decision' AND time >= ? AND error IS NULL AND model IS NOT NULL"""  # noqa: S608  # fixed
        with translated(self._path):
            for model, latency in self._db.execute(query, (time,)):
                if isinstance(latency, int | float):
                    yield model, float(latency)

    def rows_since(self, time: str, kinds: Sequence[str]) -> Iterator[JsonObject]:
        """Every record of these kinds from that moment (ISO 8601, UTC) on, in the order of writing."""
        marks = ", ".join("?" * len(kinds))
        query = f"SELECT seq, digest, body FROM records WHERE kind IN ({marks}) AND time >= ? ORDER BY seq"  # noqa: S608  # marks only
        with translated(self._path):
            for row in self._db.execute(query, (*kinds, time)):
                yield _shown(row)

    def get_latest(self, request_id: str, kind: str) -> JsonObject | None:
        """The newest record of that kind that names a request; None when there is none."""
        query = "SELECT seq, digest, body FROM records WHERE id = ? AND kind = ? ORDER BY seq DESC LIMIT 1"
        with translated(self._path):
            row = self._db.execute(query, (request_id, kind)).fetchone()
        return _shown(row) if row else None

    def spent(self, month: str) -> list[spending.Spent]:
        """What a calendar month (`2026-05`, UTC) has cost so far, by tenant and reason; all workers of this gateway."""
        with translated(self._path):
            try:
                return [spending.read_row(row) for row in self._db.execute(spending.READ, (month,))]
            except sqlite3.OperationalError:  # a file that no gateway of this version has opened yet
                if self._has_table("spending"):
                    raise
                return []

    def _has_table(self, name: str) -> bool:
        query = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
        return self._db.execute(query, (name,)).fetchone() is not None

    def get_record(self, request_id: str) -> JsonObject | None:
        """The record of a request: its decision, or the intent when nothing came after it; None when there is none."""
        query = "SELECT seq, digest, body FROM records WHERE id = ? ORDER BY kind = 'decision' DESC, seq DESC LIMIT 1"
        with translated(self._path):
            row = self._db.execute(query, (request_id,)).fetchone()
        return _shown(row) if row else None

    def verify(self, last: int | None = None) -> ChainReport:
        """Recompute the chain over all rows, or over the last ones."""
        with translated(self._path):
            self._db.execute("BEGIN")  # one view of the file, whatever is written meanwhile
            try:
                return _verify(self._db, last)
            finally:
                self._db.execute("ROLLBACK")

    def close(self) -> None:
        self._db.close()


def verify(path: Path, last: int | None = None) -> ChainReport:
    """Recompute the chain of the records at `path`; with `last`, only that many at its end. Raises `StoreError`."""
    with RecordReader(path) as reader:
        return reader.verify(last)


def _shown(row: Row) -> JsonObject:
    seq, digest, text = row
    try:
        record = orjson.loads(text)
    except orjson.JSONDecodeError:
        record = {"damaged": True}
    return {**record, "seq": seq, "digest": digest}
