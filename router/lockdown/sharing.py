"""Keeps one host's locks and those of the other hosts together, and writes down what came from elsewhere.

Run by the parent alone; workers read the file that it keeps.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Protocol

from router.keys import StateFolderError
from router.lockdown.lockdown import Lock, LockdownError, Locks, adopt, read_locks
from router.records.store import RECORDS_FILE, SqliteStore, StoreError
from router.settings import Settings
from router.types import JsonObject

_SYNC_SECONDS = 0.25
_MIDDLE = 1_000  # milliseconds that Redis may take to tell: a lock is worth waiting for

log = logging.getLogger("gatehouse.lockdown")

Action = Literal["lock", "unlock"]


class SharedLocks(Protocol):
    """What all hosts tell each other of locks (`router.cache.redis_lockdown.RedisLocks`)."""

    async def fetch(self) -> Locks | None: ...

    async def tell(self, locks: Locks, known: Locks) -> bool: ...

    async def close(self) -> None: ...


def shared_locks(settings: Settings) -> SharedLocks | None:
    """The hosts' common place, where one is configured."""
    if settings.redis_url is None:
        return None
    from router.cache.redis_lockdown import RedisLocks  # only where it is configured: the client costs 6 MB

    return RedisLocks(settings.redis_url, max(settings.redis_timeout_ms, _MIDDLE), settings.lockdown_key)


async def sync_once(state_dir: Path, shared: SharedLocks) -> bool:
    """Take what others know, tell what they do not; False when they could not be asked or told.

    Raises `StateFolderError`, `OSError`, `LockdownError` when what they know cannot be kept here.
    """
    known = await shared.fetch()
    if known is None:
        return False
    mine = await asyncio.to_thread(adopt, state_dir, known)
    return bool(mine.unreadable) or await shared.tell(mine, known)


class LockSharing:
    """The parent's task: `run` until it is cancelled. `state` is a word for `/readyz`."""

    def __init__(self, state_dir: Path, shared: SharedLocks, note: Callable[[JsonObject], object]) -> None:
        """`note` takes the record of each lock that another host made or ended."""
        self._state_dir = state_dir
        self._shared = shared
        self._note = note
        self.state = "ok"

    async def run(self) -> None:
        """Put the states together, four times a second."""
        try:
            while True:
                await self._sync()
                await asyncio.sleep(_SYNC_SECONDS)
        finally:
            await self._shared.close()

    async def _sync(self) -> None:
        before = read_locks(self._state_dir)
        try:
            is_done = await sync_once(self._state_dir, self._shared)
        except (StateFolderError, OSError, LockdownError) as error:
            if self.state != "failing":
                log.error("locks of other hosts cannot be kept: %s", error)
            self.state = "failing"
            return
        self.state = "ok" if is_done else "unreachable"
        after = read_locks(self._state_dir)
        for action, these in changes(before, after):
            self._note(lockdown_record(action, these, source="shared"))


def changes(before: Locks, after: Locks) -> list[tuple[Action, tuple[Lock, ...]]]:
    """What was locked and what was ended in between."""
    found: list[tuple[Action, tuple[Lock, ...]]] = []
    new = tuple(each for each in after.in_force if each.id not in before.made)
    over = tuple(each for each in before.in_force if each.id in after.ended)
    if new:
        found.append(("lock", new))
    if over:
        found.append(("unlock", over))
    return found


def lockdown_record(
    action: Action, locks: Iterable[Lock], *, source: str, by: str = "", reason: str = ""
) -> JsonObject:
    """What was locked or ended, by whom and why, as a record of the chain. `source`: `cli`, `admin`, `shared`.

    `reason` is why locks were ended, where somebody said so; each lock says itself why it was made."""
    these = tuple(locks)
    return {
        "schema_version": 1,
        "kind": "lockdown",
        "id": these[0].id if these else "",
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "principal": {"tenant": these[0].tenant if these else None, "key_id": None},
        "lockdown": {
            "action": action,
            "source": source,
            "by": by,
            "reason": reason,
            "locks": [
                {"id": each.id, "tenant": each.tenant, "reason": each.reason, "since": each.since, "by": each.by}
                for each in these
            ],
        },
    }


def write_down(settings: Settings, record: JsonObject) -> str | None:
    """Append a record to the chain now, whether a gateway runs or not; what failed in words, None when nothing did."""
    try:
        store = SqliteStore(settings.state_dir / RECORDS_FILE, settings.records_max_bytes)
        try:
            store.append([record], durable=True)
        finally:
            store.close()
    except StoreError as error:
        return str(error)
    return None
