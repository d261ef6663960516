"""SHA-256 (FIPS 180-4) of model files, remembered in this process for as long as a file is untouched.

It says what a file is, never whether that is right.
"""

from __future__ import annotations

import functools
import hashlib
import os
from pathlib import Path
from typing import BinaryIO

_BLOCK = 1 << 20
_REMEMBERED = 64

# What changes when a file's content does: device, inode, size, times of change in nanoseconds.
Identity = tuple[int, int, int, int, int]


def identity_of(status: os.stat_result) -> Identity:
    """The identity of a file's content, as far as the file system tells."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def digest_of(path: Path) -> tuple[str, int]:
    """The SHA-256 (hex) and the size of a file, read whole unless it is untouched since it was. Raises OSError."""
    return _digest_of(str(path), identity_of(path.stat()))


@functools.lru_cache(maxsize=_REMEMBERED)
def _digest_of(path: str, _identity: Identity) -> tuple[str, int]:
    with open(path, "rb") as file:
        return read_digest(file)


def read_digest(source: BinaryIO, copy: BinaryIO | None = None) -> tuple[str, int]:
    """The SHA-256 (hex) and the number of the bytes that `source` still gives; they are also written to `copy`."""
    digest = hashlib.sha256()
    size = 0
    while block := source.read(_BLOCK):
        digest.update(block)
        size += len(block)
        if copy is not None:
            copy.write(block)
    return digest.hexdigest(), size
