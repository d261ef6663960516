"""One contract for every place that keeps cached replies: the same claims over memory and over a real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from router.cache.base import CachedReply, SealedBytes
from router.cache.memory import MemoryBytes
from router.cache.redis import RedisBytes
from router.cache.sealed import SealedCache, Sealer
from router.keys import Keys
from tests.support.redis_server import RedisServer

CANARY = "canary-4711-heliotrope"
REPLY = CachedReply(
    body=b'{"choices":[{"message":{"content":"' + CANARY.encode() + b'"}}]}', model="home", confidence=0.75
)
KEY = bytes(range(32))


@pytest.fixture(params=["memory", "redis"])
async def place(request: pytest.FixtureRequest) -> AsyncIterator[SealedBytes]:
    if request.param == "memory":
        made: SealedBytes = MemoryBytes(1 << 20)
    else:
        server: RedisServer = request.getfixturevalue("redis_server")
        made = RedisBytes(server.url, timeout_ms=1000)
    yield made
    await made.close()


@pytest.fixture
def cache(place: SealedBytes, keys: Keys) -> SealedCache:
    return SealedCache(Sealer(keys), place)


async def test_what_was_put_is_got_back_equal(cache: SealedCache) -> None:
    await cache.put("default", KEY, REPLY, 60)
    assert await cache.get("default", KEY) == REPLY


async def test_an_unknown_key_is_a_miss(cache: SealedCache) -> None:
    assert await cache.get("default", b"\0" * 32) is None


async def test_a_reply_without_confidence_keeps_none(cache: SealedCache) -> None:
    await cache.put("default", KEY, CachedReply(b"{}", "cloud"), 60)
    assert await cache.get("default", KEY) == CachedReply(b"{}", "cloud", None)


async def test_a_later_put_replaces_an_earlier_one(cache: SealedCache) -> None:
    await cache.put("default", KEY, REPLY, 60)
    await cache.put("default", KEY, CachedReply(b"second", "home"), 60)
    found = await cache.get("default", KEY)
    assert found is not None
    assert found.body == b"second"


async def test_another_tenant_cannot_open_it_even_with_the_same_key(cache: SealedCache) -> None:
    await cache.put("one", KEY, REPLY, 60)
    assert await cache.get("two", KEY) is None
    assert await cache.get("one", KEY) == REPLY


async def test_another_installation_cannot_open_it(cache: SealedCache, place: SealedBytes) -> None:
    await cache.put("default", KEY, REPLY, 60)
    assert await SealedCache(Sealer(Keys(b"x" * 32)), place).get("default", KEY) is None


async def test_a_value_moved_to_another_key_does_not_open(cache: SealedCache, place: SealedBytes) -> None:
    await cache.put("default", KEY, REPLY, 60)
    sealed = await place.get(KEY)
    assert sealed is not None
    await place.put(b"\1" * 32, sealed, 60)
    assert await cache.get("default", b"\1" * 32) is None


async def test_it_expires(cache: SealedCache) -> None:
    await cache.put("default", KEY, REPLY, 0.05)
    await asyncio.sleep(0.1)
    assert await cache.get("default", KEY) is None


async def test_nothing_is_kept_for_no_time(cache: SealedCache, place: SealedBytes) -> None:
    await cache.put("default", KEY, REPLY, 0)
    assert await place.get(KEY) is None


async def test_a_reply_of_more_than_a_mebibyte_is_not_kept(cache: SealedCache, place: SealedBytes) -> None:
    await cache.put("default", KEY, CachedReply(b"x" * (1 << 20), "home"), 60)
    assert await place.get(KEY) is None


async def test_no_changed_byte_of_a_sealed_value_is_ever_served(cache: SealedCache, place: SealedBytes) -> None:
    await cache.put("default", KEY, REPLY, 60)
    sealed = await place.get(KEY)
    assert sealed is not None
    for at in range(len(sealed)):
        changed = sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]
        await place.put(KEY, changed, 60)
        assert await cache.get("default", KEY) is None, f"byte {at}"


async def test_a_shortened_value_is_a_miss(cache: SealedCache, place: SealedBytes) -> None:
    await cache.put("default", KEY, REPLY, 60)
    sealed = await place.get(KEY)
    assert sealed is not None
    for length in range(0, len(sealed), 7):
        await place.put(KEY, sealed[:length], 60)
        assert await cache.get("default", KEY) is None


async def test_a_hundred_at_once_each_get_their_own(cache: SealedCache) -> None:
    keys = [number.to_bytes(32, "big") for number in range(100)]
    await asyncio.gather(*(cache.put("default", key, CachedReply(key, "home"), 60) for key in keys))
    found = await asyncio.gather(*(cache.get("default", key) for key in keys))
    assert [reply.body for reply in found if reply is not None] == keys


async def test_after_close_it_is_a_miss(cache: SealedCache) -> None:
    await cache.put("default", KEY, REPLY, 60)
    await cache.close()
    await cache.close()
    assert await cache.get("default", KEY) is None


async def test_no_plain_text_lies_in_memory(keys: Keys) -> None:
    place = MemoryBytes(1 << 20)
    await SealedCache(Sealer(keys), place).put("tenant-name-canary", KEY, REPLY, 60)
    raw = repr(vars(place)).encode()
    assert len(raw) > len(REPLY.body)
    for plain in (CANARY.encode(), b"home", b"tenant-name-canary", b"choices"):
        assert plain not in raw


async def test_no_plain_text_lies_in_redis(keys: Keys, redis_server: RedisServer, tmp_path: Path) -> None:
    place = RedisBytes(redis_server.url, timeout_ms=1000)
    await SealedCache(Sealer(keys), place).put("tenant-name-canary", KEY, REPLY, 60)
    assert redis_server.command("SAVE").startswith(b"+OK")
    dump = (tmp_path / "dump.rdb").read_bytes()
    listing = redis_server.command("KEYS", "*")
    await place.close()
    assert b"gatehouse:cache:" + KEY.hex().encode() in listing
    assert b"gatehouse:cache:" in dump
    for plain in (CANARY.encode(), b"tenant-name-canary", b"choices"):
        assert plain not in dump
        assert plain not in listing
