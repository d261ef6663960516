"""The engine's figures as the gateway's metrics: read over a real socket, shown while they are known, and no longer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from router.processes.engine_stats import EngineMetrics, read_stats
from router.telemetry.metrics import MetricStore

NAME = "smollm2-135m-instruct"


def figures(**changes: float) -> dict[str, Any]:
    given = {"waiting": 3, "running": 2, "slots": 8, "queue_tokens": 900, "steps_total": 10, "batched_tokens_total": 40}
    return {**given, "prompt_tokens_total": 100, "decoded_tokens_total": 30, "wait_seconds_total": 0.5, **changes}


def stats(**models: dict[str, Any]) -> dict[str, Any]:
    named = {name.replace("_", "-"): value for name, value in models.items()}
    loaded = [{"name": name, "memory_mb": 120} for name in named]
    return {"models": named, "memory_mb": 150.5, "loaded": loaded}


def shown(store: MetricStore) -> dict[str, float]:
    """Every series of the engine's figures, by name and model."""
    lines = [line for line in store.render().decode().splitlines() if line.startswith("gatehouse_engine_")]
    found = {}
    for line in lines:
        series, _, value = line.rpartition(" ")
        found[series.removeprefix("gatehouse_engine_").replace('model="', "").replace('"', "")] = float(value)
    return {series: value for series, value in found.items() if not series.startswith(("state", "restarts"))}


def test_gauges_are_shown_by_model_while_the_engine_tells_them() -> None:
    store = MetricStore()
    metrics = EngineMetrics(store)
    metrics.take(stats(one=figures(), two=figures(waiting=0)))
    page = shown(store)
    assert (page["queue_depth{one}"], page["queue_depth{two}"]) == (3, 0)
    assert (page["running{one}"], page["slots{one}"], page["queue_tokens{one}"]) == (2, 8, 900)
    assert page["batch_occupancy{one}"] == 4
    assert (page["loaded{one}"], page["model_memory_bytes{one}"]) == (1, 120e6)
    assert page["memory_bytes"] == 150.5e6


def test_an_engine_that_does_not_answer_has_no_gauges_and_keeps_its_counts() -> None:
    store = MetricStore()
    metrics = EngineMetrics(store)
    metrics.take(stats(one=figures()))
    metrics.gone()
    page = shown(store)
    assert page["decode_tokens_total{one}"] == 30
    assert not [series for series in page if not series.endswith("_total{one}")]


def test_a_model_that_is_unloaded_says_so_and_one_that_is_removed_says_nothing() -> None:
    store = MetricStore()
    metrics = EngineMetrics(store)
    metrics.take(stats(one=figures(), two=figures()))
    metrics.take({**stats(one=figures()), "loaded": []})
    page = shown(store)
    assert page["loaded{one}"] == 0
    assert "model_memory_bytes{one}" not in page
    assert not [series for series in page if series.endswith("{two}") and "_total" not in series]


def test_counts_go_on_when_the_engine_begins_anew() -> None:
    store = MetricStore()
    metrics = EngineMetrics(store)
    metrics.take(stats(one=figures(decoded_tokens_total=30)))
    metrics.take(stats(one=figures(decoded_tokens_total=50)))
    metrics.restarted()
    metrics.take(stats(one=figures(decoded_tokens_total=60)))  # more than before, and yet all of it new
    metrics.take(stats(one=figures(decoded_tokens_total=5)))  # another gateway's engine, whose restart nobody tells
    assert shown(store)["decode_tokens_total{one}"] == 50 + 60 + 5


def test_rates_are_of_the_time_since_the_last_look_and_unknown_at_the_first() -> None:
    store = MetricStore()
    metrics = EngineMetrics(store)
    began = time.monotonic()
    metrics.take(stats(one=figures()))
    assert "decode_rate{one}" not in shown(store)
    time.sleep(0.05)
    metrics.take(stats(one=figures(decoded_tokens_total=130, steps_total=20, batched_tokens_total=120)))
    page = shown(store)
    assert 100 / (time.monotonic() - began) <= page["decode_rate{one}"] <= 100 / 0.05
    assert page["prefill_rate{one}"] == 0
    assert page["batch_occupancy{one}"] == 8


@pytest.mark.parametrize(
    "strange",
    [
        {},
        {"models": []},
        {"models": {"one": 7, "two": {"waiting": "many", "steps_total": -1, "running": float("nan")}}},
        {"models": {}, "loaded": {"one": 1}, "memory_mb": None},
        {"models": {"a sentence is not a name": {"waiting": 1}}, "loaded": [None, 3, {"memory_mb": 1}, "named"]},
    ],
)
def test_figures_of_a_strange_shape_are_passed_over(strange: dict[str, Any]) -> None:
    store = MetricStore()
    EngineMetrics(store).take(strange)
    assert "sentence" not in store.render().decode()


class Engine:
    """A server on a unix socket whose `/stats` a test chooses."""

    def __init__(self) -> None:
        self.body = b'{"models": {}}'
        self.status = 200
        self.delay = 0.0

    async def answer(self, request: web.Request) -> web.Response:
        await asyncio.sleep(self.delay)
        return web.Response(body=self.body, status=self.status, content_type="application/json")


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    made = Engine()
    app = web.Application()
    app.router.add_get("/stats", made.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.UnixSite(runner, str(tmp_path / "s.sock")).start()
    yield made
    await runner.cleanup()


async def test_the_figures_are_read_over_the_socket(engine: Engine, tmp_path: Path) -> None:
    engine.body = b'{"models": {"one": {"waiting": 1}}, "memory_mb": 3}'
    assert await read_stats(tmp_path / "s.sock") == {"models": {"one": {"waiting": 1}}, "memory_mb": 3}


@pytest.mark.parametrize(
    ("status", "body"), [(200, b"[]"), (200, b"{"), (503, b"{}"), (200, b'{"models": "' + b"x" * 300_000 + b'"}')]
)
async def test_what_is_no_answer_or_too_long_is_none(engine: Engine, tmp_path: Path, status: int, body: bytes) -> None:
    engine.status, engine.body = status, body
    assert await read_stats(tmp_path / "s.sock") is None


async def test_an_engine_that_is_late_or_absent_is_none(engine: Engine, tmp_path: Path) -> None:
    engine.delay = 5.0
    assert await read_stats(tmp_path / "s.sock", timeout_s=0.1) is None
    assert await read_stats(tmp_path / "absent.sock") is None
