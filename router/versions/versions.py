"""Every policy that was put in force, and those on their way there: who, when, why, and the whole text.

One SQLite file of the state folder, 0600. Numbers only grow, and no text that was in force is ever changed or removed.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Literal, cast, get_args
from urllib.parse import quote

import orjson

from policies.text.chain import Written
from policies.types import Policy
from policies.version import NoSuchVersion, Serving, State, Version, WrongState
from router.keys import ensure_private_folder
from router.records.store import StoreError, migrate, translated

VERSIONS_FILE = "policies.sqlite"
_BUSY_MS = 2000

# Forward only, as those of `router.records.store`.
_MIGRATIONS = (
    """
    CREATE TABLE texts (digest TEXT PRIMARY KEY, body TEXT NOT NULL);
    CREATE TABLE versions (
        number INTEGER PRIMARY KEY AUTOINCREMENT, state TEXT NOT NULL, digest TEXT NOT NULL, label TEXT NOT NULL,
        texts TEXT NOT NULL, before INTEGER, author TEXT NOT NULL, reason TEXT NOT NULL, time TEXT NOT NULL,
        loosens TEXT NOT NULL, needed INTEGER NOT NULL, activated TEXT, activated_by TEXT
    );
    CREATE INDEX versions_state ON versions (state);
    CREATE TABLE approvals (
        number INTEGER NOT NULL REFERENCES versions (number), author TEXT NOT NULL, time TEXT NOT NULL,
        PRIMARY KEY (number, author)
    );
    CREATE TABLE serving (one INTEGER PRIMARY KEY CHECK (one = 1), policy TEXT NOT NULL, kept_in TEXT NOT NULL);
    """,
)
_COLUMNS = "number, state, digest, label, texts, before, author, reason, time, loosens, needed, activated, activated_by"
_INSERT = (
    "INSERT INTO versions (state, digest, label, texts, before, author, reason, time, loosens, needed, activated,"
    " activated_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


class VersionStore:
    """Writes and reads versions. Calls block: run them in a thread; one thread at a time, any thread."""

    def __init__(self, state_dir: Path, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Creates the file when there is none. Raises `StoreError`, `router.keys.StateFolderError`."""
        self._path = ensure_private_folder(state_dir) / VERSIONS_FILE
        self._clock = clock
        with translated(self._path):
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
            self._path.chmod(0o600)  # SQLite's own files take this mode
            self._db = sqlite3.connect(
                self._path, isolation_level=None, timeout=_BUSY_MS / 1000, check_same_thread=False
            )
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            migrate(self._db, self._path, _MIGRATIONS)

    def __enter__(self) -> VersionStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        with translated(self._path):
            self._db.close()

    # -- reading -----------------------------------------------------------------------------------------------------

    def list(self, limit: int = 1_000_000) -> list[Version]:
        """The newest versions first, whatever their state."""
        with translated(self._path):
            return _read(self._db, "1 = 1", (), limit)

    def active(self) -> Version | None:
        """What is in force, as far as it was written down."""
        with translated(self._path):
            return next(iter(_read(self._db, "state = 'active'", (), 1)), None)

    def get(self, which: str) -> Version:
        """The version of a number, or the newest one whose digest begins with the word. Raises `NoSuchVersion`."""
        with translated(self._path):
            if which.isdecimal() and len(which) < 12:
                found = _read(self._db, "number = ?", (int(which),), 1)
                if found:
                    return found[0]
            if len(which) >= 6 and all(letter in "0123456789abcdef" for letter in which):
                found = _read(self._db, "substr(digest, 1, ?) = ?", (len(which), which), 1_000_000)
                if len({each.digest for each in found}) > 1:
                    raise NoSuchVersion(f"several digests begin with {which}: write more of it")
                if found:
                    return found[0]
        raise NoSuchVersion(f"no version has the number or digest {which!r}: see `gatehouse policy history`")

    def serving(self) -> Serving | None:
        """What the gateway was last started with; None when none ever was."""
        with translated(self._path):
            row = self._db.execute("SELECT policy, kept_in FROM serving").fetchone()
        return Serving(str(row[0]), cast('Literal["file", "store"]', row[1])) if row else None

    # -- writing -----------------------------------------------------------------------------------------------------

    def serve(self, serving: Serving) -> None:
        """Write down what a gateway was started with."""
        with self._changing():
            self._db.execute("DELETE FROM serving")
            self._db.execute("INSERT INTO serving VALUES (1, ?, ?)", (serving.policy, serving.kept_in))

    def add(
        self,
        policy: Policy,
        texts: Sequence[Written],
        *,
        author: str,
        reason: str = "",
        state: Literal["draft", "proposed", "approved"] = "draft",
        loosens: Sequence[str] = (),
        needed: int = 0,
    ) -> Version:
        """A new version beside the one in force, which is the one that it is judged against."""
        with self._changing():
            number = self._insert(policy, texts, state, author, reason, loosens, needed)
        return self.get(str(number))

    def note_in_force(self, policy: Policy, texts: Sequence[Written], author: str) -> Version | None:
        """Write down that this is in force now; None where it was already.

        Who has said before that these very texts should be (`gatehouse policy apply`) counts as the author.
        """
        with self._changing():
            active = _read(self._db, "state = 'active'", (), 1)
            if active and _says_the_same(active[0], texts):
                return None
            announced = _read(self._db, "state = 'approved' AND digest = ?", (policy.digest,), 1_000)
            number = next((each.number for each in announced if _says_the_same(each, texts)), None)
            if number is None:
                number = self._insert(policy, texts, "approved", author, "", (), 0)
            self._activate(number, None)
        return self.get(str(number))

    def propose(self, number: int, loosens: Sequence[str], needed: int) -> Version:
        """A draft is proposed: approved at once where nobody is needed. Raises `WrongState`."""
        with self._changing():
            self._expect(number, "draft")
            state = "proposed" if needed else "approved"
            update = "UPDATE versions SET state = ?, loosens = ?, needed = ? WHERE number = ?"
            self._db.execute(update, (state, _dump(loosens), needed, number))
        return self.get(str(number))

    def approve(self, number: int, author: str) -> Version:
        """One more who approves; approved once there are as many as needed. Raises `WrongState`."""
        with self._changing():
            version = self._expect(number, "proposed")
            if author == version.author:
                raise WrongState(f"{author} has proposed version {number}: somebody else must approve it")
            self._db.execute("INSERT OR IGNORE INTO approvals VALUES (?, ?, ?)", (number, author, self._now()))
            given = self._db.execute("SELECT count(*) FROM approvals WHERE number = ?", (number,)).fetchone()[0]
            if given >= version.needed:
                self._db.execute("UPDATE versions SET state = 'approved' WHERE number = ?", (number,))
        return self.get(str(number))

    def activate(self, number: int, author: str) -> Version:
        """An approved version is in force from now on. Raises `WrongState`, also where what it was judged against is
        not in force any more."""
        with self._changing():
            version = self._expect(number, "approved")
            row = self._db.execute("SELECT number FROM versions WHERE state = 'active'").fetchone()
            if (row[0] if row else None) != version.before:
                raise WrongState(
                    f"version {number} was judged against {version.before}, and {row and row[0]} is in force"
                )
            self._activate(number, author)
        return self.get(str(number))

    def _insert(
        self,
        policy: Policy,
        texts: Sequence[Written],
        state: State,
        author: str,
        reason: str,
        loosens: Sequence[str],
        needed: int,
    ) -> int:
        for each in texts:
            self._db.execute("INSERT OR IGNORE INTO texts VALUES (?, ?)", (_digest(each.text), each.text))
        before = self._db.execute("SELECT number FROM versions WHERE state = 'active'").fetchone()
        row = (state, policy.digest, policy.label, _dump_texts(texts), before[0] if before else None, author, reason)
        cursor = self._db.execute(_INSERT, (*row, self._now(), _dump(loosens), needed, None, None))
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def _activate(self, number: int, author: str | None) -> None:
        before = self._db.execute("SELECT number FROM versions WHERE state = 'active'").fetchone()
        self._db.execute("UPDATE versions SET state = 'past' WHERE state = 'active'")
        update = (
            "UPDATE versions SET state = 'active', activated = ?, activated_by = coalesce(?, author), before = ?"
            " WHERE number = ?"
        )
        self._db.execute(update, (self._now(), author, before[0] if before else None, number))

    def _expect(self, number: int, state: State) -> Version:
        found = _read(self._db, "number = ?", (number,), 1)
        if not found or found[0].state != state:
            said = found[0].state if found else "unknown"
            raise WrongState(f"version {number} is {said}, not {state}")
        return found[0]

    def _now(self) -> str:
        return self._clock().isoformat(timespec="milliseconds")

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        with translated(self._path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise


def read_active(state_dir: Path) -> Version | None:
    """What is in force by the store of this state folder; None where none is. Raises `StoreError`."""
    return _read_one(state_dir, "state = 'active'")


def read_version(state_dir: Path, number: str) -> Version:
    """The version of a number. Raises `StoreError`, `NoSuchVersion`."""
    found = _read_one(state_dir, "number = ?", int(number)) if len(number) < 12 else None
    if found is None:
        raise NoSuchVersion(f"no version has the number {number}: see `gatehouse policy history`")
    return found


def _read_one(state_dir: Path, where: str, *values: object) -> Version | None:
    """Without writing."""
    path = state_dir / VERSIONS_FILE
    if not path.exists():
        return None
    with translated(path):
        uri = f"file:{quote(str(path))}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=_BUSY_MS / 1000)) as database:
            return next(iter(_read(database, where, values, 1)), None)


def _read(database: sqlite3.Connection, where: str, values: Sequence[object], limit: int) -> list[Version]:
    query = f"SELECT {_COLUMNS} FROM versions WHERE {where} ORDER BY number DESC LIMIT ?"  # noqa: S608  # fixed names
    found = []
    for row in database.execute(query, (*values, limit)).fetchall():
        number, state, digest, label, texts, before, author, reason, time, loosens, needed, activated, by = row
        if state not in get_args(State):
            raise StoreError(f"version {number} is in no state that this gatehouse knows")
        approvals = database.execute("SELECT author FROM approvals WHERE number = ? ORDER BY rowid", (number,))
        written = []
        for source, text in orjson.loads(texts):
            body = database.execute("SELECT body FROM texts WHERE digest = ?", (text,)).fetchone()
            written.append(Written(source, body[0]))
        found.append(
            Version(
                number=number,
                state=state,
                digest=digest,
                label=label,
                texts=tuple(written),
                before=before,
                author=author,
                reason=reason,
                time=time,
                loosens=tuple(orjson.loads(loosens)),
                needed=needed,
                approvals=tuple(name for (name,) in approvals),
                activated=activated,
                activated_by=by,
            )
        )
    return found


def _says_the_same(version: Version, texts: Sequence[Written]) -> bool:
    """Whatever its files are called: a path may be written in several ways."""
    return [each.text for each in version.texts] == [each.text for each in texts]


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _dump_texts(texts: Sequence[Written]) -> str:
    return orjson.dumps([[each.source, _digest(each.text)] for each in texts]).decode()


def _dump(words: Sequence[str]) -> str:
    return orjson.dumps(list(words)).decode()
