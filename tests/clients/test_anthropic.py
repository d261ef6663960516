"""The official `anthropic` package against `/v1/messages`: text, tools, streams, errors at every stage, counting."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import pytest
from anthropic import Anthropic, AsyncAnthropic

from router.backends.scripted_replies import Script
from tests.clients.conftest import CLOUD, HOME, House
from tests.support.gateway import until

MODEL = "claude-any"  # an alias of the policy; the client warns of its own old names
WEATHER = {
    "name": "get_weather",
    "description": "The weather of a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
CALLS = (
    {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Berlin"}'}},
    {"id": "call_2", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Rome"}'}},
)
CARD = "Charge 4012 8888 8888 1881 please."


@pytest.fixture
def client(house: House) -> Iterator[Anthropic]:
    with Anthropic(base_url=house.gateway.root, api_key="none", max_retries=0) as client:
        yield client


def said(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def test_a_text_comes_back_as_a_message(house: House, client: Anthropic) -> None:
    raw = client.messages.with_raw_response.create(
        model=MODEL,
        max_tokens=50,
        system="Be short.",
        messages=said("Hello."),
        stop_sequences=["END"],
        extra_body={"top_k": 5},
    )
    message = raw.parse()
    assert [block.text for block in message.content if block.type == "text"] == [HOME]
    assert (message.role, message.type, message.stop_reason) == ("assistant", "message", "end_turn")
    assert message.usage.input_tokens == 7
    assert message.usage.output_tokens > 0
    assert raw.headers["x-gatehouse-route"] == "local"
    asked = house.asked()
    assert asked["messages"] == [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Hello."}]
    assert (asked["stop"], asked["max_tokens"], asked["top_k"]) == (["END"], 50, 5)


def test_a_stream_is_put_together_by_the_clients_own_helper(client: Anthropic) -> None:
    with client.messages.stream(model=MODEL, max_tokens=50, messages=said("Hello.")) as stream:
        text = "".join(stream.text_stream)
        message = stream.get_final_message()
    assert text == HOME
    assert (message.stop_reason, message.usage.input_tokens) == ("end_turn", 7)
    assert message.usage.output_tokens > 0


def test_events_stand_in_the_order_of_the_reference(client: Anthropic) -> None:
    events = list(client.messages.create(model=MODEL, max_tokens=50, messages=said("Hello."), stream=True))
    kinds = [event.type for event in events]
    assert kinds[:2] == ["message_start", "content_block_start"]
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert set(kinds[2:-3]) == {"content_block_delta"}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("script", "told"),
    [
        (Script(answer="One", stop_reason="END"), ("stop_sequence", "END")),
        (Script(answer="One"), ("end_turn", None)),  # a server that does not say what stopped it
        (Script(answer="One", stop_reason="</other>"), ("end_turn", None)),  # nobody asked for that one
        (Script(answer="One", stop_reason="END", finish_reason="length"), ("max_tokens", None)),
    ],
)
def test_a_stop_sequence_is_told_where_the_model_says_which(
    house: House, client: Anthropic, script: Script, told: tuple[str, str | None], stream: bool
) -> None:
    house.script(script)
    asked = {"model": MODEL, "max_tokens": 50, "messages": said("Count."), "stop_sequences": ["END", "FIN"]}
    if stream:
        with client.messages.stream(**asked) as running:  # type: ignore[arg-type]
            message = running.get_final_message()
    else:
        message = client.messages.create(**asked)  # type: ignore[call-overload]
    assert (message.stop_reason, message.stop_sequence) == told


def test_the_models_are_listed_as_this_client_wants_them(client: Anthropic) -> None:
    models = {model.id: model for model in client.models.list()}
    assert {"auto", "home", "cloud"} <= models.keys()
    assert (models["home"].type, models["home"].display_name) == ("model", "home")
    assert client.models.retrieve("home").created_at.year == 2025


def test_an_id_of_the_request_is_where_this_client_looks_for_it(client: Anthropic) -> None:
    message = client.messages.create(model=MODEL, max_tokens=50, messages=said("Hello."))
    assert (message._request_id or "").startswith("gh-")


@pytest.mark.asyncio
async def test_the_asynchronous_client_streams_too(house: House) -> None:
    async with (
        AsyncAnthropic(base_url=house.gateway.root, api_key="none", max_retries=0) as client,
        client.messages.stream(model=MODEL, max_tokens=50, messages=said("Hello.")) as stream,
    ):
        text = [piece async for piece in stream.text_stream]
    assert "".join(text) == HOME


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_parallel_calls_of_tools_come_back_as_blocks(house: House, client: Anthropic, stream: bool) -> None:
    house.script(Script(answer="", tool_calls=CALLS, finish_reason="tool_calls"))
    arguments = {"model": MODEL, "max_tokens": 50, "messages": said("Weather?"), "tools": [WEATHER]}
    if stream:
        with client.messages.stream(**arguments, tool_choice={"type": "any"}) as running:
            message = running.get_final_message()
    else:
        message = client.messages.create(**arguments, tool_choice={"type": "any"})
    found = [(block.id, block.name, block.input) for block in message.content if block.type == "tool_use"]
    assert found == [("call_1", "get_weather", {"city": "Berlin"}), ("call_2", "get_weather", {"city": "Rome"})]
    assert message.stop_reason == "tool_use"
    assert house.asked()["tool_choice"] == "required"


def test_a_loop_of_tools_is_handed_on_as_such(house: House, client: Anthropic) -> None:
    messages = [
        *said("Weather?"),
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Hmm.", "signature": "x"},
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": "call_1", "name": "get_weather", "input": {"city": "Rome"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "call_1", "content": [{"type": "text", "text": "Sunny."}]},
                {"type": "text", "text": "And now?", "cache_control": {"type": "ephemeral"}},
            ],
        },
    ]
    client.messages.create(model=MODEL, max_tokens=50, messages=messages, tools=[WEATHER])  # type: ignore[arg-type]
    call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Rome"}'}}
    assert house.asked()["messages"] == [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": "I look.", "tool_calls": [call]},
        {"role": "tool", "content": "Sunny.", "tool_call_id": "call_1"},
        {"role": "user", "content": "And now?"},
    ]


@pytest.mark.parametrize(("content", "told"), [
    ("No such city.", "The tool call failed:\nNo such city."),
    ([{"type": "text", "text": "No such city."}], "The tool call failed:\nNo such city."),
    (None, "The tool call failed:"),
])  # fmt: skip
def test_the_model_is_told_that_a_tool_call_failed(house: House, client: Anthropic, content: Any, told: str) -> None:
    """Chat completions have no member for it, so the text says it; without it the model would take it for an answer."""
    block = {"type": "tool_result", "tool_use_id": "call_1", "is_error": True}
    use = {"type": "tool_use", "id": "call_1", "name": "get_weather", "input": {}}
    messages: list[Any] = [
        *said("Weather?"),
        {"role": "assistant", "content": [use]},
        {"role": "user", "content": [block if content is None else {**block, "content": content}]},
    ]
    client.messages.create(model=MODEL, max_tokens=50, messages=messages, tools=[WEATHER])
    result = house.asked()["messages"][-1]
    assert (result["role"], result["tool_call_id"]) == ("tool", "call_1")
    assert result["content"] == told
    messages[-1]["content"][0]["is_error"] = False
    client.messages.create(model=MODEL, max_tokens=50, messages=messages, tools=[WEATHER])
    assert "failed" not in str(house.asked()["messages"][-1])


def test_what_is_sensitive_stays_whatever_block_it_stands_in(house: House, client: Anthropic) -> None:
    blocks = [
        {"role": "user", "content": [{"type": "text", "text": CARD}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "x", "content": CARD}]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "x", "name": "pay", "input": {"a": CARD}}]},
    ]
    for block in blocks:
        with pytest.raises(anthropic.PermissionDeniedError) as refused:
            client.messages.create(model="cloud", max_tokens=9, messages=[block, *said("Go.")], tools=[WEATHER])  # type: ignore[list-item]
        assert refused.value.body["error"]["code"] == "policy_denied"  # type: ignore[index]
    with pytest.raises(anthropic.PermissionDeniedError):
        client.messages.create(model="cloud", max_tokens=9, system=CARD, messages=said("Go."))
    assert not house.cloud.exchanges


def test_what_is_public_may_be_answered_outside(house: House, client: Anthropic) -> None:
    message = client.messages.create(
        model="cloud", max_tokens=9, messages=said("Say hello."), metadata={"user_id": "u-1"}
    )
    assert message.content[0].text == CLOUD  # type: ignore[union-attr]
    assert b"u-1" not in house.cloud.exchanges[-1].body


ERRORS = [
    ({"max_tokens": 9, "messages": []}, 400, "invalid_request_error"),
    ({"messages": said("x")}, 400, "invalid_request_error"),
    ({"max_tokens": 9, "messages": said("x"), "api_base": "http://x"}, 400, "invalid_request_error"),
    ({"max_tokens": 9, "messages": said("x"), "mcp_servers": [{}]}, 400, "invalid_request_error"),
    (
        {"max_tokens": 9, "messages": said("x"), "tools": [{"type": "web_search_20250305"}]},
        400,
        "invalid_request_error",
    ),
    ({"max_tokens": 9, "messages": said("x"), "model": "nobody"}, 404, "not_found_error"),
    ({"max_tokens": 9, "messages": [{"role": "tool", "content": "x"}]}, 400, "invalid_request_error"),
    (
        {"max_tokens": 9, "messages": [{"role": "user", "content": [{"type": "image", "source": {}}]}]},
        400,
        "invalid_request_error",
    ),
]


@pytest.mark.parametrize(("body", "status", "kind"), ERRORS)
def test_an_error_has_the_dialects_own_form(house: House, body: dict[str, object], status: int, kind: str) -> None:
    answer = httpx.post(f"{house.gateway.url}/messages", json={"model": "auto", **body}, trust_env=False, timeout=60)
    told = answer.json()
    assert (answer.status_code, told["type"], told["error"]["type"]) == (status, "error", kind)
    assert told["request_id"] == answer.headers["x-gatehouse-request-id"]
    assert told["error"]["code"]
    assert not house.home.exchanges


def test_a_prompt_that_is_too_long_is_told_in_the_words_that_agents_know(house: House, client: Anthropic) -> None:
    """Before any model is asked; and where only the model at home knows."""
    with pytest.raises(anthropic.BadRequestError, match="prompt is too long"):
        client.messages.create(model="local", max_tokens=9, messages=said("word " * 20_000))
    assert not house.home.exchanges
    error = {"message": "no", "code": "context_length_exceeded", "type": "invalid_request_error"}
    house.script(Script(status=400, error=error))
    with pytest.raises(anthropic.BadRequestError, match="prompt is too long"):
        client.messages.create(model="local", max_tokens=9, messages=said("Hello."))


def test_a_model_that_fails_before_and_amid_its_answer(house: House, client: Anthropic) -> None:
    house.script(Script(status=500))
    with pytest.raises(anthropic.APIStatusError) as failed:
        client.messages.create(model=MODEL, max_tokens=9, messages=said("Hello."))
    assert failed.value.status_code >= 500
    house.script(Script(answer=HOME, fault="close_after", after=3))
    pieces: list[str] = []
    events = client.messages.create(model=MODEL, max_tokens=9, messages=said("Hello."), stream=True)
    with pytest.raises(anthropic.APIStatusError) as broken:
        pieces.extend(event.type for event in events)
    assert "content_block_delta" in pieces
    assert "message_stop" not in pieces
    assert broken.value.body["error"]["type"]  # type: ignore[index]


def test_a_caller_who_leaves_frees_the_model(house: House, client: Anthropic) -> None:
    house.script(Script(answer=HOME * 50, chunk_delay=0.05))
    with client.messages.stream(model=MODEL, max_tokens=500, messages=said("Hello.")) as stream:
        next(iter(stream.text_stream))
    until(lambda: house.home.in_flight == 0)


def test_tokens_are_counted_without_a_model(house: House, client: Anthropic) -> None:
    few = client.messages.count_tokens(model=MODEL, messages=said("Hello."))
    many = client.messages.count_tokens(
        model=MODEL, system="Be short.", messages=said("Hello. " * 100), tools=[WEATHER]
    )
    assert 0 < few.input_tokens < many.input_tokens
    assert not house.home.exchanges


def test_a_schema_is_asked_for_as_one(house: House) -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "integer"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    body = {
        "model": "auto",
        "max_tokens": 9,
        "messages": said("x"),
        "output_config": {"format": {"type": "json_schema", "schema": schema}},
    }
    answer = httpx.post(f"{house.gateway.url}/messages", json=body, trust_env=False, timeout=60)
    assert answer.status_code == 200
    assert house.asked()["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": schema},
    }
