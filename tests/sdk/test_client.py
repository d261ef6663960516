"""The SDK over a real loopback server: the official client keeps working, and each reply says where it came from."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import gatehouse
import openai
import pytest
from gatehouse import AsyncGatehouse, ChatReply, Gatehouse, GatewayUnreachable, RouteInfo, route_of
from openai.types.chat import ChatCompletion, ChatCompletionUserMessageParam
from pydantic import BaseModel

from tests.sdk.stand_in import Gateway

MESSAGES: list[ChatCompletionUserMessageParam] = [{"role": "user", "content": "capital of France?"}]
WHOLE = RouteInfo(
    request_id="req-7",
    route="local",
    model="home",
    reason="sensitivity",
    sensitivity="restricted",
    policy="1",
    held="hard-questions",
    complexity=0.83,
    confidence=0.41,
    ignored=("user", "metadata"),
)


class City(BaseModel):
    city: str


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port on which nothing listens, kept by a socket that was bound and does not listen."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


def test_a_reply_is_the_official_type_and_says_where_it_came_from(client: Gatehouse) -> None:
    reply = client.chat.completions.create(model="auto", messages=MESSAGES)
    assert isinstance(reply, ChatCompletion)
    assert reply.choices[0].message.content == "Paris"
    assert reply.gatehouse == WHOLE
    assert reply._request_id == "req-7"


def test_the_route_information_is_not_part_of_the_serialised_reply(client: Gatehouse) -> None:
    reply = client.chat.completions.create(model="auto", messages=MESSAGES)
    assert "gatehouse" not in reply.model_dump_json()
    assert reply.to_dict() == ChatCompletion.model_validate(reply.to_dict()).to_dict()


def test_a_reply_that_never_saw_a_gateway_has_empty_route_information() -> None:
    reply = ChatReply(id="1", choices=[], created=1, model="m", object="chat.completion")
    assert reply.gatehouse == RouteInfo()


def test_a_stream_is_pending_until_its_last_chunk_gives_the_final_route(client: Gatehouse) -> None:
    with client.chat.completions.create(model="auto", messages=MESSAGES, stream=True) as stream:
        assert isinstance(stream, openai.Stream)
        assert stream.gatehouse.route == "pending"
        text = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
    assert text == "Paris"
    assert (stream.gatehouse.route, stream.gatehouse.reason, stream.gatehouse.confidence) == (
        "cloud",
        "escalation",
        0.2,
    )
    assert stream.gatehouse.request_id == "req-7"


def test_a_stream_read_by_next_learns_the_final_route_too(client: Gatehouse) -> None:
    stream = client.chat.completions.create(model="auto", messages=MESSAGES, stream=True)
    while next(stream, None):
        continue
    assert stream.gatehouse.route == "cloud"


def test_privacy_of_one_call_travels_as_the_header_that_tightens(client: Gatehouse, gateway: Gateway) -> None:
    client.chat.completions.create(model="auto", messages=MESSAGES, privacy="local-only", extra_headers={"x-a": "b"})
    client.chat.completions.create(model="auto", messages=MESSAGES)
    first, second = gateway.seen
    assert (first.headers["x-gatehouse-privacy"], first.headers["x-a"]) == ("local-only", "b")
    assert "privacy" not in first.body
    assert "x-gatehouse-privacy" not in second.headers


def test_privacy_of_a_client_holds_for_every_call_and_every_copy(gateway: Gateway) -> None:
    with Gatehouse(base_url=gateway.url, privacy="local-only") as client:
        assert client.privacy == "local-only"
        client.chat.completions.create(model="auto", messages=MESSAGES)
        client.with_options(timeout=5).chat.completions.create(model="auto", messages=MESSAGES, stream=True).close()
        client.explain(messages=MESSAGES)
        client.models.list()
    assert [seen.headers.get("x-gatehouse-privacy") for seen in gateway.seen] == ["local-only"] * 4


def test_with_privacy_gives_a_tight_client_and_leaves_the_first_as_it_was(client: Gatehouse, gateway: Gateway) -> None:
    tight = client.with_privacy("local-only")
    assert type(tight) is Gatehouse
    tight.chat.completions.create(model="auto", messages=MESSAGES)
    client.chat.completions.create(model="auto", messages=MESSAGES)
    assert [seen.headers.get("x-gatehouse-privacy") for seen in gateway.seen] == ["local-only", None]


def test_a_privacy_that_does_not_exist_is_refused_before_anything_is_sent(client: Gatehouse, gateway: Gateway) -> None:
    with pytest.raises(ValueError, match="local-only"):
        client.chat.completions.create(model="auto", messages=MESSAGES, privacy="cloud-ok")  # type: ignore[call-overload]
    assert gateway.seen == []


def test_explain_gives_the_decision_with_types(client: Gatehouse, gateway: Gateway) -> None:
    why = client.explain(messages=MESSAGES, temperature=0.2)
    assert (why.route, why.model, why.rule, why.payload, why.sensitivity, why.policy) == (
        "local", "home", "sensitivity", "none", "restricted", "1",
    )  # fmt: skip
    finding = why.findings[0]
    assert (finding.entity_type, finding.place, finding.start, finding.end, finding.via) == (
        "CREDIT_CARD",
        "value",
        8,
        27,
        ["base64"],
    )
    assert (why.signals["complexity"].value, why.signals["complexity"].band) == (0.83, "hard")
    assert why.signals["language"].error == "timeout"
    assert why.reasons[0].matched is True
    assert [unknown.kind for unknown in why.unknowns] == ["image"]
    assert [(one.model, one.lawful, one.able) for one in why.candidates] == [("cloud", False, True)]
    assert why.refusal is not None
    assert why.refusal.status == 403
    assert gateway.seen[0].path == "/v1/route"
    assert gateway.seen[0].body == {"model": "auto", "temperature": 0.2, "messages": MESSAGES}


def test_explain_takes_one_prompt_or_messages_but_not_both(client: Gatehouse, gateway: Gateway) -> None:
    client.explain("hello", privacy="local-only")
    assert gateway.seen[0].body["messages"] == [{"role": "user", "content": "hello"}]
    assert gateway.seen[0].headers["x-gatehouse-privacy"] == "local-only"
    with pytest.raises(ValueError, match="one of the two"):
        client.explain("hello", messages=MESSAGES)


def test_feedback_names_the_answer_and_nothing_else(client: Gatehouse, gateway: Gateway) -> None:
    reply = client.chat.completions.create(model="auto", messages=MESSAGES)
    kept = client.feedback(reply.gatehouse.request_id, "bad", "incorrect")
    assert (kept.request_id, kept.verdict, kept.reason) == ("req-7", "bad", "incorrect")
    assert client.feedback("req-7", "good").reason is None
    assert [(seen.path, seen.body) for seen in gateway.seen[1:]] == [
        ("/v1/feedback", {"request_id": "req-7", "verdict": "bad", "reason": "incorrect"}),
        ("/v1/feedback", {"request_id": "req-7", "verdict": "good"}),
    ]
    with pytest.raises(ValueError, match=r"gatehouse\.request_id"):
        client.feedback("", "good")


def test_parse_gives_the_typed_answer_and_its_route(client: Gatehouse, gateway: Gateway) -> None:
    reply = client.chat.completions.parse(model="auto", messages=MESSAGES, response_format=City, privacy="local-only")
    assert reply.choices[0].message.parsed == City(city="Paris")
    assert route_of(reply) == WHOLE
    assert gateway.seen[0].headers["x-gatehouse-privacy"] == "local-only"


def test_the_official_stream_helper_works_and_tells_its_route(client: Gatehouse) -> None:
    with client.chat.completions.stream(model="auto", messages=MESSAGES) as stream:
        assert stream.get_final_completion().choices[0].message.content == "Paris"
        assert route_of(stream).request_id == "req-7"


def test_raw_responses_stay_the_official_clients(client: Gatehouse) -> None:
    raw = client.chat.completions.with_raw_response.create(model="auto", messages=MESSAGES)
    assert raw.parse().choices[0].message.content == "Paris"
    assert route_of(raw) == WHOLE
    assert client.with_raw_response.chat.completions.create(model="auto", messages=MESSAGES).headers["x-request-id"]
    with client.chat.completions.with_streaming_response.create(model="auto", messages=MESSAGES) as response:
        assert b"Paris" in response.read()


def test_other_resources_of_the_official_client_work(client: Gatehouse) -> None:
    assert [model.id for model in client.models.list()] == ["auto"]


def test_an_error_is_the_official_one_and_carries_the_route(client: Gatehouse, gateway: Gateway) -> None:
    gateway.status, gateway.headers = 503, {"x-gatehouse-route": "refused", "x-should-retry": "false"}
    with pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(model="auto", messages=MESSAGES)
    assert caught.value.code == "local_unavailable"
    assert route_of(caught.value).route == "refused"
    assert len(gateway.seen) == 1


def test_a_call_is_tried_at_most_twice(client: Gatehouse, gateway: Gateway) -> None:
    gateway.status, gateway.headers = 503, {"retry-after-ms": "1"}
    with pytest.raises(openai.InternalServerError):
        client.chat.completions.create(model="auto", messages=MESSAGES)
    assert len(gateway.seen) == 2


def test_no_gateway_there_is_an_error_that_names_the_address(closed_port: int) -> None:
    with Gatehouse(base_url=f"http://127.0.0.1:{closed_port}/v1", max_retries=0) as client:
        with pytest.raises(GatewayUnreachable, match="gatehouse serve") as caught:
            client.chat.completions.create(model="auto", messages=MESSAGES)
        assert caught.value.address == f"http://127.0.0.1:{closed_port}"
        assert caught.value.address in str(caught.value)
        assert isinstance(caught.value, openai.APIConnectionError)
        assert "France" not in str(caught.value)


def test_a_gateway_that_does_not_answer_in_time_is_not_called_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        with Gatehouse(base_url=url, max_retries=0, timeout=0.2) as client, pytest.raises(openai.APITimeoutError):
            client.chat.completions.create(model="auto", messages=MESSAGES)


def test_the_defaults_come_from_the_gateways_own_variables_only(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, closed_port: int
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-for-the-gateway")
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{closed_port}/v1")
    monkeypatch.setenv("GATEHOUSE_BASE_URL", gateway.url)
    monkeypatch.setenv("GATEHOUSE_API_KEY", "gk-1")
    with Gatehouse() as client:
        client.chat.completions.create(model="auto", messages=MESSAGES)
    assert gateway.seen[0].headers["authorization"] == "Bearer gk-1"
    monkeypatch.delenv("GATEHOUSE_BASE_URL")
    monkeypatch.delenv("GATEHOUSE_API_KEY")
    with Gatehouse() as client:
        assert str(client.base_url) == "http://127.0.0.1:8080/v1/"
        assert "sk-not" not in client.api_key


def test_a_proxy_of_the_environment_never_sees_a_request(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, closed_port: int
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port}")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with Gatehouse(base_url=gateway.url, max_retries=0) as client:
        assert client.chat.completions.create(model="auto", messages=MESSAGES).gatehouse.route == "local"


def test_a_redirect_carries_no_prompt_elsewhere(client: Gatehouse, gateway: Gateway) -> None:
    gateway.status, gateway.headers = 307, {"location": gateway.url + "/elsewhere"}
    with pytest.raises(openai.APIStatusError):
        client.chat.completions.create(model="auto", messages=MESSAGES)
    assert [seen.path for seen in gateway.seen] == ["/v1/chat/completions"]


async def test_the_async_client_does_all_of_this_too(gateway: Gateway) -> None:
    async with AsyncGatehouse(base_url=gateway.url) as client:
        reply = await client.chat.completions.create(model="auto", messages=MESSAGES, privacy="local-only")
        assert reply.gatehouse == WHOLE
        assert gateway.seen[0].headers["x-gatehouse-privacy"] == "local-only"
        async with await client.chat.completions.create(model="auto", messages=MESSAGES, stream=True) as stream:
            assert stream.gatehouse.route == "pending"
            text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
        assert (text, stream.gatehouse.route) == ("Paris", "cloud")
        parsed = await client.chat.completions.parse(model="auto", messages=MESSAGES, response_format=City)
        assert route_of(parsed) == WHOLE
        assert (await client.explain("hello")).sensitivity == "restricted"
        assert (await client.feedback("req-7", "bad")).verdict == "bad"
        raw = await client.chat.completions.with_raw_response.create(model="auto", messages=MESSAGES)
        assert route_of(raw) == WHOLE
        tight = client.with_privacy("local-only")
        assert (type(tight), tight.privacy) == (AsyncGatehouse, "local-only")
        async with client.chat.completions.stream(model="auto", messages=MESSAGES) as helper:
            assert (await helper.get_final_completion()).choices[0].message.content == "Paris"


async def test_the_async_client_names_the_address_where_nobody_is(closed_port: int) -> None:
    async with AsyncGatehouse(base_url=f"http://127.0.0.1:{closed_port}/v1", max_retries=0) as client:
        with pytest.raises(GatewayUnreachable) as caught:
            await client.chat.completions.create(model="auto", messages=MESSAGES)
        assert caught.value.address.endswith(str(closed_port))


def test_route_of_a_thing_without_one_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="str carries no route"):
        route_of("hello")


def test_headers_that_make_no_sense_leave_the_field_empty() -> None:
    info = RouteInfo.from_headers({"X-Gatehouse-Complexity": "high", "X-Gatehouse-Route": "lan", "x-other": "1"})
    assert (info.complexity, info.route) == (None, "lan")


def test_every_public_name_is_exported_and_documented() -> None:
    names = [name for name in gatehouse.__all__ if name not in ("Privacy", "Verdict", "FeedbackReason")]  # types
    assert [name for name in names if not getattr(gatehouse, name).__doc__] == []
