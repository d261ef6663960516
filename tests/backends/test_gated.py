"""The kill switch at a backend: nothing is written while exits are locked, and what is on its way is cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from policies.types import Level, Release
from router.backends.base import Backend
from router.backends.scripted import Script
from router.backends.table import make_backend
from router.errors import Denied, Locked
from router.lockdown.exits import Exits
from router.lockdown.lockdown import lock, unlock
from router.settings import Settings
from router.types import Outgoing
from tests.backends.conftest import MakeModel, eventually, outgoing, permit
from tests.support.recorder import Recorder

SLOW = Script(answer="word " * 400, chunk_delay=0.05)
STALLED = Script(first_delay=30.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "state"
    made.mkdir(mode=0o700)
    return made


@pytest.fixture
async def exits(folder: Path) -> AsyncIterator[Exits]:
    made = Exits(folder)
    watching = asyncio.create_task(made.watch())
    yield made
    watching.cancel()


@pytest.fixture
async def backend(
    cloud_model: MakeModel, settings: Settings, exits: Exits, upstream: Recorder
) -> AsyncIterator[Backend]:
    made = make_backend(cloud_model(), settings, exits=exits)
    yield made
    await made.close()


async def gone(upstream: Recorder, connections: int = 0) -> None:
    assert await eventually(lambda: upstream.open_connections <= connections)


async def test_nothing_is_written_while_exits_are_locked(backend: Backend, folder: Path, upstream: Recorder) -> None:
    lock(folder, reason="x")
    with pytest.raises(Locked) as caught:
        await backend.complete(outgoing(permit_for=backend.model))
    assert caught.value.unsent
    with pytest.raises(Locked):
        await backend.open_stream(outgoing(True, permit_for=backend.model))
    await asyncio.sleep(0.05)  # what rested in the pool is closed in the background
    assert upstream.connections == 0
    unlock(folder)
    await backend.complete(outgoing(permit_for=backend.model))
    assert upstream.connections == 1


class OnlyThis:
    """Knows one release, as used for one request."""

    def require_used(self, release: Release, request_id: str) -> None:
        if (release.id, request_id) != ("rl-1", "gh-1"):
            raise Denied("not used for this request", code="release_refused")


@pytest.mark.parametrize("stream", [False, True])
async def test_what_had_to_be_released_is_written_only_once_the_release_was_used_for_it(
    cloud_model: MakeModel, settings: Settings, exits: Exits, upstream: Recorder, stream: bool
) -> None:
    model = cloud_model()
    knowing = make_backend(model, settings, exits=exits, releases=OnlyThis())
    knows_none = make_backend(model, settings, exits=exits)
    plain = outgoing(stream, permit_for=model)
    assert plain.permit is not None

    def released(release_id: str, request_id: str) -> Outgoing:
        given = replace(plain.permit, release=Release(release_id, model.name, Level.CONFIDENTIAL))
        return replace(plain, permit=given, request_id=request_id)

    async def send(backend: Backend, what: Outgoing) -> None:
        if stream:
            await cast(Any, await backend.open_stream(what)).aclose()
        else:
            await backend.complete(what)

    for backend, wrong in (
        (knowing, released("rl-2", "gh-1")),
        (knowing, released("rl-1", "gh-2")),
        (knows_none, released("rl-1", "gh-1")),
    ):
        with pytest.raises(Denied) as caught:
            await send(backend, wrong)
        assert caught.value.code == "release_refused"
    assert upstream.connections == 0
    await send(knowing, released("rl-1", "gh-1"))
    await send(knows_none, plain)
    assert upstream.connections == 2
    await knowing.close()
    await knows_none.close()


async def test_a_whole_answer_that_is_waited_for_is_cut(backend: Backend, folder: Path, upstream: Recorder) -> None:
    upstream.script = STALLED
    waiting = asyncio.create_task(backend.complete(outgoing(permit_for=backend.model)))
    assert await eventually(lambda: upstream.in_flight == 1)
    lock(folder, reason="x")
    with pytest.raises(Locked) as caught:
        await waiting
    assert (caught.value.code, caught.value.status, caught.value.unsent) == ("lockdown", 503, False)
    await gone(upstream)


async def test_a_stream_is_cut_while_somebody_reads_it(backend: Backend, folder: Path, upstream: Recorder) -> None:
    upstream.script = SLOW
    stream = await backend.open_stream(outgoing(True, permit_for=backend.model))
    seen = 0

    async def read() -> None:
        nonlocal seen
        async for _ in stream:
            seen += 1
            if seen == 3:
                lock(folder, reason="x")

    with pytest.raises(Locked):
        await read()
    assert 3 <= seen < 400
    await gone(upstream)


async def test_a_stream_that_nobody_reads_is_cut_too(backend: Backend, folder: Path, upstream: Recorder) -> None:
    upstream.script = SLOW
    stream = await backend.open_stream(outgoing(True, permit_for=backend.model))
    lock(folder, reason="x")
    await gone(upstream)
    with pytest.raises(Locked):
        await anext(stream)


async def test_a_connection_at_rest_is_closed_and_the_next_call_makes_a_new_one(
    backend: Backend, folder: Path, upstream: Recorder
) -> None:
    await backend.complete(outgoing(permit_for=backend.model))
    assert upstream.open_connections == 1
    lock(folder, reason="x")
    await gone(upstream)
    unlock(folder)
    await backend.complete(outgoing(permit_for=backend.model))
    assert upstream.connections == 2


async def test_a_tenants_lock_cuts_that_tenants_call_alone(backend: Backend, folder: Path, upstream: Recorder) -> None:
    upstream.script = SLOW
    theirs = await backend.open_stream(replace(outgoing(True, permit_for=backend.model), tenant="a"))
    other = await backend.open_stream(replace(outgoing(True, permit_for=backend.model), tenant="b"))
    lock(folder, reason="x", tenant="a")
    await gone(upstream, 1)
    with pytest.raises(Locked):
        await anext(theirs)
    assert await anext(other)
    await cast(Any, other).aclose()
    with pytest.raises(Locked):
        await backend.complete(replace(outgoing(permit_for=backend.model), tenant="a"))
    assert upstream.connections == 2


async def test_a_body_that_is_half_written_goes_no_further(backend: Backend, folder: Path) -> None:
    """The upstream reads nothing at first: what waits in buffers of this side is thrown away, not sent later."""
    arrived = 0
    read_on = asyncio.Event()
    accepted = asyncio.Event()
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal arrived
        accepted.set()
        await read_on.wait()
        try:
            while data := await reader.read(1 << 16):
                arrived += len(data)
        except ConnectionError:
            pass
        finally:
            writer.close()
            over.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1 << 12)
    port = server.sockets[0].getsockname()[1]
    model = replace(backend.model, base_url=f"http://127.0.0.1:{port}/v1")
    exits = Exits(folder)
    watching = asyncio.create_task(exits.watch())
    slow = make_backend(model, Settings(state_dir=folder), exits=exits)
    big = b'{"messages": [], "x": "' + b"y" * (24 << 20) + b'"}'
    waiting = asyncio.create_task(slow.complete(Outgoing(big, False, permit(model, big))))
    async with asyncio.timeout(20):
        await accepted.wait()
        lock(folder, reason="x")
        with pytest.raises(Locked):
            await waiting
        read_on.set()
        await over.wait()
    assert arrived < 20 << 20, "the rest of the body followed after the lock"
    watching.cancel()
    await slow.close()
    server.close()
