"""Few run, some wait, more are refused at once; a caller that goes takes its request along.

Engines with one slot show who waits and who goes next; the shared one has as many as the machine suits.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.engine.conftest import Launch
from tests.engine.driver import Client, EngineProcess, end_engine, says, start_engine

LONG = says("Write a very long story about the sea.", max_tokens=1000, temperature=1.2, seed=1)
LONG_PROMPT = says("sea " * 7500, max_tokens=1)
# A step of the decode loop takes some 10 ms for a token and 200 ms for a piece of a prompt, more when others want the
# same two processors; the whole answer to LONG takes 10 s and more, LONG_PROMPT's 20 s.
A_FEW_STEPS_S = 2.5


@pytest.fixture(scope="module")
def narrow() -> Iterator[EngineProcess]:
    """An engine that answers one request at a time."""
    with tempfile.TemporaryDirectory(prefix="gh-") as folder:
        running = start_engine(Path(folder), "--slots", "1", "--context", "2048")
        try:
            running.wait()
            yield running
        finally:
            end_engine(running)


@pytest.fixture
async def lone(narrow: EngineProcess) -> AsyncIterator[Client]:
    async with Client(narrow.socket) as talker:
        yield talker
        await talker.until(running=0, waiting=0)


async def leave(task: asyncio.Task[Any]) -> None:
    """The caller closes its connection in the middle."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("body", [LONG, LONG_PROMPT], ids=["answering", "prefilling"])
async def test_a_request_ends_within_a_step_of_its_callers_going(
    client: Client, body: dict[str, Any], stream: bool
) -> None:
    await client.until(running=0)
    task = asyncio.create_task(client.ask({**body, "stream": stream}))
    await client.until(running=1)
    await asyncio.sleep(0.3)
    assert (await client.health())["running"] == 1
    await leave(task)
    left = time.monotonic()
    await client.until(running=0)
    assert time.monotonic() - left < A_FEW_STEPS_S


async def test_the_next_request_is_answered_as_soon_as_the_caller_before_it_has_gone(lone: Client) -> None:
    first = asyncio.create_task(lone.ask(LONG))
    await lone.until(running=1)
    second = asyncio.create_task(lone.text(says("Hi", max_tokens=1)))
    await lone.until(waiting=1)
    await leave(first)
    left = time.monotonic()
    await second
    assert time.monotonic() - left < A_FEW_STEPS_S


async def test_the_next_request_is_answered_when_the_one_before_it_ends(lone: Client) -> None:
    """Nobody comes or goes then but the two of them."""
    first = asyncio.create_task(lone.ask(says("Tell me about the sea.", max_tokens=40, temperature=0)))
    await lone.until(running=1)
    second = asyncio.create_task(lone.ask(says("Hi", max_tokens=1)))
    assert [status for status, _ in await asyncio.gather(first, second)] == [200, 200]


async def test_a_full_queue_refuses_at_once_and_says_when_to_come_back(launch: Launch) -> None:
    async with Client(launch("--slots", "1", "--queue", "1").socket) as client:
        first = asyncio.create_task(client.ask(LONG))
        await client.until(running=1)
        second = asyncio.create_task(client.ask(says("Hi", max_tokens=1)))
        await client.until(running=1, waiting=1)
        times = []
        for _ in range(10):
            started = time.monotonic()
            async with client.post(says("Hi", max_tokens=1, stream=True)) as response:
                assert response.status == 503
                assert (await response.json())["error"]["code"] == "local_overloaded"
                assert int(response.headers["retry-after"]) >= 1
            times.append(time.monotonic() - started)
        assert min(times) < 0.05
        # Who stops waiting makes room, although the first still runs.
        await leave(second)
        await client.until(running=1, waiting=0)
        third = asyncio.create_task(client.ask(says("Hi", max_tokens=1)))
        await client.until(running=1, waiting=1)
        await leave(first)
        assert (await third)[0] == 200
        await client.until(running=0, waiting=0)
        figures = await client.figures()
        assert (figures["refused_total"], figures["queue_tokens"]) == (10, 0)


async def test_a_line_is_full_of_tokens_too(launch: Launch) -> None:
    async with Client(launch("--slots", "1", "--queue-tokens", "600").socket) as client:
        first = asyncio.create_task(client.ask(LONG))
        await client.until(running=1)
        second = asyncio.create_task(client.ask(says("Hi", max_tokens=500)))
        await client.until(waiting=1)
        status, refusal = await client.ask(says("Hi", max_tokens=200))
        assert (status, refusal["error"]["code"]) == (503, "local_overloaded")
        small = asyncio.create_task(client.ask(says("Hi", max_tokens=1)))
        await client.until(waiting=2)
        for task in (first, second):
            await leave(task)
        assert (await small)[0] == 200


async def test_one_tenant_cannot_fill_the_line_and_is_told_that_it_is_its_own_share(launch: Launch) -> None:
    async with Client(launch("--slots", "1", "--queue", "4").socket) as client:
        running = asyncio.create_task(client.ask(LONG))
        await client.until(running=1)
        flood = [asyncio.create_task(client.ask(says("Hi", max_tokens=1, tenant="red"))) for _ in range(3)]
        await client.until(waiting=3)
        async with client.post(says("Hi", max_tokens=1, tenant="red")) as response:
            assert response.status == 429
            assert (await response.json())["error"]["code"] == "local_overloaded"
            assert int(response.headers["retry-after"]) >= 1
        other = asyncio.create_task(client.ask(says("Hi", max_tokens=1, tenant="blue")))
        await client.until(waiting=4)
        await leave(running)
        assert [status for status, _ in await asyncio.gather(*flood, other)] == [200] * 4


async def test_a_newcomer_goes_before_the_flood_of_another_tenant(lone: Client) -> None:
    order: list[str] = []

    async def ask(tenant: str) -> None:
        await lone.answer(says("Hi", max_tokens=2, tenant=tenant))
        order.append(tenant)

    running = asyncio.create_task(lone.ask(LONG))
    await lone.until(running=1)
    tasks = [asyncio.create_task(ask("flood")) for _ in range(8)]
    await lone.until(waiting=8)
    tasks.append(asyncio.create_task(ask("newcomer")))
    await lone.until(waiting=9)
    await leave(running)
    await asyncio.gather(*tasks)
    assert order.index("newcomer") <= 2


async def test_requests_that_wait_are_answered_in_their_order_and_each_with_its_own(lone: Client) -> None:
    done: list[int] = []

    async def ask(number: int) -> str:
        text = await lone.text(says(f"Say the number {number}.", temperature=0, max_tokens=8))
        done.append(number)
        return text

    tasks = []
    for number in range(6):
        tasks.append(asyncio.create_task(ask(number)))
        await asyncio.sleep(0.02)
    together = await asyncio.gather(*tasks)
    assert done == sorted(done)
    assert [await ask(number) for number in range(6)] == list(together)


async def test_http_is_answered_while_the_model_decodes(client: Client) -> None:
    task = asyncio.create_task(client.ask(LONG_PROMPT))
    await client.until(running=1)
    waits = []
    for _ in range(20):
        started = time.monotonic()
        status, _reply = await client.ask({"messages": []})
        waits.append(time.monotonic() - started)
        assert status == 400
    assert sorted(waits)[10] < 0.1
    await leave(task)
    await client.until(running=0)


async def test_a_callers_going_in_the_middle_of_a_stream_is_no_error_of_the_engines(
    client: Client, engine: EngineProcess
) -> None:
    before = engine.log.read_text()
    async with client.post({**LONG, "stream": True}) as response:
        await response.content.readany()
        response.close()
    await client.until(running=0)
    assert engine.log.read_text() == before


async def test_a_connection_may_be_used_again_after_an_idle_time(client: Client) -> None:
    async with aiohttp.ClientSession(connector=client.session.connector, connector_owner=False) as session:
        for pause in (6, 0):  # uvicorn's own default would have closed it after 5 s
            async with session.get("http://engine/health") as response:
                assert response.status == 200
            await asyncio.sleep(pause)
