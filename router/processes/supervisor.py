"""Keeps one child process running: starts it, waits until it is ready, restarts it when it dies, stops it in order.

A child that a signal has stopped or that is silent is as good as dead: it is killed and restarted. The supervisor
signals only its own child, and hands it nothing but what the caller names.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from router.processes.liveness import Check, until_silent, until_stopped

State = Literal["starting", "ready", "restarting", "crash_loop", "stopped"]
# Why a child had to be restarted: it ended by itself, was stopped by a signal, went silent, or was never ready in time.
Reason = Literal["exited", "stopped", "unresponsive", "not_ready"]

log = logging.getLogger("gatehouse.supervisor")

_LOOK_S = 0.05  # between two readiness checks
_MAX_LINE = 4096
_DRAIN_S = 0.5  # for the last lines of a child that is gone


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long a dead child stays down: `first_s`, doubled with every failure in a row up to `max_s`.

    A child that had been ready is back after at most `max_after_ready_s`: it is of use between its deaths. One that
    was ready for `stable_s` has shown that it works: its next failure counts as the first.
    """

    first_s: float = 0.1
    max_s: float = 30.0
    max_after_ready_s: float = 1.0
    stable_s: float = 60.0
    loop_after: int = 5  # failures in a row that are called a crash loop

    def delay(self, failures: int, *, was_ready: bool) -> float:
        """Seconds to wait after the `failures`-th failure in a row."""
        limit = min(self.max_s, self.max_after_ready_s) if was_ready else self.max_s
        return min(limit, self.first_s * 2.0 ** min(failures - 1, 32))


def health_check(path: Path, timeout_s: float = 2.0) -> Check:
    """A readiness check: whether `GET /health` on the unix socket `path` says 200."""

    async def ask() -> bool:
        reader, writer = await asyncio.open_unix_connection(str(path))
        try:
            writer.write(b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            return (await reader.readline()).split(b" ")[1:2] == [b"200"]
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def check() -> bool:
        try:
            return await asyncio.wait_for(ask(), timeout_s)
        except (OSError, TimeoutError):
            return False

    return check


def _pass_on(line: str) -> None:
    """Our children write whole log lines of the parent's own format: they go on as they are."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


class Supervisor:
    """One supervised child. Its public attributes may be read at any time."""

    def __init__(
        self,
        *,
        name: str,
        argv: Sequence[str],
        env: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (),
        ready: Check | None = None,
        alive: Check | None = None,
        on_change: Callable[[State], None] | None = None,
        on_exit: Callable[[int], None] | None = None,
        on_line: Callable[[str], None] = _pass_on,
        backoff: Backoff | None = None,
        ready_timeout_s: float = 60.0,
        unresponsive_s: float = 5.0,
        grace_s: float = 10.0,
    ) -> None:
        """`env` None: the parent's environment. `ready` None: a child that runs is ready. `alive` None: so it stays.

        `on_exit` is told the pid of every child that has ended; `on_line` each line of its stdout and stderr, cut at
        4 KB. A child is killed, and counts as failed, when it is not ready within `ready_timeout_s`, when a signal has
        stopped it, and when, once ready, `alive` has not said yes for `unresponsive_s`.
        """
        self.name = name
        self.state: State = "stopped"
        self.restarts = 0
        self.pid: int | None = None
        self.last_exit: int | None = None  # exit status; negative: the signal that killed it
        self.reason: Reason | None = None  # why it had to be restarted the last time; `on_exit` may read it
        self._argv = list(argv)
        self._env = None if env is None else dict(env)
        self._pass_fds = tuple(pass_fds)
        self._check = ready
        self._alive = alive
        self._on_change = on_change
        self._on_exit = on_exit
        self._on_line = on_line
        self._backoff = backoff or Backoff()
        self._ready_timeout_s = ready_timeout_s
        self._unresponsive_s = unresponsive_s
        self._grace_s = grace_s
        self._stopping = asyncio.Event()
        self._is_ready = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin. Returns at once; `wait_ready` waits."""
        if self._task is None:
            self._set("starting")
            self._task = asyncio.get_running_loop().create_task(self._keep(), name=f"supervise {self.name}")

    async def wait_ready(self, timeout_s: float) -> bool:
        """Whether the child is ready, or becomes so within `timeout_s`."""
        try:
            await asyncio.wait_for(self._is_ready.wait(), timeout_s)
        except TimeoutError:
            return False
        return True

    async def stop(self) -> None:
        """SIGTERM, `grace_s` of patience, then SIGKILL. Returns when the child is gone. Idempotent."""
        self._stopping.set()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)
        self._set("stopped")

    def hurry(self) -> None:
        """Tell a child that is being stopped again: a second SIGTERM ends its grace."""
        if self.pid is not None and self._stopping.is_set():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)

    def _set(self, state: State) -> None:
        if state == self.state:
            return
        self.state = state
        if state == "ready":
            self._is_ready.set()
        else:
            self._is_ready.clear()
        log.info("child %s: %s", self.name, state)
        if self._on_change is not None:
            self._on_change(state)

    async def _keep(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            ready_for = await self._live()
            if self._stopping.is_set():
                return
            is_first = ready_for is not None and ready_for >= self._backoff.stable_s
            failures = 1 if is_first else failures + 1
            self._set("crash_loop" if failures >= self._backoff.loop_after else "restarting")
            delay = self._backoff.delay(failures, was_ready=ready_for is not None)
            seen = (self.name, self.reason, self.last_exit, delay)
            log.warning("child %s failed (%s, ended with %s); restart in %.1f s", *seen)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), delay)
            if not self._stopping.is_set():
                self.restarts += 1

    async def _live(self) -> float | None:
        """One child from start to end. Returns for how long it was ready, None if it never was."""
        try:
            child = await asyncio.create_subprocess_exec(
                *self._argv,
                env=self._env,
                pass_fds=self._pass_fds,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C in the terminal is for the parent, which stops its children in order
            )
        except OSError as error:
            log.error("child %s cannot be started: %s", self.name, error.strerror)
            self.reason, self.last_exit = "exited", None
            return None
        self.pid = child.pid
        lines = asyncio.ensure_future(self._read(child))
        exited = asyncio.ensure_future(child.wait())
        try:
            return await self._watch(child.pid, exited)
        finally:
            await self._end(child, exited)
            await asyncio.wait({lines}, timeout=_DRAIN_S)
            lines.cancel()
            self.pid, self.last_exit = None, child.returncode
            if self._on_exit is not None:
                self._on_exit(child.pid)

    async def _watch(self, pid: int, exited: asyncio.Future[int]) -> float | None:
        """Wait for readiness, then for the end, of the child or of our patience with it."""
        stopping = asyncio.ensure_future(self._stopping.wait())
        readied = asyncio.ensure_future(self._until_ready())
        stopped = asyncio.ensure_future(until_stopped(pid))
        silent: asyncio.Future[None] | None = None
        over: set[asyncio.Future[Any]] = {exited, stopping, stopped}
        try:
            await asyncio.wait(over | {readied}, timeout=self._ready_timeout_s, return_when=asyncio.FIRST_COMPLETED)
            if stopping.done() or exited.done() or stopped.done() or not readied.done():
                self._blame(exited, stopped, "not_ready")
                return None
            since = time.monotonic()
            self._set("ready")
            if self._alive is not None:
                silent = asyncio.ensure_future(until_silent(self._alive, pid, self._unresponsive_s))
                over.add(silent)
            await asyncio.wait(over, return_when=asyncio.FIRST_COMPLETED)
            self._blame(exited, stopped, "unresponsive")
            return time.monotonic() - since
        finally:
            for watch in (stopping, readied, stopped, silent):
                if watch is not None:
                    watch.cancel()

    def _blame(self, exited: asyncio.Future[int], stopped: asyncio.Future[None], otherwise: Reason) -> None:
        if not self._stopping.is_set():
            self.reason = "exited" if exited.done() else "stopped" if stopped.done() else otherwise

    async def _until_ready(self) -> None:
        if self._check is None:
            return
        while not await self._check():  # noqa: ASYNC110 - the event is in another process
            await asyncio.sleep(_LOOK_S)

    async def _end(self, child: asyncio.subprocess.Process, exited: asyncio.Future[int]) -> None:
        if self._stopping.is_set() and not exited.done():
            with contextlib.suppress(ProcessLookupError):
                child.terminate()
            await asyncio.wait({exited}, timeout=self._grace_s)
        if not exited.done():
            with contextlib.suppress(ProcessLookupError):
                child.kill()
        await exited

    async def _read(self, child: asyncio.subprocess.Process) -> None:
        assert child.stdout is not None
        rest = b""
        while data := await child.stdout.read(65536):
            *lines, rest = (rest + data).split(b"\n")
            rest = rest[:_MAX_LINE]
            for line in lines:
                self._on_line(line[:_MAX_LINE].decode("utf-8", "replace"))
        if rest:
            self._on_line(rest.decode("utf-8", "replace"))
