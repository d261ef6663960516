"""Tasks are ended even where what they await swallows a cancellation; one that never ends does not stop the rest."""

from __future__ import annotations

import asyncio

import pytest

from router.processes import loop
from router.processes.loop import end_tasks


async def swallows(times: int) -> None:
    while times:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            times -= 1
    await asyncio.sleep(3600)


async def dies() -> None:
    raise RuntimeError("out of order")


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "_PATIENCE_SECONDS", 0.1)


async def test_a_cancellation_that_was_swallowed_is_said_again() -> None:
    tasks = [asyncio.create_task(work) for work in (swallows(0), swallows(2), dies())]
    await asyncio.sleep(0)
    await end_tasks(tasks)
    assert [task.done() for task in tasks] == [True] * 3


async def test_a_task_that_never_ends_is_named_and_left(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(loop, "_TIMES", 2)
    task = asyncio.create_task(swallows(2))
    await asyncio.sleep(0)
    await end_tasks([task])
    assert not task.done()
    assert "swallows" in caplog.text
    task.cancel()
    await asyncio.wait([task])
