"""What is counted in a minute: the host's table and Redis give the same answers, and nothing is taken twice."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Protocol

import pytest

from policies.allowances import Rate
from router.cache.redis_rates import RedisRates
from router.rates.table import WINDOW, Counter, Level, RateTable, RateTableError, Taken
from tests.support.redis_server import RedisServer

ROOT = Path(__file__).resolve().parents[2]


class Counting(Protocol):
    async def take(self, counters: Sequence[Counter], requests: int, tokens: int) -> Taken | None: ...

    async def give(self, counters: Sequence[Counter], second: int, requests: int, tokens: int) -> None: ...


class Local:
    """The table, asked as Redis is."""

    def __init__(self, path: Path) -> None:
        self.table = RateTable(path)

    async def take(self, counters: Sequence[Counter], requests: int, tokens: int) -> Taken:
        assert self.table.try_lock()
        try:
            return self.table.take(counters, requests, tokens)
        finally:
            self.table.unlock()

    async def give(self, counters: Sequence[Counter], second: int, requests: int, tokens: int) -> None:
        self.table.give(counters, second, requests, tokens)


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> RedisServer:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server  # type: ignore[misc]  # a generator
    server.stop()


@pytest.fixture(params=["table", "redis"])
async def counting(request: pytest.FixtureRequest, tmp_path: Path, redis: RedisServer) -> AsyncIterator[Counting]:
    if request.param == "table":
        local = Local(tmp_path / "run" / "rates.table")
        yield local
        local.table.close()
    else:
        redis.command("FLUSHALL")
        shared = RedisRates(redis.url, 30_000)
        yield shared
        await shared.close()


def counter(requests: int | None = None, tokens: int | None = None, name: str = "key:a") -> Counter:
    return Counter(name, Rate(requests, tokens))


async def asked(counting: Counting, counters: Sequence[Counter], requests: int, tokens: int) -> Taken:
    taken = await counting.take(counters, requests, tokens)
    assert taken is not None
    return taken


async def test_as_many_as_the_limit_are_taken_and_no_more(counting: Counting) -> None:
    for left in (2, 1, 0):
        taken = await asked(counting, [counter(3)], 1, 0)
        assert (taken.refused, taken.levels["requests"].remaining) == ("", left)
    refused = await asked(counting, [counter(3)], 1, 0)
    assert (refused.refused, refused.kind) == ("key:a", "requests")
    assert 59 < refused.wait <= WINDOW
    assert refused.levels["requests"] == Level(3, 0, pytest.approx(refused.wait, abs=2))
    assert (await asked(counting, [counter(3, name="key:b")], 1, 0)).refused == ""


async def test_what_one_counter_refuses_is_in_none(counting: Counting) -> None:
    wide, narrow = counter(5, name="all"), counter(1)
    assert (await asked(counting, [wide, narrow], 1, 0)).refused == ""
    assert (await asked(counting, [wide, narrow], 1, 0)).refused == "key:a"
    assert (await asked(counting, [wide], 1, 0)).levels["requests"].remaining == 3


async def test_tokens_are_held_and_settled(counting: Counting) -> None:
    of = [counter(None, 100)]
    held = await asked(counting, of, 0, 60)
    assert held.levels["tokens"].remaining == 40
    assert (await asked(counting, of, 0, 41)).kind == "tokens"
    await counting.give(of, held.second, 0, 10 - 60)  # it used ten
    assert (await asked(counting, of, 0, 90)).levels["tokens"].remaining == 0
    assert (await asked(counting, of, 1, 0)).kind == "tokens"  # a request needs a token at least
    await counting.give(of, held.second, 0, -1000)  # never below nothing
    assert (await asked(counting, of, 0, 100)).refused == ""


async def test_more_may_be_used_than_was_held(counting: Counting) -> None:
    of = [counter(None, 100)]
    held = await asked(counting, of, 0, 10)
    await counting.give(of, held.second, 0, 490)
    assert (await asked(counting, of, 0, 1)).levels["tokens"].remaining == 0


async def test_a_level_is_that_of_the_limit_with_the_least_left(counting: Counting) -> None:
    taken = await asked(counting, [counter(100, name="all"), counter(10, 50)], 1, 5)
    assert taken.levels["requests"][:2] == (10, 9)
    assert taken.levels["tokens"][:2] == (50, 45)


async def test_redis_holds_no_name_and_forgets(redis: RedisServer) -> None:
    redis.command("FLUSHALL")
    shared = RedisRates(redis.url, 30_000)
    try:
        await asked(shared, [counter(3, 9, name="tenant:acme-hospital")], 1, 4)
        assert b"acme" not in redis.content()
        key = redis.command("KEYS", "*").split(b"\r\n")[2].decode()
        assert 0 < int(redis.command("TTL", key)[1:].strip()) <= WINDOW + 10
        redis.command("HSET", key, "rubbish", "x", "r1", "5", "t", "-")  # whoever wrote that, it does not count
        assert (await asked(shared, [counter(3, 9, name="tenant:acme-hospital")], 1, 0)).levels[
            "requests"
        ].remaining == 1
        redis.command("SET", key, "no hash")
        assert await shared.take([counter(3, name="tenant:acme-hospital")], 1, 0) is None
    finally:
        await shared.close()


async def test_two_hosts_at_once_take_no_more_than_the_limit(redis: RedisServer) -> None:
    redis.command("FLUSHALL")
    hosts = [RedisRates(redis.url, 30_000) for _ in range(2)]
    try:
        done = await asyncio.gather(*(asked(hosts[n % 2], [counter(50)], 1, 0) for n in range(120)))
    finally:
        for host in hosts:
            await host.close()
    assert sum(not each.refused for each in done) == 50


class Clock:
    def __init__(self) -> None:
        self.now = 1000.4

    def __call__(self) -> float:
        return self.now


def test_in_no_sixty_seconds_is_more_taken_than_the_limit(tmp_path: Path) -> None:
    """Over every window that begins with a request, while somebody asks every 0.3 s for seven minutes."""
    clock = Clock()
    table = RateTable(tmp_path / "run" / "rates.table", clock)
    times = []
    for _ in range(1400):
        if not table.take([counter(20)], 1, 0).refused:
            times.append(clock.now)
        clock.now += 0.3
    assert all(sum(start <= each < start + 60 for each in times) <= 20 for start in times)
    assert len(times) >= 20 * 6  # and it is not much less
    table.close()


def test_the_wait_that_is_told_is_enough(tmp_path: Path) -> None:
    clock = Clock()
    table = RateTable(tmp_path / "run" / "rates.table", clock)
    table.take([counter(None, 100)], 0, 70)
    clock.now += 20
    table.take([counter(None, 100)], 0, 30)
    refused = table.take([counter(None, 100)], 0, 60)
    assert 40 <= refused.wait <= 41
    clock.now += refused.wait
    assert not table.take([counter(None, 100)], 0, 60).refused
    table.close()


def test_what_is_settled_after_a_minute_counts_only_where_it_was_more(tmp_path: Path) -> None:
    clock = Clock()
    table = RateTable(tmp_path / "run" / "rates.table", clock)
    of = [counter(None, 100)]
    held = table.take(of, 0, 50)
    clock.now += 90
    table.give(of, held.second, 0, -50)
    assert table.levels(of)["tokens"] == Level(100, 100, 0.0)
    table.give(of, held.second, 0, 30)
    assert table.levels(of)["tokens"].remaining == 70
    table.close()


def test_more_counters_than_places_take_those_that_are_idle_and_no_others(tmp_path: Path) -> None:
    clock = Clock()
    table = RateTable(tmp_path / "run" / "rates.table", clock, places=4)
    for number in range(4):
        table.take([counter(2, name=f"key:{number}")], 1, 0)
    with pytest.raises(RateTableError):
        table.take([counter(2, name="key:4")], 1, 0)
    clock.now += WINDOW + 1
    for number in range(4, 8):
        assert table.take([counter(2, name=f"key:{number}")], 1, 0).levels["requests"].remaining == 1
    assert table.levels([counter(2, name="key:0")])["requests"].remaining == 2
    table.close()


_PROCESS = """
import sys, time
from pathlib import Path
from policies.allowances import Rate
from router.rates.table import Counter, RateTable
table, done = RateTable(Path(sys.argv[1])), 0
print("ready", flush=True)
sys.stdin.readline()
for _ in range(400):
    while not table.try_lock():
        time.sleep(0)
    done += not table.take([Counter("all", Rate(1000, None)), Counter("key:a", Rate(500, 5000))], 1, 7).refused
    table.unlock()
print(done)
"""


def test_three_processes_at_once_take_no_more_than_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "run" / "rates.table"
    command = [sys.executable, "-c", _PROCESS, str(path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": ROOT}
    processes = [subprocess.Popen(command, **pipes) for _ in range(3)]  # type: ignore[call-overload]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    done = [int(process.communicate(timeout=120)[0]) for process in processes]
    assert sum(done) == 500


def test_a_process_that_dies_with_the_lock_stops_nobody(tmp_path: Path) -> None:
    path = tmp_path / "run" / "rates.table"
    held = (
        "import os, sys; from pathlib import Path; from router.rates.table import RateTable\n"
        "table = RateTable(Path(sys.argv[1])); assert table.try_lock(); os.abort()\n"
    )
    subprocess.run(
        [sys.executable, "-c", held, str(path)], cwd=ROOT, timeout=60, stderr=subprocess.DEVNULL, check=False
    )
    table = RateTable(path)
    assert table.try_lock()
    table.close()


def test_another_file_in_its_place_is_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "rates.table"
    tmp_path.chmod(0o700)
    path.write_bytes(b"something else")
    path.chmod(0o600)
    with pytest.raises(RateTableError):
        RateTable(path)
