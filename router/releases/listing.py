"""What approvers see and say of releases, for the command and the admin API alike."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Literal, TypeVar

from router.keys import StateFolderError, load_keys
from router.releases.board import ReleaseBoard, shared_releases
from router.releases.store import RELEASES_FILE, Entry, NoSuchRelease, ReleaseStore, ReleaseStoreError
from router.settings import Settings
from router.types import JsonObject

T = TypeVar("T")

MOST_REASON = 200


class BadReason(Exception):
    """A reason that says nothing, or too much for one line."""


class ReleaseList:
    """This host's list, and the one that it shares with others. Calls raise `ReleaseStoreError`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def entries(self, tenant: str | None = None) -> tuple[list[Entry], bool]:
        """What waits, was decided or used in the last week, the newest first; and whether that is all of it: False
        where other hosts' cannot be had now."""
        now, found = time.time(), []
        if (self._settings.state_dir / RELEASES_FILE).exists():
            found = await self._here(lambda store: store.entries(now, tenant))
        if self._settings.redis_url is None:
            return found, True
        try:
            shared = await self._shared(lambda board: board.entries(now, tenant))
        except ReleaseStoreError:
            return found, False
        known = {entry.id for entry in shared}  # of what was used here this host has a row, too
        return sorted([*shared, *(each for each in found if each.id not in known)], key=lambda each: -each.asked), True

    async def decide(
        self,
        release_id: str,
        state: Literal["approved", "denied"],
        by: str,
        reason: str,
        check: Callable[[Entry], None] = lambda entry: None,
    ) -> Entry:
        """Approve or deny one that waits, on whichever list. `check` may raise, before it is decided.

        Raises `NoSuchRelease`, `NotWaiting`.
        """
        now = time.time()

        def here(store: ReleaseStore) -> Entry | None:
            entry = store.get(release_id, now)
            if entry is None:
                return None
            check(entry)
            return store.decide(release_id, state, by, reason, now)

        decided = await self._here(here)
        if decided is not None:
            return decided
        if self._settings.redis_url is None:
            raise NoSuchRelease

        async def everywhere(board: ReleaseBoard) -> Entry:
            entry = await board.get(release_id, now)
            if entry is None:
                raise NoSuchRelease
            check(entry)
            return await board.decide(release_id, state, by, reason)

        return await self._shared(everywhere)

    async def _here(self, work: Callable[[ReleaseStore], T]) -> T:
        def asked() -> T:
            with ReleaseStore(self._settings.state_dir) as store:
                return work(store)

        return await asyncio.to_thread(asked)

    async def _shared(self, work: Callable[[ReleaseBoard], Awaitable[T]]) -> T:
        try:
            keys = await asyncio.to_thread(load_keys, self._settings.state_dir)
        except StateFolderError as error:
            raise ReleaseStoreError(str(error)) from None
        shared = shared_releases(self._settings, keys)
        assert shared is not None
        try:
            return await work(ReleaseBoard(shared, keys))
        finally:
            await shared.close()


def reason_of(text: str) -> str:
    """The reason, as it is kept. Raises `BadReason`."""
    reason = text.strip()
    if not 3 <= len(reason) <= MOST_REASON or not reason.isprintable():
        raise BadReason(f"a reason is one line of 3 to {MOST_REASON} characters")
    return reason


def release_json(entry: Entry) -> JsonObject:
    """One entry, without content: there is none in it."""
    about = entry.about
    return {
        "id": entry.id,
        "state": entry.state,
        "tenant": entry.tenant,
        "key_id": entry.key_id,
        "asked": _moment(entry.asked),
        "until": _moment(entry.until),
        "model": about.model if about is not None else None,
        "level": about.level if about is not None else None,
        "rule": about.rule if about is not None else None,
        "because": list(about.because) if about is not None else [],
        "bytes": about.size if about is not None else None,
        "request_id": about.request_id if about is not None else None,
        "used_by": entry.used_by,
        "decided_by": entry.decided_by,
        "reason": entry.reason,
    }


def _moment(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="seconds")
