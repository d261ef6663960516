"""What goes wrong upstream, as a table: the error, whether it is asked for again, and what the breaker learns.

How each error looks in a dialect, and what is billed for it, is the table of `tests/e2e/test_upstream_failures.py`.
"""

from __future__ import annotations

import contextlib
import socket
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from policies.types import Model
from router.backends.circuit import FAILURES, Circuit
from router.backends.circuited import CircuitedBackend
from router.backends.cloud import CloudBackend
from router.backends.scripted_replies import Script
from router.errors import UpstreamError
from router.retrying import pause_before
from router.settings import Settings
from tests.backends.conftest import MakeModel, outgoing
from tests.support.certificates import Certificates
from tests.support.recorder import Recorder

SOON = format_datetime(datetime.now(UTC) + timedelta(hours=2), usegmt=True)
HTML = (("Content-Type", "text/html"),)


@dataclass(frozen=True)
class Row:
    """A failure, and what is to come of it: status and code, `retry-after`, made once more, the breaker opens."""

    script: Script
    status: int = 502
    code: str = "upstream_error"
    is_made_again: bool = False
    opens: bool = True
    retry_after: float | None = None
    unsent: bool = False


ROWS = {
    "429": Row(Script(status=429), 429, is_made_again=True, opens=False),
    "429 in seconds": Row(
        Script(status=429, headers=(("Retry-After", "2"),)), 429, is_made_again=True, opens=False, retry_after=2.0
    ),
    "429 until a date": Row(Script(status=429, headers=(("Retry-After", SOON),)), 429, opens=False, retry_after=3600.0),
    "503": Row(Script(status=503), 503, is_made_again=True),
    "500": Row(Script(status=500)),
    "504": Row(Script(status=504), 504, "upstream_timeout"),
    "401": Row(Script(status=401), opens=False),
    "403": Row(Script(status=403), opens=False),
    "404": Row(Script(status=404), opens=False),
    "400": Row(Script(status=400), 400, "invalid_request", opens=False),
    "redirect": Row(Script(fault="redirect"), opens=False),
    "closed before a byte": Row(Script(fault="close_before")),
    "no HTTP": Row(Script(fault="not_http")),
    "stall before the first byte": Row(Script(fault="stall_before"), 504, "upstream_timeout"),
    "garbage": Row(Script(fault="garbage", after=0)),
    "half a JSON": Row(Script(fault="half_json", after=0)),
    "stall in the middle": Row(Script(fault="stall_after"), 504, "upstream_timeout"),
    "ends early": Row(Script(fault="close_after")),
}
OF_STREAMS = {
    "no end mark": Row(Script(fault="no_done")),
    "an error event": Row(Script(fault="error_event")),
    "half an event": Row(Script(fault="half_json", after=2)),
}
OF_WHOLES = {"shorter than it says": Row(Script(fault="wrong_length"))}
CASES = [
    *((f"{name}, {'stream' if stream else 'whole'}", row, stream) for name, row in ROWS.items() for stream in (0, 1)),
    *((f"{name}, stream", row, 1) for name, row in OF_STREAMS.items()),
    *((f"{name}, whole", row, 0) for name, row in OF_WHOLES.items()),
]


@pytest.fixture
def quick(settings: Settings) -> Settings:
    """Limits that a stall reaches soon; whatever else answers at once."""
    return settings.model_copy(update={"first_chunk_timeout_s": 0.3, "idle_chunk_timeout_s": 0.3})


async def ask(backend: Any, model: Model, stream: bool) -> UpstreamError:
    request = outgoing(stream, permit_for=model)

    async def read() -> None:
        if not stream:
            await backend.complete(request)
            return
        async for _ in await backend.open_stream(request):
            pass

    with pytest.raises(UpstreamError) as caught:
        await read()
    return caught.value


async def check(model: Model, settings: Settings, row: Row, stream: bool) -> None:
    circuit = Circuit()
    inner = CloudBackend(model, settings)
    backend = CircuitedBackend(inner, circuit)
    try:
        for _ in range(FAILURES):
            error = await ask(backend, model, stream)
            assert (error.status, error.code, error.unsent) == (row.status, row.code, row.unsent)
            assert error.retry_after == row.retry_after
            assert (pause_before(error, 0, None, 0.5) is not None) is row.is_made_again
        assert (circuit.state == "open") is row.opens
    finally:
        await inner.close()


@pytest.mark.parametrize(("row", "stream"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
async def test_what_an_upstream_does_wrong(
    cloud_model: MakeModel, quick: Settings, upstream: Recorder, row: Row, stream: int
) -> None:
    upstream.script = row.script
    is_stall = row.script.fault.startswith("stall")
    await check(cloud_model(timeout_seconds=0.4 if is_stall else 30.0), quick, row, bool(stream))


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_connection_that_is_refused_is_tried_again(
    cloud_model: MakeModel, settings: Settings, stream: bool
) -> None:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    row = Row(Script(), is_made_again=True, unsent=True)
    await check(cloud_model(base_url=f"http://127.0.0.1:{port}/v1"), settings, row, stream)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_certificate_that_cannot_be_trusted_is_not_tried_again(
    cloud_model: MakeModel, settings: Settings, tmp_path: Path, stream: bool
) -> None:
    """Nothing was sent, and waiting cures nothing."""
    async with Recorder(tls=Certificates(tmp_path).server_context()) as upstream:
        model = cloud_model(base_url=f"https://localhost:{upstream.port}/v1")
        await check(model, settings, Row(Script(), unsent=True), stream)
        assert not upstream.exchanges


async def test_an_answer_of_another_type_than_it_should_have_is_garbage(
    cloud_model: MakeModel, settings: Settings, upstream: Recorder
) -> None:
    upstream.script = Script(raw_body=b"<html>Sign in</html>", headers=HTML)
    await check(cloud_model(), settings, Row(Script()), stream=False)
    upstream.script = Script(raw_events=(b"<html>Sign in</html>",), headers=HTML)
    await check(cloud_model(), settings, Row(Script()), stream=True)
