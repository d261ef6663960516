"""Remembers what the scan found in strings that come again (a system prompt, earlier turns): spans only, never text.

Keys are BLAKE2b under a key that only this process has. Errors are never remembered; that is the caller's duty too.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from typing import Any, NamedTuple

_ENTRY_BYTES = 128  # a key and its place in the table
_SPAN_BYTES = 200
_STATES = 256  # begun digests that are kept: a tenant, its rules and a name are mostly those of the last request


class Remembered(NamedTuple):
    """One finding inside one string, in code points; `cell` says in which, where several are remembered together."""

    entity: str
    start: int
    end: int
    score: float
    detector: str
    via: tuple[str, ...] = ()
    cell: int = 0


class ScanMemory:
    """Two generations: what is asked for moves to the young one, and when that is full the old one is forgotten.

    So what was used lately stays, for half of what an order of use would take. `max_bytes` bounds both together (0:
    remembers nothing).
    """

    def __init__(self, max_bytes: int) -> None:
        self._key = secrets.token_bytes(32)
        self._max_bytes = max_bytes
        self._bytes = 0  # of the young generation
        self._lock = threading.Lock()  # large bodies are laid out and placed in threads
        self._young: dict[bytes, tuple[Remembered, ...]] = {}
        self._old: dict[bytes, tuple[Remembered, ...]] = {}
        self._begun: dict[tuple[str, str, str], Any] = {}

    @property
    def is_on(self) -> bool:
        """Whether anything is ever remembered."""
        return self._max_bytes > 0

    def key(self, tenant: str, digest: str, name: str, text: str) -> bytes:
        """The key of a string: equal only for the same tenant, detectors and rules, member's name and text."""
        return self.key_of_bytes(tenant, digest, name, text.encode("utf-8", "surrogatepass"))

    def key_of_bytes(self, tenant: str, digest: str, name: str, raw: bytes) -> bytes:
        """The same of bytes."""
        return self.keys_of_bytes(tenant, digest, name, raw, len(raw))[0]

    def keys_of_bytes(self, tenant: str, digest: str, name: str, raw: bytes, *ends: int) -> list[bytes]:
        """The keys of these bytes up to each of several ends, in rising order: they are read once."""
        begun = self._begun.get((tenant, digest, name))
        if begun is None:
            begun = self._begin(tenant, digest, name)
        state, at, found = begun.copy(), 0, []
        view = memoryview(raw)
        for end in ends:
            state.update(view[at:end])
            found.append(state.digest())
            at = end
        return found

    def _begin(self, *parts: str) -> Any:
        """A digest that has read these parts, kept for the next key that begins so."""
        state = hashlib.blake2b(key=self._key, digest_size=16)
        for part in parts:
            raw = part.encode("utf-8", "surrogatepass")
            state.update(len(raw).to_bytes(4, "big") + raw)
        if len(self._begun) >= _STATES:
            self._begun = {}
        self._begun[parts[0], parts[1], parts[2]] = state
        return state

    def get(self, key: bytes) -> tuple[Remembered, ...] | None:
        """What was found in that string, or None when it is not remembered."""
        with self._lock:
            found = self._young.get(key)
            if found is None:
                found = self._old.pop(key, None)
                if found is not None:
                    self._keep(key, found)
            return found

    def put(self, key: bytes, found: tuple[Remembered, ...]) -> None:
        """Remember a complete result without errors."""
        with self._lock:
            self._old.pop(key, None)
            self._keep(key, found)

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def _keep(self, key: bytes, found: tuple[Remembered, ...]) -> None:
        cost, before = _cost(found), self._young.get(key)
        if cost > self._max_bytes // 2:
            return
        if before is not None:
            self._bytes -= _cost(before)
        elif self._bytes + cost > self._max_bytes // 2:
            self._old, self._young, self._bytes = self._young, {}, 0
        self._young[key] = found
        self._bytes += cost


def _cost(found: tuple[Remembered, ...]) -> int:
    return _ENTRY_BYTES + _SPAN_BYTES * len(found)
