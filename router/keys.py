"""The root secret and the named subkeys derived from it, and the private files of the state folder.

Never logs, shows or hands out the root itself; refuses files and folders that others may read.
"""

from __future__ import annotations

import contextlib
import fcntl
import hmac
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KeyName = Literal[
    "affinity",
    "approvals",
    "cache",
    "digests",
    "dictionaries",
    "partitions",
    "reasks",
    "releases",
    "subjects",
    "state",
    "taint",
]

_ROOT_FILE = "root.key"
_LOCK_FILE = ".lock"
_ROOT_BYTES = 32
_MAX_PRIVATE_FILE = 64 * 1024
_MAX_REMEMBERED = 4096  # derived keys; one a name and tenant


class StateFolderError(Exception):
    """The state folder, or a private file in it, cannot be used as it is; the message names the fix."""


def ensure_private_folder(folder: Path) -> Path:
    """Create `folder` with mode 0700, or check that it is a folder that only its owner can enter.

    Raises `StateFolderError` when it cannot be made, is not a folder, or is open to others.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        status = folder.stat()
    except OSError as error:
        raise StateFolderError(f"cannot use the folder {folder}: {error.strerror}; set GATEHOUSE_STATE_DIR") from None
    if not stat.S_ISDIR(status.st_mode):
        raise StateFolderError(f"{folder} is not a folder; set GATEHOUSE_STATE_DIR to one")
    _refuse_open_to_others(folder, status, "700")
    return folder


def read_private(path: Path) -> bytes:
    """The content of a small file that only its owner may read.

    Raises `FileNotFoundError` when there is none, `StateFolderError` when it is a link, or open to others.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StateFolderError(f"cannot read {path}: {error.strerror}; it must be a plain file of this user") from None
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise StateFolderError(f"{path} is not a plain file; move it away")
        _refuse_open_to_others(path, status, "600")
        return file.read(_MAX_PRIVATE_FILE)


def create_private(path: Path, make: Callable[[], bytes]) -> bytes:
    """The content of `path`; when it is absent it is first created, whole and 0600, from what `make` returns.

    Processes that start at the same moment agree: one creates, under a lock, and the others read. `path` must stand in
    a private folder. Raises `StateFolderError`.
    """
    with contextlib.suppress(FileNotFoundError):
        return read_private(path)
    try:
        with locked_folder(path.parent):
            with contextlib.suppress(FileNotFoundError):
                return read_private(path)
            content = make()
            replace_whole(path, content)
            return content
    except OSError as error:
        raise StateFolderError(f"cannot create {path}: {error.strerror}") from None


def _refuse_open_to_others(path: Path, status: os.stat_result, mode: str) -> None:
    if status.st_uid != os.geteuid():
        raise StateFolderError(f"{path} belongs to another user; run: chown {os.geteuid()} {path}")
    if status.st_mode & 0o077:
        raise StateFolderError(f"{path} is open to other users; run: chmod {mode} {path}")


@contextlib.contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """One process at a time in the block, among all that lock the same folder. Raises OSError."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(folder / _LOCK_FILE, flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def replace_whole(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Put `content` in the place of the file `path`, whole or not at all, even if the power fails. Raises OSError."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make what was renamed in `folder` survive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Keys:
    """Named subkeys of one root secret: HKDF-SHA256 (RFC 5869), one purpose a name, so that none serves for another."""

    def __init__(self, root: bytes) -> None:
        if len(root) != _ROOT_BYTES:
            raise ValueError(f"a root secret has {_ROOT_BYTES} bytes")
        self._root = root
        self._derived: dict[tuple[str, str], bytes] = {}

    def __repr__(self) -> str:
        return "Keys()"

    def subkey(self, name: KeyName, context: str = "") -> bytes:
        """The 32-byte subkey of that name, and of that context (a tenant) within it."""
        key = self._derived.get((name, context))
        if key is None:
            info = b"gatehouse/1/" + name.encode() + b"\0" + context.encode()
            key = HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(self._root)
            if len(self._derived) >= _MAX_REMEMBERED:
                self._derived.clear()
            self._derived[name, context] = key
        return key

    def digest(self, data: bytes) -> str:
        """A keyed digest for records and logs (HMAC-SHA256, 32 hex digits): equal for equal data, and says no more."""
        return hmac.digest(self.subkey("digests"), data, "sha256")[:16].hex()


def existing_keys(state_dir: Path) -> Keys | None:
    """The keys of this state folder where there are some already; creates nothing. Raises `StateFolderError`."""
    return load_keys(state_dir) if (state_dir / _ROOT_FILE).exists() else None


def load_keys(state_dir: Path) -> Keys:
    """The keys of this state folder; its root secret is created at the first start. Raises `StateFolderError`."""
    path = ensure_private_folder(state_dir) / _ROOT_FILE
    content = create_private(path, lambda: secrets.token_hex(_ROOT_BYTES).encode() + b"\n")
    try:
        root = bytes.fromhex(content.decode("ascii").strip())
        return Keys(root)
    except ValueError:
        raise StateFolderError(
            f"{path} is damaged: it must hold {_ROOT_BYTES * 2} hex digits; restore it from a backup, or remove it, "
            "and what it sealed (cached answers) is lost"
        ) from None
