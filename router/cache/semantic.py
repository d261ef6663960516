"""Which cached answers were given to questions with the same words, and how near each was: keys and vectors, sealed.

One sealed list a partition, the newest last and bounded; the answers stand in the exact cache under their own keys.
What cannot be read is an empty list, never an error.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from router.cache.base import SealedBytes
from router.cache.sealed import Clock, Sealer

MOST_QUESTIONS = 16  # of one partition: they have all words that matter in common
_KEY_BYTES = 32
_EXPIRY_BYTES = 8  # Unix time in ms

Vector = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Near:
    """An answer that may do: where it stands, and the cosine between both questions."""

    key: bytes
    similarity: float


class SimilarIndex:
    """Over any place that keeps sealed bytes. Two writers at once may lose one of two entries: a miss later on."""

    def __init__(self, sealer: Sealer, place: SealedBytes, clock: Clock = time.time) -> None:
        self._sealer = sealer
        self._place = place
        self._clock = clock

    async def find(self, tenant: str, partition: bytes, vector: Vector, least: float) -> list[Near]:
        """The answers to questions at least this near (of one length with `vector`), the nearest first."""
        found = []
        for key, _, theirs in await self._read(tenant, partition, len(vector)):
            similarity = float(vector @ theirs)
            if similarity >= least:
                found.append(Near(key, min(similarity, 1.0)))
        return sorted(found, key=lambda near: near.similarity, reverse=True)

    async def add(self, tenant: str, partition: bytes, vector: Vector, key: bytes, ttl: float) -> None:
        """Note that the answer under `key` (32 bytes) was given to a question with this vector."""
        entries = [each for each in await self._read(tenant, partition, len(vector)) if each[0] != key]
        entries = [*entries[1 - MOST_QUESTIONS :], (key, int((self._clock() + ttl) * 1000), vector)]
        left = max(expiry for _, expiry, _ in entries) / 1000 - self._clock()
        plain = b"".join(
            key + expiry.to_bytes(_EXPIRY_BYTES, "big") + theirs.astype("<f2").tobytes()
            for key, expiry, theirs in entries
        )
        if left > 0:
            await self._place.put(partition, self._sealer.seal(tenant, partition, plain, left), left)

    async def _read(self, tenant: str, partition: bytes, width: int) -> list[tuple[bytes, int, Vector]]:
        sealed = await self._place.get(partition)
        plain = None if sealed is None else self._sealer.open(tenant, partition, sealed)
        head, size = _KEY_BYTES + _EXPIRY_BYTES, _KEY_BYTES + _EXPIRY_BYTES + 2 * width
        if plain is None or len(plain) % size:
            return []
        now, entries = int(self._clock() * 1000), []
        for start in range(0, len(plain), size):
            one = plain[start : start + size]
            expiry = int.from_bytes(one[_KEY_BYTES:head], "big")
            if expiry > now:
                entries.append((one[:_KEY_BYTES], expiry, np.frombuffer(one[head:], "<f2").astype(np.float32)))
        return entries
