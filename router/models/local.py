"""From the name that a policy uses to the model's file on this machine, proven to be the recorded one.

It reads files and may hash them; it never downloads, and never opens a GGUF's content.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from policies.errors import suggest
from router.models.catalogue import CatalogueModel, ModelFileError, catalogue, embedded_model
from router.models.digests import digest_of
from router.models.registry import Contents, Entry, Registry


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A model that can be served from this machine. `context`: tokens that it was trained for, where that is known.

    An adapter has context and tools of its base.
    """

    name: str
    path: Path
    sha256: str
    size: int
    context: int | None = None
    adapter_of: str | None = None
    embedding: bool = False
    tools: bool = False  # whether its template renders tools


def resolve(name: str, state_dir: Path) -> LocalModel:
    """The file of the model `name`: embedded, pulled or added. Raises ModelFileError, which says what to do.

    A file of the models folder is read whole once; later its size, inode and time of change must be what they were
    then, or it is read whole again. The folder is private, so that this keeps accidents out; `verify` always reads.
    """
    registry = Registry(state_dir)
    contents = registry.read()
    known = catalogue().get(name)
    entry = contents.models.get(name)
    if entry is not None:
        model = _installed(registry, entry)
        if entry.adapter_of is None:
            return model
        base = resolve(entry.adapter_of, state_dir)
        return replace(model, context=base.context, tools=base.tools)
    if known is not None and known.package is not None:
        path = embedded_model(name)
        return LocalModel(name, path, known.sha256 or "", known.size_bytes, known.context, tools=known.tools)
    raise ModelFileError(_missing(name, known, contents))


def manifest_entries(names: Iterable[str], state_dir: Path) -> list[dict[str, Any]]:
    """The entries of the engine's manifest for these models, in this order, each once. Raises ModelFileError.

    An adapter brings its base in, behind all that were named. `context` is None: the engine serves what its own
    settings and the file allow.
    """
    wanted = list(dict.fromkeys(names))
    entries = []
    for name in wanted:  # grows while it is walked: an adapter's base comes behind the others
        model = resolve(name, state_dir)
        entries.append(
            {
                "name": name,
                "path": str(model.path),
                "context": None,
                "adapter_of": model.adapter_of,
                "embedding": model.embedding,
                "sha256": model.sha256,
            }
        )
        if model.adapter_of is not None and model.adapter_of not in wanted:
            wanted.append(model.adapter_of)
    return entries


def recheck(registry: Registry, entry: Entry) -> None:
    """Read the entry's file whole and compare it with the record. Raises ModelFileError."""
    path = registry.path(entry)
    try:
        digest, size = digest_of(path)
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read ({error.strerror}); {_again(entry)}") from None
    if (digest, size) != (entry.sha256, entry.size):
        raise ModelFileError(
            f"{path} is not the file that was recorded for {entry.name} ({size:,} bytes, SHA-256 {digest}; recorded "
            f"{entry.size:,} bytes, {entry.sha256}); {_again(entry)}"
        )


def _installed(registry: Registry, entry: Entry) -> LocalModel:
    path = registry.path(entry)
    try:
        untouched = registry.was_seen(entry)
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read ({error.strerror}); {_again(entry)}") from None
    if not untouched:
        recheck(registry, entry)
        with contextlib.suppress(
            ModelFileError, OSError
        ):  # a folder that cannot be written: it is read again next time
            registry.mark_seen(entry)
    return LocalModel(
        name=entry.name,
        path=path,
        sha256=entry.sha256,
        size=entry.size,
        context=entry.context,
        adapter_of=entry.adapter_of,
        embedding=entry.embedding,
        tools=entry.tools,
    )


def _again(entry: Entry) -> str:
    if "repository" in entry.source:
        return f"run: gatehouse models pull {entry.name}"
    return f"run: gatehouse models add FILE --name {entry.name}"


def _missing(name: str, known: CatalogueModel | None, contents: Contents) -> str:
    if known is not None:
        return f"the model {name} is not on this machine; run: gatehouse models pull {name}"
    names = [*catalogue(), *contents.models]
    hint = suggest(name, names)
    return (
        f"no model is called {name[:80]!r}: see `gatehouse models list`, or bring a file: `gatehouse models add`{hint}"
    )
