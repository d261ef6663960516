"""Brings models onto this machine and takes them off: pull from a hub, add a file, verify, remove.

A file takes its place only after its SHA-256 and its header were checked; until then the model before it stays.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from router.models.catalogue import CatalogueModel, ModelFileError, catalogue, embedded_model
from router.models.digests import digest_of, read_digest
from router.models.header import FileHeader, inspect_file
from router.models.hub import HubError, HubFile, OnProgress, RevisionGoneError, fetch, look_up
from router.models.local import recheck, resolve
from router.models.registry import Entry, Pin, Registry, check_name

_PART = ".part"
_COPY = ".copy"
_MARGIN_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Pulled:
    """What a pull did. `was_here`: the right file was here already. `pinned`: its digest was not known before."""

    entry: Entry
    was_here: bool = False
    pinned: bool = False


def pull(
    model: CatalogueModel,
    state_dir: Path,
    on_progress: OnProgress,
    *,
    repin: bool = False,
    endpoint: str | None = None,
) -> Pulled:
    """Fetch, check and record a model of the catalogue. Raises ModelFileError; then what was here before still is.

    The digest must be the pinned one: the catalogue's, or that of the first pull. `repin` takes what the hub has now.
    """
    if model.repository is None:
        raise ModelFileError(f"{model.name} comes with a Python package, not from a hub; nothing is to be pulled")
    registry = Registry(state_dir)
    contents = registry.read()
    pin = None if repin else contents.pins.get(model.name)
    expected = None if repin else (pin.sha256 if pin else model.sha256)
    here = contents.models.get(model.name)
    if here is not None and here.sha256 == expected and _is_right(registry, here):
        return Pulled(here, was_here=True)
    revision = None if repin else (pin.revision if pin else model.revision)
    try:
        found = _found(model, revision, expected, endpoint)
        _check_announced(model, found, expected)
        part = registry.prepare() / f".{model.name}-{(found.sha256 or found.revision)[:16]}{_PART}"
        with _alone(part, model.name):
            fetch(found, part, on_progress)
            entry = _checked(model, found, part, expected or found.sha256)
            pinned = Pin(entry.sha256, entry.size, found.revision) if expected is None else pin
            return Pulled(registry.put(entry, part, pinned), pinned=expected is None)
    except HubError as error:
        raise ModelFileError(f"{model.name} was not pulled: {error}.\n{_without_a_hub(model)}") from None
    except OSError as error:
        raise ModelFileError(f"{model.name} was not pulled: {registry.folder}: {error.strerror}") from None


def add(
    path: Path, state_dir: Path, *, name: str | None = None, adapter_of: str | None = None, embedding: bool = False
) -> Entry:
    """Check a GGUF file and copy it into the models folder under `name`. Raises ModelFileError."""
    name = check_name(name if name is not None else _name_from(path))
    known = catalogue().get(name)
    if known is not None and known.package is not None:
        raise ModelFileError(f"{name} is the embedded model's name; choose another one: --name NAME")
    if not path.is_file():
        raise ModelFileError(f"{path} is not a file")
    header = inspect_file(path)
    _check_kind(header, name, adapter_of, state_dir)
    if known is not None and header.architecture != known.architecture:
        raise ModelFileError(_other_architecture(known, header))
    registry = Registry(state_dir)
    folder = registry.prepare()
    _require_space(folder, path.stat().st_size)
    copy = folder / f".{name}-{os.getpid()}{_COPY}"
    try:
        try:
            with path.open("rb") as source, copy.open("xb") as target:
                digest, size = read_digest(source, target)
                target.flush()
                os.fsync(target.fileno())
        except OSError as error:
            raise ModelFileError(f"{path} cannot be copied to {folder}: {error.strerror}") from None
        _check_expected(registry, known, name, digest)
        entry = _entry(name, header, digest, size, {"added": path.name}, adapter_of, embedding)
        return registry.put(entry, copy)
    finally:
        copy.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found right. `pinned_by`: where the digest is from that the file was compared with."""

    name: str
    path: Path
    size: int
    sha256: str
    pinned_by: str


def verify(name: str, state_dir: Path) -> Verified:
    """Read the model's file whole: size, SHA-256, header. Raises ModelFileError for the first that is wrong."""
    registry = Registry(state_dir)
    entry = registry.read().models.get(name)
    known = catalogue().get(name)
    if entry is not None:
        recheck(registry, entry)
        path, size, digest = registry.path(entry), entry.size, entry.sha256
        published = known is not None and known.sha256 == digest
        pinned_by = "catalogue" if published else "first pull" if "repository" in entry.source else "when it was added"
    else:
        model = resolve(name, state_dir)  # the embedded one, or an error that says what to do
        path, size, digest, pinned_by = embedded_model(name), model.size, model.sha256, "catalogue"
    inspect_file(path)
    return Verified(name, path, size, digest, pinned_by)


def remove(name: str, state_dir: Path, *, force: bool = False) -> None:
    """Delete the model's file and what a broken pull of it left. Raises ModelFileError when others need it."""
    registry = Registry(state_dir)
    known = catalogue().get(name)
    if known is not None and known.package is not None:
        distribution = known.package.replace("_", "-")
        raise ModelFileError(f"{name} is the embedded model: it came with the package {distribution} and stays with it")
    adapters = _adapters_of(name, registry)
    if adapters and not force:
        raise ModelFileError(f"{name} is the base of {', '.join(adapters)}: remove those first, or use --force")
    remains = _remains(name, registry.folder)
    for path in remains:
        path.unlink(missing_ok=True)
    if name in registry.read().models or not remains:
        registry.drop(name)


def _found(model: CatalogueModel, revision: str | None, expected: str | None, endpoint: str | None) -> HubFile:
    repository = model.repository or ""
    try:
        return look_up(repository, model.file, revision, endpoint)
    except RevisionGoneError:
        if expected is None:
            raise
        return look_up(repository, model.file, None, endpoint)  # the digest decides, wherever the file is now


def _check_announced(model: CatalogueModel, found: HubFile, expected: str | None) -> None:
    """Refuse before the download what the hub itself calls another file."""
    if expected is None or found.sha256 is None or found.sha256 == expected:
        return
    raise ModelFileError(
        f"the hub now has another file for {model.name}: SHA-256 {found.sha256}, and {expected} is recorded. Nothing "
        f"was changed. If you trust the new file: gatehouse models pull {model.name} --repin"
    )


def _checked(model: CatalogueModel, found: HubFile, part: Path, wanted: str | None) -> Entry:
    """What arrived, as an entry. It is deleted, and ModelFileError raised, if it is not what it should be."""
    try:
        digest, size = digest_of(part)
        if wanted is not None and digest != wanted:
            raise ModelFileError(
                f"what came for {model.name} has the SHA-256 {digest} and not {wanted}: it was thrown away, and "
                "nothing else has changed"
            )
        header = inspect_file(part)
        if header.architecture != model.architecture:
            raise ModelFileError(_other_architecture(model, header))
    except ModelFileError:
        part.unlink()
        raise
    source = {"repository": model.repository or "", "file": model.file, "revision": found.revision}
    return _entry(model.name, header, digest, size, source)


def _other_architecture(model: CatalogueModel, header: FileHeader) -> str:
    return f"this is not {model.name}: the file's architecture is {header.architecture!r}, not {model.architecture!r}"


def _check_kind(header: FileHeader, name: str, adapter_of: str | None, state_dir: Path) -> None:
    if adapter_of is None:
        if header.kind == "adapter":
            raise ModelFileError("this file is an adapter: say of which model, with --adapter-of NAME")
        return
    if header.kind != "adapter":
        raise ModelFileError("this file is a whole model, not an adapter: leave --adapter-of out")
    base = resolve(adapter_of, state_dir)
    if adapter_of == name or _adapters_of(name, Registry(state_dir)):
        raise ModelFileError(f"{name} is the base of an adapter, so it must stay a whole model: choose another --name")
    if base.adapter_of is not None:
        raise ModelFileError(f"{adapter_of} is an adapter itself: name its base, {base.adapter_of}")
    if (of_base := inspect_file(base.path).architecture) != header.architecture:
        raise ModelFileError(f"the adapter is for {header.architecture!r} models, and {adapter_of} is {of_base!r}")


def _remains(name: str, folder: Path) -> list[Path]:
    """What broken commands about `name`, and about no other name that begins alike, have left."""
    pattern = re.compile(rf"\.{re.escape(name)}-([0-9a-f]{{1,16}}\{_PART}|[0-9]+\{_COPY})")
    return [path for path in folder.iterdir() if pattern.fullmatch(path.name)] if folder.is_dir() else []


def _adapters_of(name: str, registry: Registry) -> list[str]:
    return sorted(entry.name for entry in registry.read().models.values() if entry.adapter_of == name)


def _check_expected(registry: Registry, known: CatalogueModel | None, name: str, digest: str) -> None:
    if known is None:
        return
    pin = registry.read().pins.get(name)
    expected = pin.sha256 if pin else known.sha256
    if expected is not None and digest != expected:
        raise ModelFileError(
            f"this is not the file that the catalogue means by {name} (SHA-256 {digest}, expected {expected}): "
            "add it under another name, with --name NAME"
        )


def _entry(
    name: str,
    header: FileHeader,
    digest: str,
    size: int,
    source: dict[str, str],
    adapter_of: str | None = None,
    embedding: bool = False,
) -> Entry:
    return Entry(
        name=name,
        file="",  # the registry gives it
        sha256=digest,
        size=size,
        kind="model" if adapter_of is None else "adapter",
        adapter_of=adapter_of,
        embedding=embedding or header.kind == "embedding",
        context=header.context,
        architecture=header.architecture,
        tools=header.has_tools,
        source=source,
        added_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _is_right(registry: Registry, entry: Entry) -> bool:
    try:
        recheck(registry, entry)
    except ModelFileError:
        return False
    return True


@contextlib.contextmanager
def _alone(part: Path, name: str) -> Iterator[None]:
    """Two pulls of one model would write into one file."""
    descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ModelFileError(f"{name} is being pulled by another command right now") from None
        yield
    finally:
        os.close(descriptor)


def _require_space(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < size + _MARGIN_BYTES:
        raise ModelFileError(f"{size / 1e9:.2f} GB are needed in {folder}, and {free / 1e9:.2f} GB are free")


def _name_from(path: Path) -> str:
    """A name from a file's: lower case, without its ending."""
    return re.sub(r"[^a-z0-9._-]+", "-", path.stem.lower()).strip("-._")[:64]


def _without_a_hub(model: CatalogueModel) -> str:
    return (
        f"Run the command again to go on where it stopped. Without a hub: download {model.file} of {model.repository} "
        f"elsewhere and run `gatehouse models add FILE --name {model.name}`; or let Ollama, llama-server, LM Studio or "
        "vLLM serve a model on this machine and start with `gatehouse serve --local-url URL --local-model NAME`"
    )
