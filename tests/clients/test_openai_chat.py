"""The official `openai` package against `/v1/chat/completions`: text, tools, schemas, streams, every kind of error."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

from router.backends.scripted import Exchange
from router.backends.scripted_replies import Script
from tests.clients.conftest import CLOUD, HOME, KEY, House
from tests.support.gateway import Gateway, until

WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
CALLS = (
    {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Berlin"}'}},
    {"id": "call_2", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Rome"}'}},
)
CARD = "Charge 4012 8888 8888 1881 please."


class City(BaseModel):
    name: str
    people: int


@pytest.fixture
def client(house: House) -> Iterator[OpenAI]:
    with OpenAI(base_url=house.gateway.url, api_key="none", max_retries=0) as client:
        yield client


def said(text: str) -> Any:
    return [{"role": "user", "content": text}]


def test_a_text_comes_back_with_its_route_in_the_headers(house: House, client: OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model="gpt-4o-mini", messages=[{"role": "developer", "content": "Be short."}, *said("Hello.")], user="u-1"
    )
    answer = raw.parse()
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == (HOME, "stop")
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert (raw.headers["x-gatehouse-route"], raw.headers["x-gatehouse-model"]) == ("local", "home")
    assert raw.headers["x-gatehouse-ignored"] == "user"
    assert raw.request_id == answer._request_id == raw.headers["x-gatehouse-request-id"]
    assert house.asked()["messages"] == [{"role": "system", "content": "Be short."}, *said("Hello.")]


def test_a_stream_has_a_role_first_a_reason_last_and_no_chunk_without_choices(client: OpenAI) -> None:
    with client.chat.completions.create(model="auto", messages=said("Hello."), stream=True) as stream:
        chunks = list(stream)
        assert stream.response.headers["content-type"].startswith("text/event-stream")
        assert stream.response.headers["x-gatehouse-route"] == "local"
    assert all(len(chunk.choices) == 1 and chunk.usage is None for chunk in chunks)
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == HOME
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices[0].finish_reason] == ["stop"]
    assert {(chunk.id, chunk.object, chunk.created) for chunk in chunks} == {
        (chunks[0].id, "chat.completion.chunk", chunks[0].created)
    }


def test_a_stream_tells_its_usage_where_asked_and_only_in_its_last_chunk(client: OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model="auto", messages=said("Hello."), stream=True, stream_options={"include_usage": True}
        )
    )
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens > 0
    assert [chunk for chunk in chunks[:-1] if chunk.usage is not None or not chunk.choices] == []


def test_the_clients_own_helper_puts_a_stream_together(client: OpenAI) -> None:
    with client.chat.completions.stream(
        model="auto", messages=said("Hello."), stream_options={"include_usage": True}
    ) as stream:
        deltas = [event.delta for event in stream if event.type == "content.delta"]
        whole = stream.get_final_completion()
    assert "".join(deltas) == whole.choices[0].message.content == HOME
    assert whole.usage is not None
    assert whole.usage.completion_tokens > 0


async def test_the_asynchronous_client_does_the_same(house: House) -> None:
    async with AsyncOpenAI(base_url=house.gateway.url, api_key="none", max_retries=0) as client:
        answer = await client.chat.completions.create(model="auto", messages=said("Hello."))
        assert answer.choices[0].message.content == HOME
        stream = await client.chat.completions.create(model="auto", messages=said("Hello."), stream=True)
        assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == HOME
        async with client.chat.completions.stream(model="auto", messages=said("Hello.")) as helper:
            assert (await helper.get_final_completion()).choices[0].message.content == HOME
        with pytest.raises(openai.PermissionDeniedError):
            await client.chat.completions.create(model="cloud", messages=said(CARD))


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("model", ["auto", "cloud"])
def test_parallel_calls_of_tools_keep_their_ids_and_arguments(
    house: House, client: OpenAI, model: str, stream: bool
) -> None:
    calls = Script(answer="", tool_calls=CALLS, finish_reason="tool_calls", chunk_size=5)
    house.script(home=calls, cloud=calls)
    asked: Any = {"model": model, "messages": said("Weather?"), "tools": [WEATHER], "parallel_tool_calls": True}
    if stream:
        with client.chat.completions.stream(**asked) as running:
            pieces = [event.arguments_delta for event in running if event.type == "tool_calls.function.arguments.delta"]
            answer: Any = running.get_final_completion()
        assert "".join(pieces) == "".join(call["function"]["arguments"] for call in CALLS)  # type: ignore[index]
        assert len(pieces) > 2
    else:
        answer = client.chat.completions.create(**asked)
    choice = answer.choices[0]
    found = [(call.id, call.function.name, call.function.arguments) for call in choice.message.tool_calls]
    assert found == [("call_1", "get_weather", '{"city": "Berlin"}'), ("call_2", "get_weather", '{"city": "Rome"}')]
    assert choice.finish_reason == "tool_calls"


def test_the_results_of_tools_go_on_in_their_places(house: House, client: OpenAI) -> None:
    turn = [
        *said("Weather?"),
        {"role": "assistant", "content": None, "tool_calls": list(CALLS)},
        {"role": "tool", "tool_call_id": "call_1", "content": "Rain."},
        {"role": "tool", "tool_call_id": "call_2", "content": "Sun."},
    ]
    assert client.chat.completions.create(model="auto", messages=turn, tools=[WEATHER]).choices[0].message.content
    assert house.asked()["messages"] == turn
    assert house.asked()["tools"] == [WEATHER]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_schema_is_asked_for_and_parsed(house: House, client: OpenAI, stream: bool) -> None:
    house.script(Script(answer='{"name": "Rome", "people": 2800000}', chunk_size=6))
    if stream:
        with client.chat.completions.stream(model="auto", messages=said("A city."), response_format=City) as running:
            message: Any = running.get_final_completion().choices[0].message
    else:
        message = (
            client.chat.completions.parse(model="auto", messages=said("A city."), response_format=City)
            .choices[0]
            .message
        )
    assert message.parsed == City(name="Rome", people=2800000)
    form = house.asked()["response_format"]
    assert (form["type"], form["json_schema"]["name"], form["json_schema"]["strict"]) == ("json_schema", "City", True)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_several_choices_keep_their_numbers(client: OpenAI, stream: bool) -> None:
    asked: Any = {"model": "auto", "messages": said("Hello."), "n": 3}
    texts: dict[int, str] = {}
    if stream:
        for chunk in client.chat.completions.create(**asked, stream=True):
            for piece in chunk.choices:
                texts[piece.index] = texts.get(piece.index, "") + (piece.delta.content or "")
    else:
        texts = {choice.index: choice.message.content for choice in client.chat.completions.create(**asked).choices}
    assert texts == dict.fromkeys(range(3), HOME)


def test_log_probabilities_come_only_where_asked(house: House, client: OpenAI) -> None:
    house.script(Script(answer=HOME, confidence=0.5))
    asked: Any = {"model": "auto", "messages": said("Hello.")}
    whole = client.chat.completions.create(**asked, logprobs=True).choices[0].logprobs
    assert whole is not None
    assert "".join(entry.token for entry in whole.content or ()) == HOME
    streamed = [
        entry.token
        for chunk in client.chat.completions.create(**asked, logprobs=True, stream=True)
        for entry in (chunk.choices[0].logprobs.content if chunk.choices[0].logprobs else None) or ()
    ]
    assert "".join(streamed) == HOME
    assert client.chat.completions.create(**asked).choices[0].logprobs is None
    quiet = client.chat.completions.create(**asked, stream=True)
    assert [chunk for chunk in quiet if chunk.choices[0].logprobs] == []


def test_what_is_public_may_be_answered_outside_and_what_is_not_never(house: House, client: OpenAI) -> None:
    answer = client.chat.completions.create(model="cloud", messages=said("Say hello."))
    assert answer.choices[0].message.content == CLOUD
    assert len(house.cloud.exchanges) == 1
    with pytest.raises(openai.PermissionDeniedError) as refused:
        client.chat.completions.create(model="cloud", messages=said(CARD), stream=True)
    assert (refused.value.status_code, refused.value.code, refused.value.type) == (
        403,
        "policy_denied",
        "permission_error",
    )
    assert refused.value.request_id == refused.value.response.headers["x-gatehouse-request-id"]
    assert len(house.cloud.exchanges) == 1


# What goes wrong before an answer begins: the request, what the models then do, and what the client raises.
BEFORE: list[tuple[dict[str, Any], Script, type[openai.APIStatusError], int, str]] = [
    ({"messages": []}, Script(), openai.BadRequestError, 400, "invalid_value"),
    ({"temperature": 9}, Script(), openai.BadRequestError, 400, "invalid_value"),
    ({"extra_body": {"api_base": "x"}}, Script(), openai.BadRequestError, 400, "forbidden_field"),
    ({"model": "local", "extra_body": {"nonsense": 1}}, Script(), openai.BadRequestError, 400, "no_able_lawful_model"),
    ({"model": "nobody"}, Script(), openai.NotFoundError, 404, "model_not_found"),
    ({}, Script(status=429, headers=(("Retry-After", "7"),)), openai.RateLimitError, 429, "local_overloaded"),
    ({}, Script(status=503), openai.InternalServerError, 503, "local_unavailable"),
    ({}, Script(status=500), openai.InternalServerError, 503, "local_unavailable"),
    ({}, Script(fault="close_before"), openai.InternalServerError, 503, "local_unavailable"),
    ({"model": "cloud"}, Script(status=500), openai.InternalServerError, 502, "upstream_error"),
    ({"model": "cloud"}, Script(status=429), openai.RateLimitError, 429, "upstream_error"),
    ({"model": "cloud"}, Script(status=400), openai.BadRequestError, 400, "invalid_request"),
]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(("asked", "failing", "raises", "status", "code"), BEFORE, ids=lambda value: str(value)[:30])
def test_an_error_before_the_answer_is_the_clients_own_class(
    house: House,
    client: OpenAI,
    asked: dict[str, Any],
    failing: Script,
    raises: type[openai.APIStatusError],
    status: int,
    code: str,
    stream: bool,
) -> None:
    house.script(home=failing, cloud=failing)
    with pytest.raises(raises) as failed:
        client.chat.completions.create(**{"model": "auto", "messages": said("Hello."), "stream": stream, **asked})
    assert (failed.value.status_code, failed.value.code) == (status, code)
    assert failed.value.type
    assert "Hello" not in str(failed.value)
    headers = failed.value.response.headers
    assert ("retry-after" in headers) is (status in (429, 503))
    if failing.headers:
        assert headers["retry-after"] == "7"


@pytest.mark.parametrize("fault", ["close_after", "half_json", "error_event", "garbage"])
def test_an_error_amid_a_stream_is_raised_after_what_came(house: House, client: OpenAI, fault: Any) -> None:
    house.script(Script(answer=HOME, fault=fault, after=4))
    stream = client.chat.completions.create(model="auto", messages=said("Hello."), stream=True)
    texts: list[str] = []
    with pytest.raises(openai.APIError) as broken:
        texts.extend(chunk.choices[0].delta.content or "" for chunk in stream)
    assert HOME.startswith("".join(texts))
    assert "".join(texts)
    assert broken.value.code == "upstream_error"
    assert house.home.in_flight == 0


def test_a_wrong_key_is_an_authentication_error(keyed: Gateway, house: House) -> None:
    for key in ("wrong", KEY):
        with OpenAI(base_url=keyed.url, api_key=key, max_retries=2) as client:
            if key == KEY:
                assert client.chat.completions.create(model="auto", messages=said("Hello.")).choices
                continue
            with pytest.raises(openai.AuthenticationError) as refused:
                client.chat.completions.create(model="auto", messages=said("Hello."))
            assert (refused.value.code, refused.value.type) == ("invalid_api_key", "authentication_error")
            with pytest.raises(openai.AuthenticationError):
                client.models.list()
    assert len(house.home.exchanges) == 1


def failing_once(error: Script) -> Any:
    """A model that fails at the first of its requests."""
    seen: list[Exchange] = []

    def choose(exchange: Exchange) -> Script:
        seen.append(exchange)
        return error if len(seen) == 1 else Script(answer=HOME)

    return choose


def test_the_client_tries_again_where_that_can_help_and_waits_as_told(house: House) -> None:
    house.script(failing_once(Script(status=503, headers=(("Retry-After", "1"),))))
    with OpenAI(base_url=house.gateway.url, api_key="none", max_retries=1) as client:
        raw = client.chat.completions.with_raw_response.create(model="auto", messages=said("Hello."))
    assert raw.retries_taken == 1
    first, second = (exchange for exchange in house.home.exchanges if exchange.method == "POST")
    assert second.received - first.received >= 1


def test_the_client_does_not_try_again_where_the_gateway_says_that_it_is_no_use(keyed: Gateway) -> None:
    tries: list[str] = []
    transport = httpx.Client(trust_env=False, event_hooks={"request": [lambda request: tries.append(request.method)]})
    with (
        OpenAI(base_url=keyed.url, api_key=KEY, max_retries=3, http_client=transport) as client,
        pytest.raises(openai.RateLimitError) as refused,
    ):
        client.chat.completions.create(model="cloud", messages=said("Hello."), max_tokens=9)
    assert (refused.value.code, tries) == ("budget_exhausted", ["POST"])
    assert refused.value.response.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("pieces", [0, 1], ids=["before the first token", "amid the answer"])
def test_a_caller_who_leaves_a_stream_frees_the_model(house: House, client: OpenAI, pieces: int) -> None:
    house.script(Script(answer=HOME * 50, chunk_delay=0.05))
    stream = client.chat.completions.create(model="auto", messages=said("Hello."), stream=True)
    for _ in range(pieces):
        next(stream)
    stream.close()
    until(lambda: house.home.in_flight == 0, seconds=30)


def test_a_caller_who_gives_up_waiting_frees_the_model(house: House) -> None:
    house.script(Script(fault="stall_before"))
    with (
        OpenAI(base_url=house.gateway.url, api_key="none", max_retries=0) as client,
        pytest.raises(openai.APITimeoutError),
    ):
        client.with_options(timeout=1).chat.completions.create(model="auto", messages=said("Hello."))
    until(lambda: house.home.in_flight == 0, seconds=30)


def test_the_models_are_listed_and_looked_up(client: OpenAI) -> None:
    listed = {model.id: model for model in client.models.list()}
    assert {"auto", "local", "cloud", "home"} <= listed.keys()
    assert {model.object for model in listed.values()} == {"model"}
    assert client.models.retrieve("home").id == "home"
    alias: Any = client.models.retrieve("gpt-4o-mini")  # a client that looks its model up before it asks it
    assert (alias.id, alias.gatehouse["alias_of"]) == ("gpt-4o-mini", "auto")
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("nobody")


@pytest.mark.parametrize(("path", "told"), [
    ("/chat/completions", "must end in /v1"),
    ("/models", "must end in /v1"),
    ("/v1/v1/messages", "without it"),
    ("/v1/bluebird", ""),
])  # fmt: skip
def test_a_wrong_base_url_is_told_what_is_wrong_with_it(house: House, path: str, told: str) -> None:
    answer = httpx.post(house.gateway.root + path, json={}, trust_env=False)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (404, "unknown_path")
    assert error["message"].endswith("/v1/models.") if not told else told in error["message"]
    assert "bluebird" not in answer.text


def test_what_there_is_not_is_a_404_and_goes_nowhere(house: House, client: OpenAI) -> None:
    for ask in (client.files.list, client.fine_tuning.jobs.list, lambda: client.moderations.create(input="Hello.")):
        with pytest.raises(openai.NotFoundError) as unknown:
            ask()
        assert unknown.value.code == "unknown_path"
    assert not house.home.exchanges
    assert not house.cloud.exchanges
