"""A small HTTP client for load on loopback: kept connections, times of the first byte and of the last, an open loop."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass

PATH = "/v1/chat/completions"


def chat(text: str, model: str = "cloud", *, stream: bool = False) -> bytes:
    """The body of a question."""
    body: dict[str, object] = {"model": model, "messages": [{"role": "user", "content": text}]}
    return json.dumps({**body, "stream": True} if stream else body).encode()


@dataclass(frozen=True, slots=True)
class Told:
    """One answer: its status, and milliseconds to the first byte of its body and to its end."""

    status: int
    first: float
    total: float


class Connection:
    """One kept connection; one question at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, port: int) -> Connection:
        """A connection to loopback."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def ask(self, body: bytes, path: str = PATH) -> Told:
        """Send, and read the whole answer. Raises `RuntimeError` for any status but 200."""
        began = time.perf_counter()
        head = (
            f"POST {path} HTTP/1.1\r\nhost: l\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        self._writer.write(head.encode() + body)
        await self._writer.drain()
        lines = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
        status = int(lines[0].split()[1])
        length = next((int(line.split(":")[1]) for line in lines if line.startswith("content-length:")), None)
        if length is None:
            first = await self._chunks()
        else:
            await self._reader.readexactly(length)
            first = time.perf_counter()
        total = time.perf_counter()
        if status != 200:
            raise RuntimeError(f"status {status}")
        return Told(status, (first - began) * 1000, (total - began) * 1000)

    async def _chunks(self) -> float:
        first = 0.0
        while size := int(await self._reader.readuntil(b"\r\n"), 16):
            await self._reader.readexactly(size + 2)
            first = first or time.perf_counter()
        await self._reader.readexactly(2)
        return first


async def open_loop(port: int, rate: float, seconds: float, bodies: Sequence[bytes]) -> list[float]:
    """Milliseconds from when each request was due to its end; so many a second, whatever the answers do."""
    free: list[Connection] = []
    taken: list[float] = []

    async def one(due: float, body: bytes) -> None:
        connection = free.pop() if free else await Connection.open(port)
        await connection.ask(body)
        taken.append((time.perf_counter() - due) * 1000)
        free.append(connection)

    began, tasks = time.perf_counter(), []
    for number in range(int(rate * seconds)):
        due = began + number / rate
        wait = due - time.perf_counter()
        if wait > 0:
            await asyncio.sleep(wait)
        tasks.append(asyncio.create_task(one(due, bodies[number % len(bodies)])))
    failed = [each for each in await asyncio.gather(*tasks, return_exceptions=True) if each is not None]
    if len(failed) > len(tasks) // 50:
        raise SystemExit(f"{len(failed)} of {len(tasks)} requests failed: {failed[0]}")
    return taken
