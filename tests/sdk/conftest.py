from __future__ import annotations

from collections.abc import Iterator

import pytest
from gatehouse import Gatehouse

from tests.sdk.stand_in import Gateway, start


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    gateway, server = start()
    yield gateway
    server.shutdown()
    server.server_close()


@pytest.fixture
def client(gateway: Gateway) -> Iterator[Gatehouse]:
    with Gatehouse(base_url=gateway.url) as client:
        yield client
