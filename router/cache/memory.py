"""Sealed bytes in this process's memory: least recently used goes first, bounded in bytes. Never holds plain text."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

_OVERHEAD_BYTES = 300  # of an entry beside its value: key, tuple, dictionary slot


class MemoryBytes:
    """`SealedBytes` for one process. `max_bytes` 0 keeps nothing."""

    def __init__(self, max_bytes: int, clock: Callable[[], float] = time.time) -> None:
        self._max_bytes = max_bytes
        self._clock = clock
        self._entries: OrderedDict[bytes, tuple[bytes, float]] = OrderedDict()
        self.size = 0  # bytes held, overhead included

    async def get(self, key: bytes) -> bytes | None:
        """The value under `key`, or None when absent or expired."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        value, expires = entry
        if expires <= self._clock():
            self._remove(key)
            return None
        self._entries.move_to_end(key)
        return value

    async def put(self, key: bytes, value: bytes, ttl: float) -> None:
        """Keep `value`, and drop what was used longest ago until all fits. One that can never fit is not kept."""
        self._remove(key)
        cost = len(value) + _OVERHEAD_BYTES
        if cost > self._max_bytes:
            return
        self._entries[key] = (value, self._clock() + ttl)
        self.size += cost
        while self.size > self._max_bytes:
            self._remove(next(iter(self._entries)))

    async def close(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self.size = 0

    def __len__(self) -> int:
        return len(self._entries)

    def _remove(self, key: bytes) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.size -= len(entry[0]) + _OVERHEAD_BYTES
