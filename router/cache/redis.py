"""Sealed bytes in Redis, for workers and hosts that share one cache. The only importer of `redis`.

A Redis that is down, hangs, refuses or talks nonsense is a miss, never an error: a circuit breaker opens within a
second, and from then on only a probe in the background talks to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Literal

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from router.cache.breaker import Breaker

_PREFIX = b"gatehouse:cache:"
_MAX_CONNECTIONS = 32
_MAX_SECONDS = 1.0  # that one call may wait, whatever the settings say

State = Literal["ok", "unreachable", "refusing"]

log = logging.getLogger("gatehouse.cache")

# What the client raises when nobody answers properly; garbage shows as the ValueError or TypeError of its parser.
_BROKEN = (RedisError, OSError, TimeoutError, EOFError, ValueError, TypeError, LookupError, RecursionError)


class RedisBytes:
    """`SealedBytes` in Redis, under `gatehouse:cache:` and the key in hex digits. `state` is a word for `/readyz`.

    Raises `ValueError` for a URL that is not Redis's; connects at the first call.
    """

    def __init__(self, url: str, timeout_ms: int) -> None:
        self._timeout = min(timeout_ms / 1000, _MAX_SECONDS)
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=_MAX_CONNECTIONS,
            timeout=self._timeout,
            socket_timeout=self._timeout,
            socket_connect_timeout=self._timeout,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
            driver_info=None,
        )
        self._client = Redis.from_pool(pool)
        self._breaker = Breaker(timeout=self._timeout)
        self._probing: asyncio.Task[None] | None = None
        self._is_closed = False
        self.state: State = "ok"

    async def get(self, key: bytes) -> bytes | None:
        """The value under `key`; None when absent, and whenever Redis does not say."""
        value = await self._ask(lambda: self._client.get(_name(key)))
        return value if isinstance(value, bytes) else None

    async def put(self, key: bytes, value: bytes, ttl: float) -> None:
        """Store `value` with its expiry; lost when Redis does not take it."""
        milliseconds = max(int(ttl * 1000), 1)
        answer = await self._ask(lambda: self._client.set(_name(key), value, px=milliseconds))
        if answer:
            self._turn("ok", "")

    async def ping(self) -> bool:
        """True when Redis answers now; for a check by hand, never on a request's way."""
        return bool(await self._call(self._client.ping))

    async def _ask(self, command: Callable[[], Awaitable[object]]) -> object:
        if self._is_closed:
            return None
        if self._breaker.is_open:
            if self._breaker.wants_probe() and self._probing is None:
                self._probing = asyncio.create_task(self._probe())
            return None
        return await self._call(command)

    async def _call(self, command: Callable[[], Awaitable[object]]) -> object:
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._timeout):
                answer = await command()
        except ResponseError as error:  # it answered, and said no: read-only, out of memory, not permitted
            self._breaker.succeed()
            await self._turn_refusing(type(error).__name__)
            return None
        except _BROKEN as error:
            self._breaker.fail(time.monotonic() - began)
            if self._breaker.is_open:
                self._turn("unreachable", type(error).__name__)
            return None
        self._breaker.succeed()
        return answer

    async def _probe(self) -> None:
        try:
            await self._call(self._client.ping)
            if self._breaker.is_open:
                self._breaker.fail_probe()
            else:
                self._turn("ok", "")
        finally:
            self._probing = None

    async def _turn_refusing(self, why: str) -> None:
        if self.state != "refusing":
            self._turn("refusing", why)
            # A server that has become a replica stays one for its connections: ask the name again where the master is.
            with contextlib.suppress(*_BROKEN):
                await self._client.connection_pool.disconnect(inuse_connections=False)

    def _turn(self, state: State, why: str) -> None:
        if state == self.state:
            return
        self.state = state
        if state == "ok":
            log.warning("cache: Redis answers again")
        else:
            log.warning("cache: Redis is %s (%s); requests go on without it", state, why)

    async def close(self) -> None:
        """Stop probing and close every connection. Idempotent."""
        self._is_closed = True
        if self._probing is not None:
            self._probing.cancel()
            await asyncio.wait({self._probing})
        await self._client.aclose()


def _name(key: bytes) -> bytes:
    return _PREFIX + key.hex().encode()
