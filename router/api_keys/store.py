"""Where API keys are kept: one SQLite file of the state folder, 0600. Holds digests of keys, never a key.

The command line and the admin API change it through the same calls. Each change writes a new generation, by which a
running gateway sees it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

import orjson

from policies.allowances import Rate
from router.api_keys.key import KeyRing, Secret, StoredKey, digest_of_key, new_key_id, new_key_text
from router.keys import ensure_private_folder
from router.records.store import StoreError, migrate, translated
from router.types import KeyScope

KEYS_FILE = "keys.sqlite"
_BUSY_MS = 2000
_HEADER_BYTES = 100
_MOST_KEYS = 100_000

# Forward only, as those of `router.records.store`.
_MIGRATIONS = (
    """
    CREATE TABLE keys (
        id TEXT PRIMARY KEY, name TEXT NOT NULL, tenant TEXT NOT NULL, groups TEXT NOT NULL, scopes TEXT NOT NULL,
        subject_header TEXT, created REAL NOT NULL, expires REAL, revoked REAL
    );
    CREATE TABLE secrets (key_id TEXT NOT NULL REFERENCES keys (id), digest BLOB NOT NULL UNIQUE, until REAL);
    CREATE INDEX secrets_key ON secrets (key_id);
    CREATE TABLE generation (one INTEGER PRIMARY KEY CHECK (one = 1), name TEXT NOT NULL);
    """,
    """
    CREATE TABLE rates (key_id TEXT PRIMARY KEY REFERENCES keys (id), requests INTEGER, tokens INTEGER);
    """,
)
_COLUMNS = "id, name, tenant, groups, scopes, subject_header, created, expires, revoked"
_INSERT = f"INSERT INTO keys ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608  # fixed names
_HAS_RATES = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'rates'"
_SET_GENERATION = "INSERT INTO generation VALUES (1, ?) ON CONFLICT (one) DO UPDATE SET name = excluded.name"


class NoSuchKey(Exception):
    """No key has this id or name, or several have this name; the message says which."""


class KeyStore:
    """Makes, lists, rotates and revokes keys. Calls block: run them in a thread."""

    def __init__(self, state_dir: Path, clock: Callable[[], float] = time.time) -> None:
        """Creates the file when there is none. Raises `StoreError`, `router.keys.StateFolderError`."""
        self._path = ensure_private_folder(state_dir) / KEYS_FILE
        self._clock = clock
        with translated(self._path):
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
            self._path.chmod(0o600)
            self._db = sqlite3.connect(self._path, isolation_level=None, timeout=_BUSY_MS / 1000)
            # One file, without a log beside it: it is written seldom, and looked at all the time.
            self._db.execute("PRAGMA journal_mode = DELETE")
            self._db.execute("PRAGMA synchronous = FULL")
            migrate(self._db, self._path, _MIGRATIONS)

    def __enter__(self) -> KeyStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        with translated(self._path):
            self._db.close()

    def list(self) -> list[StoredKey]:
        """Every key that was ever made, the oldest first."""
        with translated(self._path):
            return _read(self._db)

    def create(
        self,
        name: str,
        *,
        tenant: str = "default",
        scopes: Iterable[KeyScope] = ("infer",),
        groups: Sequence[str] = (),
        subject_header: str | None = None,
        expires: float | None = None,
        rate: Rate | None = None,
    ) -> tuple[StoredKey, str]:
        """A new key, and its text: it is nowhere else, and cannot be shown again. Raises `StoreError`."""
        key_id = new_key_id()
        text = new_key_text(key_id)
        row = (key_id, name, tenant, _dump(groups), _dump(sorted(scopes)), subject_header, self._clock(), expires, None)
        with self._changing():
            if self._db.execute("SELECT count(*) FROM keys").fetchone()[0] >= _MOST_KEYS:
                raise StoreError(f"{self._path} holds {_MOST_KEYS:,} keys already")
            self._db.execute(_INSERT, row)
            self._db.execute("INSERT INTO secrets VALUES (?, ?, NULL)", (key_id, digest_of_key(text.encode())))
            if rate is not None:
                self._db.execute("INSERT INTO rates VALUES (?, ?, ?)", (key_id, *rate))
        return self.get(key_id), text

    def rotate(self, which: str, overlap: float, expires: float | None = None) -> tuple[StoredKey, str]:
        """A new secret for a key; the one before goes on for `overlap` seconds, at most as long as it had anyway.

        `expires`: from now on the whole key's; None leaves it. Raises `NoSuchKey` (also for a revoked key).
        """
        key = self.get(which)
        now = self._clock()
        if key.revoked is not None:
            raise NoSuchKey(f"the key {key.id} is revoked: make a new one with `gatehouse keys create`")
        text = new_key_text(key.id)
        with self._changing():
            limit = "UPDATE secrets SET until = min(coalesce(until, ?), ?) WHERE key_id = ?"
            self._db.execute(limit, (now + overlap, now + overlap, key.id))
            self._db.execute("DELETE FROM secrets WHERE key_id = ? AND until <= ?", (key.id, now))
            self._db.execute("INSERT INTO secrets VALUES (?, ?, NULL)", (key.id, digest_of_key(text.encode())))
            if expires is not None:
                self._db.execute("UPDATE keys SET expires = ? WHERE id = ?", (expires, key.id))
        return self.get(key.id), text

    def revoke(self, which: str) -> StoredKey:
        """End a key for good; a running gateway refuses it within a second. Idempotent. Raises `NoSuchKey`."""
        key = self.get(which)
        with self._changing():
            self._db.execute("UPDATE keys SET revoked = coalesce(revoked, ?) WHERE id = ?", (self._clock(), key.id))
        return self.get(key.id)

    def get(self, which: str) -> StoredKey:
        """The key with this id, or with this name if only one has it. Raises `NoSuchKey`."""
        keys = self.list()
        found = [key for key in keys if key.id == which] or [key for key in keys if key.name == which]
        in_use = [key for key in found if key.revoked is None] or found
        if len(in_use) == 1:
            return in_use[0]
        several = f"{len(in_use)} keys are named {which!r}: say the id"
        raise NoSuchKey(several if in_use else f"no key has the id or name {which!r}: see `gatehouse keys list`")

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        with translated(self._path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute(_SET_GENERATION, (secrets.token_hex(16),))
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise


def read_generation(state_dir: Path) -> str:
    """A word that changes whenever a key does; "" when no key was ever made. Raises `StoreError`."""
    path = state_dir / KEYS_FILE
    if not path.exists():
        return ""
    with translated(path), contextlib.closing(_open_to_read(path)) as database:
        row = database.execute("SELECT name FROM generation").fetchone()
        return str(row[0]) if row else ""


def read_mark(keys_file: str) -> bytes:
    """Bytes that change with every change of the file, and are read in microseconds; empty when there is no file.

    They hold SQLite's change counter (https://www.sqlite.org/fileformat.html#file_change_counter), which every commit
    in this journal mode moves on. A file that cannot be opened is one of its own each time.
    """
    try:
        descriptor = os.open(keys_file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return b""
    except OSError:
        return secrets.token_bytes(8)
    try:
        return os.read(descriptor, _HEADER_BYTES) or secrets.token_bytes(8)
    except OSError:
        return secrets.token_bytes(8)
    finally:
        os.close(descriptor)


def read_ring(state_dir: Path) -> KeyRing:
    """All keys, to be checked against; empty when no key was ever made. Raises `StoreError`."""
    path = state_dir / KEYS_FILE
    if not path.exists():
        return KeyRing()
    with translated(path), contextlib.closing(_open_to_read(path)) as database:
        return KeyRing(_read(database))


def _open_to_read(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=_BUSY_MS / 1000)


def _read(database: sqlite3.Connection) -> list[StoredKey]:
    held: dict[str, list[Secret]] = {}
    rates: dict[str, Rate] = {}
    database.execute("BEGIN")  # one view of both tables
    try:
        for key_id, digest, until in database.execute("SELECT key_id, digest, until FROM secrets"):
            held.setdefault(key_id, []).append(Secret(digest, until))
        if database.execute(_HAS_RATES).fetchone():  # a file of the first version has none, and is only read here
            found = database.execute("SELECT key_id, requests, tokens FROM rates")
            rates = {key_id: Rate(requests, tokens) for key_id, requests, tokens in found}
        rows = database.execute(f"SELECT {_COLUMNS} FROM keys ORDER BY created, id").fetchall()  # noqa: S608  # fixed names
    finally:
        database.execute("ROLLBACK")
    return [
        StoredKey(
            id=key_id,
            name=name,
            tenant=tenant,
            groups=tuple(orjson.loads(groups)),
            scopes=frozenset(orjson.loads(scopes)),
            subject_header=subject_header,
            created=created,
            expires=expires,
            revoked=revoked,
            secrets=tuple(held.get(key_id, ())),
            rate=rates.get(key_id),
        )
        for key_id, name, tenant, groups, scopes, subject_header, created, expires, revoked in rows
    ]


def _dump(words: Sequence[str]) -> str:
    return orjson.dumps(list(words)).decode()
