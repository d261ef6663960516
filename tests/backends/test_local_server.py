"""Other local servers: each kind is taken as local once it says what it serves; one that passes a model on never is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import get_args

import pytest

from policies.types import Model
from router.backends import local_server
from router.backends.local_server import LocalServer
from router.errors import GatehouseError, Unavailable, UpstreamError
from router.settings import Settings
from tests.backends.conftest import eventually, outgoing
from tests.support.local_servers import CLOUD_TAG, Imitation, Kind

Serve = Callable[..., LocalServer]


@pytest.fixture
async def serve(settings: Settings) -> AsyncIterator[Serve]:
    """The backend of a model on an imitation."""
    made: list[LocalServer] = []

    def make(server: Imitation, model: str = "llama3.2", patience_s: float = 30.0) -> LocalServer:
        limits = settings.model_copy(update={"connect_timeout_s": patience_s})
        backend = LocalServer(Model("home", "local", "openai", model, server.url, timeout_seconds=60.0), limits)
        made.append(backend)
        return backend

    yield make
    for backend in made:
        await backend.close()


LISTS = ["GET /v1/models", "GET /api/tags"]
CHAT = "POST /v1/chat/completions"


@pytest.mark.parametrize("kind", get_args(Kind))
async def test_each_kind_of_server_is_asked_once_and_then_serves(serve: Serve, kind: Kind) -> None:
    async with Imitation(kind) as server:
        backend = serve(server)
        await backend.self_test()
        assert (await backend.complete(outgoing()))["choices"][0]["message"]["content"] == "Hello."
        assert server.asked == [*LISTS, CHAT, CHAT]


async def test_a_request_that_comes_before_the_self_test_waits_for_the_proof(serve: Serve) -> None:
    async with Imitation("ollama") as server:
        await serve(server).complete(outgoing())
        assert server.asked == [*LISTS, CHAT]


@pytest.mark.parametrize("name", ["helper", "Helper:latest", "helper:LATEST"])
async def test_a_model_that_ollama_lists_as_remote_gets_no_request_whatever_its_name(serve: Serve, name: str) -> None:
    """`ollama cp gpt-oss:120b-cloud helper` gives a cloud model an innocent name."""
    async with Imitation("ollama", "helper") as server:
        server.tags = {"models": [{**CLOUD_TAG, "name": "helper:latest", "model": "helper:latest"}]}
        backend = serve(server, name)
        with pytest.raises(Unavailable, match="another machine"):
            await backend.self_test()
        for stream in (False, True):
            with pytest.raises(Unavailable, match="another machine") as caught:
                await (backend.open_stream if stream else backend.complete)(outgoing(stream))
        assert caught.value.code == "local_unavailable"
        assert not server.chats


@pytest.mark.parametrize("word", ["remote_host", "remote_model"])
async def test_either_sign_of_a_remote_model_is_enough_in_either_list(serve: Serve, word: str) -> None:
    async with Imitation("ollama") as server:
        server.models["data"][0][word] = "gpt-oss:120b"
        with pytest.raises(Unavailable, match="another machine"):
            await serve(server).complete(outgoing())
        assert not server.chats


async def test_a_remote_model_beside_ours_is_nothing_to_us(serve: Serve) -> None:
    async with Imitation("ollama") as server:
        assert server.tags is not None
        server.tags["models"].append(CLOUD_TAG)
        assert (await serve(server).complete(outgoing()))["choices"]


async def test_a_model_that_ollama_does_not_list_yet_is_looked_up_at_every_request(serve: Serve) -> None:
    """It may be pulled later, as any kind."""
    async with Imitation("ollama") as server:
        server.tags = {"models": [CLOUD_TAG]}
        backend = serve(server)
        await backend.complete(outgoing())
        server.tags = {"models": [{**CLOUD_TAG, "name": "llama3.2:latest", "model": "llama3.2:latest"}]}
        with pytest.raises(Unavailable, match="another machine"):
            await backend.complete(outgoing())
        assert len(server.chats) == 1


@pytest.mark.parametrize("status", [301, 307, 308, 500, 503, 401])
async def test_a_server_that_does_not_say_what_it_serves_gets_no_request(serve: Serve, status: int) -> None:
    async with Imitation("vllm") as server:
        server.status, server.location = status, server.url.replace("v1", "elsewhere")
        backend = serve(server)
        with pytest.raises(GatehouseError):
            await backend.self_test()
        with pytest.raises(GatehouseError):
            await backend.complete(outgoing())
        assert not server.chats
        server.status, server.location = 200, ""
        await backend.complete(outgoing())
        assert len(server.chats) == 1


async def test_a_server_that_hangs_when_asked_gets_no_request(serve: Serve) -> None:
    async with Imitation("lm-studio") as server:
        server.hangs = True
        with pytest.raises(Unavailable, match="time limit"):
            await serve(server, patience_s=0.5).complete(outgoing())
        assert not server.chats


async def test_a_server_without_any_list_is_held_to_its_address_alone(serve: Serve) -> None:
    async with Imitation("vllm") as server:
        server.status = 404
        assert (await serve(server).complete(outgoing()))["choices"]


async def test_what_comes_up_where_a_server_was_is_asked_anew(serve: Serve) -> None:
    first, second = Imitation("llama-server"), Imitation("ollama")
    await first.start()
    backend = serve(first)
    await backend.complete(outgoing())
    await first.stop()
    with pytest.raises((Unavailable, UpstreamError)):
        await backend.complete(outgoing())
    second.tags = {"models": [{**CLOUD_TAG, "name": "llama3.2:latest"}]}
    await second.start(first.port)
    with pytest.raises(Unavailable, match="another machine"):
        await backend.complete(outgoing())
    assert not second.chats
    await second.stop()


async def test_the_proof_is_renewed_beside_the_requests(serve: Serve) -> None:
    """A model that becomes a remote one under a running gateway is refused from the next renewal on."""
    async with Imitation("ollama") as server:
        backend = serve(server)
        await backend.complete(outgoing())
        backend._proof._holds_until = 0.0  # half a minute later
        server.tags = {"models": [{**CLOUD_TAG, "name": "llama3.2:latest"}]}
        await backend.complete(outgoing())  # what this one sets off …
        assert await eventually(lambda: backend._proof._renewing is None)
        with pytest.raises(Unavailable, match="another machine"):  # … refuses the next
            await backend.complete(outgoing())


async def test_a_server_that_is_busy_when_asked_again_goes_on_serving(serve: Serve) -> None:
    async with Imitation("llama-server") as server:
        backend = serve(server, patience_s=3.0)
        await backend.complete(outgoing())
        backend._proof._holds_until = 0.0
        server.hangs = True
        await backend.complete(outgoing())
        assert await eventually(lambda: backend._proof._renewing is None)
        assert (await backend.complete(outgoing()))["choices"]


def test_the_lists_stand_where_each_server_has_them() -> None:
    assert local_server._list_urls("http://127.0.0.1:11434/v1/") == (
        "http://127.0.0.1:11434/v1/models",
        "http://127.0.0.1:11434/api/tags",
    )
    assert local_server._list_urls("http://localhost:1/llm/v1")[1] == "http://localhost:1/llm/api/tags"
    assert local_server._list_urls("unix:///run/m.sock") == ("http://localhost/v1/models", "http://localhost/api/tags")
