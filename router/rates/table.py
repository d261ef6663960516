"""What was asked for in the last minute, by counter, in one mapped file for the workers of a host.

A counter is a ring of seconds with the requests and tokens that were taken in each. Everything happens under a lock of
the file; nothing is kept in sums, so a process that dies in the middle leaves nothing wrong. Names are kept as digests.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import time
from collections.abc import Callable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Literal, NamedTuple

from policies.allowances import Rate
from router.keys import StateFolderError, create_private, ensure_private_folder

RATES_FILE = "rates.table"
WINDOW = 61  # whole seconds that count: then no event less than 60 s old is forgotten

Kind = Literal["requests", "tokens"]
KINDS: tuple[Kind, ...] = ("requests", "tokens")

_MAGIC = b"gatehouse-rates\x01"
_HEAD_BYTES = 64
_DIGEST_BYTES = 16
_SLOTS = 64
_INT = 4
_RINGS_AT = 32  # in a place: after the digest and the second (8 bytes) up to which its rings are cleared
_PLACE_BYTES = _RINGS_AT + len(KINDS) * _SLOTS * _INT
_PLACES = 8192
_PROBES = 64
_MOST = 0xFFFFFFFF
_REMEMBERED = 4096


class RateTableError(Exception):
    """The counters cannot be had: no file, or no room for one more counter."""


class Counter(NamedTuple):
    """Whose count it is (`all`, `tenant:acme`, `key:abc`), and how much it may come to in a minute."""

    name: str
    limit: Rate


class Level(NamedTuple):
    """One limit as it stands: what is left of it, and the seconds until nothing of it is taken any more."""

    limit: int
    remaining: int
    reset: float


class Taken(NamedTuple):
    """What came of asking. `refused`: the counter's name, and `kind` what it had not enough of; "" when it was taken.

    `wait`: seconds until it would fit, as far as is known now. `second` is where it was put, for `give`.
    """

    second: int
    refused: str
    kind: Kind
    wait: float
    levels: dict[Kind, Level]


def need_of(kind: Kind, requests: int, tokens: int) -> int:
    """What must be free: where a request is taken, something must be left of the tokens too."""
    return requests if kind == "requests" else max(tokens, 1)


def tightest(levels: dict[Kind, Level], kind: Kind, level: Level) -> None:
    """Keep the limit of which the least is left: that is the one to be told."""
    if kind not in levels or level.remaining < levels[kind].remaining:
        levels[kind] = level


class RateTable:
    """Opens or makes the file; without a `path` it is this process's alone. For one thread.

    Whoever calls `take` or `give` holds the lock (`try_lock`). Raises `RateTableError`.
    """

    def __init__(self, path: Path | None, clock: Callable[[], float] = time.monotonic, places: int = _PLACES) -> None:
        """`clock` is the same for all processes of a host: seconds since it was started."""
        self._clock = clock
        self._file: int | None = None
        size = _HEAD_BYTES + places * _PLACE_BYTES
        try:
            if path is None:
                self._map = mmap.mmap(-1, size)
            else:
                ensure_private_folder(path.parent)
                if not create_private(path, lambda: _MAGIC.ljust(size, b"\0")).startswith(_MAGIC):
                    raise RateTableError(f"{path} is not a table of rates; move it away")
                self._file = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
                self._map = mmap.mmap(self._file, 0)
        except (OSError, ValueError, StateFolderError) as error:
            raise RateTableError(f"the table of rates: {error}") from None
        self._places = (len(self._map) - _HEAD_BYTES) // _PLACE_BYTES
        self._ints = memoryview(self._map).cast("I")
        self._longs = memoryview(self._map).cast("Q")
        self._found: dict[str, tuple[bytes, int]] = {}

    def try_lock(self) -> bool:
        """Whether this process may change the table now; False while another does."""
        if self._file is None:
            return True
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def unlock(self) -> None:
        """Let the others."""
        if self._file is not None:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def take(self, counters: Sequence[Counter], requests: int, tokens: int) -> Taken:
        """Count it in every counter, or in none of them."""
        now = self._clock()
        second = int(now)
        places = [self._place(counter.name, second, makes=True) for counter in counters]
        levels: dict[Kind, Level] = {}
        refused: tuple[str, Kind, float] | None = None
        for counter, place in zip(counters, places, strict=True):
            for number, kind in enumerate(KINDS):
                limit = counter.limit[number]
                if limit is None:
                    continue
                ring = self._ring(place, number)
                used, need = sum(ring), need_of(kind, requests, tokens)
                if (requests or kind == "tokens") and used + need > limit:
                    wait = _wait(ring, second, now, used + need - limit)
                    if refused is None or wait > refused[2]:
                        refused = (counter.name, kind, wait)
                added = (requests, tokens)[number]
                tightest(levels, kind, Level(limit, max(limit - used - added, 0), _reset(ring, second, now, added)))
        if refused is not None:
            return Taken(second, *refused, self.levels(counters))
        for place in places:
            self._add(place, second, (requests, tokens))
        return Taken(second, "", "requests", 0.0, levels)

    def give(self, counters: Sequence[Counter], second: int, requests: int, tokens: int) -> None:
        """Change what was counted at `second` by so much, negative to give back. What is over a minute ago stays over:
        only what is more than was counted then counts now."""
        now = int(self._clock())
        for counter in counters:
            is_over = second <= now - WINDOW
            if is_over and requests <= 0 and tokens <= 0:
                continue
            place = self._place(counter.name, now, makes=requests > 0 or tokens > 0)
            if place >= 0:
                self._add(place, now if is_over else second, (requests, tokens))

    def levels(self, counters: Sequence[Counter]) -> dict[Kind, Level]:
        """How the limits stand."""
        now = self._clock()
        levels: dict[Kind, Level] = {}
        for counter in counters:
            place = self._place(counter.name, int(now), makes=False)
            for number, kind in enumerate(KINDS):
                limit = counter.limit[number]
                if limit is not None:
                    ring = self._ring(place, number) if place >= 0 else memoryview(b"").cast("I")
                    tightest(levels, kind, Level(limit, max(limit - sum(ring), 0), _reset(ring, int(now), now, 0)))
        return levels

    def close(self) -> None:
        """Let go of the file. Idempotent."""
        if not self._map.closed:
            self._ints.release()
            self._longs.release()
            self._map.close()
            if self._file is not None:
                os.close(self._file)

    def _place(self, name: str, second: int, *, makes: bool) -> int:
        """Where the counter is, cleared up to `second`; -1 where there is none and none is made."""
        digest, at = self._found.get(name) or (blake2b(name.encode(), digest_size=_DIGEST_BYTES).digest(), -1)
        if at < 0 or self._map[at : at + _DIGEST_BYTES] != digest:
            at = self._look(digest, second, makes=makes)
            if at < 0:
                return at
            if len(self._found) >= _REMEMBERED:
                self._found.clear()
            self._found[name] = digest, at
        self._advance(at, second)
        return at

    def _look(self, digest: bytes, second: int, *, makes: bool) -> int:
        start, free = int.from_bytes(digest[:4], "little"), -1
        for step in range(_PROBES):
            at = _HEAD_BYTES + (start + step) % self._places * _PLACE_BYTES
            own = self._map[at : at + _DIGEST_BYTES]
            if own == digest:
                return at
            is_empty = own == bytes(_DIGEST_BYTES)
            if free < 0 and (is_empty or self._longs[(at + _DIGEST_BYTES) // 8] <= second - WINDOW):
                free = at  # nothing of the last minute is in it
            if is_empty:
                break
        if not makes:
            return -1
        if free < 0:
            raise RateTableError("the table of rates has no room for one more counter")
        self._map[free + _RINGS_AT : free + _PLACE_BYTES] = bytes(_PLACE_BYTES - _RINGS_AT)
        self._longs[(free + _DIGEST_BYTES) // 8] = second
        self._map[free : free + _DIGEST_BYTES] = digest
        return free

    def _advance(self, at: int, second: int) -> None:
        """Clear the slots of the seconds that have begun since."""
        last_at = (at + _DIGEST_BYTES) // 8
        last = self._longs[last_at]
        if last >= second:
            return
        for number in range(len(KINDS)):
            start = self._ring_at(at, number)
            for each in range(last + 1, min(second, last + _SLOTS) + 1):
                self._ints[start + each % _SLOTS] = 0
            for each in range(second - _SLOTS + 1, second - WINDOW + 1):  # slots that are older than a minute by now
                self._ints[start + each % _SLOTS] = 0
        self._longs[last_at] = second

    def _add(self, at: int, second: int, amounts: tuple[int, int]) -> None:
        for number, amount in enumerate(amounts):
            slot = self._ring_at(at, number) + second % _SLOTS
            self._ints[slot] = min(max(self._ints[slot] + amount, 0), _MOST)

    def _ring(self, at: int, number: int) -> memoryview[int]:
        start = self._ring_at(at, number)
        return self._ints[start : start + _SLOTS]

    def _ring_at(self, at: int, number: int) -> int:
        return (at + _RINGS_AT) // _INT + number * _SLOTS


def _wait(ring: memoryview[int], second: int, now: float, short: int) -> float:
    """Until `short` of what is taken is over a minute old."""
    for each in range(second - WINDOW + 1, second + 1):
        short -= ring[each % _SLOTS]
        if short <= 0:
            return each + WINDOW - now
    return float(WINDOW)  # more than the whole limit: only an estimate of when to ask again


def _reset(ring: memoryview[int], second: int, now: float, added: int) -> float:
    """Until all that is taken is over a minute old."""
    if added:
        return second + WINDOW - now
    for each in range(second, second - WINDOW, -1) if len(ring) else ():
        if ring[each % _SLOTS]:
            return each + WINDOW - now
    return 0.0
