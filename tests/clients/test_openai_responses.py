"""The official `openai` package against `/v1/responses`: text, tools, schemas, streams, state, errors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import openai
import orjson
import pytest
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

from router.backends.scripted_replies import Script
from router.response_states import STATES_FILE
from tests.clients.conftest import CLOUD, HOME, House
from tests.support.gateway import until

WEATHER: Any = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather of a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "strict": False,
}
CALLS = (
    {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Berlin"}'}},
    {"id": "call_2", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Rome"}'}},
)
CARD = "Charge 4012 8888 8888 1881 please."


@pytest.fixture
def client(house: House) -> Iterator[OpenAI]:
    with OpenAI(base_url=house.gateway.url, api_key="none", max_retries=0) as client:
        yield client


class City(BaseModel):
    name: str


def test_a_text_comes_back_as_a_response(house: House, client: OpenAI) -> None:
    raw = client.responses.with_raw_response.create(
        model="auto", instructions="Be short.", input="Hello.", max_output_tokens=50, metadata={"a": "b"}
    )
    response = raw.parse()
    assert (response.output_text, response.status, response.error) == (HOME, "completed", None)
    assert (response.instructions, response.metadata) == ("Be short.", {"a": "b"})
    assert response.usage is not None
    assert response.usage.input_tokens == 7
    assert (raw.headers["x-gatehouse-route"], raw.headers["x-gatehouse-ignored"]) == ("local", "metadata")
    asked = house.asked()
    assert asked["messages"] == [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Hello."}]
    assert asked["max_tokens"] == 50


def test_a_stream_has_every_event_and_numbers_that_increase(client: OpenAI) -> None:
    events = list(client.responses.create(model="auto", input="Hello.", stream=True))
    kinds = [event.type for event in events]
    assert kinds[:4] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
    ]
    assert kinds[-4:] == [
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert set(kinds[4:-4]) == {"response.output_text.delta"}
    assert [event.sequence_number for event in events] == list(range(len(events)))


def test_the_clients_own_helper_puts_a_stream_together(client: OpenAI) -> None:
    with client.responses.stream(model="auto", input="Hello.") as stream:
        for _ in stream:
            pass
        response = stream.get_final_response()
    assert response.output_text == HOME
    assert response.usage is not None
    assert response.usage.output_tokens > 0


@pytest.mark.asyncio
async def test_the_asynchronous_client_streams_too(house: House) -> None:
    async with (
        AsyncOpenAI(base_url=house.gateway.url, api_key="none", max_retries=0) as client,
        client.responses.stream(model="auto", input="Hello.") as stream,
    ):
        text = [event.delta async for event in stream if event.type == "response.output_text.delta"]
    assert "".join(text) == HOME


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_parallel_calls_come_back_as_items_and_their_outputs_go_on(house: House, client: OpenAI, stream: bool) -> None:
    house.script(Script(answer="", tool_calls=CALLS, finish_reason="tool_calls"))
    if stream:
        with client.responses.stream(model="auto", input="Weather?", tools=[WEATHER]) as running:
            for _ in running:
                pass
            response: Any = running.get_final_response()
    else:
        response = client.responses.create(model="auto", input="Weather?", tools=[WEATHER])
    calls = [(item.call_id, item.name, item.arguments) for item in response.output if item.type == "function_call"]
    assert calls == [
        ("call_1", "get_weather", '{"city": "Berlin"}'),
        ("call_2", "get_weather", '{"city": "Rome"}'),
    ]
    outputs: Any = [{"type": "function_call_output", "call_id": call, "output": "Sunny."} for call, _, _ in calls]
    house.script()
    after = client.responses.create(model="auto", previous_response_id=response.id, input=outputs, tools=[WEATHER])
    assert after.output_text == HOME
    roles = [message["role"] for message in house.asked()["messages"]]  # type: ignore[attr-defined]
    assert roles == ["user", "assistant", "tool", "tool"]


def test_a_schema_is_asked_for_and_parsed(house: House, client: OpenAI) -> None:
    house.script(Script(answer='{"name": "Rome"}'))
    response = client.responses.parse(model="auto", input="A city.", text_format=City)
    assert response.output_parsed == City(name="Rome")
    form: Any = house.asked()["response_format"]
    assert (form["type"], form["json_schema"]["name"]) == ("json_schema", "City")


def test_a_conversation_goes_on_by_its_id_and_can_be_forgotten(house: House, client: OpenAI) -> None:
    first = client.responses.create(model="auto", instructions="Be short.", input="My colour is red.")
    second = client.responses.create(model="auto", previous_response_id=first.id, input="Which one?")
    assert second.previous_response_id == first.id
    assert house.asked()["messages"] == [
        {"role": "user", "content": "My colour is red."},
        {"role": "assistant", "content": HOME},
        {"role": "user", "content": "Which one?"},
    ]
    assert client.responses.retrieve(first.id).output_text == HOME
    client.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(first.id)
    with pytest.raises(openai.BadRequestError) as gone:
        client.responses.create(model="auto", previous_response_id=first.id, input="Which one?")
    assert gone.value.code == "previous_response_not_found"


def test_what_is_not_to_be_stored_is_not(client: OpenAI) -> None:
    unstored = client.responses.create(model="auto", input="Hello.", store=False)
    careful = client.responses.create(model="auto", input="Hello.", extra_headers={"cache-control": "no-store"})
    for response in (unstored, careful):
        with pytest.raises(openai.NotFoundError):
            client.responses.retrieve(response.id)


def test_what_was_said_before_holds_a_conversation_and_lies_sealed(house: House, client: OpenAI) -> None:
    """The card stands only in the first request; the second names its id alone."""
    first = client.responses.create(model="auto", input=CARD)
    with pytest.raises(openai.PermissionDeniedError):
        client.responses.create(model="cloud", previous_response_id=first.id, input="Say hello.")
    assert not house.cloud.exchanges
    files = list(house.gateway.state_dir.glob(f"{STATES_FILE}*"))
    assert files
    for file in files:
        assert b"4012 8888" not in file.read_bytes()
        assert file.stat().st_mode & 0o077 == 0


def test_what_is_sensitive_stays_whatever_item_it_stands_in(house: House, client: OpenAI) -> None:
    items: list[Any] = [
        [{"role": "user", "content": [{"type": "input_text", "text": CARD}]}],
        [{"type": "function_call_output", "call_id": "x", "output": CARD}],
        [{"type": "function_call", "call_id": "x", "name": "pay", "arguments": f'{{"a": "{CARD}"}}'}],
        [{"role": "user", "content": [{"type": "input_image", "image_url": "https://example.com/x.png"}]}],
    ]
    for item in items:
        with pytest.raises(openai.APIStatusError) as refused:
            client.responses.create(model="cloud", input=[*item, {"role": "user", "content": "Go."}], tools=[WEATHER])
        assert refused.value.status_code in (400, 403)
    with pytest.raises(openai.PermissionDeniedError):
        client.responses.create(model="cloud", instructions=CARD, input="Go.")
    assert not house.cloud.exchanges


def test_what_is_public_may_be_answered_outside_and_ids_of_people_do_not_go_along(house: House, client: OpenAI) -> None:
    response = client.responses.create(model="cloud", input="Say hello.", user="u-1", metadata={"who": "u-1"})
    assert response.output_text == CLOUD
    assert b"u-1" not in house.cloud.exchanges[-1].body


ERRORS = [
    {"input": []},
    {"input": [{"type": "item_reference", "id": "x"}]},
    {"input": [{"type": "item_reference", "id": 7}]},
    {"input": [{"role": "robot", "content": "x"}]},
    {"input": "x", "background": True},
    {"input": "x", "conversation": "conv_1"},
    {"input": "x", "tools": [{"type": "web_search"}]},
    {"input": "x", "api_base": "http://x"},
    {"input": "x", "nonsense": 1},
    {"input": "x", "previous_response_id": 5},
    {"input": "x", "text": {"format": {"type": "xml"}}},
]


@pytest.mark.parametrize("body", ERRORS)
def test_what_cannot_be_mapped_is_refused(house: House, body: dict[str, object]) -> None:
    answer = httpx.post(f"{house.gateway.url}/responses", json={"model": "auto", **body}, trust_env=False, timeout=60)
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")
    assert not house.home.exchanges


@pytest.mark.parametrize(
    "kind", ["web_search", "web_search_preview_2025_03_11", "file_search", "code_interpreter", "mcp"]
)
def test_a_tool_that_the_provider_runs_is_refused_by_name_and_with_what_to_do(house: House, kind: str) -> None:
    body = {"model": "auto", "input": "x", "tools": [{"type": kind}]}
    answer = httpx.post(f"{house.gateway.url}/responses", json=body, trust_env=False, timeout=60)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (400, "tools[0].type", "unsupported_field")
    assert kind.removesuffix("_2025_03_11") in error["message"]
    assert "Switch it off in the client" in error["message"]
    assert not house.home.exchanges


def test_a_tool_of_an_unknown_type_is_refused_without_the_callers_words(house: House) -> None:
    body = {"model": "auto", "input": "x", "tools": [{"type": "bluebird"}]}
    answer = httpx.post(f"{house.gateway.url}/responses", json=body, trust_env=False, timeout=60)
    assert answer.status_code == 400
    assert "bluebird" not in answer.text


PATCH = "*** Begin Patch\n*** Add File: a.txt\n+one\n*** End Patch"
CUSTOM: Any = {
    "type": "custom",
    "name": "apply_patch",
    "description": "Edits files.",
    "format": {"type": "grammar", "syntax": "lark", "definition": 'start: "*** Begin Patch" LF'},
}


def test_an_item_of_an_earlier_answer_may_be_named_by_its_id(house: House, client: OpenAI) -> None:
    """As clients do that believe it to be stored; what is not kept is told, and what is sensitive in it stays."""
    first = client.responses.create(model="auto", input="Hello.")
    again: Any = [
        {"role": "user", "content": "Hello."},
        {"type": "item_reference", "id": first.output[0].id},
        {"type": "item_reference", "id": "rs_of_another_provider"},
        {"role": "user", "content": "And now?"},
    ]
    client.responses.create(model="auto", input=again)
    assert [message["content"] for message in house.asked()["messages"]] == ["Hello.", HOME, "And now?"]
    house.script(Script(answer=CARD))
    secret = client.responses.create(model="auto", input="Hello.").output[0].id
    with pytest.raises(openai.PermissionDeniedError):
        client.responses.create(model="cloud", input=[{"type": "item_reference", "id": secret}, *again[3:]])
    kept_not = client.responses.create(model="auto", input="Hello.", store=False).output[0].id
    with pytest.raises(openai.BadRequestError) as unknown:
        client.responses.create(model="auto", input=[{"type": "item_reference", "id": kept_not}])
    assert (unknown.value.code, unknown.value.param) == ("item_not_found", "input[0].id")
    assert not house.cloud.exchanges


def test_a_tool_with_free_text_is_called_and_answered(house: House, client: OpenAI) -> None:
    """As coding agents offer their patches: models are asked for a function of one string, the client sees its own."""
    function = {"name": "apply_patch", "arguments": orjson.dumps({"input": PATCH}).decode()}
    call = {"id": "call_1", "type": "function", "function": function}
    house.script(Script(answer="", tool_calls=(call,), finish_reason="tool_calls", chunk_size=5))
    asked: Any = [{"role": "user", "content": "Add a file."}]
    whole = client.responses.create(model="auto", input=asked, tools=[CUSTOM]).output[0]
    offered = house.asked()["tools"][0]["function"]
    assert (offered["name"], offered["parameters"]["required"]) == ("apply_patch", ["input"])
    assert "*** Begin Patch" in offered["description"]
    with client.responses.stream(model="auto", input=asked, tools=[CUSTOM]) as stream:
        kinds = [event.type for event in stream]
        streamed = stream.get_final_response().output[0]
    assert kinds.count("response.custom_tool_call_input.done") == 1
    assert "response.function_call_arguments.delta" not in kinds
    for item in (whole, streamed):
        assert item.type == "custom_tool_call"
        assert (item.call_id, item.name, item.input) == ("call_1", "apply_patch", PATCH)
    house.script(Script(answer="Done."))
    result = {"type": "custom_tool_call_output", "call_id": "call_1", "output": "ok"}
    sent: Any = [*asked, whole.model_dump(exclude_none=True), result]
    assert client.responses.create(model="auto", input=sent, tools=[CUSTOM]).output_text == "Done."
    assert house.asked()["messages"][1]["tool_calls"] == [call]
    assert house.asked()["messages"][2] == {"role": "tool", "tool_call_id": "call_1", "content": "ok"}


def test_a_call_with_free_text_is_continued_from_what_is_kept_here(house: House, client: OpenAI) -> None:
    function = {"name": "apply_patch", "arguments": orjson.dumps({"input": PATCH}).decode()}
    call = {"id": "call_1", "type": "function", "function": function}
    house.script(Script(answer="", tool_calls=(call,), finish_reason="tool_calls"))
    first = client.responses.create(model="auto", input="Add a file.", tools=[CUSTOM])
    house.script(Script(answer="Done."))
    result: Any = [{"type": "custom_tool_call_output", "call_id": "call_1", "output": "ok"}]
    client.responses.create(model="auto", previous_response_id=first.id, input=result, tools=[CUSTOM])
    assert house.asked()["messages"][1]["tool_calls"] == [call]


@pytest.mark.parametrize("tool", [
    {"type": "custom"},
    {"type": "custom", "name": "x", "format": {"type": "grammar"}},
    {"type": "custom", "name": "x", "format": "text"},
])  # fmt: skip
def test_a_tool_with_free_text_that_is_none_is_refused(house: House, tool: dict[str, Any]) -> None:
    body = {"model": "auto", "input": "x", "tools": [tool]}
    answer = httpx.post(f"{house.gateway.url}/responses", json=body, trust_env=False, timeout=60)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_value")


def test_a_model_that_fails_before_and_amid_its_answer(house: House, client: OpenAI) -> None:
    house.script(Script(status=500))
    with pytest.raises(openai.APIStatusError) as failed:
        client.responses.create(model="auto", input="Hello.")
    assert failed.value.status_code >= 500
    house.script(Script(answer=HOME, fault="close_after", after=3))
    events = list(client.responses.create(model="auto", input="Hello.", stream=True))
    assert [event.type for event in events[-2:]] == ["response.failed", "error"]
    assert any(event.type == "response.output_text.delta" for event in events)
    failed_event = events[-2]
    assert failed_event.type == "response.failed"
    assert failed_event.response.status == "failed"


def test_an_answer_that_was_cut_off_is_incomplete(house: House, client: OpenAI) -> None:
    house.script(Script(answer=HOME, finish_reason="length"))
    response = client.responses.create(model="auto", input="Hello.")
    assert (response.status, response.incomplete_details.reason) == ("incomplete", "max_output_tokens")  # type: ignore[union-attr]


def test_a_caller_who_leaves_frees_the_model(house: House, client: OpenAI) -> None:
    house.script(Script(answer=HOME * 50, chunk_delay=0.05))
    with client.responses.create(model="auto", input="Hello.", stream=True) as stream:
        for event in stream:
            if event.type == "response.output_text.delta":
                break
    until(lambda: house.home.in_flight == 0)
