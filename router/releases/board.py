"""What waits to be approved on all hosts that share a Redis and the root secret: sealed entries, changed one at a time.

Whoever can write to Redis can drop an entry, and can neither read one nor approve it: it opens only as one of these
hosts sealed it, for this id, and only while Redis still is the one that knows what was used (`redis_releases`).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Literal, Protocol

import orjson

from router.cache.sealed import Sealer
from router.keys import Keys
from router.releases.store import (
    KEPT_SECONDS,
    MOST_WAITING,
    About,
    Entry,
    NoSuchRelease,
    NotWaiting,
    ReleaseStoreError,
    as_of,
)
from router.settings import Settings

_SEALED_FOR = "list"
_TRIES = 5  # to change an entry that somebody else changes at the same moment
_UNKNOWN = "the list that hosts share cannot be read or written: Redis does not answer, or may forget by itself"


class SharedReleases(Protocol):
    """Which releases the hosts have used, and what waits (`router.cache.redis_releases.RedisReleases`).

    Every answer is None where Redis does not say.
    """

    async def name(self) -> str | None: ...

    async def use(self, name: str, release_id: str, request_id: str, seconds: float) -> bool | None: ...

    async def listed(self) -> dict[str, bytes] | None: ...

    async def entry(self, release_id: str) -> bytes | None: ...

    async def put_entry(self, release_id: str, old: bytes, new: bytes) -> bool | None: ...

    async def drop(self, release_ids: Sequence[str]) -> None: ...

    async def close(self) -> None: ...


def shared_releases(settings: Settings, keys: Keys) -> SharedReleases | None:
    """The hosts' common place, where one is configured."""
    if settings.redis_url is None:
        return None
    from router.cache.redis_releases import RedisReleases  # only where it is configured: the client costs 6 MB

    fleet = keys.subkey("releases", "fleet")[:8].hex()
    return RedisReleases(settings.redis_url, settings.redis_timeout_ms, fleet)


class ReleaseBoard:
    """The list. Every call raises `ReleaseStoreError` where nobody can say."""

    def __init__(self, shared: SharedReleases, keys: Keys) -> None:
        self._shared = shared
        self._sealer = Sealer(keys, name="releases")

    async def get(self, release_id: str, now: float) -> Entry | None:
        """What is known of it; None: nothing was asked."""
        name, sealed = await self._shared.name(), await self._shared.entry(release_id)
        if name is None or sealed is None:
            raise ReleaseStoreError(_UNKNOWN)
        return self._open(name, release_id, sealed, now)

    async def entries(self, now: float, tenant: str | None = None) -> list[Entry]:
        """Everything that is kept, the newest first; of one tenant, or of all."""
        name, listed = await self._shared.name(), await self._shared.listed()
        if name is None or listed is None:
            raise ReleaseStoreError(_UNKNOWN)
        opened = {release_id: self._open(name, release_id, sealed, now) for release_id, sealed in listed.items()}
        await self._shared.drop([release_id for release_id, entry in opened.items() if entry is None])
        found = [entry for entry in opened.values() if entry is not None and tenant in (None, entry.tenant)]
        return sorted(found, key=lambda entry: (-entry.asked, entry.id))

    async def ask(self, entry: Entry, now: float) -> bool:
        """Put a request into the list, once. False where too many of its tenant's wait."""
        waiting = [each for each in await self.entries(now, entry.tenant) if each.state == "waiting"]
        if any(each.id == entry.id for each in waiting):
            return True
        if len(waiting) >= MOST_WAITING:
            return False
        await self._put(entry.id, b"", entry)
        return True

    async def decide(self, release_id: str, state: Literal["approved", "denied"], by: str, reason: str) -> Entry:
        """Approve or deny one that waits; it counts for its `ttl` from now on. Raises `NoSuchRelease`, `NotWaiting`."""
        for _ in range(_TRIES):
            now, sealed = time.time(), await self._shared.entry(release_id)
            entry = await self.get(release_id, now)
            if entry is None or sealed is None:
                raise NoSuchRelease
            if entry.state != "waiting":
                raise NotWaiting(entry.state)
            decided = replace(entry, state=state, until=now + entry.ttl, decided_by=by, reason=reason)
            if await self._put(release_id, sealed, decided):
                return decided
        raise ReleaseStoreError("somebody else changes this entry at the same moment")

    async def note_used(self, release_id: str, request_id: str, now: float) -> None:
        """Show that it was used. What counts is `SharedReleases.use`, so a failure of this one costs nothing."""
        sealed = await self._shared.entry(release_id)
        name = await self._shared.name()
        entry = self._open(name, release_id, sealed, now) if name is not None and sealed else None
        if entry is not None and sealed is not None:
            await self._put(release_id, sealed, replace(entry, state="used", used_by=request_id))

    async def _put(self, release_id: str, old: bytes, entry: Entry) -> bool:
        name = await self._shared.name()
        if name is None:
            raise ReleaseStoreError(_UNKNOWN)
        plain = orjson.dumps(asdict(entry))
        sealed = self._sealer.seal(_SEALED_FOR, _place(name, release_id), plain, KEPT_SECONDS)
        done = await self._shared.put_entry(release_id, old, sealed)
        if done is None:
            raise ReleaseStoreError(_UNKNOWN)
        return done

    def _open(self, name: str, release_id: str, sealed: bytes, now: float) -> Entry | None:
        plain = self._sealer.open(_SEALED_FOR, _place(name, release_id), sealed)
        if plain is None:
            return None
        told = orjson.loads(plain)
        about = About(**{**told["about"], "because": tuple(told["about"]["because"])}) if told["about"] else None
        return as_of(Entry(**{**told, "about": about}), now)


def _place(name: str, release_id: str) -> bytes:
    return f"{name}/{release_id}".encode()
