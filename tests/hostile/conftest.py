"""One gateway for all hostile input; at its end, nothing of what was sent may be left lying anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hostile.places import CANARY, Place, place


@pytest.fixture(scope="session")
def hostile(guard: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("hostile")) as running:
        yield running
        assert running.gateway.process.poll() is None, "the gateway did not survive"
        assert running.places_with(CANARY) == []
        assert "unforeseen" not in running.gateway.log()
