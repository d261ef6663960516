"""The index of similar questions: nearest first, sealed, bounded, and never across tenants; over memory and Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from router.cache.base import SealedBytes
from router.cache.key import CacheKeys
from router.cache.memory import MemoryBytes
from router.cache.redis import RedisBytes
from router.cache.sealed import Sealer
from router.cache.semantic import MOST_QUESTIONS, SimilarIndex, Vector
from router.keys import Keys
from tests.support.redis_server import RedisServer

HERE = bytes(range(32))
KEYS = [bytes([number]) * 32 for number in range(1, 40)]
WIDTH = 128


def at(degrees: float) -> Vector:
    """A vector of length one that stands so far from the first axis."""
    vector = np.zeros(WIDTH, dtype=np.float32)
    vector[0], vector[1] = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return vector


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(params=["memory", "redis"])
async def place(request: pytest.FixtureRequest) -> AsyncIterator[SealedBytes]:
    if request.param == "memory":
        made: SealedBytes = MemoryBytes(1 << 20)
    else:
        server: RedisServer = request.getfixturevalue("redis_server")
        made = RedisBytes(server.url, timeout_ms=1000)
    yield made
    await made.close()


@pytest.fixture
def index(place: SealedBytes, keys: Keys) -> SimilarIndex:
    return SimilarIndex(Sealer(keys), place)


async def test_the_nearest_comes_first_and_what_is_too_far_does_not_come(index: SimilarIndex) -> None:
    for key, degrees in zip(KEYS, (30, 2, 10), strict=False):
        await index.add("default", HERE, at(degrees), key, 60)
    found = await index.find("default", HERE, at(0), 0.9)
    assert [near.key for near in found] == [KEYS[1], KEYS[2]]
    assert found[0].similarity == pytest.approx(0.9994, abs=1e-3)
    assert all(near.similarity <= 1 for near in await index.find("default", HERE, at(2), 0.99))


async def test_another_tenant_partition_or_installation_finds_nothing(
    index: SimilarIndex, place: SealedBytes, keys: Keys
) -> None:
    await index.add("one", HERE, at(0), KEYS[0], 60)
    assert await index.find("two", HERE, at(0), 0.0) == []
    assert await index.find("one", bytes(32), at(0), 0.0) == []
    assert await SimilarIndex(Sealer(Keys(b"x" * 32)), place).find("one", HERE, at(0), 0.0) == []
    sealed = await place.get(HERE)
    assert sealed is not None
    await place.put(bytes(32), sealed, 60)
    assert await index.find("one", bytes(32), at(0), 0.0) == [], "a list that was moved does not open"


async def test_a_partition_keeps_the_newest_and_one_entry_an_answer(index: SimilarIndex) -> None:
    for key in KEYS:
        await index.add("default", HERE, at(1), key, 60)
    await index.add("default", HERE, at(5), KEYS[-1], 60)
    found = await index.find("default", HERE, at(1), 0.0)
    assert len(found) == MOST_QUESTIONS
    assert {near.key for near in found} == set(KEYS[-MOST_QUESTIONS:])


async def test_an_entry_ends_with_its_time(keys: Keys) -> None:
    clock = Clock()
    index = SimilarIndex(Sealer(keys, clock), MemoryBytes(1 << 20, clock), clock)
    await index.add("default", HERE, at(0), KEYS[0], 10)
    clock.now += 5
    await index.add("default", HERE, at(1), KEYS[1], 100)
    clock.now += 6
    assert [near.key for near in await index.find("default", HERE, at(0), 0.0)] == [KEYS[1]]
    clock.now += 100
    assert await index.find("default", HERE, at(0), 0.0) == []


async def test_it_takes_no_more_room_than_its_place_has(keys: Keys) -> None:
    place = MemoryBytes(20_000)
    index = SimilarIndex(Sealer(keys), place)
    for number in range(300):
        await index.add("default", number.to_bytes(32, "big"), at(number), KEYS[0], 60)
        assert place.size <= 20_000
    assert await index.find("default", (299).to_bytes(32, "big"), at(299), 0.9)
    assert await index.find("default", bytes(32), at(0), 0.0) == []


async def test_what_was_changed_or_is_of_another_width_is_an_empty_list(
    index: SimilarIndex, place: SealedBytes, keys: Keys
) -> None:
    await index.add("default", HERE, at(0), KEYS[0], 60)
    assert await index.find("default", HERE, np.ones(64, dtype=np.float32), 0.0) == []
    sealed = await place.get(HERE)
    assert sealed is not None
    for byte in range(0, len(sealed), 5):
        await place.put(HERE, sealed[:byte] + bytes([sealed[byte] ^ 1]) + sealed[byte + 1 :], 60)
        assert await index.find("default", HERE, at(0), 0.0) == []
    odd = Sealer(keys).seal("default", HERE, b"odd", 60)
    await place.put(HERE, odd, 60)
    assert await index.find("default", HERE, at(0), 0.0) == []


async def test_a_redis_that_is_not_there_is_a_miss(keys: Keys) -> None:
    index = SimilarIndex(Sealer(keys), RedisBytes("redis://127.0.0.1:1/0", 200))
    await index.add("default", HERE, at(0), KEYS[0], 60)
    assert await index.find("default", HERE, at(0), 0.0) == []


PARTS: dict[str, Any] = {
    "tenant": "default",
    "level": "public",
    "policy_digest": "p" * 64,
    "artifact_digest": "a" * 64,
    "requested": "auto",
    "planned": "local/home",
    "body": {
        "model": "auto",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "canary?"}],
        "temperature": 0.5,
    },
}
LIKE = ("en", "", "what", "capital", "France")


def test_a_partition_is_of_everything_but_the_question(keys: Keys) -> None:
    made = CacheKeys(keys)
    here = made.partition(LIKE, **PARTS)
    assert len(here) == 32
    assert here != made.key(**PARTS)
    system, user = PARTS["body"]["messages"]
    asked_otherwise = {**PARTS["body"], "stream": True, "messages": [system, {**user, "content": "another?"}]}
    assert made.partition(LIKE, **{**PARTS, "body": asked_otherwise}) == here
    others = [
        *(made.partition(LIKE, **{**PARTS, part: PARTS[part] + "x"}) for part in PARTS if part != "body"),
        *(made.partition(like, **PARTS) for like in (LIKE[:-1], (*LIKE, "Lyon"), ("de", *LIKE[1:]), (*LIKE[:-1], ""))),
        *(
            made.partition(LIKE, **{**PARTS, "body": {**PARTS["body"], **change}})
            for change in (
                {"temperature": 0.6},
                {"seed": 1},
                {"messages": [user]},
                {"messages": [{**system, "content": "Be long."}, user]},
                {"messages": [system, {**user, "name": "ada"}]},
            )
        ),
    ]
    assert len({here, *others}) == len(others) + 1


def test_no_word_moves_from_one_part_to_the_next(keys: Keys) -> None:
    made = CacheKeys(keys)
    assert made.partition(("a", "b"), **PARTS) != made.partition(("a",), **{**PARTS, "tenant": "b"})
    assert made.partition(("ab",), **PARTS) != made.partition(("a", "b"), **PARTS)
