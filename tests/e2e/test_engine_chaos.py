"""The engine is killed and stopped again and again while eight callers ask: nobody hangs, everybody is told.

Four times by default; `GATEHOUSE_TEST_CHAOS_ROUNDS=20` is the full run, for a machine that does nothing else: two to
three minutes on two processors, and the engine must speak again within five seconds each time. That is the first piece
of an answer to a request that began after the blow, with all eight callers back at the same moment.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from tests.support.gateway import ENGINE, POLICY, Gateway
from tests.support.recorder import Recorder

ASKED = os.environ.get("GATEHOUSE_TEST_CHAOS_ROUNDS")
ROUNDS = int(ASKED or 4)
CALLERS = 8
PATIENCE_S = 60.0  # with one answer; far beyond any time limit of the gateway's that could be met here
# Within which the engine answers again; in a run among other tests the machine may be wanted elsewhere.
BACK_S, BACK_AT_MOST_S = 5.0, 60.0
RETRY_S = 0.25
# The last for a request that could not be scanned in time, which counts as sensitive.
REFUSALS = {"local_unavailable", "local_overloaded", "sensitive_data_local_unavailable"}
BROKEN_OFF = "upstream_error"  # the code of a stream's last event, its status being out
PIECE = re.compile(rb'"content":"[^"]')
SIGNALS = itertools.cycle([signal.SIGKILL, signal.SIGSTOP])


@dataclass
class Load:
    """What the callers met. `faults` are the answers that nobody should get."""

    spoken: list[tuple[float, float]] = field(default_factory=list)  # begun, first piece of the answer
    outcomes: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    slowest_s: float = 0.0

    def spoken_since(self, moment: float) -> float | None:
        """When the first request that began after `moment` got the first piece of its answer."""
        return min((piece for begun, piece in self.spoken if begun > moment), default=None)


def judge_error(body: Any, status: int, headers: Any) -> str:
    """The outcome of a refusal; AssertionError when it is not a clear one in the caller's dialect."""
    error = body["error"]
    assert error["message"]
    assert error["type"]
    if not status:
        assert error["code"] in {BROKEN_OFF, *REFUSALS}, body
        return "broken off"
    assert status == 503, body
    assert error["code"] in REFUSALS, body
    assert int(headers["retry-after"]) >= 0
    return "refused"


def judge_stream(raw: bytes) -> str:
    """A stream is whole, or its last event is an error."""
    lines = [line for line in raw.decode().split("\n") if line.startswith("data: ")]
    events = [orjson.loads(line[6:]) for line in lines if line != "data: [DONE]"]
    if any("error" in event for event in events):
        assert "error" in events[-1], "the error is the last event"
        return judge_error(events[-1], 0, None)
    assert lines[-1] == "data: [DONE]", "neither whole nor an error"
    reasons = [choice["finish_reason"] for event in events for choice in event["choices"]]
    assert reasons[-1] in ("stop", "length")
    return "streamed"


async def read(response: aiohttp.ClientResponse, on_piece: Callable[[], None]) -> bytes:
    """The whole body; `on_piece` is called once, when it holds a piece of an answer."""
    raw, has_spoken = b"", False
    async for data in response.content.iter_any():
        raw += data
        if not has_spoken and response.status == 200 and PIECE.search(raw):
            has_spoken = True
            on_piece()
    return raw


async def ask(session: aiohttp.ClientSession, url: str, number: int, on_piece: Callable[[], None]) -> str:
    """One request, plain or streamed; what came of it."""
    stream = number % 2 == 0
    text = f"Tell me a short story about the number {number}."
    body = {"model": "auto", "messages": [{"role": "user", "content": text}], "max_tokens": 24, "stream": stream}
    async with session.post(f"{url}/chat/completions", json=body) as response:
        raw = await read(response, on_piece)
        if response.status != 200:
            return judge_error(orjson.loads(raw), response.status, response.headers)
        if stream:
            return judge_stream(raw)
        choice = orjson.loads(raw)["choices"][0]
        assert choice["finish_reason"] in ("stop", "length")
        return "answered"


def note_piece(load: Load, begun: float) -> None:
    load.spoken.append((begun, time.monotonic()))


async def call(session: aiohttp.ClientSession, url: str, load: Load, numbers: Any) -> None:
    while True:
        begun = time.monotonic()
        try:
            async with asyncio.timeout(PATIENCE_S):
                spoke = partial(note_piece, load, begun)
                outcome = await ask(session, url, next(numbers), spoke)
        except (aiohttp.ClientError, AssertionError, KeyError, ValueError, TimeoutError) as error:
            load.faults.append(f"{type(error).__name__}: {error}")
            outcome = "fault"
        ended = time.monotonic()
        load.outcomes[outcome] += 1
        load.slowest_s = max(load.slowest_s, ended - begun)
        if outcome not in ("answered", "streamed"):
            await asyncio.sleep(RETRY_S)


async def watch_ready(session: aiohttp.ClientSession, root: str, load: Load, degraded: set[str]) -> None:
    """`/readyz` is 200 all the time, and says what is wrong."""
    while True:
        async with session.get(f"{root}/readyz") as response:
            if response.status != 200:
                load.faults.append(f"/readyz said {response.status}")
            degraded.update((await response.json())["degraded"])
        await asyncio.sleep(0.1)


@asynccontextmanager
async def under_load(house: Gateway, load: Load, degraded: set[str]) -> AsyncIterator[None]:
    numbers = itertools.count()
    async with aiohttp.ClientSession(trust_env=False) as session:
        work = [call(session, house.url, load, numbers) for _ in range(CALLERS)]
        tasks = [asyncio.create_task(each) for each in [*work, watch_ready(session, house.root, load, degraded)]]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(end, asyncio.CancelledError) for end in ends), ends


async def until_spoken(load: Load, since: float, within: float) -> float:
    """Seconds from `since` to the first piece of an answer to a request that began after it."""
    while (when := load.spoken_since(since)) is None:
        assert time.monotonic() - since < within, f"no answer within {within} s"
        await asyncio.sleep(0.02)
    return when - since


def gauges(text: str) -> dict[str, float]:
    """The samples of those gauges that count requests in progress."""
    pattern = re.compile(
        r"^(gatehouse_(?:engine_running|engine_queue_depth|requests_in_flight)\S*?) (\S+)$", re.MULTILINE
    )
    return {name: float(value) for name, value in pattern.findall(text)}


async def test_an_engine_that_is_killed_or_stopped_under_load_costs_its_requests_and_no_more(
    cloud: Recorder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    load, degraded, back = Load(), set[str](), list[tuple[str, float]]()
    with Gateway(tmp_path, POLICY.format(home=ENGINE, cloud=cloud.url)) as house:
        worker = house.children()["router.app"]
        async with under_load(house, load, degraded):
            for round_ in range(ROUNDS):
                await until_spoken(load, time.monotonic(), BACK_AT_MOST_S)
                await asyncio.sleep(0.3 + 0.1 * (round_ % 5))
                number, engine = next(SIGNALS), house.children()["router.engine"]
                struck = time.monotonic()
                os.kill(engine, number)
                back.append((number.name, round(await until_spoken(load, struck, BACK_AT_MOST_S), 2)))
                assert house.children()["router.engine"] != engine
        assert house.process.poll() is None
        assert house.children()["router.app"] == worker
        await until_idle(house)
    times = sorted(took for _, took in back)
    with capsys.disabled():
        print(f"\n  {ROUNDS} rounds; seconds until it spoke again: {back}")
        print(f"  median {times[len(times) // 2]} s, longest {times[-1]} s; longest request {load.slowest_s:.1f} s")
        print(f"  outcomes {dict(load.outcomes)}; /readyz named {sorted(degraded)}")
    assert not load.faults, Counter(load.faults)
    assert load.outcomes["streamed"] > ROUNDS
    assert load.outcomes["answered"] > ROUNDS
    if ASKED:
        assert times[-1] < BACK_S
    assert "engine_restarting" in degraded
    assert not cloud.exchanges


async def until_idle(house: Gateway) -> None:
    """All gauges of requests in progress are back at zero."""
    async with aiohttp.ClientSession(trust_env=False) as session:
        deadline = time.monotonic() + 60
        while True:
            async with session.get(f"{house.root}/metrics") as response:
                seen = gauges(await response.text())
            if seen and not any(seen.values()):
                return
            assert time.monotonic() < deadline, seen
            await asyncio.sleep(0.2)
