"""Whether a child that was ready is still alive: not stopped by a signal, and not silent for too long.

A machine under load must not look like a dead child: time in which this process or the child was kept from the
processor counts for nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

Check = Callable[[], Awaitable[bool]]

_LOOK_S = 0.25
_PROBE_S = 1.0  # between the beginnings of two probes
_LATE_S = 1.0  # a look that comes later than this shows that this process itself was kept from the processor


def answer_check(path: Path) -> Check:
    """A liveness check: whether `GET /health` on the unix socket `path` is answered, whatever the answer.

    It has no time limit of its own: who asks decides how long silence may last.
    """

    async def check() -> bool:
        try:
            reader, writer = await asyncio.open_unix_connection(str(path))
        except OSError:
            return False
        try:
            writer.write(b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            return (await reader.readline()).startswith(b"HTTP/")
        except OSError:
            return False
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    return check


async def until_stopped(pid: int) -> None:
    """Return when `pid` is stopped by a signal at two looks in a row. Linux only: elsewhere it never returns.

    A process that a debugger holds (state `t`) is not stopped in this sense.
    """
    was_stopped = False
    while True:
        await asyncio.sleep(_LOOK_S)
        is_stopped = _state(pid) == "T"
        if is_stopped and was_stopped:
            return
        was_stopped = is_stopped


async def until_silent(check: Check, pid: int, window_s: float) -> None:
    """Return when `check` has said yes at no time in `window_s` seconds. One check at a time, about one a second."""
    silence = _Silence(pid)
    while True:
        begun = time.monotonic()
        probe = asyncio.ensure_future(check())
        try:
            while not (probe.done() and time.monotonic() - begun >= _PROBE_S):
                if silence.lasted() >= window_s:
                    return
                if probe.done():
                    await asyncio.sleep(_LOOK_S)
                    continue
                # A slow answer is waited for: a second question would only lengthen the queue.
                await asyncio.wait({probe}, timeout=_LOOK_S)
                if probe.done() and probe.result():
                    silence.end()
        finally:
            probe.cancel()


class _Silence:
    """How long nothing has been heard of a process, without the time in which it could not have spoken."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.end()

    def end(self) -> None:
        """It has been heard: silence begins anew."""
        self._began = self._looked = time.monotonic()
        self._starved = _starved_s(self._pid)

    def lasted(self) -> float:
        """Seconds so far; 0 when nobody has looked for a while, which could have been this machine's fault."""
        now = time.monotonic()
        if now - self._looked > _LATE_S:
            self.end()
            return 0.0
        self._looked = now
        return now - self._began - (_starved_s(self._pid) - self._starved)


def _state(pid: int) -> str | None:
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return None


def _starved_s(pid: int) -> float:
    """Seconds for which the process's main thread was ready to run and did not get a processor; 0 if not known."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text("utf-8").split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0
