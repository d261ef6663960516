"""A Redis that is down, hangs, refuses or talks nonsense costs a miss, at most a second in all, and one log line."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest

from router.cache.base import CachedReply
from router.cache.redis import RedisBytes
from router.cache.sealed import SealedCache, Sealer
from router.keys import Keys
from tests.support.redis_server import RedisServer

KEY = bytes(32)
TIMEOUT_MS = 500


@pytest.fixture
async def place(redis_server: RedisServer) -> AsyncIterator[RedisBytes]:
    made = RedisBytes(redis_server.url, timeout_ms=TIMEOUT_MS)
    await made.put(KEY, b"value", 60)
    assert await made.get(KEY) == b"value"
    yield made
    await made.close()


async def wait_until_it_answers(place: RedisBytes, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while place.state != "ok" and time.monotonic() < deadline:
        await place.get(KEY)
        await asyncio.sleep(0.05)
    assert place.state == "ok"


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "gatehouse.cache"]


async def test_nobody_there_is_a_miss(caplog: pytest.LogCaptureFixture) -> None:
    place = RedisBytes("redis://127.0.0.1:1/0", TIMEOUT_MS)
    for _ in range(20):
        assert await place.get(KEY) is None
        await place.put(KEY, b"x", 60)
    assert place.state == "unreachable"
    assert len(lines(caplog)) == 1
    await place.close()


async def test_a_hanging_redis_costs_a_few_waits_in_all_and_comes_back(
    place: RedisBytes, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    redis_server.pause()
    began = time.monotonic()
    for _ in range(500):
        assert await place.get(KEY) is None
    wasted = time.monotonic() - began
    waits = []
    for _ in range(40):  # two seconds, with probes in the background
        began = time.monotonic()
        assert await place.get(KEY) is None
        waits.append(time.monotonic() - began)
        await asyncio.sleep(0.05)
    redis_server.resume()
    await wait_until_it_answers(place)
    assert wasted < 20  # two calls waited for their half second; all of them would have taken four minutes
    assert sorted(waits)[20] < 0.25  # open: nobody waits, probes included
    assert await place.get(KEY) == b"value"
    assert [("unreachable" in line, "again" in line) for line in lines(caplog)] == [(True, False), (False, True)]


@pytest.mark.parametrize("timeout_ms", [200, 600, 30_000])
async def test_a_long_timeout_wastes_no_more_than_a_second_either(redis_server: RedisServer, timeout_ms: int) -> None:
    """That the breaker counts so is in its own tests; here, that no call waits for longer and most do not wait."""
    place = RedisBytes(redis_server.url, timeout_ms)
    redis_server.pause()
    waits = []
    for _ in range(10):
        began = time.monotonic()
        assert await place.get(KEY) is None
        waits.append(time.monotonic() - began)
    assert max(waits) < 15
    assert sorted(waits)[5] < 0.2
    assert place.state == "unreachable"
    await place.close()


async def test_many_at_once_wait_no_longer_than_the_timeout_and_no_connection_is_lost(
    place: RedisBytes, redis_server: RedisServer
) -> None:
    redis_server.pause()
    began = time.monotonic()
    assert set(await asyncio.gather(*(place.get(KEY) for _ in range(200)))) == {None}
    assert time.monotonic() - began < 30  # one after the other they would have taken a hundred seconds
    redis_server.resume()
    await wait_until_it_answers(place)
    assert set(await asyncio.gather(*(place.get(KEY) for _ in range(200)))) == {b"value"}


async def test_a_cancelled_call_never_leaves_its_answer_to_the_next(
    place: RedisBytes, redis_server: RedisServer
) -> None:
    other = b"\1" * 32
    await place.put(other, b"other", 60)
    for _ in range(100):
        call = asyncio.create_task(place.get(KEY))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        call.cancel()
        assert await place.get(other) == b"other"


async def test_a_killed_redis_is_a_miss_and_a_new_one_is_used(place: RedisBytes, redis_server: RedisServer) -> None:
    redis_server.kill()
    for _ in range(20):
        assert await place.get(KEY) is None
    assert place.state == "unreachable"
    redis_server.start()
    await wait_until_it_answers(place)
    await place.put(KEY, b"new", 60)
    assert await place.get(KEY) == b"new"


async def test_a_read_only_redis_still_serves_and_says_so_once(
    place: RedisBytes, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    redis_server.command("REPLICAOF", "127.0.0.1", "1")
    for _ in range(5):
        await place.put(KEY, b"refused", 60)
        assert await place.get(KEY) == b"value"
    assert place.state == "refusing"
    redis_server.command("REPLICAOF", "NO", "ONE")
    await place.put(KEY, b"taken", 60)
    assert place.state == "ok"
    assert await place.get(KEY) == b"taken"
    assert len(lines(caplog)) == 2


async def test_a_full_redis_refuses_and_nothing_fails(place: RedisBytes, redis_server: RedisServer) -> None:
    redis_server.command("CONFIG", "SET", "maxmemory-policy", "noeviction")
    redis_server.command("CONFIG", "SET", "maxmemory", "1")
    await place.put(KEY, b"refused", 60)
    assert place.state == "refusing"
    assert await place.get(KEY) == b"value"


async def test_a_redis_that_wants_a_password_is_a_miss(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    redis_server.command("CONFIG", "SET", "requirepass", "right-password")
    for url in (redis_server.url, redis_server.url.replace("redis://", "redis://:wrong-password@")):
        place = RedisBytes(url, TIMEOUT_MS)
        for _ in range(5):
            assert await place.get(KEY) is None
        assert place.state != "ok"
        await place.close()
    assert "password" not in caplog.text


async def test_a_value_of_another_type_is_a_miss(place: RedisBytes, redis_server: RedisServer) -> None:
    name = "gatehouse:cache:" + KEY.hex()
    redis_server.command("DEL", name)
    redis_server.command("LPUSH", name, "x")
    assert await place.get(KEY) is None


NONSENSE = [
    b"",
    b"\r\n",
    b"$\r\n",
    b"$-7\r\n",
    b"$99999999999\r\nx\r\n",
    b"$abc\r\n",
    b":\r\n",
    b":1.5\r\n",
    b"*-5\r\n",
    b"*2\r\n$1\r\n",
    b"*1\r\n" * 5000,
    b"-\r\n",
    b"-ERR \xff\xfe\r\n",
    b"-NOAUTH\r\n",
    b"-MOVED 1\r\n",
    b"-ASK\r\n",
    b"-LOADING\r\n",
    b"+OK\r\n",
    b":12\r\n",
    b">2\r\n+a\r\n+b\r\n",
    b"%1\r\n+a\r\n",
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
    b"\x00\x01\x02\xff" * 100,
]


@pytest.mark.parametrize("answer", NONSENSE)
async def test_nonsense_on_the_wire_is_a_miss_and_never_an_error(answer: bytes, keys: Keys) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while await reader.read(4096):
                writer.write(answer)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    cache = SealedCache(Sealer(keys), RedisBytes(f"redis://127.0.0.1:{port}/0", TIMEOUT_MS))
    for _ in range(6):
        assert await cache.get("default", KEY) is None
        await cache.put("default", KEY, CachedReply(b"{}", "home"), 60)
    await cache.close()
    server.close()
    await asyncio.sleep(0.01)


async def test_a_ping_says_whether_it_answers(place: RedisBytes, redis_server: RedisServer) -> None:
    assert await place.ping()
    redis_server.pause()
    assert not await place.ping()


async def test_closing_while_it_hangs_waits_for_nobody(place: RedisBytes, redis_server: RedisServer) -> None:
    redis_server.pause()
    waiting = asyncio.gather(*(place.get(KEY) for _ in range(10)))
    await asyncio.sleep(0.01)
    async with asyncio.timeout(30):
        await place.close()
    assert set(await waiting) == {None}
