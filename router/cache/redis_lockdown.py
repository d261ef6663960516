"""The kill switch across hosts: the locks in two hashes of Redis, which every host puts together with its own.

A Redis that does not answer says nothing: each host goes on with what it last knew. An entry that is no lock counts as
a lock on everything. The end of a lock counts only with the proof that it was written by who has the hosts' common key:
whoever can write to Redis can lock, and cannot unlock (`docs/decisions/021-who-may-end-a-lock.md`).
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable
from typing import Any, cast

import orjson

from router.cache.redis import RedisLink
from router.lockdown.lockdown import Lock, Locks, lock_object, lock_of

_MADE = "gatehouse:lockdown"
_ENDED = "gatehouse:lockdown-ended"
_STRANGE = Lock("", None, "an entry in Redis cannot be read", "", "redis")


class RedisLocks(RedisLink):
    """`router.lockdown.sharing.SharedLocks` in Redis."""

    _part = "lockdown"
    _meanwhile = "locks of other hosts are as they were last known"

    def __init__(self, url: str, timeout_ms: int, key: str | None = None) -> None:
        """`key` is the hosts' common one; without it locks are shared, and each host ends them for itself."""
        super().__init__(url, timeout_ms)
        self._key = key.encode() if key is not None else None

    async def fetch(self) -> Locks | None:
        """What all hosts have told; None when Redis does not say."""
        made = await self._ask(lambda: cast(Awaitable[Any], self._client.hgetall(_MADE)))
        ended = await self._ask(lambda: cast(Awaitable[Any], self._client.hgetall(_ENDED)))
        if not isinstance(made, dict) or not isinstance(ended, dict):
            return None
        return Locks(
            {_text(name): _read(_text(name), value) for name, value in made.items()},
            {
                name: when
                for name, when in (self._end(_text(name), _text(value)) for name, value in ended.items())
                if when
            },
        )

    async def tell(self, locks: Locks, known: Locks) -> bool:
        """Tell the others what they do not know yet; False when Redis did not take it."""
        new: dict[Any, Any] = {
            name: orjson.dumps(lock_object(each)) for name, each in locks.made.items() if name not in known.made
        }
        told: list[object] = []
        if new:
            told.append(await self._ask(lambda: cast(Awaitable[Any], self._client.hset(_MADE, mapping=new))))
        if self._key is not None:
            await self._tell_ends(locks, known, told)
        return None not in told

    async def _tell_ends(self, locks: Locks, known: Locks, told: list[object]) -> None:
        ended: dict[Any, Any] = {
            name: f"{when} {self._proof(name, when)}" for name, when in locks.ended.items() if name not in known.ended
        }
        over = [name for name in known.made if name in locks.ended]
        if ended:
            told.append(await self._ask(lambda: cast(Awaitable[Any], self._client.hset(_ENDED, mapping=ended))))
        if over and None not in told:
            told.append(await self._ask(lambda: cast(Awaitable[Any], self._client.hdel(_MADE, *over))))

    def _end(self, name: str, value: str) -> tuple[str, str]:
        """The id of a lock and when it was ended; empty where nothing proves that it was."""
        when, _, proof = value.partition(" ")
        is_proven = self._key is not None and hmac.compare_digest(proof.encode(), self._proof(name, when).encode())
        return name, when if is_proven else ""

    def _proof(self, name: str, when: str) -> str:
        return hmac.digest(self._key or b"", f"gatehouse/lockdown-ended/1\0{name}\0{when}".encode(), "sha256").hex()


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _read(name: str, value: object) -> Lock:
    try:
        return lock_of(name, orjson.loads(cast(bytes, value)))
    except (ValueError, KeyError, TypeError):
        return Lock(name, None, _STRANGE.reason, _STRANGE.since, _STRANGE.by)
