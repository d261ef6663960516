"""A state folder, a tiny model of the right kind, and a catalogue entry that a stand-in hub serves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from router.models.catalogue import CatalogueModel, catalogue
from tests.support.hub import Hub
from tests.support.tiny_gguf import make_model


@pytest.fixture(autouse=True)
def _children_find_our_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model("llama-3.2", tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def entry() -> CatalogueModel:
    """A model of the catalogue without a known digest: pinned at its first pull."""
    return replace(catalogue()["tinyllama-1.1b-chat"], sha256=None, revision=None)


@pytest.fixture
def hub(tiny: Path, entry: CatalogueModel) -> Iterator[Hub]:
    assert entry.repository is not None
    with Hub({(entry.repository, entry.file): tiny.read_bytes()}) as hub:
        yield hub
