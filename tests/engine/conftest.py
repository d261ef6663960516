"""One engine process on the real model for the whole session, and a way to start others."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from router.engine.process import spin_briefly
from tests.engine.driver import Client, EngineProcess, end_engine, start_engine

spin_briefly()  # conftest comes first: some test modules load llama.cpp


@pytest.fixture(scope="session")
def engine() -> Iterator[EngineProcess]:
    with tempfile.TemporaryDirectory(prefix="gh-") as folder:
        running = start_engine(Path(folder))
        try:
            running.wait()
            yield running
        finally:
            end_engine(running)


Launch = Callable[..., EngineProcess]


@pytest.fixture
def launch() -> Iterator[Launch]:
    """Starts engines of the test's own: short paths, because a unix socket's may have 107 bytes."""
    started: list[EngineProcess] = []
    with tempfile.TemporaryDirectory(prefix="gh-") as folder:

        def start(*options: str, wait: bool = True) -> EngineProcess:
            own = Path(folder) / str(len(started))
            own.mkdir()
            started.append(start_engine(own, *options))
            if wait:
                started[-1].wait()
            return started[-1]

        try:
            yield start
        finally:
            for each in started:
                end_engine(each)


@pytest.fixture
async def client(engine: EngineProcess) -> AsyncIterator[Client]:
    async with Client(engine.socket) as talker:
        yield talker
