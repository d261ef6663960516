"""Collecting answers: several at once, each kept as it comes, what is kept not asked again, failures told apart."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path
from typing import Any

import pytest

from policies.types import Model
from router.backends.local import LocalBackend
from router.backends.scripted import Exchange
from router.backends.scripted_replies import Script
from router.calibration.collect import Unanswered, collect
from router.calibration.kept import KeptAnswers
from router.settings import Settings
from tests.support.recorder import Recorder

BODIES = [{"model": "m", "messages": [{"role": "user", "content": f"question {place}"}]} for place in range(12)]


async def gather(
    recorder: Recorder, path: Path, bodies: list[dict[str, Any]] = BODIES, **more: Any
) -> list[dict[str, Any]]:
    backend = LocalBackend(Model("home", "local", "openai", "m", base_url=recorder.url), Settings())
    try:
        with KeptAnswers(path) as kept:
            return await collect(backend, bodies, kept, **more)
    finally:
        await backend.close()


async def test_every_body_is_asked_once_several_at_once_and_in_the_end_in_order(tmp_path: Path) -> None:
    counted: list[int] = []
    async with Recorder(Script(answer="Yes.", first_delay=0.05)) as recorder:
        choices = await gather(recorder, tmp_path / "c" / "a.jsonl", at_once=4, on_answer=counted.append)
        again = await gather(recorder, tmp_path / "c" / "a.jsonl", on_answer=counted.append)
        assert len(recorder.exchanges) == len(BODIES)
    assert [choice["message"]["content"] for choice in choices] == ["Yes."] * len(BODIES)
    assert again == choices
    assert counted == [0, *[1] * len(BODIES), len(BODIES)]


async def test_a_run_that_is_broken_off_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    came = asyncio.Event()
    done = itertools.count(1)
    async with Recorder(Script(first_delay=0.02)) as recorder:
        run = asyncio.create_task(
            gather(
                recorder,
                tmp_path / "c" / "a.jsonl",
                at_once=2,
                on_answer=lambda n: n and next(done) == 4 and came.set(),
            )
        )
        await came.wait()
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        with KeptAnswers(tmp_path / "c" / "a.jsonl") as kept:
            had = len(kept.choices)
        assert 4 <= had < len(BODIES)
        recorder.forget()
        assert len(await gather(recorder, tmp_path / "c" / "a.jsonl")) == len(BODIES)
        assert len(recorder.exchanges) == len(BODIES) - had


async def test_a_body_that_the_model_cannot_take_is_left_out_and_the_others_go_on(tmp_path: Path) -> None:
    def answer(exchange: Exchange) -> Script:
        too_long = {"message": "too long", "code": "context_length_exceeded"}
        return Script(status=400, error=too_long) if exchange.json == BODIES[3] else Script()

    async with Recorder(answer) as recorder:
        choices = await gather(recorder, tmp_path / "c" / "a.jsonl")
    assert choices[3] == {"refused": "context_length_exceeded"}
    assert sum("refused" in choice for choice in choices) == 1


async def test_a_full_queue_is_waited_for(tmp_path: Path) -> None:
    scripts = itertools.chain([Script(status=503, headers=(("retry-after", "0.01"),))] * 2, itertools.repeat(Script()))
    async with Recorder(lambda exchange: next(scripts)) as recorder:
        choices = await gather(recorder, tmp_path / "c" / "a.jsonl", BODIES[:2])
    assert all("message" in choice for choice in choices)


async def test_a_model_that_fails_ends_the_run_with_its_reason(tmp_path: Path) -> None:
    async with Recorder(Script(status=404, error={"message": "no such model"})) as recorder:
        with pytest.raises(Unanswered, match="m does not answer"):
            await gather(recorder, tmp_path / "c" / "a.jsonl")
