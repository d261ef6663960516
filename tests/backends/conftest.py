"""Parts that the backend tests share: patient deadlines, a recording upstream, models that point at it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from policies.types import EgressPermit, Model
from router.backends.permits import digest_of
from router.settings import Settings
from router.types import Outgoing
from tests.support.recorder import Recorder

MakeModel = Callable[..., Model]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        state_dir=tmp_path,
        runtime_dir=tmp_path,
        connect_timeout_s=30.0,
        first_chunk_timeout_s=30.0,
        idle_chunk_timeout_s=30.0,
        local_timeout_s=60.0,
    )


@pytest.fixture
async def upstream() -> AsyncIterator[Recorder]:
    recorder = Recorder()
    await recorder.start()
    yield recorder
    await recorder.stop()


@pytest.fixture
def local_model(upstream: Recorder) -> MakeModel:
    def make(**changes: Any) -> Model:
        given: dict[str, Any] = {"name": "home", "locality": "local", "backend": "openai", "model": "small"}
        return Model(**{**given, "base_url": upstream.url, "timeout_seconds": 60.0, **changes})

    return make


@pytest.fixture
def cloud_model(upstream: Recorder) -> MakeModel:
    def make(**changes: Any) -> Model:
        given: dict[str, Any] = {"name": "cloud", "locality": "cloud", "backend": "openai", "model": "large"}
        return Model(**{**given, "base_url": upstream.url, "timeout_seconds": 60.0, **changes})

    return make


def outgoing(stream: bool = False, *, permit_for: Model | None = None, **changes: Any) -> Outgoing:
    """A small request; with `permit_for`, one that may leave to that model."""
    body = {"model": "small", "messages": [{"role": "user", "content": "Say hello."}], "stream": stream, **changes}
    written = orjson.dumps(body)
    return Outgoing(written, stream, permit_for and permit(permit_for, written))


def permit(model: Model, written: bytes, **changes: Any) -> EgressPermit:
    """A permit for these bytes, as `policies.decide.permit` makes them."""
    given: dict[str, Any] = {"model": model.name, "payload": "full", "digest": digest_of(written), "rule": "default"}
    return EgressPermit(**{**given, "policy_digest": "d", "purpose": "answer", **changes})


async def eventually(condition: Callable[[], bool], within: float = 30.0) -> bool:
    """Whether the condition comes true within so many seconds."""
    until = time.monotonic() + within
    while not condition() and time.monotonic() < until:  # noqa: ASYNC110 - what it waits for sends no event
        await asyncio.sleep(0.005)
    return condition()
