"""A piece of work is ended by a moment or by somebody else, and whoever cancels it for another reason is heard."""

from __future__ import annotations

import asyncio

import pytest

from router.cutoff import Cutoff


async def test_work_that_takes_too_long_is_ended() -> None:
    with pytest.raises(TimeoutError), Cutoff(0.01):
        await asyncio.sleep(60)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    await asyncio.sleep(0)  # nothing of it is left behind


async def test_work_that_is_done_in_time_stays_done() -> None:
    with Cutoff(0.01):
        await asyncio.sleep(0)
    await asyncio.sleep(0.03)  # its moment comes, and ends nothing any more


async def test_somebody_else_ends_it() -> None:
    cutoff = Cutoff()
    asyncio.get_running_loop().call_soon(cutoff.now)
    with pytest.raises(TimeoutError), cutoff:
        await asyncio.sleep(60)
    cutoff.now()  # too late, and without effect
    await asyncio.sleep(0)


async def test_what_the_work_raises_is_raised_even_where_it_was_ended() -> None:
    async def stubborn() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise ValueError("stubborn") from None

    with pytest.raises(ValueError, match="stubborn"), Cutoff(0.01):
        await stubborn()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_who_cancels_the_task_itself_is_heard_and_not_taken_for_the_moment() -> None:
    begun = asyncio.Event()

    async def work() -> None:
        with Cutoff(60):
            begun.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(work())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancellation_from_outside_counts_beside_the_moment() -> None:
    async def work() -> None:
        with Cutoff() as cutoff:
            cutoffs.append(cutoff)
            await asyncio.sleep(60)

    cutoffs: list[Cutoff] = []
    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    cutoffs[0].now()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_one_inside_another_ends_only_its_own_work() -> None:
    with Cutoff(60):
        with pytest.raises(TimeoutError), Cutoff(0.01):
            await asyncio.sleep(60)
        await asyncio.sleep(0)


def test_it_belongs_to_a_task() -> None:
    with pytest.raises(RuntimeError), Cutoff(1):
        pass
