"""The official `openai` package against `/v1/embeddings` and `/v1/completions`, with the real model at home."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import orjson
import pytest
from openai import OpenAI

from router.backends.scripted import Exchange
from router.backends.scripted_replies import Script
from tests.clients.conftest import HOME, House
from tests.support.gateway import ENGINE, POLICY, Gateway
from tests.support.recorder import Recorder, RecorderThread

CARD = "Charge 4012 8888 8888 1881 please."
VECTOR = [0.5, -0.25, 1.0]
EMBEDDER = (
    '  embedder: {{locality: cloud, backend: openai, base_url: "{cloud}", model: text-embedding-3-small, '
    "capabilities: [embeddings]}}\ndefaults:"
)


def embeds(exchange: Exchange) -> Script:
    """A cloud that embeds where it is asked for that."""
    rows = [{"object": "embedding", "index": 0, "embedding": VECTOR}]
    answer = {"object": "list", "data": rows, "model": "e", "usage": {"prompt_tokens": 3, "total_tokens": 3}}
    return Script(raw_body=orjson.dumps(answer)) if exchange.target.endswith("/embeddings") else Script()


@pytest.fixture(scope="module")
def cloud() -> Iterator[Recorder]:
    with RecorderThread(embeds) as recorder:
        yield recorder


@pytest.fixture(scope="module")
def gateway(cloud: Recorder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    policy = POLICY.replace("defaults:", EMBEDDER, 1).replace(
        '{{"gpt-*": auto}}', '{{"gpt-*": auto, "text-*": embedder}}'
    )
    with Gateway(tmp_path_factory.mktemp("embeddings"), policy.format(home=ENGINE, cloud=cloud.url)) as running:
        yield running


@pytest.fixture
def client(gateway: Gateway, cloud: Recorder) -> Iterator[OpenAI]:
    cloud.forget()
    with OpenAI(base_url=gateway.url, api_key="none", max_retries=0) as client:
        yield client


def test_vectors_have_no_confidence(client: OpenAI) -> None:
    """It was told as 0.000, which a program may take for a bad answer."""
    raw = client.embeddings.with_raw_response.create(model="local", input="The cat sleeps.")
    assert raw.headers["x-gatehouse-model"] == "home"
    assert "x-gatehouse-confidence" not in raw.headers


def test_the_model_at_home_embeds_and_like_texts_are_near(client: OpenAI, cloud: Recorder) -> None:
    texts = ["The cat sleeps on the sofa.", "A cat is asleep on the couch.", "Interest rates rose again in March."]
    answer = client.embeddings.create(model="auto", input=texts)  # the client asks for base64 by itself
    first, near, far = (row.embedding for row in answer.data)
    assert [row.index for row in answer.data] == [0, 1, 2]
    assert math.isclose(sum(number * number for number in first), 1, rel_tol=1e-3)
    product = [sum(a * b for a, b in zip(first, other, strict=True)) for other in (near, far)]
    assert product[0] > product[1]
    assert answer.usage.prompt_tokens > 10
    assert not cloud.exchanges


def test_numbers_and_base64_are_the_same_vector(client: OpenAI) -> None:
    numbers = client.embeddings.create(model="local", input="Hello.", encoding_format="float").data[0].embedding
    packed = client.embeddings.create(model="local", input="Hello.").data[0].embedding
    assert len(numbers) == len(packed)
    assert all(math.isclose(a, b, abs_tol=1e-6) for a, b in zip(numbers, packed, strict=True))


def test_what_is_public_may_be_embedded_outside_by_name(client: OpenAI, cloud: Recorder) -> None:
    answer = client.embeddings.create(model="embedder", input="A public text.", user="u-1")
    assert answer.data[0].embedding == VECTOR
    (exchange,) = cloud.exchanges
    assert exchange.target.endswith("/v1/embeddings")
    assert exchange.json == {"model": "text-embedding-3-small", "input": "A public text.", "encoding_format": "float"}


STAYS: list[Any] = [CARD, ["A public text.", CARD], [9906, 1917], [[9906], [1917]]]


@pytest.mark.parametrize("texts", STAYS, ids=["a card", "a card among texts", "tokens", "lists of tokens"])
def test_what_is_sensitive_or_cannot_be_read_is_embedded_at_home_alone(
    client: OpenAI, cloud: Recorder, texts: Any
) -> None:
    with pytest.raises(openai.PermissionDeniedError) as refused:
        client.embeddings.create(model="embedder", input=texts)
    assert refused.value.code == "policy_denied"
    assert client.embeddings.create(model="auto", input=texts).data
    assert not cloud.exchanges


def test_no_alias_and_no_chat_names_an_embedding_model(client: OpenAI, cloud: Recorder) -> None:
    for name in ("gpt-4o", "text-embedding-3-small", "nobody"):
        with pytest.raises(openai.NotFoundError):
            client.embeddings.create(model=name, input="A public text.")
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="embedder", messages=[{"role": "user", "content": "Say hello."}])
    assert not cloud.exchanges


ERRORS: list[dict[str, Any]] = [{"input": ""}, {"input": []}, {"input": [[]]}, {"input": [1, "x"]}, {"input": {"a": 1}}]
ERRORS += [{"input": "x", "dimensions": 0}, {"input": "x", "encoding_format": "int8"}, {"input": "x", "api_base": "x"}]


@pytest.mark.parametrize("body", [*ERRORS, {}])
def test_what_is_no_embeddings_request_is_refused(gateway: Gateway, body: dict[str, Any]) -> None:
    answer = httpx.post(f"{gateway.url}/embeddings", json={"model": "auto", **body}, trust_env=False, timeout=60)
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")


@pytest.fixture
def old(house: House) -> Iterator[OpenAI]:
    with OpenAI(base_url=house.gateway.url, api_key="none", max_retries=0) as client:
        yield client


def test_a_prompt_is_answered(house: House, old: OpenAI) -> None:
    answer = old.completions.create(model="auto", prompt="Hello.", max_tokens=20)
    assert (answer.object, answer.choices[0].text, answer.choices[0].finish_reason) == ("text_completion", HOME, "stop")
    assert house.asked()["messages"] == [{"role": "user", "content": "Hello."}]


def test_a_streamed_prompt_is_too_with_its_usage_only_where_asked(old: OpenAI) -> None:
    plain = list(old.completions.create(model="auto", prompt="Hello.", stream=True))
    assert "".join(chunk.choices[0].text for chunk in plain) == HOME
    counted = list(
        old.completions.create(model="auto", prompt="Hi.", stream=True, stream_options={"include_usage": True})
    )
    assert counted[-1].usage is not None
    assert all(chunk.choices for chunk in plain)


@pytest.mark.parametrize(
    "body", [{"prompt": ["a", "b"]}, {"prompt": [1, 2]}, {"prompt": "a", "echo": True}, {"prompt": ""}]
)
def test_a_prompt_that_is_no_chat_is_refused(house: House, body: dict[str, Any]) -> None:
    answer = httpx.post(f"{house.gateway.url}/completions", json={"model": "auto", **body}, trust_env=False, timeout=60)
    assert answer.status_code == 400


def test_a_sensitive_prompt_stays(house: House, old: OpenAI) -> None:
    with pytest.raises(openai.PermissionDeniedError):
        old.completions.create(model="cloud", prompt=CARD)
    assert not house.cloud.exchanges
