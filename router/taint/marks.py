"""The table of marks that the workers of one host share: keyed digests with a level and an expiry, in one file.

Nothing else is in it. What is put is seen by every process at once; a read takes no lock. The file never grows, and
what must give way to something new is written down as forgotten, so that nobody takes its absence for an answer.
Only its head is mapped: times, and a filter which says for most digests that they are not there.
"""

from __future__ import annotations

import fcntl
import hashlib
import mmap
import os
import secrets
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from router.keys import StateFolderError, create_private, ensure_private_folder, locked_folder, replace_whole
from router.taint import mark_filter
from router.taint.mark_filter import MarkFilter

MARKS_FILE = "taint.marks"
DIGEST_BYTES = 16

_MAGIC = b"gatehouse-marks\x02"
_WITHOUT_FILTER = b"gatehouse-marks\x01"  # of earlier versions: the buckets follow the head at once
_ENTRY = struct.Struct("<16sII")  # digest; expiry, Unix seconds; tenant's number in the upper 24 bits, level below
_TIME = struct.Struct("<I")
_COUNT = struct.Struct("<Q")
_BUCKET_ENTRIES = 64
_BUCKET_BYTES = _BUCKET_ENTRIES * _ENTRY.size
_TENANTS = 1024  # places for times by tenant; two tenants in one place are both treated as the graver says
_LEVELS = 7  # 0 leaves no mark
_NAME_AT, _NAME_BYTES = 32, 16  # what tells this table from those of other hosts
_COUNTS_AT = 64  # marks written in all, marks forgotten in all
_ANY_MISSING_AT = 96  # until when anybody misses any
_TIMES_AT = 128  # until when a tenant has marks; then, for each level, until when it misses some
_HEAD_BYTES = 36 * 1024
_LOCK_TRIES, _LOCK_PAUSE_SECONDS = 250, 0.001
_TOGETHER_BYTES = _BUCKET_BYTES + mark_filter.BYTES  # of a bucket and its part of the filter
LEAST_BYTES = _HEAD_BYTES + 16 * _TOGETHER_BYTES

Clock = Callable[[], float]


class Mark(NamedTuple):
    """One digest and what follows from it."""

    digest: bytes
    level: int
    expires: int
    tenant: int


class MarkTable:
    """Opens the file, which is created for `max_bytes` when it is absent; later it keeps its size.

    `tenant` is a 24-bit number that says nothing of its name. Calls are short; any thread may make them. Raises
    `StateFolderError` when the file cannot be made or is not one of these.
    """

    def __init__(self, path: Path, max_bytes: int, clock: Clock = time.time) -> None:
        ensure_private_folder(path.parent)
        self._clock = clock
        self._lock = threading.Lock()
        head = create_private(path, lambda: _empty(_size(max_bytes)))
        if not head.startswith((_MAGIC, _WITHOUT_FILTER)):
            raise StateFolderError(f"{path} is not a table of marks; move it away")
        try:
            if head.startswith(_WITHOUT_FILTER):
                _add_filter(path)
            self._file = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            self._buckets = (os.fstat(self._file).st_size - _HEAD_BYTES) // _TOGETHER_BYTES
            self._first = _HEAD_BYTES + self._buckets * mark_filter.BYTES  # where the buckets begin
            self._map = mmap.mmap(self._file, self._first)
        except (OSError, ValueError):
            raise StateFolderError(f"{path} cannot be read and written; move it away") from None
        if self._buckets < 1:
            raise StateFolderError(f"{path} is cut short; move it away")
        self._filter = MarkFilter(self._map, _HEAD_BYTES, self._buckets)

    def has_any(self, tenant: int) -> bool:
        """Whether this tenant may have marks that have not expired; False is certain."""
        (until,) = _TIME.unpack_from(self._map, _TIMES_AT + _TIME.size * (tenant % _TENANTS))
        return bool(until > self._clock())

    def find(self, digests: Sequence[bytes]) -> list[int]:
        """The levels of the marks among `digests`, in no order; empty when there is none."""
        levels, now = [], self._clock()
        for digest in self._filter.possible(digests):
            bucket = os.pread(self._file, _BUCKET_BYTES, self._start(digest))
            own = _aligned(bucket, digest)
            if own is not None:
                _, expires, rest = _ENTRY.unpack_from(bucket, own * _ENTRY.size)
                if expires > now:
                    levels.append(rest & 0xFF)
        return levels

    def find_each(self, groups: Sequence[Sequence[bytes]]) -> list[list[int]]:
        """The same of each group of digests: most are known to be missing at once."""
        likely = frozenset(self._filter.possible([digest for group in groups for digest in group]))
        return [
            [] if likely.isdisjoint(group) else self.find([digest for digest in group if digest in likely])
            for group in groups
        ]

    def forgotten(self, tenant: int) -> int:
        """The highest level of which a mark of this tenant had to give way before its time; 0: none."""
        now = self._clock()
        if _TIME.unpack_from(self._map, _ANY_MISSING_AT)[0] <= now:
            return 0
        for level in range(_LEVELS, 0, -1):
            (until,) = _TIME.unpack_from(self._map, _missing_at(tenant, level))
            if until > now:
                return level
        return 0

    @property
    def is_forgetting(self) -> bool:
        """Whether any tenant misses marks that had to give way."""
        return bool(_TIME.unpack_from(self._map, _ANY_MISSING_AT)[0] > self._clock())

    def put(self, digests: Sequence[bytes], tenant: int, level: int, ttl: float) -> int:
        """Keep marks for `ttl` seconds; how many others had to be forgotten for them. A higher level stands."""
        expires = min(int(self._clock() + ttl) + 1, 0xFFFFFFFF)
        with self._lock:
            self._raise_time(_TIMES_AT + _TIME.size * (tenant % _TENANTS), expires)
            if not self._lock_file():
                self._note_forgotten(tenant, level, expires, len(digests))
                return len(digests)
            try:
                return sum(self._put_one(Mark(digest, level, expires, tenant)) for digest in digests)
            finally:
                fcntl.flock(self._file, fcntl.LOCK_UN)

    @property
    def name(self) -> str:
        """Tells this table from any other; the host's name is in it, for a folder may be copied from host to host."""
        own = self._map[_NAME_AT : _NAME_AT + _NAME_BYTES] + socket.gethostname().encode()
        return hashlib.blake2b(own, digest_size=16).hexdigest()

    @property
    def written(self) -> int:
        """Places of the table that are taken; expired marks count until something takes theirs."""
        return int(_COUNT.unpack_from(self._map, _COUNTS_AT)[0])

    @property
    def places(self) -> int:
        """How many marks fit."""
        return self._buckets * _BUCKET_ENTRIES

    def close(self) -> None:
        """Let go of the file. Idempotent."""
        if not self._map.closed:
            self._map.close()
            os.close(self._file)

    def _start(self, digest: bytes) -> int:
        return self._first + self._filter.bucket_of(digest) * _BUCKET_BYTES

    def _lock_file(self) -> bool:
        """Writers of all processes, one at a time; one that was stopped while it wrote does not stop the others."""
        for _ in range(_LOCK_TRIES):
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(_LOCK_PAUSE_SECONDS)
            else:
                return True
        return False

    def _put_one(self, mark: Mark) -> int:
        """Into its own place, a free or an expired one, or that of the mark that matters least; 1 for the last."""
        start, now = self._start(mark.digest), self._clock()
        bucket = os.pread(self._file, _BUCKET_BYTES, start)
        own = _aligned(bucket, mark.digest)
        if own is not None:
            _, expires, rest = _ENTRY.unpack_from(bucket, own * _ENTRY.size)
            level = max(mark.level, rest & 0xFF) if expires > now else mark.level
            self._write(start, own, mark._replace(level=level, expires=max(mark.expires, expires)))
            return 0
        empty = _aligned(bucket, bytes(_ENTRY.size))
        if empty is not None:
            _COUNT.pack_into(self._map, _COUNTS_AT, self.written + 1)
            self._filter.add(mark.digest)
            self._write(start, empty, mark)
            return 0
        held = list(_ENTRY.iter_unpack(bucket))
        expired = next((at for at, entry in enumerate(held) if entry[1] <= now), None)
        if expired is not None:
            self._take_place(held, start, expired, mark)
            return 0
        # The tenant that takes most of the room gives way, so that nobody can push out another's marks.
        counts = Counter(entry[2] >> 8 for entry in held)
        counts[mark.tenant] += 1
        most = max(counts.values())
        places = [at for at, entry in enumerate(held) if counts[entry[2] >> 8] == most]
        least = min(places, key=lambda at: (held[at][2] & 0xFF, held[at][1]))
        _, expires, rest = held[least]
        self._note_forgotten(rest >> 8, rest & 0xFF, expires, 1)
        self._take_place(held, start, least, mark)
        return 1

    def _take_place(self, held: list[tuple[bytes, int, int]], start: int, at: int, mark: Mark) -> None:
        """Write over one mark of a full bucket. Readers, who take no lock, find every other one all the while."""
        self._filter.add(mark.digest)
        self._write(start, at, mark)
        left = [entry[0] for place, entry in enumerate(held) if place != at]
        self._filter.replace(self._filter.bucket_of(mark.digest), [*left, mark.digest])

    def _write(self, start: int, at: int, mark: Mark) -> None:
        entry = _ENTRY.pack(mark.digest, mark.expires, mark.tenant << 8 | mark.level)
        os.pwrite(self._file, entry, start + at * _ENTRY.size)

    def _note_forgotten(self, tenant: int, level: int, until: int, count: int) -> None:
        self._raise_time(_missing_at(tenant, level), until)
        self._raise_time(_ANY_MISSING_AT, until)
        at = _COUNTS_AT + _COUNT.size
        _COUNT.pack_into(self._map, at, _COUNT.unpack_from(self._map, at)[0] + count)

    def _raise_time(self, at: int, until: int) -> None:
        if _TIME.unpack_from(self._map, at)[0] < until:
            _TIME.pack_into(self._map, at, until)


def _aligned(bucket: bytes, wanted: bytes) -> int | None:
    """The number of the first entry that begins so."""
    at = bucket.find(wanted)
    while at >= 0 and at % _ENTRY.size:
        at = bucket.find(wanted, at + 1)
    return at // _ENTRY.size if at >= 0 else None


def _missing_at(tenant: int, level: int) -> int:
    return _TIMES_AT + _TIME.size * (_TENANTS * level + tenant % _TENANTS)


def _empty(size: int) -> bytes:
    return (_MAGIC.ljust(_NAME_AT, b"\0") + secrets.token_bytes(_NAME_BYTES)).ljust(size, b"\0")


def _size(max_bytes: int) -> int:
    return _HEAD_BYTES + max((max_bytes - _HEAD_BYTES) // _TOGETHER_BYTES, 1) * _TOGETHER_BYTES


def _add_filter(path: Path) -> None:
    """Put a table with a filter in the place of one without: no mark is lost or moves. Raises `OSError`."""
    with locked_folder(path.parent):
        held = path.read_bytes()
        if not held.startswith(_WITHOUT_FILTER):
            return  # another process was quicker
        count = (len(held) - _HEAD_BYTES) // _BUCKET_BYTES
        buckets = held[_HEAD_BYTES : _HEAD_BYTES + count * _BUCKET_BYTES]
        parts = (buckets[start : start + _BUCKET_BYTES] for start in range(0, len(buckets), _BUCKET_BYTES))
        marks = ([entry[0] for entry in _ENTRY.iter_unpack(part) if entry[1]] for part in parts)
        head = _MAGIC + held[len(_MAGIC) : _HEAD_BYTES]
        replace_whole(path, b"".join((head, *map(mark_filter.bits_of, marks), buckets)))
