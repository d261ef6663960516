"""How much of a local stream is held back, and that a stream that was looked at loses nothing."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from router.confidence.ahead import Ahead
from router.confidence.holding import hold
from router.errors import UpstreamError
from router.types import JsonObject


def chunk(index: int = 0, finish: str | None = None, *, measured: bool = True, text: str = "x") -> JsonObject:
    entry = {"token": text, "logprob": math.log(0.5)}
    choice: JsonObject = {"index": index, "delta": {"content": text} if text else {}, "finish_reason": finish}
    if measured and text:
        choice["logprobs"] = {"content": [entry]}
    return {"choices": [choice]}


class Source:
    """A stream that notes how far it was read and whether it was closed; None in its chunks is a stall."""

    def __init__(self, chunks: Sequence[JsonObject | Exception | None]) -> None:
        self.chunks = list(chunks)
        self.read = 0
        self.closed = False

    def stream(self) -> AsyncIterator[JsonObject]:
        async def chunks() -> AsyncIterator[JsonObject]:
            try:
                for each in self.chunks:
                    if each is None:
                        await asyncio.Event().wait()
                    elif isinstance(each, Exception):
                        raise each
                    else:
                        self.read += 1
                        yield each
            finally:
                self.closed = True

        return chunks()


async def held(chunks: Sequence[Any], choices: int = 1, tokens: int = 3, seconds: float = 5.0) -> tuple[Source, Any]:
    source = Source(chunks)
    return source, await hold(Ahead(source.stream()), choices=choices, tokens=tokens, seconds=seconds)


ROLE: JsonObject = {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]}
END = chunk(finish="stop", text="")


async def test_no_more_is_read_than_the_tokens_that_are_judged() -> None:
    source, found = await held([ROLE, *[chunk()] * 9])
    assert (source.read, found.trace.choices[0].count, found.is_whole) == (4, 3, False)


async def test_an_answer_that_ends_before_is_whole() -> None:
    _, found = await held([ROLE, chunk(), END, {"choices": [], "usage": {}}])
    assert found.is_whole


async def test_every_choice_has_its_tokens_or_its_end() -> None:
    chunks = [chunk(0)] * 5 + [chunk(1), chunk(1, "stop", text=""), *[chunk(0)] * 5]
    source, found = await held(chunks, choices=2)
    assert source.read == 7
    assert (found.trace.choices[0].count, found.trace.choices[1].count, found.is_whole) == (5, 1, False)
    _, ended = await held([chunk(0), chunk(1), chunk(0, "stop", text=""), chunk(1, "stop", text="")], choices=2)
    assert ended.is_whole


async def test_what_cannot_be_measured_is_not_waited_for() -> None:
    source, found = await held([ROLE, chunk(measured=False), *[chunk()] * 9])
    assert (source.read, found.trace.choices[0].complete) == (2, False)


async def test_time_ends_it_too_and_nothing_is_lost() -> None:
    source = Source([ROLE, chunk(), None])
    ahead = Ahead(source.stream())
    found = await hold(ahead, choices=1, tokens=3, seconds=0.05)
    assert (found.trace.choices[0].count, found.is_whole) == (1, False)
    assert [await anext(ahead), await anext(ahead)] == [ROLE, chunk()]
    await ahead.aclose()
    assert source.closed


async def test_what_was_looked_at_comes_again_and_then_the_rest_in_order() -> None:
    chunks = [chunk(text=str(number)) for number in range(6)]
    ahead = Ahead(Source(chunks).stream())
    await hold(ahead, choices=1, tokens=3, seconds=5)
    assert [each async for each in ahead] == chunks


async def test_a_stream_that_breaks_while_it_is_held_says_so_and_again_to_who_reads_on() -> None:
    broken = UpstreamError("it broke off")
    ahead = Ahead(Source([ROLE, broken]).stream())
    with pytest.raises(UpstreamError):
        await hold(ahead, choices=1, tokens=3, seconds=5)
    assert await anext(ahead) == ROLE
    with pytest.raises(UpstreamError):
        await anext(ahead)
    await ahead.aclose()


async def test_closing_in_the_middle_of_a_look_closes_the_source() -> None:
    source = Source([ROLE, None])
    ahead = Ahead(source.stream())
    looking = asyncio.ensure_future(hold(ahead, choices=1, tokens=3, seconds=5))
    await asyncio.sleep(0.01)
    looking.cancel()
    await asyncio.wait({looking})
    await ahead.aclose()
    await ahead.aclose()
    assert source.closed
