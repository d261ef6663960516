"""Marks in Redis: the higher level stands, they expire, and what Redis did not take comes when it is back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from router.cache.redis import RedisMarks
from tests.support.redis_server import RedisServer

ONE, TWO, THREE = (bytes([number]) * 16 for number in (1, 2, 3))
TIMEOUT_MS = 500


def marks_of(server: RedisServer, host: str, ttl: float = 60.0) -> RedisMarks:
    return RedisMarks(server.url, TIMEOUT_MS, host, ttl, settle_seconds=2.0)


@pytest.fixture
async def here(redis_server: RedisServer) -> AsyncIterator[RedisMarks]:
    made = marks_of(redis_server, "here")
    yield made
    await made.close()


@pytest.fixture
async def there(redis_server: RedisServer) -> AsyncIterator[RedisMarks]:
    made = marks_of(redis_server, "there")
    yield made
    await made.close()


async def until_found(marks: RedisMarks, digest: bytes, level: int, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while await marks.find([digest]) != [level]:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def test_the_higher_level_stands_for_every_host(here: RedisMarks, there: RedisMarks) -> None:
    assert await here.find([ONE, TWO]) == [0, 0]
    for level, then in ((2, 2), (3, 3), (1, 3)):
        assert await here.put([ONE], level, 60)
        assert await there.find([TWO, ONE]) == [0, then]


async def test_many_marks_go_in_few_calls(here: RedisMarks) -> None:
    digests = [number.to_bytes(16, "big") for number in range(1, 1500)]
    assert await here.put(digests, 2, 60)
    assert await here.find([*digests, bytes(16)]) == [2] * 1499 + [0]
    assert await here.find([]) == []


async def test_a_mark_expires_and_a_later_one_prolongs_it(here: RedisMarks) -> None:
    await here.put([ONE, TWO], 3, 2)
    await here.put([TWO], 1, 60)
    await until_found(here, ONE, 0)
    assert await here.find([ONE, TWO]) == [0, 3]


async def test_only_digests_and_digits_lie_in_redis(here: RedisMarks, redis_server: RedisServer) -> None:
    await here.put([ONE], 2, 60)
    await here.beat()
    assert redis_server.command("GET", f"gatehouse:taint:{ONE.hex()}") == b"$1\r\n2\r\n"
    assert redis_server.command("DBSIZE") == b":2\r\n"
    assert redis_server.command("PTTL", "gatehouse:taint-hosts") != b":-1\r\n"


async def test_what_lies_there_and_is_no_level_counts_as_nothing(here: RedisMarks, redis_server: RedisServer) -> None:
    redis_server.command("SET", f"gatehouse:taint:{ONE.hex()}", "9")
    assert await here.find([ONE]) == [0]


@pytest.mark.parametrize("fault", ["down", "hanging"])
async def test_marks_that_redis_did_not_take_come_when_it_is_back(
    here: RedisMarks, there: RedisMarks, redis_server: RedisServer, fault: str
) -> None:
    await here.put([ONE], 2, 60)
    (redis_server.kill if fault == "down" else redis_server.pause)()
    assert not await here.put([TWO], 3, 60)
    assert await here.find([ONE]) is None
    assert await there.find([ONE]) is None
    (redis_server.start if fault == "down" else redis_server.resume)()
    await until_found(there, TWO, 3)
    assert here.state == "ok"


async def test_after_redis_was_away_nobody_trusts_it_before_the_others_had_time(
    here: RedisMarks, redis_server: RedisServer
) -> None:
    assert await here.find([ONE]) == [0]
    redis_server.pause()
    while here.state == "ok":
        await here.find([ONE])
    redis_server.resume()
    while here.state != "ok":
        await here.find([ONE])
        await asyncio.sleep(0.02)
    assert await here.find([ONE]) is None
    await until_found(here, ONE, 0)


async def test_a_host_is_alone_until_another_has_been_seen_and_then_for_as_long_as_marks_live(
    redis_server: RedisServer,
) -> None:
    one, two = marks_of(redis_server, "one", 3.0), marks_of(redis_server, "two", 3.0)
    assert not one.is_alone, "not known yet"
    await one.beat()
    await one.beat()
    assert one.is_alone
    await two.beat()
    assert not two.is_alone
    await one.beat()
    assert not one.is_alone
    deadline = time.monotonic() + 60
    while not one.is_alone and time.monotonic() < deadline:
        await one.beat()
        await asyncio.sleep(0.1)
    assert one.is_alone, "the other has not been heard of for as long as its marks could live"
    await one.close()
    await two.close()


async def test_while_redis_is_away_nothing_changes_about_who_is_alone(redis_server: RedisServer) -> None:
    one, two = marks_of(redis_server, "one"), marks_of(redis_server, "two")
    await one.beat()
    redis_server.kill()
    await one.beat()
    await two.beat()
    assert one.is_alone
    assert not two.is_alone
    await one.close()
    await two.close()


async def test_a_redis_that_refuses_is_one_that_does_not_answer(here: RedisMarks, redis_server: RedisServer) -> None:
    redis_server.command("CONFIG", "SET", "maxmemory", "1")
    assert not await here.put([ONE], 2, 60)
    assert here.state == "refusing"
    assert await here.find([ONE]) is None
    redis_server.command("CONFIG", "SET", "maxmemory", "0")
    await until_found(here, ONE, 2)
