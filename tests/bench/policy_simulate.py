"""`gatehouse policy simulate` as an admin types it: a process of its own, 100,000 recorded decisions, on a terminal.

    python -m tests.bench.policy --only simulate-cli

By the wall, the start of Python and the loading of the candidate included; and the processor time of the process. The
records are made here first, which takes longer than the command.
"""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import NamedTuple

from router.records.store import RECORDS_FILE, SqliteStore
from router.types import JsonObject

RECORDS = 100_000
ROUNDS = 3
_AT_ONCE = 1000
_BAR = re.compile(rb"replaying.*?(\d+)%")


class Ran(NamedTuple):
    """One run: seconds by the wall and of the processor, the shares that the bar has shown, and what was printed."""

    seconds: float
    processor: float
    shares: tuple[int, ...]
    printed: str


def make_records(folder: Path, made: Callable[[int], JsonObject], count: int) -> None:
    """Write so many records as a gateway's writer does."""
    store = SqliteStore(folder / RECORDS_FILE)
    for start in range(0, count, _AT_ONCE):
        store.append([made(index) for index in range(start, min(start + _AT_ONCE, count))], durable=False)
    store.close()


def run_command(candidate: Path, folder: Path) -> Ran:
    """Type the command on a terminal of its own, for the bar is shown on nothing else. Raises `SystemExit`."""
    ours, theirs = pty.openpty()
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "router.cli.main", *("policy", "simulate", str(candidate), "--days", "3650")],
        env={**os.environ, "GATEHOUSE_STATE_DIR": str(folder), "TERM": "xterm", "PYTHONPATH": os.getcwd()},
        stdout=subprocess.PIPE,
        stderr=theirs,
    )
    os.close(theirs)
    shown = _read_all(ours)
    printed = process.stdout.read() if process.stdout is not None else b""
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"the command failed: {shown[-2000:].decode(errors='replace')}")
    shares = tuple(int(share) for share in _BAR.findall(shown))
    return Ran(seconds, used.ru_utime + used.ru_stime, shares, printed.decode())


def _read_all(terminal: int) -> bytes:
    """What is written to the terminal until nobody holds its other end."""
    found = b""
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # how Linux says so
            piece = b""
        if not piece:
            os.close(terminal)
            return found
        found += piece


def measure(out: Callable[[str], object], made: Callable[[int], JsonObject], candidate: str) -> None:
    """The figures in words."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "candidate.yaml"
        file.write_text(candidate, "utf-8")
        make_records(Path(folder), made, RECORDS)
        runs = [run_command(file, Path(folder)) for _ in range(ROUNDS)]
    walls, processor = [each.seconds for each in runs], median(each.processor for each in runs)
    assert all(f"{RECORDS:,} requests replayed" in each.printed for each in runs), runs[0].printed
    out(
        f"policy simulate, {RECORDS:,} decisions, the whole command: {median(walls):.1f} s ({min(walls):.1f} to "
        f"{max(walls):.1f}), {processor:.1f} s of processor time (target < 10); the bar was drawn "
        f"{len(runs[0].shares)} times, from {min(runs[0].shares)} to {max(runs[0].shares)} %\n"
    )
