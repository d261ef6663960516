"""What keeps work within a request's time: too late is not begun, running over is given up, and the engine is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from policies.serving import Serving
from policies.types import Model
from router.deadlines import Due, due_in, engine_fields
from router.errors import DeadlineExceeded
from router.types import JsonObject

ENGINE = Model("home", "local", "engine", "small")
SERVER = Model("other", "local", "openai", "small")


async def forever() -> None:
    await asyncio.Event().wait()


async def chunks(log: list[str]) -> AsyncIterator[JsonObject]:
    try:
        yield {"n": 1}
        await forever()
    finally:
        log.append("closed")


async def test_without_a_limit_nothing_is_due() -> None:
    assert due_in(None, 5.0) is None


async def test_what_is_over_is_not_begun_and_says_so() -> None:
    due = due_in(2.0, 3.0)
    assert due is not None
    with pytest.raises(DeadlineExceeded) as caught:
        due.require()
    assert (caught.value.status, caught.value.code, caught.value.should_retry) == (504, "deadline_exceeded", False)
    assert caught.value.unsent
    assert "2 s" in caught.value.message


async def test_work_that_is_done_in_time_gives_what_it_gives() -> None:
    due = due_in(100.0, 0.0)
    assert due is not None

    async def work() -> int:
        return 7

    due.require()
    assert await due.keep(work) == 7


async def test_work_that_runs_over_is_cancelled() -> None:
    due = due_in(0.05, 0.0)
    assert due is not None
    with pytest.raises(DeadlineExceeded) as caught:
        await due.keep(forever)
    assert not caught.value.unsent


async def test_a_time_out_of_the_works_own_stays_one() -> None:
    due = due_in(100.0, 0.0)
    assert due is not None

    async def work() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        await due.keep(work)


async def test_a_stream_ends_when_its_time_is_over_and_its_source_is_closed() -> None:
    log: list[str] = []
    due = due_in(0.05, 0.0)
    assert due is not None
    seen: list[JsonObject] = []

    async def read() -> None:
        async for chunk in due.bound(chunks(log)):
            seen.append(chunk)  # noqa: PERF401 - what came before the error counts

    with pytest.raises(DeadlineExceeded):
        await read()
    assert (seen, log) == ([{"n": 1}], ["closed"])


async def test_the_engine_alone_is_told() -> None:
    due = Due(asyncio.get_running_loop().time() + 5.0, 9.0)
    told = engine_fields(ENGINE, Serving(9.0, None, "low"), due)
    assert told["priority"] == "low"
    assert 0 < told["deadline_ms"] <= 5000
    assert engine_fields(ENGINE, Serving(), None) == {}
    assert engine_fields(SERVER, Serving(9.0, None, "low"), due) == {}
