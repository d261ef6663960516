from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from router.keys import Keys
from tests.support.redis_server import RedisServer


@pytest.fixture
def keys() -> Keys:
    return Keys(b"k" * 32)


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.stop()
