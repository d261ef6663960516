"""The memory cache is bounded in bytes, forgets what was used longest ago, and keeps time by its clock."""

from __future__ import annotations

import random

from router.cache.memory import MemoryBytes


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_what_was_used_longest_ago_goes_first() -> None:
    place = MemoryBytes(3 * 400)
    for key in (b"a", b"b", b"c"):
        await place.put(key, bytes(100), 60)
    assert await place.get(b"a") is not None
    await place.put(b"d", bytes(100), 60)
    assert [await place.get(key) is not None for key in (b"a", b"b", b"c", b"d")] == [True, False, True, True]


async def test_an_entry_lives_exactly_as_long_as_its_ttl() -> None:
    clock = Clock()
    place = MemoryBytes(10_000, clock)
    await place.put(b"k", b"v", 10)
    clock.now += 9.999
    assert await place.get(b"k") == b"v"
    clock.now += 0.002
    assert await place.get(b"k") is None
    assert place.size == 0


async def test_a_value_that_can_never_fit_pushes_nothing_out() -> None:
    place = MemoryBytes(1000)
    await place.put(b"small", bytes(100), 60)
    await place.put(b"big", bytes(2000), 60)
    assert await place.get(b"small") is not None
    assert await place.get(b"big") is None


async def test_a_limit_of_zero_keeps_nothing() -> None:
    place = MemoryBytes(0)
    await place.put(b"k", b"", 60)
    assert len(place) == 0


async def test_its_account_of_bytes_is_exact_after_any_sequence() -> None:
    chance, clock = random.Random(7), Clock()
    place = MemoryBytes(20_000, clock)
    for _ in range(5000):
        key = bytes([chance.randrange(60)])
        if chance.random() < 0.5:
            await place.put(key, bytes(chance.randrange(2000)), chance.uniform(0.1, 20))
        else:
            await place.get(key)
        clock.now += chance.random()
        assert place.size <= 20_000
    for number in range(60):
        await place.put(bytes([number]), bytes(30_000), 1)  # too big: only takes the old one out
    assert (place.size, len(place)) == (0, 0)
