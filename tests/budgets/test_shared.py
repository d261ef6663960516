"""Budgets of several hosts: together they never spend more than one allows, whatever becomes of their Redis."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from policies.allowances import Account
from policies.types import Model, Policy
from router.backends.scripted_replies import Script
from router.budgets.ledger import Balance
from router.budgets.purse import Lease, Purse, most_of, usd_of
from router.cache.redis_budgets import RedisBudgets
from router.errors import BudgetExhausted
from router.types import Principal, Usage
from tests.budgets.conftest import ask_all, body, held, pico, policy, spent, usd
from tests.budgets.test_budgets import recorded
from tests.cli.test_commands import gatehouse
from tests.policies.worlds import BASE, load
from tests.support.gateway import Gateway, until
from tests.support.recorder import RecorderThread
from tests.support.redis_server import RedisServer

ACCOUNT = Account("all/2026-05", 100)
PRICED = BASE.replace("api_key_env: CLOUD_KEY}", "price: {input_per_1m: 1, output_per_1m: 1}}").replace(
    "capabilities: [json_schema]}", "capabilities: [json_schema], price: {input_per_1m: 1, output_per_1m: 1}}"
)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.stop()


def balance(amount: int, turn: int) -> tuple[Balance, ...]:
    return (Balance(ACCOUNT.name, amount, 0, turn),)


async def told(shared: RedisBudgets, host: str, amount: int, turn: int) -> str | None:
    """The account that has not enough left; None when nobody can say."""
    answer = await shared.raise_to(host, balance(amount, turn), (ACCOUNT,))
    return None if answer is None else answer.refused


async def test_what_another_host_has_is_not_to_be_had(redis: RedisServer) -> None:
    shared = RedisBudgets(redis.url, 30_000, settle_seconds=0)
    assert await told(shared, "a", 60, 1) == ""
    assert await told(shared, "b", 41, 1) == ACCOUNT.name
    assert await told(shared, "b", 40, 2) == ""
    assert shared.others(ACCOUNT.name) == 60
    assert await told(shared, "a", 61, 2) == ACCOUNT.name
    await shared.tell("a", balance(10, 3))
    await shared.tell("a", balance(99, 2))  # an older word, which came late
    assert await told(shared, "b", 90, 3) == ""
    await shared.close()


async def test_what_the_others_have_can_be_asked_for_without_telling_anything(redis: RedisServer) -> None:
    a, b = (RedisBudgets(redis.url, 30_000, settle_seconds=0) for _ in range(2))
    assert await told(a, "a", 60, 1) == ""
    assert await told(b, "b", 7, 1) == ""
    await b.tell("b", (Balance("key:far/2026-05-17", 3, 2, 2), Balance("all/2026-04", 9, 0, 2)))
    periods = ["2026-05-17", "2026-05"]
    assert await a.elsewhere("a", periods) == {ACCOUNT.name: 7, "key:far/2026-05-17": 5}
    assert await b.elsewhere("b", periods) == {ACCOUNT.name: 60, "key:far/2026-05-17": 0}
    assert await b.elsewhere("", periods) == {ACCOUNT.name: 67, "key:far/2026-05-17": 5}
    redis.kill()
    assert await a.elsewhere("a", periods) is None
    for each in (a, b):
        await each.close()


async def test_nothing_is_taken_before_every_host_has_told_again(redis: RedisServer) -> None:
    """Redis comes back with nothing: what host a has spent is there again before b may spend."""
    a, b = (RedisBudgets(redis.url, 30_000, settle_seconds=0) for _ in range(2))
    assert await told(a, "a", 80, 1) == ""
    redis.kill()
    redis.start()
    patient = RedisBudgets(redis.url, 30_000, settle_seconds=3600)
    assert await told(patient, "b", 50, 1) is None
    redis.command("FLUSHALL")
    assert await told(patient, "b", 50, 2) is None
    for _ in range(600):
        await a.beat("a", balance(80, 1))
        if await told(b, "b", 21, 3) == ACCOUNT.name:
            break
        await asyncio.sleep(0.05)
    assert await told(b, "b", 21, 4) == ACCOUNT.name
    assert await told(b, "b", 20, 5) == ""
    for each in (a, b, patient):
        await each.close()


async def test_what_stands_there_and_is_no_number_gives_nothing(redis: RedisServer) -> None:
    shared = RedisBudgets(redis.url, 30_000, settle_seconds=0)
    assert await told(shared, "a", 1, 1) == ""
    redis.command("SET", "gatehouse:budget:" + ACCOUNT.name, "no hash")
    assert await told(shared, "a", 2, 2) is None
    await shared.close()


def world(more: str) -> Policy:
    return load(f"{PRICED}budgets: {{{more}, all: {{usd_per_month: 0.0001}}}}\n")  # a hundred tokens


async def reserved(purse: Purse, held_to: Policy, tokens: int) -> Lease | None:
    try:
        return await purse.reserve(held_to, Principal(), held_to.models["eu"], Usage(tokens, 0), 0)
    except BudgetExhausted:
        return None


async def test_two_hosts_reserve_no_more_than_there_is_and_go_on_as_the_policy_says(
    tmp_path: Path, redis: RedisServer
) -> None:
    stay, own = world("when_exhausted: refuse"), world("when_exhausted: refuse, when_unshared: own_limits")
    hosts = [Purse(tmp_path / f"{n}", RedisBudgets(redis.url, 30_000, settle_seconds=0)) for n in range(2)]
    leases = await asyncio.gather(*(reserved(hosts[n % 2], stay, 10) for n in range(30)))
    assert sum(each is not None for each in leases) <= 10
    assert any(each is not None for each in leases[:2])
    for each in leases:
        if each is not None:
            each.end(each.amount // 2)
    await until_free(hosts[0], stay, 40)
    redis.kill()
    assert await reserved(hosts[0], stay, 1) is None, "what the other host has spent cannot be known"
    assert await reserved(hosts[0], own, 1) is not None
    assert await reserved(hosts[0], own, 99) is None
    for host in hosts:
        await host.close()


async def until_free(purse: Purse, held_to: Policy, tokens: int) -> None:
    """What was settled elsewhere is told in the background."""
    for _ in range(600):
        lease = await reserved(purse, held_to, tokens)
        if lease is not None:
            lease.end(0)
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it was not given back")


@pytest.mark.parametrize(
    ("task", "output", "choices", "most"),
    [
        ("chat", 20, 1, Usage(500, 20)),
        ("chat", 20, 3, Usage(500, 60)),
        ("chat", 0, 1, Usage(500, 1000)),
        ("chat", 0, 2, Usage(500, 2000)),  # each of the answers may fill the window
        ("chat", 5000, 1, Usage(500, 1000)),
        ("embeddings", 0, 1, Usage(500, 0)),  # vectors have no answer
    ],
)
def test_what_a_call_can_use_at_most(task: Any, output: int, choices: int, most: Usage) -> None:
    model = Model("m", "cloud", "openai", "m", context=1000)
    assert most_of(model, 500, task, output, choices) == most
    assert most_of(model, 5000, "embeddings", 0, 1) == Usage(5000, 0)  # many inputs, each with a window of its own


def left(gateway: Gateway) -> int:
    """Of the requests that everybody may ask for in a minute, after one more."""
    sent = body(1, model="local")
    answer = httpx.post(f"{gateway.url}/chat/completions", json=sent, trust_env=False, timeout=60)
    return int(answer.headers["x-ratelimit-remaining-requests"])


def reported(host: Gateway, redis_url: str) -> Any:
    """What `gatehouse budgets` says on one of the hosts."""
    told = gatehouse("budgets", "--json", folder=host.state_dir.parent, GATEHOUSE_REDIS_URL=redis_url)
    assert told.returncode == 0, told.stderr
    return json.loads(told.stdout)


def test_two_gateways_over_one_redis_and_without_it(tmp_path: Path, redis: RedisServer) -> None:
    """Never more than the budget; what was spent is in the two ledgers; with Redis gone nothing more leaves."""
    one = pico(30, 20)
    budget, kill_at = 40 * one, threading.Event()

    def script(exchange: Any) -> Script:
        if kill_at.is_set():
            kill_at.clear()
            redis.kill()
        return Script(answer=" ".join(["word"] * 20), prompt_tokens=30, first_delay=0.2)

    run = redis.command("INFO", "server").split(b"run_id:")[1].split()[0].decode()
    redis.command("SET", "gatehouse:budget-epoch", f"{run}:0")  # it has been there for long
    shared = {"GATEHOUSE_REDIS_URL": redis.url, "GATEHOUSE_REDIS_TIMEOUT_MS": "1000"}
    with RecorderThread() as home, RecorderThread(script) as cloud:
        text = policy(
            home.url, cloud.url, f"budgets: {{when_exhausted: refuse, all: {{usd_per_month: {usd(budget)}}}}}\n"
        )
        text += "rates: {all: {requests_per_minute: 100000}}\n"
        with (
            Gateway(tmp_path / "a", text, environment=shared) as a,
            Gateway(tmp_path / "b", text, environment=shared) as b,
        ):

            def money() -> int:
                for host in (a, b):
                    until(lambda host=host: held(host.state_dir) == 0, 60)  # type: ignore[misc]
                return spent(a.state_dir) + spent(b.state_dir)

            assert [left(a), left(b)] == [99_999, 99_998], "rates are counted over both as well"
            done = asyncio.run(ask_all([a.url, b.url], [body(n) for n in range(80)]))
            assert set(done) <= {200, 429}
            assert money() == done.count(200) * one <= budget
            assert done.count(200) >= 2
            (seen,) = reported(a, redis.url)["budgets"]
            assert (seen["spent_usd"], seen["elsewhere_usd"]) == (
                usd_of(spent(a.state_dir)),
                usd_of(spent(b.state_dir)),
            )
            assert seen["left_usd"] == usd_of(budget - done.count(200) * one)
            kill_at.set()
            done += asyncio.run(ask_all([a.url, b.url], [body(n) for n in range(80)]))
            assert money() == done.count(200) * one == len(cloud.exchanges) * one <= budget
            done = asyncio.run(ask_all([a.url, b.url], [body(n) for n in range(6)]))
            assert done == [429] * 6
            assert reported(a, redis.url)["shared"] == "unknown"
            until(lambda: recorded(a.state_dir)[0] + recorded(b.state_dir)[0] == money(), 60)
