"""Which models are on this machine: a private folder with their files, and registry.json, replaced whole when changed.

A name leads to a file only if the file is the one that was recorded; a file that changed is never served.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from router.keys import StateFolderError, ensure_private_folder, replace_whole, sync_folder
from router.models.catalogue import ModelFileError

Kind = Literal["model", "adapter"]

_FILE = "registry.json"
_LOCK = ".lock"
_VERSION = 1
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_DIGEST_IN_NAME = 12  # hex digits of the SHA-256 in a file's name: a new file never overwrites one that is in use


@dataclass(frozen=True, slots=True)
class Entry:
    """One model on this machine. `seen` is what the file system said of the file when its SHA-256 was last right."""

    name: str
    file: str  # within the folder
    sha256: str
    size: int
    kind: Kind = "model"
    adapter_of: str | None = None
    embedding: bool = False
    context: int | None = None  # tokens that it was trained for
    architecture: str | None = None
    tools: bool = False  # whether the file's template renders tools
    source: dict[str, str] = field(default_factory=dict)  # repository, file and revision on the hub; or added: a name
    added_at: str = ""  # ISO 8601, UTC
    seen: tuple[int, int] | None = None  # inode, time of change in nanoseconds


@dataclass(frozen=True, slots=True)
class Pin:
    """What the first pull of a model without a known digest got. It outlives the model's removal."""

    sha256: str
    size: int
    revision: str


@dataclass(frozen=True, slots=True)
class Contents:
    """What registry.json holds, by name."""

    models: dict[str, Entry] = field(default_factory=dict)
    pins: dict[str, Pin] = field(default_factory=dict)


class Registry:
    """The models folder of one state folder. Reading creates nothing."""

    def __init__(self, state_dir: Path) -> None:
        self.folder = state_dir / "models"

    def read(self) -> Contents:
        """What is recorded. Raises ModelFileError for a damaged file."""
        path = self.folder / _FILE
        try:
            text = path.read_text("utf-8")
        except FileNotFoundError:
            return Contents()
        except (OSError, UnicodeDecodeError):
            raise ModelFileError(f"{path} cannot be read; move it away, and pull or add your models again") from None
        try:
            return _parse(json.loads(text))
        except (ValueError, TypeError, KeyError, AttributeError):
            raise ModelFileError(f"{path} is damaged; move it away, and pull or add your models again") from None

    def change(self, how: Callable[[Contents], Contents]) -> Contents:
        """Read, change and replace the record under a lock: whole or not at all. Raises ModelFileError."""
        with self._locked():
            changed = how(self.read())
            document = {
                "version": _VERSION,
                "models": {name: _without_name(entry) for name, entry in sorted(changed.models.items())},
                "pins": {name: asdict(pin) for name, pin in sorted(changed.pins.items())},
            }
            replace_whole(self.folder / _FILE, (json.dumps(document, indent=2) + "\n").encode())
        return changed

    def path(self, entry: Entry) -> Path:
        """Where the entry's file is."""
        return self.folder / entry.file

    def prepare(self) -> Path:
        """The folder, created if need be and private. Raises ModelFileError."""
        try:
            ensure_private_folder(self.folder.parent)
            return ensure_private_folder(self.folder)
        except StateFolderError as error:
            raise ModelFileError(str(error)) from None

    def put(self, entry: Entry, temporary: Path, pin: Pin | None = None) -> Entry:
        """Record `entry` with the file `temporary` (in the folder), which takes its place; the one before it goes.

        The old file of that name is kept until the new one is recorded. Raises ModelFileError.
        """
        file = f"{entry.name}-{entry.sha256[:_DIGEST_IN_NAME]}.gguf"
        before: list[str] = []

        def record(contents: Contents) -> Contents:
            old = contents.models.get(entry.name)
            target = self.folder / file
            temporary.chmod(0o600)
            temporary.replace(target)
            sync_folder(self.folder)
            new = replace(entry, file=file, seen=_seen(target))
            if old is not None and old.file != file:
                before.append(old.file)
            pins = contents.pins if pin is None else {**contents.pins, entry.name: pin}
            return Contents({**contents.models, entry.name: new}, pins)

        try:
            recorded = self.change(record).models[entry.name]
        except OSError as error:
            raise ModelFileError(f"{self.folder} cannot be written: {error.strerror}") from None
        for name in before:
            (self.folder / name).unlink(missing_ok=True)
        return recorded

    def drop(self, name: str) -> None:
        """Forget `name` and delete its file; its pin stays. Raises ModelFileError when it is not here."""
        dropped: list[Entry] = []

        def forget(contents: Contents) -> Contents:
            if name not in contents.models:
                raise ModelFileError(f"no model {name!r} was pulled or added here; see: gatehouse models list")
            dropped.append(contents.models[name])
            return Contents({key: entry for key, entry in contents.models.items() if key != name}, contents.pins)

        self.change(forget)
        self.path(dropped[0]).unlink(missing_ok=True)

    def mark_seen(self, entry: Entry) -> None:
        """Remember that the file as it is now has been read whole and is right."""
        seen = _seen(self.path(entry))

        def mark(contents: Contents) -> Contents:
            if contents.models.get(entry.name) != entry:
                return contents  # replaced meanwhile
            return replace(contents, models={**contents.models, entry.name: replace(entry, seen=seen)})

        self.change(mark)

    def was_seen(self, entry: Entry) -> bool:
        """Whether the file is untouched since it was last read whole and was right. Raises OSError."""
        path = self.path(entry)
        return path.stat().st_size == entry.size and _seen(path) == entry.seen

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        folder = self.prepare()
        try:
            descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ModelFileError(f"{folder} cannot be written: {error.strerror}") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def check_name(name: str) -> str:
    """`name`, if it can be a model's. Raises ModelFileError."""
    if not _NAME.fullmatch(name):
        raise ModelFileError(
            f"{name[:80]!r} cannot be a model's name: up to 64 lower-case letters, digits, dots, hyphens and "
            "underscores, beginning with a letter or digit"
        )
    return name


def _seen(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_ino, status.st_mtime_ns


def _without_name(entry: Entry) -> dict[str, Any]:
    values = asdict(entry)
    del values["name"]
    return values


def _parse(document: dict[str, Any]) -> Contents:
    if document["version"] != _VERSION:
        raise ValueError("another version's")
    models = {}
    for name, values in document["models"].items():
        seen = values.pop("seen")
        entry = Entry(name=name, seen=None if seen is None else (int(seen[0]), int(seen[1])), **values)
        if not _NAME.fullmatch(name) or Path(entry.file).name != entry.file:
            raise ValueError("a path where a name should be")
        models[name] = entry
    return Contents(models, {name: Pin(**values) for name, values in document["pins"].items()})
