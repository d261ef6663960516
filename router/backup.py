"""A copy of the state folder in one file, made while a gateway serves, and the way back. Secrets only when asked for.

A restore never lets out more than before it: the locks and the marks of taint that stand now stay.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import os
import shutil
import sqlite3
import tarfile
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from router.keys import ensure_private_folder
from router.lockdown.lockdown import LOCKDOWN_FILE
from router.records.store import RECORDS_FILE, StoreError, translated, verify
from router.releases.store import RELEASES_FILE
from router.taint.marks import MARKS_FILE

_VERSION = 1
_MANIFEST, _SEALED = "manifest.json", "secrets.sealed"
_SECRETS = ("root.key", "api.key")
# models: gigabytes that `models pull` brings back. Releases: what was used since must not be usable again.
_LEFT_OUT = frozenset({"models", ".lock", ".serving", RELEASES_FILE, *_SECRETS})
_SERVING = ".serving"
_SALT, _NONCE = 16, 12


class BackupError(Exception):
    """No backup can be made, or restored; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What a backup holds, or what was restored."""

    files: int
    has_secrets: bool
    records: int | None  # rows of the chain that were checked; None: there are none


@contextlib.contextmanager
def serving(state_dir: Path) -> Iterator[None]:
    """Held by a gateway for as long as it runs: nothing is restored over it. Several may hold it."""
    with _flock(state_dir, fcntl.LOCK_SH):
        yield


def make_backup(state_dir: Path, target: Path, passphrase: bytes | None = None) -> Kept:
    """Write `target` (0600) from the state folder. With a passphrase the secrets are in it, sealed.

    Raises `BackupError` when the target is there already, the state cannot be read, or its records are not whole.
    """
    if not state_dir.is_dir():
        raise BackupError(f"there is no state folder {state_dir}")
    try:
        with tempfile.TemporaryDirectory(dir=state_dir, prefix=".backup-") as work:
            with translated(state_dir):
                copied = _copy(state_dir, Path(work))
            rows = _checked(Path(work) / RECORDS_FILE)
            sealed = _seal(state_dir, passphrase) if passphrase is not None else None
            _write(target, Path(work), copied, sealed)
    except FileExistsError:
        raise BackupError(f"{target} is there already: name a new file") from None
    except (StoreError, OSError) as error:
        raise BackupError(str(error)) from None
    return Kept(len(copied), sealed is not None, rows)


def _write(target: Path, work: Path, copied: list[str], sealed: bytes | None) -> None:
    """The file, whole or not at all."""
    manifest = {"version": _VERSION, "made": time.time(), "files": _digests(work, copied)}
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb") as file, tarfile.open(fileobj=file, mode="w:gz") as tar:
            _add(tar, _MANIFEST, orjson.dumps(manifest))
            if sealed is not None:
                _add(tar, _SEALED, sealed)
            for name in copied:
                tar.add(work / name, f"state/{name}", recursive=False)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def restore_backup(state_dir: Path, source: Path, passphrase: bytes | None = None) -> Kept:
    """Put a backup in the place of what the state folder holds, which is moved aside within it.

    Everything is checked before anything is moved. Raises `BackupError` also while a gateway runs on the folder.
    """
    ensure_private_folder(state_dir)
    try:
        with _flock(state_dir, fcntl.LOCK_EX | fcntl.LOCK_NB):
            work = Path(tempfile.mkdtemp(dir=state_dir, prefix=".restoring-"))
            try:
                return _restore(state_dir, source, passphrase, work)
            finally:
                shutil.rmtree(work, ignore_errors=True)
    except BlockingIOError:
        raise BackupError(f"a gateway runs on {state_dir}: stop it first") from None
    except (tarfile.TarError, EOFError, ValueError, KeyError, TypeError) as error:
        raise BackupError(f"{source} is no backup, or is damaged ({type(error).__name__})") from None
    except (StoreError, OSError) as error:
        raise BackupError(str(error)) from None


def _restore(state_dir: Path, source: Path, passphrase: bytes | None, work: Path) -> Kept:
    names, sealed = _unpack(source, work)
    rows = _checked(work / RECORDS_FILE)
    secrets = _unseal(sealed, passphrase)
    old_root = _bytes(state_dir / "root.key")
    keeps_root = "root.key" not in secrets or secrets["root.key"] == old_root
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    aside = Path(tempfile.mkdtemp(dir=state_dir, prefix=f"before-restore-{stamp}-"))
    stays = {"models", ".lock", _SERVING, aside.name, work.name, LOCKDOWN_FILE, *(() if secrets else _SECRETS)}
    if keeps_root:
        stays.add(MARKS_FILE)  # newer than the backup's: what was answered since stays marked
    for each in list(state_dir.iterdir()):
        if each.name not in stays and not each.name.startswith("before-restore-"):
            each.rename(aside / each.name)
    for name in names:
        if not (state_dir / name).exists():
            (state_dir / name).parent.mkdir(mode=0o700, exist_ok=True)
            (work / name).rename(state_dir / name)
    for name, content in secrets.items():
        with open(os.open(state_dir / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(content)
    return Kept(len(names), bool(secrets), rows)


def _copy(state_dir: Path, work: Path) -> list[str]:
    """Copies of what belongs into a backup, databases as SQLite copies them; their names."""
    found = []
    for path in sorted(state_dir.rglob("*")):
        name = path.relative_to(state_dir)
        top = name.parts[0]
        if top in _LEFT_OUT or top.startswith((".backup-", ".restoring-", "before-restore-")):
            continue
        if path.is_symlink() or not path.is_file() or path.name.endswith(("-wal", "-shm", "-journal")):
            continue
        target = work / name
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            if path.suffix != ".sqlite":
                file.write(path.read_bytes())
        if path.suffix == ".sqlite":
            _copy_database(path, target)
        found.append(str(name))
    return found


def _copy_database(path: Path, target: Path) -> None:
    opened = contextlib.closing(sqlite3.connect(path, timeout=10.0))
    with opened as source, contextlib.closing(sqlite3.connect(target)) as copy:
        source.backup(copy, pages=1024, sleep=0.005)  # in pieces: the gateway's writer gets in between
        copy.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it


def _checked(records: Path) -> int | None:
    """Rows of the chain, which must be whole; None where there are no records."""
    if not records.exists():
        return None
    report = verify(records)
    if not report.intact:
        raise BackupError(f"the chain of records is broken at {report.broken_at}: {report.why}")
    return report.rows


def _digests(work: Path, names: list[str]) -> dict[str, str]:
    found = {}
    for name in names:
        with (work / name).open("rb") as file:
            found[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), 0o600
    tar.addfile(entry, io.BytesIO(content))


def _unpack(source: Path, work: Path) -> tuple[list[str], bytes | None]:
    """The files, checked against the manifest, in the folder `work`; and the sealed secrets."""
    with tarfile.open(source, "r:gz") as tar:
        manifest: Any = orjson.loads(_read(tar, _MANIFEST))
        if manifest["version"] != _VERSION:
            raise BackupError(f"{source} was written by another version of gatehouse (form {manifest['version']})")
        sealed = _read(tar, _SEALED) if _SEALED in tar.getnames() else None
        for name in manifest["files"]:
            parts = Path(name).parts
            if not parts or Path(name).is_absolute() or ".." in parts or parts[0] in _LEFT_OUT:
                raise ValueError
            target = work / name
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            entry = tar.getmember(f"state/{name}")
            content = tar.extractfile(entry)
            if not entry.isfile() or content is None:
                raise ValueError
            with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                shutil.copyfileobj(content, file)
    if _digests(work, list(manifest["files"])) != manifest["files"]:
        raise ValueError
    return list(manifest["files"]), sealed


def _read(tar: tarfile.TarFile, name: str) -> bytes:
    file = tar.extractfile(name)
    if file is None:
        raise ValueError
    return file.read()


def _seal(state_dir: Path, passphrase: bytes) -> bytes:
    plain = orjson.dumps({name: (_bytes(state_dir / name) or b"").decode("ascii") for name in _SECRETS})
    salt, nonce = os.urandom(_SALT), os.urandom(_NONCE)
    return salt + nonce + AESGCM(_key(passphrase, salt)).encrypt(nonce, plain, _SEALED.encode())


def _unseal(sealed: bytes | None, passphrase: bytes | None) -> dict[str, bytes]:
    if passphrase is None:
        return {}
    if sealed is None:
        raise BackupError("this backup holds no secrets: restore it without a passphrase")
    salt, nonce, rest = sealed[:_SALT], sealed[_SALT : _SALT + _NONCE], sealed[_SALT + _NONCE :]
    try:
        plain = AESGCM(_key(passphrase, salt)).decrypt(nonce, rest, _SEALED.encode())
    except InvalidTag:
        raise BackupError("the passphrase is not the one that this backup was made with") from None
    return {name: text.encode() for name, text in orjson.loads(plain).items() if text and name in _SECRETS}


def _key(passphrase: bytes, salt: bytes) -> bytes:
    """RFC 7914; about 0.1 s and 64 MB a try."""
    if not passphrase:
        raise BackupError("the passphrase is empty")
    return Scrypt(salt=salt, length=32, n=1 << 16, r=8, p=1).derive(passphrase)


def _bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


@contextlib.contextmanager
def _flock(state_dir: Path, how: int) -> Iterator[None]:
    descriptor = os.open(state_dir / _SERVING, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)
