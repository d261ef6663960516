"""Which digests may stand in a table of marks: some bits for each bucket, in mapped memory that all processes share.

A digest that is here may be missing in its bucket; one that is not here is certainly missing.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Sequence

BYTES = 64  # for each bucket: 512 bits for at most 64 marks, so that a full one lets one in eight through for nothing
_BITS = 8 * BYTES
_AT_ONCE = 16  # digests; more are looked up together, by numpy


class MarkFilter:
    """The bits of `buckets` buckets, `offset` bytes into `memory`. Changed by whoever holds the table's lock."""

    def __init__(self, memory: mmap.mmap, offset: int, buckets: int) -> None:
        self._memory, self._offset, self._buckets = memory, offset, buckets

    def bucket_of(self, digest: bytes) -> int:
        """The number of the only bucket that a digest may stand in."""
        return int.from_bytes(digest[:4], "little") % self._buckets

    def possible(self, digests: Sequence[bytes]) -> Iterable[bytes]:
        """Those that may be in the table."""
        if len(digests) < _AT_ONCE:
            return [digest for digest in digests if self._holds(digest)]
        import numpy as np  # here, for the parent opens no table and needs no numpy

        words = np.frombuffer(b"".join(digests), dtype="<u4").reshape(len(digests), -1)
        bits = np.frombuffer(self._memory, dtype=np.uint8, count=self._buckets * BYTES, offset=self._offset)
        places, bit = words[:, 0] % self._buckets, words[:, 1] % _BITS
        found = bits[places.astype(np.intp) * BYTES + (bit >> 3)] >> (bit & 7) & 1
        return [digests[at] for at in np.flatnonzero(found).tolist()]

    def add(self, digest: bytes) -> None:
        """Let a digest through from now on: called before it is written into its bucket."""
        at, bit = self._place(digest)
        self._memory[at] |= bit

    def replace(self, bucket: int, digests: Iterable[bytes]) -> None:
        """Let only these through, all that stand in the bucket now."""
        start = self._offset + bucket * BYTES
        self._memory[start : start + BYTES] = bits_of(digests)

    def _holds(self, digest: bytes) -> bool:
        at, bit = self._place(digest)
        return bool(self._memory[at] & bit)

    def _place(self, digest: bytes) -> tuple[int, int]:
        number = _bit_of(digest)
        return self._offset + self.bucket_of(digest) * BYTES + (number >> 3), 1 << (number & 7)


def bits_of(digests: Iterable[bytes]) -> bytes:
    """What a bucket's part of the filter is that holds these."""
    bits = 0
    for digest in digests:
        bits |= 1 << _bit_of(digest)
    return bits.to_bytes(BYTES, "little")


def _bit_of(digest: bytes) -> int:
    return int.from_bytes(digest[4:8], "little") % _BITS
