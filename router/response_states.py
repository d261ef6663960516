"""Conversations that callers continue by id: one SQLite file for all workers of a host, every value sealed.

What is kept is content, so nothing plain is ever written, another tenant's key does not open it, and it ends with its
time. A store that cannot be read finds nothing; one that cannot be written keeps nothing. Neither fails a request.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import orjson

from router.cache.sealed import Sealer
from router.keys import ensure_private_folder
from router.types import JsonObject, Principal

T = TypeVar("T")

STATES_FILE = "responses.sqlite"

log = logging.getLogger("gatehouse.responses")

_BUSY_MS = 1000
_MOST_BYTES = 4 << 20  # of one conversation; a longer one is not kept
_TABLE = """
CREATE TABLE IF NOT EXISTS states (
    tenant TEXT NOT NULL, response TEXT NOT NULL, subject TEXT, expires REAL NOT NULL, sealed BLOB NOT NULL,
    PRIMARY KEY (tenant, response)
) WITHOUT ROWID
"""


class ResponseStateFile:
    """`ResponseStates` (`router/api/openai_responses.py`) in a file of the state folder. One a worker."""

    def __init__(
        self, path: Path, sealer: Sealer, ttl_seconds: float, max_bytes: int, clock: Callable[[], float] = time.time
    ) -> None:
        self._path = path
        self._sealer = sealer
        self._ttl = ttl_seconds
        self._max_bytes = max_bytes
        self._clock = clock
        self._one_at_a_time = threading.Lock()
        self._db: sqlite3.Connection | None = None

    async def get(self, principal: Principal, response: str) -> JsonObject | None:
        """What `put` was given; None for what is not there, has expired or is another tenant's."""
        sealed = await asyncio.to_thread(self._get, principal.tenant, response)
        plain = None if sealed is None else self._sealer.open(principal.tenant, _place(response), sealed)
        if plain is None:
            return None
        state: JsonObject = orjson.loads(plain)
        return state

    async def put(self, principal: Principal, response: str, state: JsonObject) -> None:
        """Keep `state` under a response's id, for its time."""
        plain = orjson.dumps(state)
        if len(plain) > _MOST_BYTES:
            log.warning("a conversation of more than %d bytes is not kept", _MOST_BYTES)
            return
        sealed = self._sealer.seal(principal.tenant, _place(response), plain, self._ttl)
        row = (principal.tenant, response, principal.subject, self._clock() + self._ttl, sealed)
        await asyncio.to_thread(self._put, row)

    async def delete(self, principal: Principal, response: str) -> bool:
        """Forget it. False when it was not there."""
        query = "DELETE FROM states WHERE tenant = ? AND response = ?"
        return await asyncio.to_thread(self._delete, query, (principal.tenant, response)) > 0

    def forget_subject(self, tenant: str, subject: str) -> int:
        """Forget every conversation of a person. How many there were. Blocks."""
        return self._delete("DELETE FROM states WHERE tenant = ? AND subject = ?", (tenant, subject))

    def close(self) -> None:
        """Close the file. Idempotent."""
        with self._one_at_a_time:
            if self._db is not None:
                self._db.close()
                self._db = None

    def _get(self, tenant: str, response: str) -> bytes | None:
        query = "SELECT sealed FROM states WHERE tenant = ? AND response = ? AND expires > ?"
        values = (tenant, response, self._clock())
        row = self._survive(lambda database: database.execute(query, values).fetchone())
        return bytes(row[0]) if row is not None else None

    def _put(self, row: tuple[object, ...]) -> None:
        now = self._clock()

        def write(database: sqlite3.Connection) -> None:
            database.execute("DELETE FROM states WHERE expires <= ?", (now,))
            database.execute("INSERT OR REPLACE INTO states VALUES (?, ?, ?, ?, ?)", row)

        self._survive(write)

    def _delete(self, query: str, values: tuple[object, ...]) -> int:
        return self._survive(lambda database: database.execute(query, values).rowcount) or 0

    def _survive(self, action: Callable[[sqlite3.Connection], T]) -> T | None:
        """What `action` gives; None for a file that does wrong, which is opened anew the next time."""
        with self._one_at_a_time:
            try:
                return action(self._open())
            except (sqlite3.Error, OSError) as error:
                log.warning("kept conversations: %s", getattr(error, "sqlite_errorname", None) or type(error).__name__)
                if self._db is not None:
                    self._db.close()
                    self._db = None
        return None

    def _open(self) -> sqlite3.Connection:
        if self._db is None:
            ensure_private_folder(self._path.parent)
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            database = sqlite3.connect(
                self._path, isolation_level=None, check_same_thread=False, timeout=_BUSY_MS / 1000
            )
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA secure_delete = ON")  # what was forgotten is not left in free pages
            database.execute(f"PRAGMA max_page_count = {max(16, self._max_bytes // 4096)}")
            database.execute(_TABLE)
            self._db = database
        return self._db


def _place(response: str) -> bytes:
    return b"response/" + response.encode()
