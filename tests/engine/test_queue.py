"""One request runs, few wait, more are refused at once; a caller that goes takes its request along."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Any

import aiohttp
import pytest

from tests.engine.conftest import Launch
from tests.engine.driver import Client, EngineProcess, says

LONG = says("Write a very long story about the sea.", max_tokens=1000, temperature=1.2, seed=1)
LONG_PROMPT = says("sea " * 7500, max_tokens=1)
# A step of the decode loop takes some 10 ms for a token and 200 ms for a piece of a prompt, more when others want the
# same two processors; the whole answer to LONG takes 10 s and more, LONG_PROMPT's 20 s.
A_FEW_STEPS_S = 2.5


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


async def test_the_next_request_is_answered_as_soon_as_the_caller_before_it_has_gone(client: Client) -> None:
    first = asyncio.create_task(client.ask(LONG))
    await client.until(running=1)
    second = asyncio.create_task(client.text(says("Hi", max_tokens=1)))
    await client.until(waiting=1)
    await leave(first)
    left = time.monotonic()
    await second
    assert time.monotonic() - left < A_FEW_STEPS_S


async def test_a_full_queue_refuses_at_once_and_says_when_to_come_back(launch: Launch) -> None:
    async with Client(launch("--queue", "1").socket) as client:
        first = asyncio.create_task(client.ask(LONG))
        await client.until(running=1)
        second = asyncio.create_task(client.ask(says("Hi", max_tokens=1)))
        await client.until(running=1, waiting=1)
        started = time.monotonic()
        async with client.post(says("Hi", max_tokens=1, stream=True)) as response:
            assert response.status == 503
            assert (await response.json())["error"]["code"] == "local_overloaded"
            assert int(response.headers["retry-after"]) >= 1
        assert time.monotonic() - started < 0.5
        # Who stops waiting makes room, although the first still runs.
        await leave(second)
        await client.until(running=1, waiting=0)
        third = asyncio.create_task(client.ask(says("Hi", max_tokens=1)))
        await client.until(running=1, waiting=1)
        await leave(first)
        assert (await third)[0] == 200
        await client.until(running=0, waiting=0)


async def test_requests_that_wait_are_answered_in_their_order_and_each_with_its_own(client: Client) -> None:
    done: list[int] = []

    async def ask(number: int) -> str:
        text = await client.text(says(f"Say the number {number}.", temperature=0, max_tokens=8))
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
