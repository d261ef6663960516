"""A child that dies comes back, one that cannot start is tried ever more rarely, and stopping leaves nothing behind."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from router.processes.liveness import answer_check
from router.processes.supervisor import Backoff, Supervisor, health_check
from tests.engine.driver import Client, child_environment, engine_argv, says

PATIENCE_S = 60.0


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


SLEEPS = python("import time; time.sleep(600)")
DIES = python("raise SystemExit(7)")


@asynccontextmanager
async def supervised(**options: Any) -> AsyncIterator[Supervisor]:
    child = Supervisor(name="child", **options)
    await child.start()
    try:
        yield child
    finally:
        await child.stop()


async def until(condition: Any, within: float = PATIENCE_S) -> float:
    """Seconds until `condition()` held."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < within
        await asyncio.sleep(0.005)
    return time.monotonic() - started


async def test_a_child_that_is_killed_is_started_again() -> None:
    states: list[str] = []
    gone: list[int] = []
    async with supervised(argv=SLEEPS, on_change=states.append, on_exit=gone.append) as child:
        assert await child.wait_ready(PATIENCE_S)
        first = child.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await until(lambda: child.pid not in (None, first))
        assert await child.wait_ready(PATIENCE_S)
        assert child.restarts == 1
        assert (child.last_exit, child.reason) == (-signal.SIGKILL, "exited")
        assert gone == [first]
    assert states == ["starting", "ready", "restarting", "ready", "stopped"]
    assert (child.state, child.pid, len(gone)) == ("stopped", None, 2)


async def test_a_child_that_never_becomes_ready_is_tried_ever_more_rarely_and_called_a_crash_loop() -> None:
    exits: list[float] = []
    backoff = Backoff(first_s=0.05, loop_after=3)

    async def never() -> bool:
        return False

    async with supervised(
        argv=DIES, ready=never, backoff=backoff, on_exit=lambda _pid: exits.append(time.monotonic())
    ) as child:
        await until(lambda: child.state == "crash_loop")
        await until(lambda: len(exits) >= 6)
        assert child.state == "crash_loop"
        assert child.last_exit == 7
        assert child.restarts >= 5
    waits = [later - earlier for earlier, later in itertools.pairwise(exits)]
    assert all(wait >= 0.99 * 0.05 * 2**number for number, wait in enumerate(waits[:5])), waits


def test_the_wait_grows_to_half_a_minute_but_stays_short_for_a_child_that_had_been_of_use() -> None:
    backoff = Backoff()
    never = [backoff.delay(failures, was_ready=False) for failures in (1, 2, 3, 9, 10, 5000)]
    assert never == [0.1, 0.2, 0.4, 25.6, 30.0, 30.0]
    assert [backoff.delay(failures, was_ready=True) for failures in (1, 2, 5000)] == [0.1, 0.2, 1.0]


async def test_a_child_that_was_ready_for_long_enough_fails_for_the_first_time_again() -> None:
    backoff = Backoff(first_s=0.01, stable_s=0.2, loop_after=2)
    states: list[str] = []
    lives = python("import time; time.sleep(0.6)")
    async with supervised(argv=lives, backoff=backoff, on_change=states.append) as child:
        await until(lambda: child.restarts >= 3)
    assert "crash_loop" not in states


async def test_a_child_that_is_not_ready_in_time_is_killed_and_tried_again() -> None:
    async def never() -> bool:
        return False

    async with supervised(argv=SLEEPS, ready=never, ready_timeout_s=0.2) as child:
        assert not await child.wait_ready(0.1)
        await until(lambda: child.restarts >= 2)
        assert (child.last_exit, child.reason) == (-signal.SIGKILL, "not_ready")


async def test_a_program_that_is_not_there_is_a_failure_like_others() -> None:
    async with supervised(argv=["/nonexistent/program"], backoff=Backoff(first_s=0.01, loop_after=2)) as child:
        await until(lambda: child.state == "crash_loop")
        assert child.pid is None


async def test_stopping_asks_first_and_kills_after_the_grace() -> None:
    polite = python(
        "import signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(5))\nprint('up', flush=True)\n"
        "time.sleep(600)"
    )
    deaf = python(
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('up', flush=True)\ntime.sleep(600)"
    )
    for argv, grace, code in ((polite, 60.0, 5), (deaf, 0.3, -signal.SIGKILL)):
        lines: list[str] = []
        async with supervised(argv=argv, grace_s=grace, on_line=lines.append) as child:
            await until(lambda seen=lines: seen)
        assert child.last_exit == code
        assert child.restarts == 0


async def test_both_outputs_are_passed_on_line_by_line_and_long_ones_are_cut() -> None:
    lines: list[str] = []
    code = (
        "import sys, time\nprint('one', flush=True)\nprint('two', file=sys.stderr, flush=True)\n"
        "sys.stdout.buffer.write(b'x' * 20000 + b'\\n' + b'\\xff last, without an end'); sys.stdout.flush()\n"
        "assert sys.stdin.read() == ''\ntime.sleep(600)"
    )
    async with supervised(argv=python(code), on_line=lines.append):
        await until(lambda: len(lines) >= 3)
    assert lines[:2] == ["one", "two"]
    assert lines[2] == "x" * 4096
    assert lines[3] == "\ufffd last, without an end"


async def test_the_child_gets_the_environment_and_the_files_that_are_named_and_no_others() -> None:
    reading, writing = os.pipe()
    os.environ["GATEHOUSE_TEST_SECRET"] = "secret"
    try:
        code = f"import os; os.write({writing}, repr(sorted(os.environ)).encode())\nimport time; time.sleep(600)"
        async with supervised(argv=python(code), env={"ONLY": "this"}, pass_fds=[writing]):
            seen = await asyncio.to_thread(os.read, reading, 4096)
        assert b"'ONLY'" in seen
        assert b"SECRET" not in seen
    finally:
        del os.environ["GATEHOUSE_TEST_SECRET"]
        os.close(reading)
        os.close(writing)


@pytest.mark.parametrize("is_ready", [True, False])
async def test_a_child_that_a_signal_has_stopped_is_killed_and_restarted(is_ready: bool) -> None:
    async def ready() -> bool:
        return is_ready

    reasons: list[str | None] = []
    async with supervised(argv=SLEEPS, ready=ready, on_exit=lambda _pid: reasons.append(child.reason)) as child:
        await until(lambda: child.pid is not None and (child.state == "ready") is is_ready)
        first = child.pid
        assert first is not None
        os.kill(first, signal.SIGSTOP)
        await until(lambda: child.pid not in (None, first))
        assert (child.last_exit, child.reason, reasons) == (-signal.SIGKILL, "stopped", ["stopped"])


async def test_a_child_that_is_stopped_for_a_moment_is_left_alone() -> None:
    async with supervised(argv=SLEEPS) as child:
        await child.wait_ready(PATIENCE_S)
        for _ in range(10):
            assert child.pid is not None
            os.kill(child.pid, signal.SIGSTOP)
            await asyncio.sleep(0.05)
            os.kill(child.pid, signal.SIGCONT)
            await asyncio.sleep(0.15)
        assert child.restarts == 0


SERVER = """
import os, select, socket, sys, time
path, kind = sys.argv[1:]
if os.path.exists(path): os.unlink(path)
server = socket.socket(socket.AF_UNIX); server.bind(path); server.listen(64)
asked = 0
while True:
    connection, _ = server.accept()
    connection.recv(4096)
    asked += 1
    status = b"200"
    if asked > 1:
        if kind == "silent": time.sleep(600)
        if kind == "slow":
            time.sleep(0.8)
            if select.select([server], [], [], 0)[0]: print("a second question", flush=True)
        if kind == "busy": status = b"503"
        if kind == "works":
            until = time.thread_time() + 0.2
            while time.thread_time() < until: pass
    print("asked", flush=True)
    connection.sendall(b"HTTP/1.1 " + status + b" OK\\r\\n\\r\\n")
    connection.close()
"""


@asynccontextmanager
async def serving(kind: str, window_s: float, **options: Any) -> AsyncIterator[tuple[Supervisor, list[str]]]:
    """A supervised server of a certain kind, which must answer within the window; and its lines."""
    lines: list[str] = []
    with tempfile.TemporaryDirectory(prefix="gh-") as folder:
        path = Path(folder) / "s"
        async with supervised(
            argv=[*python(SERVER), str(path), kind],
            ready=health_check(path),
            alive=answer_check(path),
            unresponsive_s=window_s,
            on_line=lines.append,
            **options,
        ) as child:
            assert await child.wait_ready(PATIENCE_S)
            yield child, lines


async def test_a_child_that_takes_connections_and_never_answers_is_killed_after_the_window() -> None:
    async with serving("silent", 1.0) as (child, _lines):
        first = child.pid
        assert await until(lambda: child.pid not in (None, first)) >= 1.0
        assert (child.last_exit, child.reason) == (-signal.SIGKILL, "unresponsive")


async def test_a_slow_answer_counts_and_no_second_question_is_asked_meanwhile() -> None:
    async with serving("slow", 4.0) as (child, lines):
        await until(lambda: len(lines) >= 7)
        assert child.restarts == 0
        assert "a second question" not in lines


async def test_an_answer_that_says_busy_is_an_answer() -> None:
    async with serving("busy", 4.0) as (child, lines):
        await until(lambda: len(lines) >= 7)
        assert child.restarts == 0


async def test_the_supervisors_own_absence_is_not_held_against_the_child() -> None:
    async with serving("answers", 3.0) as (child, lines):
        await until(lambda: len(lines) >= 2)
        await asyncio.sleep(0.5)  # between two questions
        time.sleep(4.5)  # noqa: ASYNC251 - the loop is held on purpose
        asked = len(lines)
        await until(lambda: len(lines) >= asked + 2)
        assert child.restarts == 0


def starve(pid: int) -> None:
    """The least share of the processor that there is, within its group of processes and of the group."""
    os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))
    group = Path(f"/proc/{pid}/autogroup")
    if group.exists():
        group.write_text("19")


@pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="needs a scheduler that can starve a process: Linux")
async def test_a_child_that_gets_no_processor_is_not_taken_for_a_dead_one() -> None:
    """Another process has the child's only processor nearly to itself; the child is silent for twice its window."""
    processor = {max(os.sched_getaffinity(0))}
    async with serving("works", 2.5) as (child, lines):
        assert child.pid is not None
        os.sched_setaffinity(child.pid, processor)
        starve(child.pid)
        greedy = await asyncio.create_subprocess_exec(*python("while True: pass"))
        try:
            os.sched_setaffinity(greedy.pid, processor)
            asked = len(lines)
            await asyncio.sleep(5.0)
            assert len(lines) <= asked + 1  # it was starved indeed
            assert child.restarts == 0
        finally:
            greedy.kill()
            await greedy.wait()


async def test_only_its_own_child_is_ended() -> None:
    other = await asyncio.create_subprocess_exec(*SLEEPS)
    async with supervised(argv=SLEEPS) as child:
        await child.wait_ready(PATIENCE_S)
    assert other.returncode is None
    other.kill()
    await other.wait()


@pytest.fixture
async def engine() -> AsyncIterator[tuple[Supervisor, Path]]:
    with tempfile.TemporaryDirectory(prefix="gh-") as folder:
        path = Path(folder) / "s"
        async with supervised(argv=engine_argv(path), env=child_environment(), ready=health_check(path)) as child:
            assert await child.wait_ready(60)
            yield child, path


async def test_the_engine_killed_in_the_middle_of_an_answer_answers_again(
    engine: tuple[Supervisor, Path], record_property: Any
) -> None:
    child, path = engine
    back: list[float] = []
    for round_ in range(2):
        async with Client(path) as client:
            assert await is_cut_off(client, child)
            killed = time.monotonic()
            async with asyncio.timeout(2 * PATIENCE_S):
                while not await answers(client):  # noqa: ASYNC110 - the event is in another process
                    await asyncio.sleep(0.02)
            back.append(round(time.monotonic() - killed, 2))
        assert child.restarts == round_ + 1
        assert await child.wait_ready(PATIENCE_S)
    record_property("seconds_until_it_answered_again", back)
    print("seconds until it answered again:", back)


async def is_cut_off(client: Client, child: Supervisor) -> bool:
    """Kill the engine after the first piece of a long answer; whether the caller notices."""
    try:
        async with client.post(says("Write a long story.", max_tokens=900, stream=True)) as response:
            await response.content.readany()
            assert child.pid is not None
            os.kill(child.pid, signal.SIGKILL)
            while await response.content.readany():
                pass
    except aiohttp.ClientError:
        return True
    return False


async def answers(client: Client) -> bool:
    """Whether the engine answers; while it cannot, it says 503 or nothing."""
    try:
        status, _reply = await client.ask(says("Hi", max_tokens=1))
    except aiohttp.ClientError:
        return False
    assert status in (200, 503)
    return status == 200
