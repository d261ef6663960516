"""A large body does not hold up the event loop while it is read as JSON; a small one is read at once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from router.api.admission import Admission
from router.api.endpoint import Endpoint
from router.api.openai_chat import ChatCompletions
from router.gateway import Gateway
from router.identity import Identity
from router.settings import Settings
from router.telemetry.metrics import MetricStore
from router.telemetry.telemetry import Telemetry


@pytest.mark.parametrize(("size", "others_had_a_turn"), [(4 << 20, True), (1000, False)])
async def test_others_have_their_turn_while_a_large_body_is_read(
    tmp_path: Path, size: int, others_had_a_turn: bool
) -> None:
    settings = Settings(state_dir=tmp_path / "state", runtime_dir=tmp_path / "run")
    telemetry = Telemetry(store=MetricStore())
    admission = Admission(8, 64 << 20, telemetry)
    # It ends in the middle, so that nothing follows the reading of it.
    endpoint = Endpoint(
        cast(Gateway, None), Identity(settings), settings, telemetry, admission, ChatCompletions()
    )  # fmt: skip
    body = b'{"model": "auto", "messages": [{"role": "user", "content": "' + b"x" * size
    turns, sent = 0, list[dict[str, Any]]()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    async def others() -> None:
        nonlocal turns
        while not sent:
            turns += 1
            await asyncio.sleep(0)

    waiting = asyncio.create_task(others())
    await endpoint({"type": "http", "method": "POST", "path": "/", "headers": []}, receive, send)
    await waiting
    assert sent[0]["status"] == 400
    assert b"invalid_json" in sent[1]["body"]
    assert (turns > 0) is others_had_a_turn
