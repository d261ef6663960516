"""Local is proven: an address that is not on this host is refused at the connection, however it is written."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from policies.addresses import is_cloud_name
from router.backends.circuited import CircuitedBackend
from router.backends.cloud import CloudBackend
from router.backends.gated import GatedBackend
from router.backends.local import LocalBackend
from router.backends.places import is_loopback, parse_address, socket_path, within
from router.backends.scripted import Script
from router.backends.table import make_backend
from router.errors import Denied, Unavailable, UpstreamError
from router.settings import Settings
from tests.backends.conftest import MakeModel, outgoing
from tests.support.recorder import Recorder


class Names(AbstractResolver):
    """A resolver whose answers the test chooses, one list of addresses for each question."""

    def __init__(self, *answers: list[str]) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append(host)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return [
            ResolveResult(hostname=host, host=address, port=port, family=_family(address), proto=0, flags=0)
            for address in answer
        ]

    async def close(self) -> None:
        """Nothing to close."""


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.9.10", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("::1%lo", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("fe80::1", False),
        ("::ffff:10.0.0.1", False),
        ("8.8.8.8", False),
    ],
)
def test_loopback_is_told_from_everything_else(address: str, expected: bool) -> None:
    assert is_loopback(parse_address(address)) is expected


def test_a_network_holds_its_own_addresses_only() -> None:
    is_lan = within(["10.20.0.0/16", "fd00::/8"])
    assert is_lan(parse_address("10.20.3.4"))
    assert is_lan(parse_address("::ffff:10.20.3.4"))
    assert is_lan(parse_address("fd00::7"))
    assert not is_lan(parse_address("10.21.0.1"))
    assert not is_lan(parse_address("127.0.0.1"))


async def test_localhost_is_local(local_model: MakeModel, settings: Settings, upstream: Recorder) -> None:
    backend = LocalBackend(local_model(base_url=f"http://localhost:{upstream.port}/v1"), settings)
    assert (await backend.complete(outgoing()))["object"] == "chat.completion"
    await backend.close()


async def test_an_ipv6_loopback_literal_is_local(local_model: MakeModel, settings: Settings) -> None:
    async with Recorder(host="::1") as upstream:
        backend = LocalBackend(local_model(base_url=f"http://[::1]:{upstream.port}/v1"), settings)
        assert (await backend.complete(outgoing()))["object"] == "chat.completion"
        await backend.close()


@pytest.mark.parametrize("host", ["192.0.2.1", "0.0.0.0", "[2001:db8::1]", "[::ffff:192.0.2.1]", "2130706433", "127.1"])
async def test_a_literal_that_is_not_plainly_loopback_is_refused_without_a_connection(
    local_model: MakeModel, settings: Settings, upstream: Recorder, host: str
) -> None:
    backend = LocalBackend(local_model(base_url=f"http://{host}:{upstream.port}/v1"), settings)
    with pytest.raises(Unavailable):
        await asyncio.wait_for(backend.complete(outgoing()), 15)  # less than a connection attempt would take
    await backend.close()
    assert upstream.connections == 0


@pytest.mark.parametrize("answer", [["192.0.2.1"], ["127.0.0.1", "192.0.2.1"], ["::1", "2001:db8::1"], []])
async def test_a_name_with_one_address_elsewhere_is_refused_whole(
    local_model: MakeModel, settings: Settings, upstream: Recorder, answer: list[str]
) -> None:
    model = local_model(base_url=f"http://model.example:{upstream.port}/v1")
    backend = LocalBackend(model, settings, resolver=Names(answer))
    with pytest.raises(Unavailable, match="not on this host") as caught:
        await backend.complete(outgoing())
    await backend.close()
    assert upstream.connections == 0
    assert "192.0.2.1" not in caught.value.message


async def test_a_name_is_resolved_and_checked_again_at_every_connection(
    local_model: MakeModel, settings: Settings, upstream: Recorder
) -> None:
    """A name that was loopback once may point elsewhere the next time (DNS rebinding)."""
    names = Names(["127.0.0.1"], ["192.0.2.1"])
    model = local_model(base_url=f"http://model.example:{upstream.port}/v1")
    backend = LocalBackend(model, settings, resolver=names)
    await backend.complete(outgoing())
    upstream.script = Script(fault="close_before")
    with pytest.raises(UpstreamError):
        await backend.complete(outgoing())
    with pytest.raises(Unavailable, match="not on this host"):
        await backend.complete(outgoing())
    await backend.close()
    assert names.asked == ["model.example", "model.example"]


async def test_a_local_server_that_redirects_is_refused(
    local_model: MakeModel, settings: Settings, upstream: Recorder
) -> None:
    upstream.script = Script(fault="redirect", location="http://192.0.2.1/v1/chat/completions")
    backend = LocalBackend(local_model(), settings)
    with pytest.raises(UpstreamError, match="redirect"):
        await backend.complete(outgoing())
    await backend.close()


async def test_the_engine_is_reached_over_its_socket(local_model: MakeModel, settings: Settings) -> None:
    async with Recorder(socket=settings.engine_socket) as engine:
        backend = LocalBackend(local_model(backend="engine", base_url=None), settings)
        await backend.complete(outgoing())
        stream = await backend.open_stream(outgoing(stream=True))
        assert [chunk async for chunk in stream]
        await backend.close()
        assert engine.exchanges[0].header("authorization") is None
        assert engine.connections == 1


async def test_an_engine_without_a_socket_is_unavailable(local_model: MakeModel, settings: Settings) -> None:
    backend = LocalBackend(local_model(backend="engine", base_url=None), settings)
    with pytest.raises(Unavailable) as caught:
        await backend.complete(outgoing())
    await backend.close()
    assert caught.value.code == "local_unavailable"


async def test_any_server_may_listen_on_a_unix_socket(
    local_model: MakeModel, settings: Settings, tmp_path: Path
) -> None:
    async with Recorder(socket=tmp_path / "s.sock") as upstream:
        backend = LocalBackend(local_model(base_url=upstream.url), settings)
        assert (await backend.complete(outgoing()))["choices"]
        await backend.close()


def test_only_an_absolute_unix_url_names_a_socket() -> None:
    assert socket_path("unix:///run/a.sock") == Path("/run/a.sock")
    assert socket_path("http://127.0.0.1/unix:///x") is None
    assert socket_path("unix://relative") is None


@pytest.mark.parametrize(
    "name",
    ["gpt-oss:120b-cloud", "GPT-OSS:120B-Cloud", "glm-4.6:cloud", "kimi-k2-cloud", "big-cloud:latest", "m-cloud "],
)
async def test_a_name_that_ollama_serves_from_elsewhere_is_not_local(
    local_model: MakeModel, settings: Settings, upstream: Recorder, name: str
) -> None:
    assert is_cloud_name(name)
    backend = LocalBackend(local_model(model=name), settings)
    with pytest.raises(Unavailable, match="-cloud"):
        await backend.complete(outgoing())
    await backend.close()
    assert upstream.connections == 0


@pytest.mark.parametrize(
    ("networks", "is_reached"), [(("127.0.0.0/8",), True), (("10.20.0.0/16",), False), ((), False)]
)
async def test_a_lan_model_is_reached_within_the_listed_ranges_only(
    cloud_model: MakeModel, settings: Settings, upstream: Recorder, networks: tuple[str, ...], is_reached: bool
) -> None:
    model = cloud_model(locality="lan")
    backend: Any = make_backend(model, settings, networks)
    if is_reached:
        await backend.complete(outgoing(permit_for=model))
    else:
        with pytest.raises(UpstreamError, match=r"networks\.lan"):
            await backend.complete(outgoing(permit_for=model))
    await backend.close()
    assert upstream.connections == int(is_reached)


async def test_a_lan_model_is_an_exit(cloud_model: MakeModel, settings: Settings, upstream: Recorder) -> None:
    backend = CloudBackend(cloud_model(locality="lan"), settings, networks=("127.0.0.0/8",))
    with pytest.raises(Denied):
        await backend.complete(outgoing())
    await backend.close()
    assert upstream.connections == 0


def test_each_locality_has_its_backend(local_model: MakeModel, cloud_model: MakeModel, settings: Settings) -> None:
    assert isinstance(make_backend(local_model(), settings), CircuitedBackend)
    assert isinstance(make_backend(local_model(backend="engine"), settings), LocalBackend)
    assert isinstance(make_backend(cloud_model(), settings), GatedBackend)
    assert isinstance(make_backend(cloud_model(locality="lan"), settings), GatedBackend)
    with pytest.raises(ValueError, match="not local"):
        LocalBackend(cloud_model(), settings)
    with pytest.raises(ValueError, match="no exit"):
        CloudBackend(local_model(), settings)
