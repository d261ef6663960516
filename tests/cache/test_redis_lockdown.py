"""Locks through a real Redis: whoever can write there can lock, and can unlock nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from router.cache.redis_lockdown import RedisLocks
from router.lockdown.lockdown import lock, read_locks, unlock
from router.lockdown.sharing import sync_once
from tests.support.redis_server import RedisServer

WHEN = "2026-01-01T00:00:00.000+00:00"
COMMON = "a key that all hosts share"


class Host:
    """One host: its state folder and its way to Redis."""

    def __init__(self, folder: Path, server: RedisServer, key: str | None) -> None:
        self.folder = folder
        self.shared = RedisLocks(server.url, 1000, key)

    async def sync(self) -> None:
        assert await sync_once(self.folder, self.shared)

    @property
    def is_locked(self) -> bool:
        return read_locks(self.folder).holds_all


@pytest.fixture
async def hosts(tmp_path: Path, redis_server: RedisServer) -> AsyncIterator[dict[str, Host]]:
    keys = {"one": COMMON, "two": COMMON, "keyless": None, "stranger": "a key of another fleet"}
    found = {name: Host(tmp_path / name, redis_server, key) for name, key in keys.items()}
    yield found
    for host in found.values():
        await host.shared.close()


async def test_a_lock_reaches_every_host_and_its_end_those_that_can_check_the_proof(hosts: dict[str, Host]) -> None:
    lock(hosts["one"].folder, reason="a drill")
    for host in hosts.values():
        await host.sync()
    assert all(host.is_locked for host in hosts.values()), "also those without the key: a lock needs no proof"
    unlock(hosts["two"].folder)
    for host in (hosts["two"], *hosts.values(), *hosts.values()):
        await host.sync()
    assert {name: host.is_locked for name, host in hosts.items()} == {
        "one": False,
        "two": False,
        "keyless": True,
        "stranger": True,
    }


@pytest.mark.parametrize("key", ["one", "keyless"])
@pytest.mark.parametrize("proof", ["", " ", f" {'0' * 64}", " \u00fc", f" {'0' * 64} {'0' * 64}"])
async def test_an_end_that_somebody_else_wrote_ends_nothing(
    hosts: dict[str, Host], redis_server: RedisServer, key: str, proof: str
) -> None:
    host = hosts[key]
    made = lock(host.folder, reason="a leak")
    await host.sync()
    redis_server.command("HSET", "gatehouse:lockdown-ended", made.id, f"{WHEN}{proof}")
    redis_server.command("HDEL", "gatehouse:lockdown", made.id)
    await host.sync()
    assert host.is_locked
    assert made.id.encode() in redis_server.command("HKEYS", "gatehouse:lockdown"), "it is told again"


async def test_a_proof_is_for_one_lock_alone_and_for_one_moment(
    hosts: dict[str, Host], redis_server: RedisServer
) -> None:
    one = hosts["one"]
    first = lock(one.folder, reason="the first")
    await one.sync()
    unlock(one.folder)
    await one.sync()
    told = end_in(redis_server, first.id)
    second = lock(one.folder, reason="the second")
    await one.sync()
    for value in (told, f"{WHEN} {told.split()[1]}"):
        redis_server.command("HSET", "gatehouse:lockdown-ended", second.id, value)
        await one.sync()
        assert one.is_locked


async def test_one_who_ends_a_lock_without_the_key_ends_it_at_home_alone(hosts: dict[str, Host]) -> None:
    one, keyless = hosts["one"], hosts["keyless"]
    lock(keyless.folder, reason="a drill")
    for host in (keyless, one):
        await host.sync()
    unlock(keyless.folder)
    for host in (keyless, one, keyless, one):
        await host.sync()
    assert (keyless.is_locked, one.is_locked) == (False, True)


def end_in(server: RedisServer, name: str) -> str:
    """What stands in Redis of the end of this lock."""
    return server.command("HGET", "gatehouse:lockdown-ended", name).decode().split("\r\n")[1]
