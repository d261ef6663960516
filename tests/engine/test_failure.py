"""A fault of the engine's own: the caller gets a 500 without its text, and the log gets its class alone."""

from __future__ import annotations

import httpx
import pytest

from router.engine.server import create_app
from router.engine.service import Answer, Engine, Options
from router.engine.types import ChatCall
from tests.engine.driver import ALIAS, says


class BrokenEngine(Engine):
    async def submit(self, call: ChatCall) -> Answer:
        raise RuntimeError(f"canary {call.messages}")


async def test_a_fault_while_answering_names_its_class_and_nothing_that_was_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    engine = BrokenEngine(Options(model="", alias=ALIAS, threads=1, context=64, queue=1), lambda _reason: None)
    transport = httpx.ASGITransport(create_app(engine), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://engine", timeout=60) as client:
        response = await client.post("/v1/chat/completions", json={"model": ALIAS, **says("secret canary")})
    assert (response.status_code, response.json()["error"]["code"]) == (500, "engine_error")
    written = capsys.readouterr().err
    assert "RuntimeError while answering a request" in written
    assert "canary" not in response.text + written
