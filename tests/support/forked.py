"""`gatehouse …` as a process, without the time that Python takes to import it: see `command_host.py`."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from tests.support.command_host import send

ROOT = Path(__file__).resolve().parents[2]
GUARD = Path(__file__).resolve().parent / "guard"


class _Host:
    """One for the tests of this process; it ends when they do."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="gh-")
        self.door = str(Path(self._folder.name) / "s")
        one_thread = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")  # else no fork
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tests.support.command_host", self.door],
            env={**os.environ, **one_thread, "PYTHONPATH": f"{GUARD}{os.pathsep}{ROOT}"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n"
        self._process.stdout.close()

    def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)
        self._folder.cleanup()


@functools.cache
def _host() -> _Host:
    return _Host()


def end_host() -> None:
    """At the end of the tests."""
    if _host.cache_info().currsize:
        _host().end()


class Forked:
    """A running command, with as much of `subprocess.Popen` as the tests use."""

    def __init__(
        self, arguments: tuple[str, ...], env: Mapping[str, str], cwd: Path, stdin: Any, stdout: Any, stderr: Any
    ) -> None:
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.connect(_host().door)
        request = {"arguments": arguments, "env": {**env}, "cwd": str(cwd)}
        send(self._connection, request, [file.fileno() for file in (stdin, stdout, stderr)])
        self._lines: IO[str] = self._connection.makefile("r")
        self.pid = int(self._lines.readline())
        self.returncode: int | None = None
        self._ended = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        with contextlib.suppress(ValueError, OSError):
            self.returncode = int(self._lines.readline())
        self._lines.close()
        self._connection.close()
        self._ended.set()

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if not self._ended.wait(timeout):
            raise subprocess.TimeoutExpired("gatehouse", timeout or 0)
        assert self.returncode is not None, "whoever waited for the command is gone"
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.send_signal(signal.SIGKILL)


def run_command(
    *arguments: str, env: Mapping[str, str], cwd: Path, stdin: str = "", timeout: float = 300
) -> subprocess.CompletedProcess[str]:
    """Run `gatehouse` with these arguments to its end.

    Scans have time, because the machine may be busy and what is not read in time is held; engines have one thread.
    """
    env = {"GATEHOUSE_SCAN_BUDGET_MS": "5000", "GATEHOUSE_ENGINE_THREADS": "1", **env}
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        given.write(stdin.encode())
        given.seek(0)
        running = Forked(arguments, env, cwd, given, out, err)
        try:
            code = running.wait(timeout)
        finally:
            running.kill()
        said = []
        for file in (out, err):
            file.seek(0)
            said.append(file.read().decode())
    return subprocess.CompletedProcess(["gatehouse", *arguments], code, *said)
