"""A stream whose model takes its time: bytes come meanwhile, and the official clients of each dialect survive them.

They may stand before, between and after events: so a stream with one at every place is read like the one without. The
clients that stand in no environment of ours read such streams in `tests/clients`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import httpx
import openai
import pytest

from router.api.anthropic_events import PING
from router.api.sse import HEARTBEAT
from router.backends.scripted import Exchange
from router.backends.scripted_replies import Script
from tests.overload.conftest import PATIENCE, body
from tests.support.gateway import POLICY, Gateway, local_server
from tests.support.recorder import Recorder, RecorderThread

ANSWER = "slow and sure"
AT_ONCE, IN_PIECES = "Say it.", "Say it word by word."
PATHS = ("/v1/chat/completions", "/v1/completions", "/v1/messages", "/v1/responses")


@pytest.fixture(scope="module")
def house(home: Recorder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    def choose(exchange: Exchange) -> Script:
        if IN_PIECES in exchange.body.decode():
            return Script(answer=ANSWER, chunk_delay=0.6)
        return Script(answer=ANSWER, first_delay=1.0)

    with RecorderThread(choose) as slow:
        policy = POLICY.format(home=local_server(home.url), cloud=slow.url) + "headers_after: 0.1\n"
        beats = {"GATEHOUSE_HEARTBEAT_S": "0.1"}
        with Gateway(tmp_path_factory.mktemp("slow"), policy, environment=beats) as gateway:
            yield gateway


def asked(path: str, text: str) -> dict[str, Any]:
    if path == "/v1/responses":
        return {"model": "cloud", "input": text, "stream": True}
    if path == "/v1/completions":
        return {"model": "cloud", "prompt": text, "stream": True}
    return body(text, "cloud", stream=True)


def stream(house: Gateway, path: str, text: str = AT_ONCE) -> bytes:
    answer = httpx.post(house.root + path, json=asked(path, text), trust_env=False, timeout=PATIENCE)
    assert answer.status_code == 200
    return answer.content


def chat(url: str, text: str = AT_ONCE) -> str:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="x", max_retries=0) as client:
        messages: Any = [{"role": "user", "content": text}]
        chunks = client.chat.completions.create(model="cloud", messages=messages, stream=True)
        return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


def completions(url: str, text: str = AT_ONCE) -> str:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="x", max_retries=0) as client:
        chunks = client.completions.create(model="cloud", prompt=text, stream=True)
        return "".join(chunk.choices[0].text for chunk in chunks)


def messages(url: str, text: str = AT_ONCE) -> str:
    with anthropic.Anthropic(base_url=url, api_key="x", max_retries=0) as client:
        said: Any = [{"role": "user", "content": text}]
        with client.messages.stream(model="cloud", max_tokens=64, messages=said) as events:
            return "".join(events.text_stream)


def responses(url: str, text: str = AT_ONCE) -> str:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="x", max_retries=0) as client:
        events = client.responses.create(model="cloud", input=text, stream=True)
        return next(event.response.output_text for event in events if event.type == "response.completed")


CLIENTS: dict[str, tuple[Callable[..., str], bytes]] = {
    "/v1/chat/completions": (chat, HEARTBEAT),
    "/v1/completions": (completions, HEARTBEAT),
    "/v1/messages": (messages, PING),
    "/v1/responses": (responses, HEARTBEAT),
}


@pytest.mark.parametrize("path", PATHS)
def test_the_first_bytes_come_before_the_model_has_spoken_and_the_real_client_reads_on(
    house: Gateway, path: str
) -> None:
    client, heartbeat = CLIENTS[path]
    received = stream(house, path)
    assert received.startswith(heartbeat)
    assert b'"gatehouse":{' in received  # what the headers could not tell
    assert client(house.root) == ANSWER


@pytest.mark.parametrize("path", PATHS)
def test_a_model_that_falls_silent_in_the_middle_is_bridged_and_the_real_client_reads_on(
    house: Gateway, path: str
) -> None:
    """Between two pieces of the answer, where nothing but the gateway's own word keeps the stream alive."""
    client, heartbeat = CLIENTS[path]
    received = stream(house, path, IN_PIECES)
    between = received[received.index(b"slow") : received.index(b"sure")]
    assert between.count(heartbeat) >= 2
    assert received.count(heartbeat) < 60, "one in each tenth of a second, not more"
    assert not received.endswith(heartbeat)
    assert client(house.root, IN_PIECES) == ANSWER


@pytest.mark.parametrize("path", PATHS)
def test_a_heartbeat_at_every_place_changes_nothing_for_the_real_client(house: Gateway, path: str) -> None:
    client, heartbeat = CLIENTS[path]
    events = [event + b"\n\n" for event in stream(house, path).replace(heartbeat, b"").split(b"\n\n") if event]
    beaten = (heartbeat, *(part for event in events for part in (event, heartbeat)))
    with RecorderThread(Script(raw_events=beaten)) as replayed:
        assert client(replayed.url.removesuffix("/v1")) == ANSWER


def test_a_heartbeat_is_a_comment_where_clients_parse_every_event_and_an_event_where_the_dialect_has_one() -> None:
    """An empty `data:` crashes clients that parse it; a comment behind an `id:` line did so in openai-python."""
    assert HEARTBEAT.startswith(b": ")
    assert b"data" not in HEARTBEAT
    event, data = PING.decode().strip().split("\n")
    assert event == "event: ping"
    assert json.loads(data.removeprefix("data: ")) == {"type": "ping"}
    assert all(beat.endswith(b"\n\n") and b"id:" not in beat for beat in (HEARTBEAT, PING))
