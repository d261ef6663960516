"""What the set-up shows and how it runs a command: numbered steps, time, progress, and a message that names the fix.

The whole output of every command goes to one log file; the screen gets a line.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

Watch = Callable[[str], str | None]

_UNREACHABLE = "pip could not reach the package registry: check the network, `pip config list` and any proxy"
_NOT_OFFERED = "the package registry that pip is configured for (`pip config list`) does not offer this version"
_HINTS = {
    "No space left on device": "the disk is full: compiling needs about 1 GB for temporary files (TMPDIR)",
    "DO NOT MATCH THE HASHES": "a downloaded file is not the one that the lock names: do not use it; try once more",
    "No matching distribution found": _NOT_OFFERED,
    "Could not find a version that satisfies": _NOT_OFFERED,
    "Failed to establish a new connection": _UNREACHABLE,
    "Temporary failure in name resolution": _UNREACHABLE,
    "npm error network": "npm could not reach its registry: check the network, `npm config list` and any proxy",
    "npm error code EINTEGRITY": "a downloaded package is not the one that the lock names: try once more",
    "CERTIFICATE_VERIFY_FAILED": "pip does not trust the registry's certificate: see `pip config list` (cert)",
    "Killed signal terminated program": "the compiler ran out of memory: set CMAKE_BUILD_PARALLEL_LEVEL=1, try again",
    "CMAKE_CXX_COMPILER": "no working C++ compiler was found",
}


class SetupError(Exception):
    """The set-up cannot go on; the text says what to do about it."""


class Step:
    """One line of the set-up while it lasts. `show` may be called from any thread."""

    def __init__(self, out: TextIO, title: str, every_s: float) -> None:
        self._out, self._title, self._tty = out, title, out.isatty()
        self._every_s = 1.0 if self._tty else every_s
        self._started = time.monotonic()
        self._detail = ""
        self._ended = threading.Event()
        self._ticker = threading.Thread(target=self._tick, daemon=True)
        self._out.write(title + ("" if self._tty else "\n"))
        self._out.flush()
        self._ticker.start()

    def show(self, detail: str) -> None:
        """What is happening now; written at the next tick."""
        self._detail = detail

    @property
    def elapsed(self) -> str:
        seconds = round(time.monotonic() - self._started)
        return f"{seconds} s" if seconds < 60 else f"{seconds // 60} min {seconds % 60:02d} s"

    def _tick(self) -> None:
        while not self._ended.wait(self._every_s):
            line = f"{self.elapsed}{', ' if self._detail else ''}{self._detail}"
            width = shutil.get_terminal_size().columns - 1  # a line that wraps could not be written over
            self._out.write("\r\x1b[K" + f"{self._title}  {line}"[:width] if self._tty else f"      … {line}\n")
            self._out.flush()

    def end(self, word: str) -> None:
        """The step's last words: `done`, `failed`, and the time that it took."""
        self._ended.set()
        self._ticker.join()
        self._out.write(
            f"\r\x1b[K{self._title} {word} ({self.elapsed})\n" if self._tty else f"      {word} ({self.elapsed})\n"
        )
        self._out.flush()


class Console:
    """The screen and the log of one set-up."""

    def __init__(self, log: Path, out: TextIO | None = None, every_s: float = 15.0) -> None:
        self._log, self._out, self._every_s = log, out or sys.stdout, every_s
        self._steps = 0

    def say(self, text: str) -> None:
        """One line (or several) of plain text."""
        self._out.write(text + "\n")
        self._out.flush()

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """A numbered step; it ends as `done`, or as `failed` when an exception passes."""
        self._steps += 1
        step = Step(self._out, f"  {self._steps}. {title}", self._every_s)
        try:
            yield step
        except BaseException:
            step.end("failed")
            raise
        step.end("done")

    def run(
        self,
        step: Step,
        command: Sequence[str | Path],
        env: Mapping[str, str],
        watch: Watch | None = None,
        cwd: Path | None = None,
    ) -> None:
        """Run `command`, log its output, show what `watch` makes of its lines. Raises `SetupError` if it fails."""
        tail: deque[str] = deque(maxlen=400)
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("a", encoding="utf-8") as log:
            log.write(f"$ {' '.join(map(str, command))}\n")
            with subprocess.Popen(
                [str(part) for part in command],
                env=dict(env),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
                errors="replace",
            ) as process:
                assert process.stdout is not None
                for line in process.stdout:
                    log.write(line)
                    tail.append(line.rstrip())
                    if watch and (detail := watch(line)):
                        step.show(detail)
        if process.returncode:
            raise SetupError(self._explain(str(command[0]), process.returncode, tail))

    def _explain(self, program: str, code: int, tail: deque[str]) -> str:
        text = "\n".join(tail)
        last = "\n".join(f"    {line}" for line in list(tail)[-12:])
        hints = [hint for mark, hint in _HINTS.items() if mark in text]
        fix = f"\n{hints[0][0].upper()}{hints[0][1:]}." if hints else ""
        return f"{Path(program).name} ended with status {code}:\n{last}\nThe whole output is in {self._log}.{fix}"
