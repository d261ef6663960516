"""The optional detector: what Presidio says is placed as any finding, it fetches nothing, and broken it is stricter."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from classifiers.pipeline import Pipeline
from classifiers.registry import DETECTORS, detectors_with, producible_entities
from classifiers.types import ScanRules
from router.settings import from_environment

# A package of Presidio's name with its interface, for a machine that has none: it finds the word "Zenobia" and a city.
_PACKAGE = """
import re
from types import SimpleNamespace as Result

class AnalyzerEngine:
    def __init__(self, nlp_engine):
        assert nlp_engine == "en_core_web_md"
    def analyze(self, text, language):
        assert language == "en" and "\\x00" not in text
        if "boom" in text:
            raise OSError(text)
        kinds = {"Zenobia": ("PERSON", 0.85), "Malmö": ("LOCATION", 0.6), "Zürich": ("US_SWISS_THING", 0.5)}
        return [Result(entity_type=kinds[hit.group()][0], start=hit.start(), end=hit.end(), score=kinds[hit.group()][1])
                for hit in re.finditer("|".join(kinds), text)]
"""
_ENGINES = """
class NlpEngineProvider:
    def __init__(self, nlp_configuration):
        self.models = nlp_configuration["models"]
    def create_engine(self):
        return self.models[0]["model_name"]
"""
_SUFFIXES = """
class TLDExtract:
    def __init__(self, suffix_list_urls=("https://example.org/list",), cache_dir="/tmp"):
        self.fetches = bool(suffix_list_urls)

TLD_EXTRACTOR = TLDExtract()
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    files = {
        "presidio_analyzer/__init__.py": _PACKAGE,
        "presidio_analyzer/nlp_engine.py": _ENGINES,
        "tldextract/__init__.py": "",
        "tldextract/tldextract.py": _SUFFIXES,
        "en_core_web_md/__init__.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    info = tmp_path / "presidio_analyzer-2.2.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: presidio-analyzer\nVersion: 2.2.0\n", "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] in ("presidio_analyzer", "tldextract")]:
        del sys.modules[name]


async def scan(body: Any) -> Any:
    table = {"presidio": detectors_with(["presidio"])["presidio"]}
    pipeline = Pipeline(detectors=table, signals={}, budget_ms=5000)
    return (await pipeline.run(body, ScanRules(), "")).scan


@pytest.mark.usefixtures("installed")
async def test_what_presidio_finds_is_placed_in_code_points_behind_wide_characters() -> None:
    scanned = await scan({"a": "für Zenobia", "b": ["ö", "Malmö – Zürich"]})
    found = {(each.entity_type, each.pointer, each.start, each.end) for each in scanned.findings}
    assert found == {("PERSON", "/a", 4, 11), ("LOCATION", "/b/1", 0, 5), ("US_SWISS_THING", "/b/1", 8, 14)}
    assert not scanned.unknowns


@pytest.mark.usefixtures("installed")
async def test_a_presidio_that_raises_makes_the_text_unchecked_and_says_nothing_of_it() -> None:
    scanned = await scan({"a": "boom with a secret word"})
    assert [(each.kind, each.detail) for each in scanned.unknowns] == [("detector_error", "presidio: OSError")]


@pytest.mark.usefixtures("installed")
async def test_presidio_fetches_neither_a_list_of_suffixes_nor_a_model(tmp_path: Path) -> None:
    await scan({"a": "hello"})
    assert sys.modules["tldextract.tldextract"].TLD_EXTRACTOR.fetches is False
    (tmp_path / "en_core_web_md" / "__init__.py").unlink()
    (tmp_path / "en_core_web_md").rmdir()
    importlib.invalidate_caches()
    scanned = await scan({"a": "hello"})
    assert [each.detail for each in scanned.unknowns] == ["presidio: NoModel"]


async def test_a_presidio_that_is_gone_makes_every_request_unchecked() -> None:
    scanned = await scan({"a": "hello"})
    assert [each.kind for each in scanned.unknowns] == ["detector_error"]


def test_the_shipped_table_has_no_optional_detector_and_names_are_checked() -> None:
    assert "presidio" not in DETECTORS
    assert detectors_with([]) == DETECTORS
    assert detectors_with(["presidio"]).keys() == DETECTORS.keys() | {"presidio"}
    assert "PERSON" in producible_entities(detectors_with(["presidio"]))


def test_switched_on_without_the_package_the_settings_say_what_to_install(tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path), "GATEHOUSE_EXTRA_DETECTORS": "presidio"}
    with pytest.raises(ValidationError, match="pip install presidio-analyzer"):
        from_environment(environment)
    with pytest.raises(ValidationError, match="'presidoi' is no optional detector; there is: presidio"):
        from_environment({**environment, "GATEHOUSE_EXTRA_DETECTORS": "presidoi"})


@pytest.mark.usefixtures("installed")
def test_switched_on_with_the_package_it_is_in_the_settings(tmp_path: Path) -> None:
    settings = from_environment({"HOME": str(tmp_path), "GATEHOUSE_EXTRA_DETECTORS": "presidio"})
    assert settings.extra_detectors == ("presidio",)
