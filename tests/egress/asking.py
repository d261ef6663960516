"""Sends a batch of requests to a gateway, a few at a time, and keeps what it answered."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import aiohttp
import orjson

_AT_ONCE = 6
_PATIENCE = 600.0  # seconds: the machine may be busy


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer: for a stream, all its events."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def route(self) -> str | None:
        return self.headers.get("x-gatehouse-route")

    @property
    def code(self) -> str | None:
        """The stable code of an error."""
        return orjson.loads(self.body)["error"]["code"] if self.status >= 400 else None

    def __str__(self) -> str:
        named = {name: value for name, value in self.headers.items() if name.startswith("x-gatehouse")}
        return f"{self.status} {named} {self.body[:300]!r}"


async def ask(url: str, bodies: Sequence[dict[str, Any]], paths: Iterable[str] | None = None) -> list[Answer]:
    """The answers, in the order of the bodies, each asked at its path under `url`: chat completions by default."""
    paths = repeat("/chat/completions", len(bodies)) if paths is None else paths
    turn = asyncio.Semaphore(_AT_ONCE)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_PATIENCE)) as session:

        async def one(body: dict[str, Any], path: str) -> Answer:
            async with turn, session.post(url + path, data=orjson.dumps(body)) as response:
                return Answer(response.status, response.headers, await response.read())

        return list(await asyncio.gather(*(one(*pair) for pair in zip(bodies, paths, strict=True))))
