"""Many streams at once over HTTP: none hears another's words, each is in order, whole and counted exactly.

Every request carries a nonce of its own, and its answer must be the one that the engine gives when nobody else is
there. Prompts whose answers hang on a rounding are left out beforehand.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.engine.driver import Body, Client, EngineProcess, end_engine, says, start_engine
from tests.engine.lanes import LEAD
from tests.support.tiny_gguf import make_model

STREAMS = 200
LENGTH = 24
TINY = "tiny"


@dataclass(frozen=True)
class Heard:
    """What a caller was told, put together."""

    text: str
    reason: str
    prompt_tokens: int
    completion_tokens: int


@pytest.fixture(scope="module")
def tiny() -> Iterator[EngineProcess]:
    with tempfile.TemporaryDirectory(prefix="gh-") as folder:
        path = make_model("smollm2", Path(folder))
        options = ("--model", str(path), "--alias", TINY, "--threads", "1", "--slots", "8", "--context", "512")
        running = start_engine(Path(folder), *options, "--queue", "256", "--queue-tokens", "100000")
        try:
            running.wait()
            yield running
        finally:
            end_engine(running)


@pytest.fixture
async def client(tiny: EngineProcess) -> AsyncIterator[Client]:
    async with Client(tiny.socket) as talker:
        yield talker


async def whole(client: Client, body: Body) -> Heard:
    reply = await client.answer(body)
    (choice,) = reply["choices"]
    usage = reply["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    return Heard(
        choice["message"]["content"], choice["finish_reason"], usage["prompt_tokens"], usage["completion_tokens"]
    )


async def streamed(client: Client, body: Body) -> Heard:
    """The same from a stream, whose chunks must belong together and come in the order of the protocol."""
    chunks = await client.chunks({**body, "stream_options": {"include_usage": True}})
    assert len({chunk["id"] for chunk in chunks}) == 1
    *spoken, last = chunks
    assert last["choices"] == []
    assert all(chunk["usage"] is None for chunk in spoken)
    choices = [chunk["choices"][0] for chunk in spoken]
    assert choices[0]["delta"]["role"] == "assistant"
    reasons = [choice["finish_reason"] for choice in choices]
    assert not any(reasons[:-1])
    text = "".join(choice["delta"].get("content") or "" for choice in choices)
    return Heard(text, reasons[-1], last["usage"]["prompt_tokens"], last["usage"]["completion_tokens"])


async def sure(client: Client, bodies: Iterator[Body], count: int) -> list[tuple[Body, Heard]]:
    """The first `count` bodies whose answers do not hang on a rounding, each with its answer given alone."""
    found: list[tuple[Body, Heard]] = []
    for body in bodies:
        reply = await client.answer({**body, "logprobs": True, "top_logprobs": 2})
        entries = reply["choices"][0]["logprobs"]["content"]
        leads = [entry["top_logprobs"][0]["logprob"] - entry["top_logprobs"][1]["logprob"] for entry in entries]
        if min(leads) > LEAD:
            found.append((body, await whole(client, body)))
        if len(found) == count:
            return found
    raise AssertionError("no more bodies")


def tiny_bodies(source: random.Random, **fields: Any) -> Iterator[Body]:
    while True:
        nonce = source.randbytes(6).hex()
        words = " ".join(source.choices(["city", "river", "ship", "bird", "sea"], k=source.randint(0, 20)))
        body = says(f"{nonce} {words}", temperature=0, max_tokens=source.randint(4, LENGTH), model=TINY)
        yield {**body, **fields}


async def check_at_rest(client: Client, name: str) -> None:
    await client.until(running=0, waiting=0)
    figures = await client.figures(name)
    assert (figures["waiting"], figures["running"], figures["queue_tokens"]) == (0, 0, 0)


async def test_two_hundred_streams_at_once_each_hear_their_own_answer(client: Client) -> None:
    asked = await sure(client, tiny_bodies(random.Random(1)), STREAMS)
    assert len({heard.text for _, heard in asked}) > 0.95 * STREAMS, "answers that are alike show nothing"
    before = await client.figures(TINY)
    ways = [streamed if number % 4 else whole for number in range(STREAMS)]
    answers = await asyncio.gather(*(way(client, body) for way, (body, _) in zip(ways, asked, strict=True)))
    assert answers == [heard for _, heard in asked]
    after = await client.figures(TINY)
    assert after["requests_total"] - before["requests_total"] == STREAMS
    told = sum(heard.completion_tokens for heard in answers)
    assert after["decoded_tokens_total"] - before["decoded_tokens_total"] == told
    steps = after["steps_total"] - before["steps_total"]
    assert steps < told / 3, "they were not answered together"
    await check_at_rest(client, TINY)


async def test_two_hundred_streams_of_one_partition_reuse_and_still_hear_their_own(client: Client) -> None:
    """The same once more with reuse: copies between slots and prompts that are there already."""
    asked = await sure(client, tiny_bodies(random.Random(2)), STREAMS // 2)
    twice = [({**body, "cache_salt": f"salt-{number % 3}"}, heard) for number, (body, heard) in enumerate(asked)] * 2
    answers = await asyncio.gather(*(streamed(client, body) for body, _ in twice))
    assert answers == [heard for _, heard in twice]
    assert (await client.figures(TINY))["prefix_tokens_total"] > 0
    await check_at_rest(client, TINY)


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_callers_that_go_at_any_moment_leave_the_others_answers_as_they_are(client: Client, seed: int) -> None:
    """Sixty callers: some stay, some go before the first word, some in the middle; some ask for three choices."""
    source = random.Random(seed)
    asked = await sure(client, tiny_bodies(source), 60)

    async def call(body: Body, heard: Heard) -> bool:
        await asyncio.sleep(source.random() * 0.3)
        fate = source.choice(["stays", "stays", "goes at once", "goes in the middle", "three"])
        if fate == "stays":
            assert await streamed(client, body) == heard
            return True
        if fate == "three":
            reply = await client.answer({**body, "n": 3, "cache_salt": "of-three"})
            assert [choice["message"]["content"] for choice in reply["choices"]] == [heard.text] * 3
            assert reply["usage"]["completion_tokens"] == 3 * heard.completion_tokens
            return True
        task = asyncio.create_task(_start(client, body, lines=0 if fate == "goes at once" else source.randint(1, 9)))
        await asyncio.wait([task], timeout=source.random() * 0.05 if fate == "goes at once" else None)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return False

    stayed = await asyncio.gather(*(call(body, heard) for body, heard in asked))
    assert 20 < sum(stayed) < 60
    await check_at_rest(client, TINY)


async def _start(client: Client, body: Body, lines: int) -> None:
    """Read some lines of a stream, then hang up."""
    async with client.post({**body, "stream": True}) as response:
        for _ in range(lines):
            await response.content.readline()
        response.close()


async def test_the_real_model_keeps_sixteen_streams_apart(engine: EngineProcess) -> None:
    names = random.Random(3)

    def bodies() -> Iterator[Body]:
        while True:
            name = "".join(names.choices("abcdefghiklmnoprstuvw", k=7)).title()
            yield says(f"My name is {name}. Greet me by my name.", temperature=0, max_tokens=12)

    async with Client(engine.socket) as client:
        asked = await sure(client, bodies(), 16)
        answers = await asyncio.gather(*(streamed(client, body) for body, _ in asked))
        assert answers == [heard for _, heard in asked]
        assert len({heard.text for heard in answers}) > 13
        await client.until(running=0, waiting=0)
