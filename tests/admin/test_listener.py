"""The admin's listener is a guest of the gateway: whatever becomes of it, the gateway goes on."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast

import httpx
import pytest
import uvicorn

from router.admin.gate import ADMIN_KEY_FILE, ensure_admin_key
from router.admin.listener import AdminListener, QuietServer
from router.admin.types import House
from router.backends.scripted_replies import Script
from router.keys import ensure_private_folder
from router.records.store import RECORDS_FILE, SqliteStore
from router.records.writer import RecordWriter
from router.settings import Settings, from_environment
from tests.admin.conftest import admin_root
from tests.support.gateway import POLICY, Gateway, local_server
from tests.support.recorder import RecorderThread

CHAT = {"model": "auto", "messages": [{"role": "user", "content": "What is the capital of France?"}]}


@pytest.fixture(scope="module")
def policy() -> Iterator[str]:
    with RecorderThread(Script(answer="Home answers.")) as home:
        yield POLICY.format(home=local_server(home.url), cloud=home.url)


def answers(gateway: Gateway) -> bool:
    return httpx.post(f"{gateway.url}/chat/completions", json=CHAT, trust_env=False, timeout=30).status_code == 200


def test_a_taken_port_is_said_and_the_admin_api_comes_when_it_is_free(tmp_path: Path, policy: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with Gateway(tmp_path, policy, "--admin-port", str(port)) as gateway:
            assert answers(gateway)
            gateway.wait_for("/readyz", "admin_port_taken")
            assert f"127.0.0.1:{port} cannot be had" in gateway.log()
            assert "  admin " not in gateway.announced
            taken.close()
            gateway.wait_for("/readyz", '"degraded":[]')
            key = (gateway.state_dir / ADMIN_KEY_FILE).read_text().strip()
            url = f"http://127.0.0.1:{port}/admin/v1/status"
            told = httpx.get(url, headers={"x-api-key": key}, trust_env=False, timeout=60)
            assert told.json()["ready"] is True


def test_off_is_off(tmp_path: Path, policy: str) -> None:
    with Gateway(tmp_path, policy, "--admin-port", "off") as gateway:
        assert answers(gateway)
        assert "  admin " not in gateway.announced
        gateway.wait_for("/readyz", '"degraded":[]')
        assert not (gateway.state_dir / ADMIN_KEY_FILE).exists()


def test_a_key_is_needed_on_loopback_and_the_gateways_own_opens_nothing(tmp_path: Path, policy: str) -> None:
    with Gateway(tmp_path, policy, environment={"GATEHOUSE_API_KEY": "the-applications-key"}) as gateway:
        url = f"{admin_root(gateway)}/admin/v1/status"
        assert httpx.get(url, trust_env=False, timeout=60).status_code == 401
        key = {"authorization": "Bearer the-applications-key"}
        assert httpx.get(url, headers=key, trust_env=False, timeout=60).status_code == 401
        file = gateway.state_dir / ADMIN_KEY_FILE
        assert file.stat().st_mode & 0o777 == 0o600
        own = {"authorization": f"Bearer {file.read_text().strip()}"}
        assert httpx.get(url, headers=own, trust_env=False, timeout=60).status_code == 200
        assert httpx.get(f"{gateway.root}/metrics", headers=own, trust_env=False, timeout=60).status_code == 401, (
            "nor the other way"
        )
        assert gateway.stop() == 0


def test_the_port_is_a_number_or_off() -> None:
    assert from_environment({}).admin_port == 8081
    assert from_environment({"GATEHOUSE_ADMIN_PORT": "off"}).admin_port is None
    assert from_environment({"GATEHOUSE_ADMIN_PORT": "0"}).admin_port == 0
    with pytest.raises(ValueError, match="admin_port"):
        from_environment({"GATEHOUSE_ADMIN_PORT": "on"})


class Died(NamedTuple):
    """A listener of its own, told of what it says of itself."""

    listener: AdminListener
    names: list[Any]
    states: list[str]
    servers: list[uvicorn.Server]

    def serves(self) -> bool:
        """Whether the server that was made last answers."""
        return bool(self.servers) and self.servers[-1].started and not self.servers[-1].should_exit


@pytest.fixture
async def died(tmp_path: Path) -> Died:
    names: list[Any] = []
    wanted = {"admin_port": 0, "admin_names": names, "state_dir": tmp_path / "state"}
    writer = RecordWriter(SqliteStore(tmp_path / "state" / RECORDS_FILE), queue=100)  # what it takes waits here
    house = House(Settings().model_copy(update=wanted), cast(Any, None), writer)  # no route is reached, so no gateway
    states: list[str] = []
    key = ensure_admin_key(ensure_private_folder(tmp_path / "state"))
    servers: list[uvicorn.Server] = []

    def make(config: uvicorn.Config) -> uvicorn.Server:
        servers.append(QuietServer(config))
        return servers[-1]

    listener = AdminListener(house, key, lambda: states.append(listener.state), retry_seconds=0.01, make_server=make)
    listener.open()
    return Died(listener, names, states, servers)


async def eventually(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not is_so():  # noqa: ASYNC110  # of another object's attributes, which tell nobody
            await asyncio.sleep(0.01)


async def status_of(listener: AdminListener) -> int:
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        return (await client.get(f"{listener.address}/admin/v1/status")).status_code


async def test_a_server_that_dies_is_said_and_started_again(died: Died, caplog: pytest.LogCaptureFixture) -> None:
    """Of something that nobody has foreseen, before it serves; then of an end that nobody asked for."""
    died.names.append(None)
    running = asyncio.create_task(died.listener.run())
    try:
        await eventually(lambda: "down" in died.states)
        assert "has stopped (AttributeError)" in caplog.text
        assert not running.done()
        died.names.clear()
        await eventually(died.serves)
        assert await status_of(died.listener) == 401
        for _ in range(2):
            died.states.clear()
            died.servers[-1].should_exit = True
            await eventually(lambda: died.states[-2:] == ["down", "listening"] and died.serves())
            assert await status_of(died.listener) == 401
        assert "has stopped (its server ended)" in caplog.text
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    with pytest.raises(httpx.ConnectError):
        await status_of(died.listener)
