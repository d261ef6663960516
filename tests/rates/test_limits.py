"""A worker's limits: what is held and given back, over two hosts, and what follows when nobody can count together."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from policies.allowances import Rate
from policies.types import Policy
from router.cache.redis_rates import RedisRates
from router.errors import RatesUnavailable
from router.rates.rates import RateLimited, RateLimits, Ticket, counters_of
from router.rates.table import RateTable
from router.types import Principal
from tests.policies.worlds import BASE, load
from tests.support.redis_server import RedisServer

ANNA = Principal(tenant="acme", key_id="anna")


def policy(rates: str) -> Policy:
    return load(f"{BASE}rates: {{{rates}}}\n")


TEN = policy("each_key: {requests_per_minute: 10, tokens_per_minute: 1000}")
STRICT = policy("when_unshared: refuse, each_key: {requests_per_minute: 10}")


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.stop()


async def admitted(limits: RateLimits, held_to: Policy, who: Principal = ANNA) -> Ticket | None:
    """The ticket; None for a request that was refused."""
    try:
        return await limits.admit(held_to, who)
    except RateLimited:
        return None


@pytest.mark.parametrize(
    ("rates", "who", "names"),
    [
        ("all: {requests_per_minute: 9}", Principal(), {"all": (9, None)}),
        ("each_tenant: {requests_per_minute: 9}", Principal(), {"tenant:default": (9, None)}),
        ("each_key: {requests_per_minute: 9}", Principal(), {}),
        ("each_key: {tokens_per_minute: 9}, keys: {anna: {tokens_per_minute: 5}}", ANNA, {"key:anna": (None, 5)}),
        ("each_tenant: {tokens_per_minute: 9}, tenants: {acme: {tokens_per_minute: 99}}", ANNA,
         {"tenant:acme": (None, 99)}),
        ("each_key: {requests_per_minute: 9}", Principal(key_id="k", rate=Rate(5, None)), {"key:k": (5, None)}),
        ("each_key: {requests_per_minute: 9}", Principal(key_id="k", rate=Rate(50, 7)), {"key:k": (9, 7)}),
        ("all: {requests_per_minute: 9}", Principal(key_id="k", rate=Rate(None, 7)),
         {"all": (9, None), "key:k": (None, 7)}),
        ("each_key: {requests_per_minute: 9}", Principal(key_id="token", subject="ab"),
         {"key:token/default/ab": (9, None)}),
    ],
)  # fmt: skip
def test_which_counters_a_caller_is_held_to(rates: str, who: Principal, names: dict[str, object]) -> None:
    assert {each.name: tuple(each.limit) for each in counters_of(policy(rates), who)} == names


async def test_a_key_may_be_limited_where_the_policy_limits_nobody(tmp_path: Path) -> None:
    limits = RateLimits(tmp_path / "run" / "rates.table")
    assert await limits.admit(load(BASE), ANNA) is None
    assert not (tmp_path / "run").exists(), "nothing is opened where nothing is limited"
    own = Principal(key_id="k", rate=Rate(2, None))
    assert [await admitted(limits, load(BASE), own) is not None for _ in range(3)] == [True, True, False]
    await limits.close()


async def test_tokens_are_held_for_a_call_and_settled_with_what_it_used(tmp_path: Path) -> None:
    limits = RateLimits(tmp_path / "run" / "rates.table")
    first, second = [await limits.admit(TEN, ANNA) for _ in range(2)]
    assert first is not None
    assert second is not None
    await limits.reserve(first, TEN, 100, 500)
    assert first.levels["tokens"].remaining == 400
    with pytest.raises(RateLimited) as caught:
        await limits.reserve(second, TEN, 100, 301)
    assert caught.value.kind == "tokens"
    assert caught.value.retry_after is not None
    limits.settle(second, 0)
    limits.settle(first, 250)
    limits.settle(first, 0)  # once
    third = await limits.admit(TEN, ANNA)
    assert third is not None
    assert third.levels["tokens"].remaining == 750
    await limits.close()


async def test_an_answer_of_unsaid_length_holds_what_an_empty_minute_has_room_for(tmp_path: Path) -> None:
    limits = RateLimits(tmp_path / "run" / "rates.table")
    small = policy("each_key: {tokens_per_minute: 100}")
    ticket = await limits.admit(small, ANNA)
    assert ticket is not None
    await limits.reserve(ticket, small, 30, 0)
    assert (ticket.tokens, ticket.levels["tokens"].remaining) == (100, 0)
    limits.settle(ticket, 100)
    await limits.close()


async def test_what_no_minute_has_room_for_is_not_to_be_tried_again(tmp_path: Path) -> None:
    limits = RateLimits(tmp_path / "run" / "rates.table")
    ticket = await limits.admit(TEN, ANNA)
    assert ticket is not None
    with pytest.raises(RateLimited, match="may need 1,001 tokens, more than this API key may use") as caught:
        await limits.reserve(ticket, TEN, 1, 1000)
    assert caught.value.should_retry is False
    await limits.close()


async def test_workers_of_one_host_share_a_file(tmp_path: Path) -> None:
    workers = [RateLimits(tmp_path / "run" / "rates.table") for _ in range(3)]
    done = await asyncio.gather(*(admitted(workers[n % 3], TEN) for n in range(40)))
    assert sum(each is not None for each in done) == 10
    for each in workers:
        await each.close()


async def test_two_hosts_hold_a_caller_to_one_limit(tmp_path: Path, redis: RedisServer) -> None:
    hosts = [RateLimits(tmp_path / f"{n}" / "rates.table", RedisRates(redis.url, 30_000)) for n in range(2)]
    done = await asyncio.gather(*(admitted(hosts[n % 2], TEN) for n in range(40)))
    taken = [each for each in done if each is not None]
    assert len(taken) == 10
    await hosts[0].reserve(taken[0], TEN, 100, 500)
    with pytest.raises(RateLimited):
        await hosts[1].reserve(taken[1], TEN, 100, 400)
    hosts[0].settle(taken[0], 150)
    await hosts[0].close()
    await hosts[1].reserve(taken[1], TEN, 100, 750)
    await hosts[1].close()


async def test_what_redis_refuses_is_not_counted_on_the_host(tmp_path: Path, redis: RedisServer) -> None:
    hosts = [RateLimits(tmp_path / f"{n}" / "rates.table", RedisRates(redis.url, 30_000)) for n in range(2)]
    for _ in range(10):
        assert await admitted(hosts[0], TEN) is not None
    for _ in range(20):
        assert await admitted(hosts[1], TEN) is None
    redis.kill()
    done = [await admitted(hosts[1], TEN) for _ in range(12)]
    assert sum(each is not None for each in done) == 10, "each host alone holds everybody to the limit"
    assert await admitted(hosts[0], TEN) is None
    for host in hosts:
        await host.close()


async def test_redis_lost_takes_nothing_where_the_policy_says_so(tmp_path: Path, redis: RedisServer) -> None:
    limits = RateLimits(tmp_path / "0" / "rates.table", RedisRates(redis.url, 200))
    assert await admitted(limits, STRICT) is not None
    redis.kill()
    for _ in range(20):
        with pytest.raises(RatesUnavailable):
            await limits.admit(STRICT, ANNA)
    redis.start()
    for _ in range(600):
        try:
            ticket = await limits.admit(STRICT, ANNA)
            break
        except RatesUnavailable:
            await asyncio.sleep(0.05)
    assert ticket is not None
    assert ticket.levels["requests"].remaining == 9, "what was not taken is not counted"
    await limits.close()


@pytest.mark.parametrize("fault", ["file", "lock"])
async def test_a_fault_of_the_file_leaves_each_worker_to_count_alone(tmp_path: Path, fault: str) -> None:
    """A limit is about load, not privacy: it goes on holding everybody, by each worker's own count."""
    path = tmp_path / "run" / "rates.table"
    other = None
    if fault == "file":
        path.parent.mkdir(mode=0o700)
        path.mkdir()
    else:
        other = RateTable(path)  # a process that was stopped in the middle
        assert other.try_lock()
    limits = RateLimits(path, lock_seconds=0.1)
    some = policy("each_key: {requests_per_minute: 2}")
    assert [await admitted(limits, some) is not None for _ in range(3)] == [True, True, False]
    with pytest.raises(RatesUnavailable):
        await limits.admit(STRICT, ANNA)
    await limits.close()
    if other is not None:
        other.close()
