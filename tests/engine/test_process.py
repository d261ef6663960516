"""The engine as a process: its socket, its end, its parent's end, and what it never writes down."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from router.engine.process import SocketError, listen, usable_cpus
from tests.engine.conftest import Launch
from tests.engine.driver import Client, EngineProcess, child_environment, engine_argv, says

CANARY = "zanzibar-canary-93"


def is_alive(pid: int) -> bool:
    """Whether `pid` runs; one that has ended and was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_the_socket_is_for_its_owner_only(engine: EngineProcess) -> None:
    mode = engine.socket.stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600


def test_sigterm_ends_it_with_zero_and_takes_the_socket_away(launch: Launch) -> None:
    engine = launch()
    engine.process.send_signal(signal.SIGTERM)
    assert engine.process.wait(60) == 0
    assert not engine.socket.exists()
    assert engine.log.read_text() == ""


async def test_before_its_self_test_it_says_that_it_is_loading(launch: Launch) -> None:
    engine = launch(wait=False)
    while not engine.socket.exists():  # noqa: ASYNC110 - the event is in another process
        await asyncio.sleep(0.005)
    async with Client(engine.socket) as client:
        async with client.post(says("Hi", max_tokens=1)) as response:
            assert response.status == 503
            assert response.headers["retry-after"] == "1"
            assert (await response.json())["error"]["code"] == "local_unavailable"
        async with client.session.get("http://engine/health") as response:
            assert response.status == 503
        engine.wait()
        assert (await client.ask(says("Hi", max_tokens=1)))[0] == 200


@pytest.mark.parametrize("content", [b"", b"GGUF" + bytes(64), os.urandom(4096)])
def test_a_file_that_is_no_model_ends_it_with_three_and_one_line(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "bad.gguf"
    file.write_bytes(content)
    argv = engine_argv(tmp_path / "s")
    argv[argv.index("--model") + 1] = str(file)
    done = subprocess.run(argv, env=child_environment(), capture_output=True, timeout=60, check=False)
    assert done.returncode == 3
    assert done.stderr.decode().count("\n") == 1
    assert "logger=gatehouse.engine" in done.stderr.decode()
    assert done.stdout == b""


def test_a_second_engine_leaves_the_firsts_socket_alone(engine: EngineProcess) -> None:
    done = subprocess.run(
        engine_argv(engine.socket), env=child_environment(), capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 3
    assert b"another engine is listening there" in done.stderr
    assert engine.health() is not None


def test_a_socket_left_behind_is_replaced_and_a_file_is_not(tmp_path: Path) -> None:
    path = tmp_path / "s"
    listen(path).close()
    listen(path).close()
    other = tmp_path / "file"
    other.write_text("precious")
    with pytest.raises(SocketError, match="not a socket"):
        listen(other)
    assert other.read_text() == "precious"
    with pytest.raises(SocketError):
        listen(tmp_path / ("x" * 120))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_it_ends_when_its_parent_dies(tmp_path: Path, number: signal.Signals) -> None:
    parent = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    argv = [sys.executable, "-c", parent, *engine_argv(tmp_path / "s")]
    with subprocess.Popen(argv, env=child_environment(), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        engine = EngineProcess(process, tmp_path / "s", tmp_path / "log")
        engine.wait()
        process.send_signal(number)
        process.wait()
        died = time.monotonic()
        while is_alive(child):
            assert time.monotonic() - died < 60
            time.sleep(0.02)


async def test_content_is_in_no_log_even_at_debug_level(launch: Launch) -> None:
    engine = launch("--log-level", "debug")
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"enum": [CANARY]}}}
    async with Client(engine.socket) as client:
        assert CANARY in await client.text(says(f"Repeat: {CANARY}", response_format=form))
        await client.ask(says(CANARY, stop=[CANARY], seed=CANARY))
        await client.ask(says(CANARY, response_format={"type": CANARY}))
        await client.ask(b'{"' + CANARY.encode())
    log = engine.log.read_text()
    assert "llama" in log  # the log is there
    assert CANARY not in log


def test_it_leaves_no_core_dump(engine: EngineProcess) -> None:
    limits = Path(f"/proc/{engine.process.pid}/limits").read_text("utf-8")
    line = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
    assert line.split()[4:6] == ["0", "0"]


def test_it_uses_no_more_processors_than_it_may() -> None:
    assert 1 <= usable_cpus() <= len(os.sched_getaffinity(0))
    first = min(os.sched_getaffinity(0))
    code = (
        f"import os; os.sched_setaffinity(0, {{{first}}})\n"
        "from router.engine.process import usable_cpus; print(usable_cpus())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=child_environment(), capture_output=True, timeout=30, check=True
    )
    assert done.stdout.strip() == b"1"


async def test_it_uses_all_that_it_may_and_answers_the_same(engine: EngineProcess, launch: Launch) -> None:
    body = says("Name three colours.", temperature=0, max_tokens=12)
    async with Client(engine.socket) as one, Client(launch("--threads", "0").socket) as team:
        assert (await one.health())["threads"] == 1
        assert (await team.health())["threads"] == usable_cpus()
        assert await team.text(body) == await one.text(body)
