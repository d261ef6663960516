"""The list of models that an engine serves: a JSON file of its parent's, read anew when it changes.

A file that is not valid is never served from: what it said before goes on to hold.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

VERSION = 1
MAX_BYTES = 1024 * 1024
MAX_MODELS = 256
MAX_CONTEXT = 16 * 1024 * 1024
LOOK_S = 0.2

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_KEYS = frozenset({"name", "path", "context", "adapter_of", "embedding", "sha256"})


class ManifestError(Exception):
    """The manifest cannot be used; the message names the place."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One model by its name on the wire. Two entries that are equal are the same model."""

    name: str
    path: str
    context: int | None = None  # tokens, prompt and answer together; None: the engine's own setting
    adapter_of: str | None = None  # the entry whose weights this LoRA adapter changes
    embedding: bool = False  # it makes embeddings and nothing else
    sha256: str | None = None  # of the file, as its registry knows it


def parse(raw: bytes, folder: Path) -> tuple[Entry, ...]:
    """The entries of a manifest's text. A relative path is relative to `folder`. Raises ManifestError."""
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        raise ManifestError("it is not valid JSON") from None
    if not isinstance(body, dict) or body.get("version") != VERSION:
        raise ManifestError(f"it is not an object with version {VERSION}")
    models = body.get("models")
    if not isinstance(models, list) or not 1 <= len(models) <= MAX_MODELS:
        raise ManifestError(f"`models` is not a list of 1 to {MAX_MODELS} entries")
    entries = tuple(_entry(model, f"models[{index}]", folder) for index, model in enumerate(models))
    _check_names(entries)
    return entries


def _entry(model: Any, place: str, folder: Path) -> Entry:
    if not isinstance(model, dict) or not set(model) <= _KEYS:
        raise ManifestError(f"{place} is not an object of {', '.join(sorted(_KEYS))}")
    name, path, context = model.get("name"), model.get("path"), model.get("context")
    base, embedding, digest = model.get("adapter_of"), model.get("embedding", False), model.get("sha256")
    checks = {
        "name": _is_name(name),
        "path": isinstance(path, str) and bool(path) and "\0" not in path,
        "context": context is None or (type(context) is int and 1 <= context <= MAX_CONTEXT),
        "adapter_of": base is None or _is_name(base),
        "embedding": isinstance(embedding, bool) and not (embedding and base is not None),
        "sha256": digest is None or (isinstance(digest, str) and _DIGEST.fullmatch(digest) is not None),
    }
    for key, is_right in checks.items():
        if not is_right:
            raise ManifestError(f"`{key}` of {place} is not what it must be")
    return Entry(str(name), str(folder / str(path)), context, base, embedding, digest)


def _is_name(value: object) -> bool:
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def _check_names(entries: tuple[Entry, ...]) -> None:
    bases = {entry.name for entry in entries if entry.adapter_of is None and not entry.embedding}
    seen: set[str] = set()
    for index, entry in enumerate(entries):
        if entry.name in seen:
            raise ManifestError(f"models[{index}] has the name of an entry before it")
        if entry.adapter_of is not None and entry.adapter_of not in bases:
            raise ManifestError(f"`adapter_of` of models[{index}] names no chat model of this manifest")
        seen.add(entry.name)


class Manifest:
    """The entries in force. One thread at a time may call `refresh`."""

    def __init__(self, path: Path, say: Callable[[str], None]) -> None:
        """Read `path`; `say` is told, once each time, what is wrong with a later version. Raises ManifestError."""
        self._path = path
        self._say = say
        self._seen = self._stamp()
        self._looked = time.monotonic()
        self.entries = self._read()

    def refresh(self, *, at_once: bool = False) -> bool:
        """Look whether the file has changed, every 0.2 s or `at_once`. True: there are other entries now."""
        now = time.monotonic()
        if now - self._looked < LOOK_S and not at_once:
            return False
        self._looked = now
        stamp = self._stamp()
        if stamp == self._seen:
            return False
        self._seen = stamp
        try:
            entries = self._read()
        except ManifestError as error:
            self._say(f"the manifest stays as it was: {error}")
            return False
        changed, self.entries = entries != self.entries, entries
        return changed

    def _stamp(self) -> tuple[int, int, int] | None:
        """What changes when the file does; None while there is none."""
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ino, status.st_size

    def _read(self) -> tuple[Entry, ...]:
        try:
            with self._path.open("rb") as file:
                raw = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise ManifestError(f"it cannot be read: {error.strerror}") from None
        if len(raw) > MAX_BYTES:
            raise ManifestError(f"it is larger than {MAX_BYTES} bytes")
        return parse(raw, self._path.absolute().parent)


class SingleModel:
    """The manifest of an engine that was given one file and no manifest."""

    def __init__(self, name: str, path: str) -> None:
        self.entries = (Entry(name, path),)

    def refresh(self, *, at_once: bool = False) -> bool:
        """It never changes."""
        return False
