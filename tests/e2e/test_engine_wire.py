"""What the gateway and the engine say to each other, a recording engine on the socket: partitions, refusals, tools."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from openai import OpenAI

from router.backends.scripted_replies import Script
from tests.e2e.conftest import HARD
from tests.support.gateway import POLICY, Gateway
from tests.support.recorder import Recorder, RecorderThread

HOME = "backend: engine, model: smollm2-135m-instruct, capabilities: [tools, json_schema, logprobs, n]"
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Oslo"}'}}


@pytest.fixture(scope="module")
def engine() -> Iterator[Recorder]:
    with (
        tempfile.TemporaryDirectory(prefix="gh-") as folder,
        RecorderThread(Script(), socket=Path(folder) / "engine.sock") as recorder,
    ):
        yield recorder


@pytest.fixture(autouse=True)
def _anew(engine: Recorder) -> None:
    engine.script = Script()
    engine.forget()


@pytest.fixture(scope="module")
def house(engine: Recorder, cloud: Recorder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    policy = POLICY.format(home=HOME, cloud=cloud.url) + "escalation: {threshold: 0.6, max_hops: 1, stream: hold}\n"
    shared = {"GATEHOUSE_ENGINE_SOCKET_PATH": engine.url.removeprefix("unix://")}
    with Gateway(tmp_path_factory.mktemp("wire"), policy, environment=shared) as gateway:
        yield gateway


def ask(house: Gateway, text: str = "Say hello.", **fields: Any) -> httpx.Response:
    body = {"messages": [{"role": "user", "content": text}], **fields}
    return httpx.post(f"{house.url}/chat/completions", json=body, trust_env=False, timeout=60)


def told(engine: Recorder) -> list[dict[str, Any]]:
    """The bodies of the chats that the engine was asked for."""
    return [exchange.json for exchange in engine.exchanges if exchange.method == "POST"]


def test_the_engine_is_told_a_partition_by_tenant_and_level(house: Gateway, engine: Recorder) -> None:
    """Equal for requests of one level, other at another level; the tenant is the same. 32 hex digits, nothing more."""
    for text in ("Say hello.", "Say good-bye.", "Write to bob@corp-mail.com.", "Card 4111 1111 1111 1111"):
        assert ask(house, text, model="local").status_code == 200
    bodies = told(engine)
    salts = [body["cache_salt"] for body in bodies]
    assert salts[0] == salts[1]
    assert len(set(salts)) == 3
    assert len({body["tenant"] for body in bodies}) == 1
    assert all(re.fullmatch("[0-9a-f]{32}", text) for body in bodies for text in (body["cache_salt"], body["tenant"]))


def test_what_leaves_after_a_doubtful_answer_holds_neither(house: Gateway, engine: Recorder, cloud: Recorder) -> None:
    engine.script = Script(answer="maybe perhaps " * 40, confidence=0.01)
    assert ask(house).headers["x-gatehouse-reason"] == "escalation"
    assert ask(house, HARD).headers["x-gatehouse-route"] == "cloud"
    (body,) = told(engine)
    assert len(cloud.bodies) == 2
    for written in (orjson.dumps(out).decode() for out in cloud.bodies):
        assert "cache_salt" not in written
        assert "tenant" not in written
        assert body["cache_salt"] not in written
        assert body["tenant"] not in written


@pytest.mark.parametrize("field", ["cache_salt", "tenant"])
def test_no_caller_names_a_partition(house: Gateway, engine: Recorder, field: str) -> None:
    refused = ask(house, **{field: "0" * 32})
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "forbidden_field")
    assert not told(engine)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("status", "cause"), [(429, "tenant_queue"), (503, "local_queue")], ids=["tenant's queue", "whole queue"]
)
def test_a_full_queue_reaches_the_caller_at_once_with_when_to_come_back(
    house: Gateway, engine: Recorder, cloud: Recorder, status: int, cause: str, stream: bool
) -> None:
    """It is no reason to go out: the cloud is not asked. The time is printed, its target is 50 ms."""
    error = {"code": "local_overloaded", "message": "The local model's queue is full.", "type": "server_error"}
    engine.script = Script(status=status, error=error, headers=(("Retry-After", "7"),))
    began = time.perf_counter()
    refused = ask(house, stream=stream)
    print(f"\n  refused in {(time.perf_counter() - began) * 1000:.1f} ms")
    assert (refused.status_code, refused.headers["retry-after"]) == (status, "7")
    assert refused.json()["error"]["code"] == "local_overloaded"
    assert not cloud.exchanges
    assert (
        f'gatehouse_shed_total{{cause="{cause}"}}'
        in httpx.get(f"{house.root}/metrics", trust_env=False, timeout=60).text
    )


def test_a_context_that_is_too_small_is_a_400_with_its_numbers(house: Gateway, engine: Recorder) -> None:
    message = "This model's context is 8192 tokens, but 9000 tokens were asked for."
    error = {"code": "context_length_exceeded", "type": "invalid_request_error", "message": message}
    engine.script = Script(status=400, error={**error, "param": "messages"})
    refused = ask(house)
    assert refused.status_code == 400
    assert refused.json()["error"]["code"] == "context_length_exceeded"
    assert "9000 tokens" in refused.json()["error"]["message"]
    assert refused.headers["x-should-retry"] == "false"


def test_sampling_fields_reach_the_engine_and_nothing_is_said_to_be_ignored(house: Gateway, engine: Recorder) -> None:
    sampling = {"top_k": 20, "min_p": 0.1, "repeat_penalty": 1.2, "presence_penalty": 0.5, "n": 2, "seed": 7}
    answer = ask(house, **sampling)
    assert answer.status_code == 200
    assert "x-gatehouse-ignored" not in answer.headers
    (body,) = told(engine)
    expected = {**sampling, "repetition_penalty": 1.2}
    del expected["repeat_penalty"]
    assert {name: body.get(name) for name in expected} == expected


@pytest.mark.parametrize("stream", [False, True])
def test_a_conversation_with_tools_goes_through_the_engine(house: Gateway, engine: Recorder, stream: bool) -> None:
    engine.script = Script(tool_calls=(CALL,), finish_reason="tool_calls")
    messages: list[Any] = [{"role": "user", "content": "What is the weather in Oslo?"}]
    with OpenAI(base_url=house.url, api_key="x", max_retries=0) as client:
        given: Any = {"model": "local", "tools": [TOOL], "tool_choice": "auto", "parallel_tool_calls": False}
        if stream:
            chunks = list(client.chat.completions.create(messages=messages, stream=True, **given))
            calls = [call for chunk in chunks for choice in chunk.choices for call in choice.delta.tool_calls or ()]
            assert [call.function.arguments for call in calls if call.function] == ['{"city":"Oslo"}']
            assert chunks[-1].choices[0].finish_reason == "tool_calls"
        else:
            said = client.chat.completions.create(messages=messages, **given).choices[0].message
            assert said.tool_calls is not None
            messages += [said.model_dump(), {"role": "tool", "tool_call_id": "call_1", "content": "Rain."}]
            engine.script = Script(answer="It rains.")
            last = client.chat.completions.create(messages=messages, **given)
            assert last.choices[0].message.content == "It rains."
    bodies = told(engine)
    assert all(body["tools"] == [TOOL] and body["parallel_tool_calls"] is False for body in bodies)
    if not stream:
        assert bodies[-1]["messages"][1:] == [
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "content": "Rain.", "tool_call_id": "call_1"},
        ]


def test_several_choices_of_a_stream_are_passed_on_each_by_its_index(house: Gateway, engine: Recorder) -> None:
    def chunk(index: int, text: str | None, finish: str | None = None) -> bytes:
        delta = {} if text is None else {"content": text}
        entry = {"token": text, "logprob": -0.1, "bytes": None, "top_logprobs": []}
        logprobs = None if text is None else {"content": [entry]}
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "smollm2-135m-instruct"}
        return b"data: " + orjson.dumps({**head, "choices": [choice]}) + b"\n\n"

    events = (
        chunk(0, "a"),
        chunk(1, "b"),
        chunk(1, "c"),
        chunk(0, "d"),
        chunk(1, None, "stop"),
        chunk(0, None, "stop"),
    )
    engine.script = Script(raw_events=(*events, b"data: [DONE]\n\n"))
    with OpenAI(base_url=house.url, api_key="x", max_retries=0) as client:
        texts = ["", ""]
        given: Any = {"messages": [{"role": "user", "content": "Say."}], "stream": True, "n": 2, "model": "local"}
        for part in client.chat.completions.create(**given):
            for choice in part.choices:
                texts[choice.index] += choice.delta.content or ""
                assert choice.logprobs is None
    assert texts == ["ad", "bc"]
