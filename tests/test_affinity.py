"""Who has answered a conversation is remembered by its beginning, by tenant and caller, for a while, contentless."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from policies.types import Policy
from router.affinity import TABLE_BYTES, Affinity, Conversation
from router.cache.redis import RedisAffinity
from router.keys import Keys
from router.taint.marks import MarkTable
from router.types import Principal
from tests.policies.worlds import BASE, load
from tests.support.redis_server import RedisServer

ANNA, BEN = Principal(key_id="anna"), Principal(key_id="ben")
SYSTEM = {"role": "system", "content": "You are brief."}


def policy() -> Policy:
    return load(BASE.replace("max_hops: 1, stream: hold", "max_hops: 1, stream: hold, affinity: {minutes: 1}"))


def body(*said: str, system: bool = True) -> dict[str, Any]:
    turns = [{"role": "assistant" if at % 2 else "user", "content": text} for at, text in enumerate(said)]
    return {"messages": [SYSTEM, *turns] if system else turns}


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def affinity(tmp_path: Path, clock: Clock) -> Affinity:
    return Affinity(Keys(bytes(32)), MarkTable(tmp_path / "affinity.marks", TABLE_BYTES, clock))


async def look(affinity: Affinity, asked: dict[str, Any], who: Principal = ANNA) -> Conversation:
    found = await affinity.look(who, asked, policy())
    assert found is not None
    return found


async def answered(affinity: Affinity, asked: dict[str, Any], name: str, who: Principal = ANNA) -> None:
    await affinity.note(who, await look(affinity, asked, who), name, policy())


async def test_a_later_turn_knows_who_answered_the_first(affinity: Affinity) -> None:
    await answered(affinity, body("Hello."), "cloud")
    assert (await look(affinity, body("Hello.", "Hi!", "And now?"))).answered_by == ("cloud",)


async def test_a_question_by_itself_has_no_history(affinity: Affinity) -> None:
    await answered(affinity, body("Hello."), "cloud")
    assert (await look(affinity, body("Hello."))).answered_by == ()


async def test_a_tool_loop_is_one_conversation(affinity: Affinity) -> None:
    await answered(affinity, body("Look it up."), "eu")
    loop = body("Look it up.")
    loop["messages"] += [{"role": "assistant", "tool_calls": []}, {"role": "tool", "content": "It is blue."}]
    assert (await look(affinity, loop)).answered_by == ("eu",)


@pytest.mark.parametrize(
    ("other", "who"),
    [
        (body("Hello?", "Hi!", "And now?"), ANNA),
        (body("Hello.", "Hi!", "And now?", system=False), ANNA),
        (body("Hello.", "Hi!", "And now?"), BEN),
        (body("Hello.", "Hi!", "And now?"), Principal("elsewhere", "anna")),
    ],
    ids=["another question", "another prompt", "another caller", "another tenant"],
)
async def test_others_are_other_conversations(affinity: Affinity, other: dict[str, Any], who: Principal) -> None:
    await answered(affinity, body("Hello."), "cloud")
    assert (await look(affinity, other, who)).answered_by == ()


async def test_the_farthest_comes_first_and_each_expires_after_its_last_answer(
    affinity: Affinity, clock: Clock
) -> None:
    later = body("Hello.", "Hi!", "And now?")
    await answered(affinity, body("Hello."), "cloud")
    clock.now += 40
    await answered(affinity, later, "home")
    assert (await look(affinity, later)).answered_by == ("cloud", "home")
    clock.now += 40
    assert (await look(affinity, later)).answered_by == ("home",)
    await answered(affinity, later, "home")
    clock.now += 40
    assert (await look(affinity, later)).answered_by == ("home",)


async def test_workers_of_a_host_share_the_table(tmp_path: Path, affinity: Affinity, clock: Clock) -> None:
    other = Affinity(Keys(bytes(32)), MarkTable(tmp_path / "affinity.marks", TABLE_BYTES, clock))
    await answered(affinity, body("Hello."), "cloud")
    assert (await look(other, body("Hello.", "Hi!", "And now?"))).answered_by == ("cloud",)


async def test_the_table_holds_no_text_and_does_not_grow(tmp_path: Path, affinity: Affinity) -> None:
    size = (tmp_path / "affinity.marks").stat().st_size
    for number in range(500):
        await answered(affinity, body(f"Kanarienvogel {number}"), "cloud")
    data = (tmp_path / "affinity.marks").read_bytes()
    assert (len(data), b"Kanarien" in data, b"cloud" in data) == (size, False, False)


async def test_without_the_key_nothing_is_looked_up(affinity: Affinity) -> None:
    assert await affinity.look(ANNA, body("Hello."), load(BASE)) is None


@pytest.mark.parametrize("messages", [None, "text", [], ["text"], [{"role": "assistant", "content": "x"}]])
async def test_what_has_no_beginning_is_no_conversation(affinity: Affinity, messages: Any) -> None:
    assert await affinity.look(ANNA, {"messages": messages}, policy()) is None


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


async def test_hosts_share_through_redis_and_go_by_their_own_without_it(
    tmp_path: Path, clock: Clock, redis: RedisServer
) -> None:
    hosts = [
        Affinity(
            Keys(bytes(32)),
            MarkTable(tmp_path / name / "affinity.marks", TABLE_BYTES, clock),
            RedisAffinity(redis.url, 500, name, 60.0),
        )
        for name in ("one", "two")
    ]
    later = body("Hello.", "Hi!", "And now?")
    await answered(hosts[0], body("Hello."), "cloud")
    assert (await look(hosts[1], later)).answered_by == ("cloud",)
    assert b"gatehouse:affinity:" in redis.command("KEYS", "*")
    redis.kill()
    assert [(await look(host, later)).answered_by for host in hosts] == [("cloud",), ()]
    for host in hosts:
        await host.close()
