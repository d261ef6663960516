"""An open-loop load generator on loopback: requests are sent when they are due, whether or not others were answered.

Connections are kept and reused; a request that finds none free opens one. Nothing is retried.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass(slots=True)
class Outcome:
    """What came of one request: status (0: the connection ended), seconds to the last byte, when it was complete."""

    status: int
    seconds: float
    at: float
    has_retry_after: bool


@dataclass(slots=True)
class Run:
    """One stretch of load. `late` is by how much the generator itself was behind at worst, in seconds."""

    offered: int = 0
    unsent: int = 0  # due, but more connections were not allowed
    unanswered: int = 0
    seconds: float = 0.0
    late: float = 0.0
    outcomes: list[Outcome] = field(default_factory=list)

    def served(self) -> list[Outcome]:
        return [each for each in self.outcomes if each.status == 200]

    def refused(self) -> list[Outcome]:
        return [each for each in self.outcomes if each.status in (429, 503)]

    def others(self) -> list[Outcome]:
        return [each for each in self.outcomes if each.status not in (200, 429, 503)]


class _Caller(asyncio.Protocol):
    def __init__(self, load: Load) -> None:
        self._load = load
        self._buffer = b""
        self._sent = 0.0
        self.is_waiting = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def ask(self, request: bytes) -> None:
        self.is_waiting = True
        self._sent = time.perf_counter()
        self._transport.write(request)  # type: ignore[attr-defined]  # a stream's transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._buffer[: end + 2]
        length = _LENGTH.search(head)
        if length is None or len(self._buffer) < end + 4 + int(length[1]):
            return
        self._buffer = b""
        self._done(int(head[9:12]), b"\r\nretry-after: " in head.lower())

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.lost(self)
        if self.is_waiting:
            self._done(0, has_retry_after=False)

    def _done(self, status: int, has_retry_after: bool) -> None:
        now = time.perf_counter()
        self.is_waiting = False
        self._load.answered(self, Outcome(status, now - self._sent, now, has_retry_after))


class Load:
    """Callers of one address."""

    def __init__(self, host: str, port: int, requests: Iterator[bytes], most_connections: int) -> None:
        self._host, self._port = host, port
        self._requests = requests
        self._most = most_connections
        self._free: list[_Caller] = []
        self._open = 0
        self._run = Run()
        self._again = False  # closed loop: whoever is answered asks again

    async def closed(self, callers: int, seconds: float) -> Run:
        """So many callers, each of whom asks again as soon as it has its answer."""
        self._run, self._again = Run(), True
        await self._connect(callers)
        began = time.perf_counter()
        for caller in self._free[:callers]:
            self._ask(caller)
        self._free = self._free[callers:]
        await asyncio.sleep(seconds)
        self._again = False
        return await self._finish(began, seconds)

    async def opened(self, rate: float, seconds: float) -> Run:
        """So many requests a second, evenly spread."""
        self._run, run = Run(), self._run
        run = self._run
        await self._connect(min(self._most, max(16, int(rate * 0.1))))
        began = time.perf_counter()
        sent = 0
        while (now := time.perf_counter() - began) < seconds:
            due = int(now * rate)
            run.late = max(run.late, (due - sent) / rate if due - sent > 1 else 0.0)
            while sent < due:
                sent += 1
                run.offered += 1
                if not self._free:
                    if self._open >= self._most:
                        run.unsent += 1
                        continue
                    await self._connect(1)
                if self._free:
                    self._ask(self._free.pop())
            await asyncio.sleep(0.001)
        return await self._finish(began, seconds)

    async def _finish(self, began: float, seconds: float) -> Run:
        run = self._run
        run.seconds = seconds
        for _ in range(600):
            if len(self._free) == self._open:
                break
            await asyncio.sleep(0.1)
        run.unanswered = self._open - len(self._free)
        run.outcomes = [each for each in run.outcomes if each.at - began <= seconds or each.status != 200]
        return run

    def _ask(self, caller: _Caller) -> None:
        caller.ask(next(self._requests))

    async def _connect(self, wanted: int) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(wanted - len(self._free)):
            _, caller = await loop.create_connection(lambda: _Caller(self), self._host, self._port)
            self._open += 1
            self._free.append(caller)

    def answered(self, caller: _Caller, outcome: Outcome) -> None:
        """Called by a caller."""
        self._run.outcomes.append(outcome)
        if self._again and outcome.status:
            self._ask(caller)
        elif outcome.status:
            self._free.append(caller)

    def lost(self, caller: _Caller) -> None:
        """Called by a caller whose connection ended."""
        self._open -= 1
        if caller in self._free:
            self._free.remove(caller)
