"""The kill switch across hosts: the locks in two hashes of Redis, which every host puts together with its own.

A Redis that does not answer says nothing: each host goes on with what it last knew. An entry that is no lock counts as
a lock on everything.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, cast

import orjson

from router.cache.redis import RedisLink
from router.lockdown import Lock, Locks, lock_object, lock_of

_MADE = "gatehouse:lockdown"
_ENDED = "gatehouse:lockdown-ended"
_STRANGE = Lock("", None, "an entry in Redis cannot be read", "", "redis")


class RedisLocks(RedisLink):
    """`router.lockdown_sharing.SharedLocks` in Redis."""

    _part = "lockdown"
    _meanwhile = "locks of other hosts are as they were last known"

    async def fetch(self) -> Locks | None:
        """What all hosts have told; None when Redis does not say."""
        made = await self._ask(lambda: cast(Awaitable[Any], self._client.hgetall(_MADE)))
        ended = await self._ask(lambda: cast(Awaitable[Any], self._client.hgetall(_ENDED)))
        if not isinstance(made, dict) or not isinstance(ended, dict):
            return None
        return Locks(
            {_text(name): _read(_text(name), value) for name, value in made.items()},
            {_text(name): _text(when) for name, when in ended.items()},
        )

    async def tell(self, locks: Locks, known: Locks) -> bool:
        """Tell the others what they do not know yet; False when Redis did not take it."""
        new: dict[Any, Any] = {
            name: orjson.dumps(lock_object(each)) for name, each in locks.made.items() if name not in known.made
        }
        ended: dict[Any, Any] = {name: when for name, when in locks.ended.items() if name not in known.ended}
        over = [name for name in known.made if name in locks.ended]
        told: list[object] = []
        if new:
            told.append(await self._ask(lambda: cast(Awaitable[Any], self._client.hset(_MADE, mapping=new))))
        if ended:
            told.append(await self._ask(lambda: cast(Awaitable[Any], self._client.hset(_ENDED, mapping=ended))))
        if over and None not in told:
            told.append(await self._ask(lambda: cast(Awaitable[Any], self._client.hdel(_MADE, *over))))
        return None not in told


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _read(name: str, value: object) -> Lock:
    try:
        return lock_of(name, orjson.loads(cast(bytes, value)))
    except (ValueError, KeyError, TypeError):
        return Lock(name, None, _STRANGE.reason, _STRANGE.since, _STRANGE.by)
