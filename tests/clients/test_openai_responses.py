"""The official `openai` package against `/v1/responses`: text, tools, schemas, streams, state, errors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import openai
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
