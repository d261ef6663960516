"""The engine of one gateway, real engines on tiny models: its manifest, its figures, its ends and their reasons."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from router.processes.engine_child import EngineChild, engine_command, what_to_serve
from router.processes.engine_models import EngineModel, EngineModels, manifest_file
from router.settings import Settings
from router.status import Status
from router.telemetry.telemetry import Telemetry
from router.types import JsonObject
from tests.support.tiny_gguf import make_adapter, make_model

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _children_find_our_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("tiny")
    return {"one": make_model("llama-3.2", folder), "two": make_model("qwen3", folder), "legal": make_adapter(folder)}


def entry(name: str, path: Path, adapter_of: str | None = None) -> JsonObject:
    return {"name": name, "path": str(path), "context": 256, "adapter_of": adapter_of, "embedding": False}


def models(*entries: JsonObject) -> EngineModels:
    return EngineModels({item["name"]: EngineModel() for item in entries}, entries)


class House:
    """An `EngineChild` with telemetry, as the parent has it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.telemetry = Telemetry()
        self.child = EngineChild(settings, self.telemetry, lambda: None)

    def page(self) -> str:
        return self.telemetry.render().decode()

    def pid(self) -> int:
        line = str(self.settings.engine_socket)
        (found,) = [child.pid for child in psutil.Process().children() if line in child.cmdline()]
        return found

    async def ask(self, model: str) -> int:
        """The status of a chat with `model`."""
        body = {"model": model, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2}
        async with (
            aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(self.settings.engine_socket))) as http,
            http.post("http://localhost/v1/chat/completions", json=body) as response,
        ):
            return response.status


@pytest.fixture
async def house() -> AsyncIterator[House]:
    with tempfile.TemporaryDirectory(prefix="gh-") as folder:  # a short path: it holds a socket
        made = House(Settings(runtime_dir=Path(folder), engine_threads=1, engine_slots=2))
        yield made
        await made.child.stop()


async def until(happens: Callable[[], Any], seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not happens():  # noqa: ASYNC110 - what it waits for is in another process
            await asyncio.sleep(0.05)


def is_ready(house: House) -> bool:
    return bool(house.child.report().get("state") == "ready")


async def test_models_and_adapters_come_and_go_without_a_restart(house: House, tiny: dict[str, Path]) -> None:
    one, two = entry("one", tiny["one"]), entry("two", tiny["two"])
    await house.child.serve(models(one))
    await until(lambda: is_ready(house))
    before = house.pid()
    assert manifest_file(house.settings).stat().st_mode & 0o777 == 0o600
    assert await house.ask("one") == 200
    assert await house.ask("two") == 404
    await house.child.serve(models(one, two, entry("legal", tiny["legal"], "one")))
    for name in ("two", "legal"):
        await _until_status(house, name, 200)
    await house.child.serve(models(one))
    for name in ("two", "legal"):
        await _until_status(house, name, 404)
    assert await house.ask("one") == 200
    assert (house.pid(), house.child.report()["restarts"]) == (before, 0)


async def _until_status(house: House, model: str, status: int) -> None:
    async with asyncio.timeout(30):
        while await house.ask(model) != status:  # noqa: ASYNC110 - what it waits for is in another process
            await asyncio.sleep(0.1)


async def test_the_engines_figures_are_shown_and_go_with_it(house: House, tiny: dict[str, Path]) -> None:
    await house.child.serve(models(entry("one", tiny["one"])))
    await until(lambda: is_ready(house))
    assert await house.ask("one") == 200
    await until(lambda: 'gatehouse_engine_requests_total{model="one"}' in house.page())
    page = house.page()
    assert 'gatehouse_engine_state{state="ready"} 1.0' in page
    assert 'gatehouse_engine_slots{model="one"} 2.0' in page
    assert 'gatehouse_engine_loaded{model="one"} 1.0' in page
    for name in ("decode_tokens", "prefill_tokens", "steps", "first_token_seconds", "queue_wait_seconds"):
        assert f'gatehouse_engine_{name}_total{{model="one"}}' in page, name
    os.kill(house.pid(), signal.SIGKILL)
    await until(lambda: 'gatehouse_engine_restarts_total{reason="killed"} 1.0' in house.page())
    assert "gatehouse_engine_slots{" not in house.page()
    assert house.child.report()["reason"] == "killed"
    await until(lambda: is_ready(house))


async def test_an_engine_that_cannot_start_is_a_crash_loop_with_its_reason(house: House, tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF, but not one")
    await house.child.serve(models(entry("one", broken)))
    await until(lambda: house.child.report()["state"] == "crash_loop", 120)
    report = house.child.report()
    assert report["reason"] == "unusable"
    assert 'gatehouse_engine_state{state="crash_loop"} 1.0' in house.page()
    assert Status(engine=report).degraded() == ["engine_crash_loop"]


async def test_a_policy_without_engine_models_starts_none(house: House) -> None:
    await house.child.serve(EngineModels({}))
    assert house.child.report() == {}
    assert not manifest_file(house.settings).exists()


async def test_another_engine_is_watched_and_none_is_started(house: House, tiny: dict[str, Path]) -> None:
    await house.child.serve(models(entry("one", tiny["one"])))
    await until(lambda: is_ready(house))
    with tempfile.TemporaryDirectory(prefix="gh-") as folder:
        socket = house.settings.engine_socket
        guest = House(Settings(runtime_dir=Path(folder), engine_socket_path=socket))
        await guest.child.serve(EngineModels({"one": EngineModel()}))
        await until(lambda: is_ready(guest))
        assert not os.listdir(folder)
        assert await guest.ask("one") == 200
        await house.child.stop()
        await until(lambda: guest.child.report()["state"] == "unreachable")
        assert Status(engine=guest.child.report()).degraded() == ["engine_unreachable"]
        await guest.child.stop()


def test_the_command_line_says_only_what_the_operator_chose(tmp_path: Path) -> None:
    plain = engine_command(Settings(), tmp_path / "s", ("--manifest", "m"))
    bare = ("-P", "-m", "router.engine", "--manifest", "m", "--socket", str(tmp_path / "s"))
    assert plain[1:] == [*bare, "--queue", "64", "--queue-tokens", "131072"]
    chosen = Settings(engine_slots=4, engine_context=1024, engine_memory_mb=900, engine_gpu_layers="0")
    command = engine_command(chosen, tmp_path / "s", ("--manifest", "m"))
    pairs = dict(zip(command[6::2], command[7::2], strict=False))
    assert (pairs["--slots"], pairs["--context"], pairs["--memory"]) == ("4", "1024", "900")
    assert pairs["--gpu-layers"] == "0"


def test_one_plain_model_needs_no_manifest_and_several_get_one(tmp_path: Path) -> None:
    one, other = entry("one", Path("/m/1.gguf")), entry("legal", Path("/m/2.gguf"), "one")
    assert what_to_serve([one], tmp_path / "e.json") == ("--model", "/m/1.gguf", "--alias", "one")
    assert what_to_serve([one, other], tmp_path / "e.json") == ("--manifest", str(tmp_path / "e.json"))
    written = json.loads((tmp_path / "e.json").read_bytes())
    assert written == {"version": 1, "models": [one, other]}
