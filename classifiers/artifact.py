"""Reads trained weights: an archive of arrays and the card beside it. It never unpickles anything.

What is missing, altered or misshapen raises `ArtifactError`: it must never score.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

import numpy as np
import numpy.typing as npt


class ArtifactError(Exception):
    """An artifact or its card is missing, altered or misshapen; the message names it and what is wrong."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """The arrays of `<name>.npz`, its card, and the SHA-256 of its bytes, hex."""

    arrays: Mapping[str, npt.NDArray[Any]]
    card: Mapping[str, Any]
    digest: str


def read(name: str, keys: Iterable[str], folder: Traversable | None = None) -> Artifact:
    """`<name>.npz` with its card `<name>.json` from `folder` (default: the shipped artifacts).

    Every array of `keys` must be there and finite, and the card's `sha256` that of the file. Raises `ArtifactError`.
    """
    where = files("classifiers.artifacts") if folder is None else folder
    data = _bytes(where, f"{name}.npz")
    card = _card(name, _bytes(where, f"{name}.json"))
    digest = hashlib.sha256(data).hexdigest()
    if card.get("sha256") != digest:
        raise ArtifactError(f"artifact {name}.npz is not the one that its card describes (SHA-256 differs)")
    return Artifact(_arrays(name, data, keys), card, digest)


def _bytes(where: Traversable, filename: str) -> bytes:
    try:
        return where.joinpath(filename).read_bytes()
    except OSError as error:
        raise ArtifactError(f"artifact {filename} cannot be read ({type(error).__name__})") from error


def _card(name: str, text: bytes) -> Mapping[str, Any]:
    try:
        card = json.loads(text)
    except ValueError as error:
        raise ArtifactError(f"card {name}.json is not JSON") from error
    if not isinstance(card, dict):
        raise ArtifactError(f"card {name}.json is not an object")
    return card


def _arrays(name: str, data: bytes, keys: Iterable[str]) -> dict[str, npt.NDArray[Any]]:
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in keys}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ArtifactError(f"artifact {name}.npz is not a readable archive of arrays") from error
    for key, array in arrays.items():
        if not np.isfinite(array).all():
            raise ArtifactError(f"artifact {name}.npz: {key} holds a value that is not finite")
    return arrays
