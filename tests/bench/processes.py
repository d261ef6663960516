"""Servers under test as processes: pinned, waited for, ended; what they use of processor and memory (Linux)."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(
    core: int, command: list[str], environment: dict[str, str], folder: Path
) -> Iterator[subprocess.Popen[str]]:
    """`command`, pinned to `core`, ended in the end with whatever it started: a launcher may leave its child behind."""
    process = subprocess.Popen(
        ["taskset", "-c", str(core), *command], env=environment, cwd=folder, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        started = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for child in started:
            with suppress(psutil.NoSuchProcess):
                child.kill()


def wait_for(port: int, seconds: float = 30.0, process: subprocess.Popen[str] | None = None) -> None:
    """Until something listens there. Exits when nothing does in time, or when the process has ended before."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and (process is None or process.poll() is None):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise SystemExit(f"nothing listens on port {port}")


def family(pid: int) -> list[int]:
    """A process and all below it."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(below for child in children for below in family(int(child)))]


def cpu_seconds(pid: int) -> float:
    """What a process and all below it have used of the processor; hardly moved by what else the machine does."""
    ticks = 0
    for member in family(pid):
        fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int) -> dict[str, float]:
    """USS and PSS of a process and all below it, and how many they are."""
    pids = family(pid)
    totals = {"uss": 0.0, "pss": 0.0, "processes": float(len(pids))}
    for member in pids:
        for line in Path(f"/proc/{member}/smaps_rollup").read_text().splitlines()[1:]:
            name, size = line.split()[:2]
            if name == "Pss:":
                totals["pss"] += int(size) / 1024
            elif name in ("Private_Clean:", "Private_Dirty:"):
                totals["uss"] += int(size) / 1024
    return totals
