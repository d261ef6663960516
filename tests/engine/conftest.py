"""One engine process on the real model for the whole session, and a way to start others."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from router.engine.process import spin_briefly
from tests.engine.driver import Client, EngineProcess, end_engine, start_engine

spin_briefly()  # before anything loads llama.cpp: what follows does, and so do some test modules

from router.engine.native import NativeModel  # noqa: E402  # llama.cpp reads its environment when it is loaded
from tests.engine.lanes import Alone, alone, tiny_model  # noqa: E402  # llama.cpp reads its environment when it is loaded


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


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NativeModel]:
    """A tiny model inside the test's own process. A module that wants another one overrides it."""
    with tiny_model(tmp_path_factory.mktemp("model")) as loaded:
        yield loaded


@pytest.fixture(scope="module")
def oracle(model: NativeModel) -> Iterator[Alone]:
    """What `model` says to each request by itself."""
    with alone(model) as asked:
        yield asked


@pytest.fixture
async def client(engine: EngineProcess) -> AsyncIterator[Client]:
    async with Client(engine.socket) as talker:
        yield talker
