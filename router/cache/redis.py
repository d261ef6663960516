"""What workers and hosts share through Redis: sealed answers, and the marks of taint. The only importer of `redis`.

A Redis that is down, hangs, refuses or talks nonsense is a value, never an error: a miss of the cache, "nobody answers"
of the marks. A circuit breaker opens within a second, and from then on only a probe in the background talks to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal, NamedTuple

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from router.cache.breaker import Breaker

_PREFIX = b"gatehouse:cache:"
_MARKS_AT_ONCE = 512
_RETRY_SECONDS = 0.5
_MAX_WAITING = 2000  # calls' worth of marks that wait while Redis takes none
_DIGITS = frozenset({b"1", b"2", b"3", b"4", b"5", b"6", b"7"})
_HOSTS = b"gatehouse:taint-hosts"
# Notes this host with its expiry, forgets those whose time is over, and counts the rest.
_BEAT = """
redis.call('ZADD', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[3])
redis.call('PEXPIRE', KEYS[1], math.max(tonumber(ARGV[4]), 60000))
return redis.call('ZCARD', KEYS[1])
"""
# Sets each key to the level, unless it holds a higher one; either way it lives on for as long as the new mark.
_RAISE = """
for _, key in ipairs(KEYS) do
  local level = tonumber(redis.call('GET', key) or '0') or 0
  local left = redis.call('PTTL', key)
  level = math.max(level, tonumber(ARGV[1]))
  redis.call('SET', key, string.format('%d', level), 'PX', math.max(left, tonumber(ARGV[2])))
end
return 1
"""
_MAX_CONNECTIONS = 32
_MAX_SECONDS = 1.0  # that one call may wait, whatever the settings say

State = Literal["ok", "unreachable", "refusing"]

log = logging.getLogger("gatehouse.cache")

# What the client raises when nobody answers properly; garbage shows as the ValueError or TypeError of its parser.
_BROKEN = (RedisError, OSError, TimeoutError, EOFError, ValueError, TypeError, LookupError, RecursionError)


class RedisLink:
    """The connections to one Redis, with their breaker. `state` is a word for `/readyz`.

    Raises `ValueError` for a URL that is not Redis's; connects at the first call.
    """

    _part = "cache"
    _meanwhile = "requests go on without it"

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
            log.warning("%s: Redis answers again", self._part)
        else:
            log.warning("%s: Redis is %s (%s); %s", self._part, state, why, self._meanwhile)

    async def close(self) -> None:
        """Stop probing and close every connection. Idempotent."""
        self._is_closed = True
        if self._probing is not None:
            self._probing.cancel()
            await asyncio.wait({self._probing})
        await self._client.aclose()


class RedisBytes(RedisLink):
    """`SealedBytes` in Redis, under `gatehouse:cache:` and the key in hex digits."""

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


class RedisMarks(RedisLink):
    """`router.taint.ledger.SharedMarks` in Redis: a key a digest, a digit as its value, and an expiry; nothing else.

    Marks that Redis does not take wait here, a bounded number of them, and go with the first call that it answers.
    """

    _part = "taint"
    _meanwhile = "while other hosts share it, conversations stay at home"
    _prefix = b"gatehouse:taint:"

    def __init__(self, url: str, timeout_ms: int, host: str, ttl: float, settle_seconds: float = 6.0) -> None:
        """`host` names whoever shares one table of marks, `ttl` is how long a mark lives.

        `settle_seconds`: how long others may need, after Redis was away, to send the marks that waited there.
        """
        super().__init__(url, timeout_ms)
        self._host = host
        self._ttl = ttl
        self._others_until = float("inf")  # until then another host may have marks; unknown before the first beat
        self._settle_seconds = settle_seconds
        self._sure_at = 0.0
        self._waiting: deque[_Waiting] = deque(maxlen=_MAX_WAITING)
        self._flushing = asyncio.Lock()
        self._retrying: asyncio.Task[None] | None = None

    @property
    def is_alone(self) -> bool:
        """Whether no other host can have marks that live: none has been seen for as long as a mark lives."""
        return time.monotonic() >= self._others_until

    async def beat(self) -> None:
        """Say that this host is there, and see who else is."""
        now = time.time()
        arguments = (_HOSTS, str(now + self._ttl), self._host, f"({now}", str(int(self._ttl * 1000)))
        hosts = await self._ask(lambda: self._client.eval(_BEAT, 1, *arguments))
        if isinstance(hosts, int):
            if hosts > 1:
                self._others_until = time.monotonic() + self._ttl
            elif self._others_until == float("inf"):
                self._others_until = 0.0

    async def find(self, digests: Sequence[bytes]) -> list[int] | None:
        """The level of each mark, 0 where there is none; None when Redis does not say, or has been away just now."""
        if not await self._flush():
            return None
        names = [self._prefix + digest.hex().encode() for digest in digests]
        found: list[int] = []
        for start in range(0, len(names), _MARKS_AT_ONCE):
            part = names[start : start + _MARKS_AT_ONCE]
            values = await self._ask(lambda part=part: self._client.mget(part))  # type: ignore[misc]
            if not isinstance(values, list) or len(values) != len(part):
                return None
            found += [int(value) if value in _DIGITS else 0 for value in values]
        return found if time.monotonic() >= self._sure_at else None

    async def put(self, digests: Sequence[bytes], level: int, ttl: float) -> bool:
        """Keep marks; a higher level stands. False when Redis does not take them: then they wait."""
        until = time.monotonic() + ttl
        for start in range(0, len(digests), _MARKS_AT_ONCE):
            self._waiting.append(_Waiting(tuple(digests[start : start + _MARKS_AT_ONCE]), level, until))
        is_sent = await self._flush()
        if not is_sent and self._retrying is None and not self._is_closed:
            self._retrying = asyncio.create_task(self._retry())
        return is_sent

    async def _flush(self) -> bool:
        """Send what waits, the oldest first; True when nothing waits any more."""
        if not self._waiting:
            return True
        async with self._flushing:  # whoever waits here knows afterwards that his own are sent, or not
            while self._waiting:
                batch = self._waiting[0]
                if not await self._send(batch):
                    return False
                if self._waiting and self._waiting[0] is batch:  # else it was dropped for a newer one meanwhile
                    self._waiting.popleft()
        return True

    async def _send(self, batch: _Waiting) -> bool:
        milliseconds = int((batch.until - time.monotonic()) * 1000)
        if milliseconds <= 0:
            return True
        keys = [self._prefix + digest.hex().encode() for digest in batch.digests]
        arguments = (*keys, str(batch.level).encode(), str(milliseconds).encode())
        if await self._ask(lambda: self._client.eval(_RAISE, len(keys), *arguments)) is None:
            return False
        self._turn("ok", "")
        return True

    async def _retry(self) -> None:
        try:
            while True:
                await asyncio.sleep(_RETRY_SECONDS)
                if await self._flush():
                    return
        finally:
            self._retrying = None

    def _turn(self, state: State, why: str) -> None:
        if state == "ok" and self.state != "ok":
            self._sure_at = time.monotonic() + self._settle_seconds
        super()._turn(state, why)

    async def close(self) -> None:
        """Stop trying and close every connection; what waits is lost. Idempotent."""
        self._is_closed = True
        if self._retrying is not None:
            self._retrying.cancel()
            await asyncio.wait({self._retrying})
        await super().close()


class RedisAffinity(RedisMarks):
    """`router.affinity.SharedNotes` in Redis. While it is away a conversation is where this host has seen it."""

    _part = "affinity"
    _meanwhile = "a conversation may change its model between hosts"
    _prefix = b"gatehouse:affinity:"


class _Waiting(NamedTuple):
    digests: tuple[bytes, ...]
    level: int
    until: float


def _name(key: bytes) -> bytes:
    return _PREFIX + key.hex().encode()
