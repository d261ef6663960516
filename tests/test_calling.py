"""A stream that nobody reads is closed at its server and accounted for, like one that was read."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import orjson
import pytest

from classifiers.types import Scan, Signal, Signals
from policies.decide import decide
from policies.schema import compile_policy
from policies.types import Facts
from router.backends.local import LocalBackend
from router.backends.scripted import ScriptedServer
from router.backends.scripted_replies import Script
from router.calling import Calls
from router.exchange import Exchange
from router.planning import Plan
from router.running import RunningPolicy
from router.settings import Settings
from router.telemetry.telemetry import Telemetry
from router.types import ChatRequest, Outgoing, Principal
from router.waiting.waits import Waits

BODY = {"model": "auto", "messages": [{"role": "user", "content": "hi"}], "stream": True}
POLICY = """\
version: 1
models: {{home: {{locality: local, backend: openai, base_url: "{url}", model: scripted}}}}
defaults: {{local: home}}
"""


async def until(true: object) -> None:
    for _ in range(1000):
        if true():  # type: ignore[operator]
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen within ten seconds")


@pytest.mark.parametrize("read", [0, 1])
async def test_a_stream_that_is_let_go_is_closed_and_leaves_the_line(read: int, tmp_path: Path) -> None:
    server = ScriptedServer(Script(answer="word " * 50, chunk_delay=0.2))
    await server.start()
    settings = Settings(state_dir=tmp_path)
    policy = compile_policy(POLICY.format(url=server.url), "policy.yaml")
    running = RunningPolicy(policy, lambda model, policy: LocalBackend(model, settings))
    request = ChatRequest("r", BODY, "auto", Principal(), True, False, False, False, time.perf_counter())
    exchange = Exchange(request, running.current.acquire())
    signals = Signals({"complexity": Signal("complexity", 0.1)}, Scan())
    exchange.note(Plan(request, signals, Facts(), decide(policy, Facts(), signals)))
    waits = Waits()
    calls = Calls(Telemetry.from_settings(settings), waits)
    try:
        chunks = await calls.open_stream(exchange, "home", Outgoing(orjson.dumps(BODY), stream=True))
        for _ in range(read):
            await anext(chunks)
        assert server.open_connections == 1
        await chunks.aclose()  # type: ignore[attr-defined]
        await chunks.aclose()  # type: ignore[attr-defined]
        await until(lambda: server.in_flight == 0)
        (line,) = waits._lines.values()
        assert not line._jobs, "a call that has ended is waited for by nobody"
        assert [use.end for use in exchange.calls] == ["cancelled"]
    finally:
        await server.stop()
        await running.close()
