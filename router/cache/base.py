"""The seams of the cache: `Cache` keeps replies, `SealedBytes` keeps what has been sealed. Neither ever raises."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class CachedReply:
    """A whole answer as it was made: the `chat.completion` (JSON), the policy's name of its model, its confidence."""

    body: bytes = field(repr=False)
    model: str
    confidence: float | None = None


class Cache(Protocol):
    """Replies by exact key, one tenant apart from the other. What cannot be read is a miss, never an error."""

    async def get(self, tenant: str, key: bytes) -> CachedReply | None:
        """The reply stored under `key` for `tenant`; None when there is none, or none that can be opened."""
        ...

    async def put(self, tenant: str, key: bytes, reply: CachedReply, ttl: float) -> None:
        """Store `reply` for `ttl` seconds, if there is room and somebody to store it."""
        ...

    async def close(self) -> None:
        """Let go of memory and connections. Idempotent."""
        ...


class SealedBytes(Protocol):
    """Where sealed values lie: this process's memory, or Redis. It never sees a plain one."""

    async def get(self, key: bytes) -> bytes | None:
        """The value under `key`, or None."""
        ...

    async def put(self, key: bytes, value: bytes, ttl: float) -> None:
        """Keep `value` for at most `ttl` seconds."""
        ...

    async def close(self) -> None:
        """Let go of memory and connections. Idempotent."""
        ...
