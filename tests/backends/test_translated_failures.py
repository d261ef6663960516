"""The table of `test_upstream_failures.py` for models behind litellm: its translators and its errors change nothing.

What goes wrong is the same as for a model that is called directly: the error, whether it is asked for again, and what
the breaker learns.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from policies.types import Model
from router.backends.circuit import FAILURES, Circuit
from router.backends.circuited import CircuitedBackend
from router.backends.scripted_replies import Script
from router.backends.translated import LitellmBackend
from router.errors import UpstreamError
from router.retrying import pause_before
from router.settings import Settings
from tests.backends.test_translated import WIRES, Wire, request_for
from tests.backends.test_upstream_failures import OF_WHOLES, ROWS, Row
from tests.support.certificates import Certificates
from tests.support.recorder import Recorder

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*`ReadOnly` qualifier.*:UserWarning"),
    pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning"),
]
# What a provider's stream begins with is its own; these stand before anything of it.
BEFORE = {name: row for name, row in ROWS.items() if row.script.fault not in ("stall_after", "close_after")}
CASES = [
    *(
        (f"{name}, {'stream' if stream else 'whole'}", row, bool(stream))
        for name, row in BEFORE.items()
        for stream in (0, 1)
    ),
    *((f"{name}, whole", row, False) for name, row in OF_WHOLES.items()),
]
_FIRST = b'data: {"candidates": [{"content": {"role": "model", "parts": [{"text": "Hello "}]}}]}\n\n'  # of Gemini
STREAM = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


@pytest.fixture(params=list(WIRES))
def wire(request: pytest.FixtureRequest) -> Wire:
    return WIRES[request.param]


@pytest.fixture
async def failing() -> AsyncIterator[Recorder]:
    async with Recorder(Script()) as recorder:
        yield recorder


@pytest.fixture
def quick(settings: Settings) -> Settings:
    """Limits that a stall reaches soon."""
    return settings.model_copy(update={"first_chunk_timeout_s": 1.0, "idle_chunk_timeout_s": 1.0})


def model_of(wire: Wire, url: str, **changes: Any) -> Model:
    base = url.removesuffix("/v1") + wire.path
    given: dict[str, Any] = {"name": "cloud", "locality": "cloud", "backend": "litellm", "model": wire.model}
    return Model(**{**given, "base_url": base, "timeout_seconds": 30.0, **changes})


async def check(model: Model, settings: Settings, row: Row, stream: bool) -> None:
    circuit = Circuit()
    inner = LitellmBackend(model, settings)
    backend = CircuitedBackend(inner, circuit)

    async def ask() -> None:
        request = request_for(model, stream=True) if stream else request_for(model)
        if not stream:
            await backend.complete(request)
            return
        async for _ in await backend.open_stream(request):
            pass

    try:
        for _ in range(FAILURES):
            with pytest.raises(UpstreamError) as caught:
                await ask()
            error = caught.value
            assert (error.status, error.code, error.unsent) == (row.status, row.code, row.unsent)
            assert error.retry_after == row.retry_after
            assert (pause_before(error, 0, None, 0.5) is not None) is row.is_made_again
        assert (circuit.state == "open") is row.opens
    finally:
        await inner.close()


@pytest.mark.parametrize(("row", "stream"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
async def test_what_a_translated_upstream_does_wrong(
    failing: Recorder, quick: Settings, wire: Wire, row: Row, stream: bool
) -> None:
    failing.script = row.script
    is_stall = row.script.fault.startswith("stall")
    await check(model_of(wire, failing.url, timeout_seconds=1.0 if is_stall else 30.0), quick, row, stream)


@STREAM
async def test_a_connection_that_is_refused_is_tried_again(wire: Wire, settings: Settings, stream: bool) -> None:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    model = model_of(wire, f"http://127.0.0.1:{port}/v1")
    await check(model, settings, Row(Script(), is_made_again=True, unsent=True), stream)


@STREAM
async def test_a_certificate_that_cannot_be_trusted_is_not_tried_again(
    wire: Wire, settings: Settings, tmp_path: Any, stream: bool
) -> None:
    async with Recorder(tls=Certificates(tmp_path).server_context()) as upstream:
        model = model_of(wire, f"https://localhost:{upstream.port}/v1")
        await check(model, settings, Row(Script(), unsent=True), stream)
        assert not upstream.exchanges


@pytest.mark.parametrize("fault", ["stall_after", "close_after"])
async def test_a_stream_that_fails_in_the_middle(failing: Recorder, quick: Settings, wire: Wire, fault: Any) -> None:
    """After its first event: too late to be asked again, and the breaker learns of it."""
    events = wire.events if len(wire.events) > 1 else (_FIRST, *wire.events)
    failing.script = Script(raw_events=events, fault=fault, after=max(1, len(events) - 2))
    is_stall = fault == "stall_after"
    row = Row(Script(), 504, "upstream_timeout") if is_stall else Row(Script())
    await check(model_of(wire, failing.url), quick, row, stream=True)
