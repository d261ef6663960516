"""The local backend and the embedded engine, on the real model: what the field table lets through, the engine takes."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from policies.types import Level, Model
from policies.vocabulary import ENGINE_CAPABILITIES
from router.backends.local import LocalBackend
from router.errors import Unavailable, UpstreamError
from router.fields import local_body, read_fields
from router.keys import Keys
from router.partitions import Partitions
from router.settings import Settings
from router.types import JsonObject, Outgoing
from tests.engine.driver import ALIAS, EngineProcess, end_engine, start_engine

ENGINE = Model("home", "local", "engine", ALIAS, capabilities=ENGINE_CAPABILITIES)
PARTITIONS = Partitions(Keys(b"k" * 32))
ASK: JsonObject = {"model": "auto", "messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 4}


@pytest.fixture(scope="module")
def engine() -> Iterator[EngineProcess]:
    with tempfile.TemporaryDirectory(prefix="gh-") as folder:
        running = start_engine(Path(folder))
        try:
            running.wait()
            yield running
        finally:
            end_engine(running)


@pytest.fixture
async def home(engine: EngineProcess) -> AsyncIterator[LocalBackend]:
    backend = LocalBackend(ENGINE, Settings(runtime_dir=engine.socket.parent))
    yield backend
    await backend.close()


def request(stream: bool = False, **fields: Any) -> Outgoing:
    body = {**ASK, **fields, "stream": stream}
    read_fields(body)
    home, _ = local_body(body, ENGINE, stream=stream, want_logprobs=True)
    home |= PARTITIONS.fields(ENGINE, "acme", Level.PUBLIC)
    return Outgoing(orjson.dumps(home), stream)


FIELDS: list[JsonObject] = [
    {},
    {"temperature": 0, "top_p": 1, "seed": -5, "stop": ["zebra"], "user": "u", "metadata": {}, "tools": [], "n": 1},
    {"max_completion_tokens": 2, "logprobs": True, "top_logprobs": 2, "presence_penalty": 0.5, "logit_bias": {}},
    {"response_format": {"type": "json_object"}},
    {"n": 3, "top_k": 40, "min_p": 0.05, "repetition_penalty": 1.1, "frequency_penalty": -2, "temperature": 1.5},
    {"n": 8, "top_k": -1, "repeat_penalty": 10, "presence_penalty": 2},
    {"repeat_penalty": 0.01, "repetition_penalty": 1.2, "min_p": 1},
    {"tools": [], "tool_choice": "none", "parallel_tool_calls": True},
    {"response_format": {"type": "text"}, "temperature": None, "stop": None},
    {
        "messages": [
            {"role": "developer", "content": [{"type": "text", "text": "Be brief."}], "name": "d"},
            {"role": "user", "content": "Hi", "name": "Ann"},
            {"role": "assistant", "content": "Hello", "refusal": None, "annotations": [], "tool_calls": None},
            {"role": "user", "content": [{"type": "text", "text": "Again"}, {"type": "text", "text": "please"}]},
        ]
    },
]


@pytest.mark.parametrize("fields", FIELDS)
async def test_the_engine_takes_what_the_field_table_lets_through(home: LocalBackend, fields: JsonObject) -> None:
    reply = await home.complete(request(**fields))
    assert len(reply["choices"]) == fields.get("n", 1)
    assert all(choice["logprobs"]["content"] for choice in reply["choices"])
    chunks = [chunk async for chunk in await home.open_stream(request(stream=True, **fields))]
    assert chunks[-1]["usage"]["completion_tokens"] > 0


async def test_the_engines_own_message_is_passed_on(home: LocalBackend) -> None:
    with pytest.raises(UpstreamError, match="8192 tokens") as caught:
        await home.complete(request(messages=[{"role": "user", "content": "word " * 9000}]))
    failure = caught.value
    assert (failure.status, failure.code, failure.param) == (400, "context_length_exceeded", "messages")
    assert failure.type == "invalid_request_error"


async def test_the_engine_passes_its_self_test(home: LocalBackend) -> None:
    await home.self_test()


async def test_an_engine_that_is_killed_in_the_middle_of_an_answer_breaks_off_and_is_then_unavailable() -> None:
    with tempfile.TemporaryDirectory(prefix="gh-") as folder:
        engine = start_engine(Path(folder))
        try:
            engine.wait()
            backend = LocalBackend(ENGINE, Settings(runtime_dir=engine.socket.parent))
            story = [{"role": "user", "content": "Tell me a long story."}]
            stream = await backend.open_stream(request(stream=True, messages=story, max_tokens=500))
            await anext(stream)
            engine.process.kill()
            with pytest.raises(UpstreamError):
                _ = [chunk async for chunk in stream]
            engine.process.wait()  # until then its socket may still take a connection
            with pytest.raises(Unavailable):
                await backend.complete(request())
            await backend.close()
        finally:
            end_engine(engine)
