"""A Landlock ruleset: files can be read, but none can be written, made or removed, apart from what is named here.

It binds the calling thread and every thread that comes later, so it belongs before the first of them.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterable
from pathlib import Path

# linux/landlock.h; the calls have the same numbers on every processor.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION, _RULE_PATH_BENEATH = 1, 1
_WRITE_FILE, _REMOVE_FILE, _MAKE_REGULAR = 1 << 1, 1 << 5, 1 << 8
# Write, remove and make, of every kind of file (version 1); move between folders (2); truncate (3).
_WRITES = {1: _WRITE_FILE | 0x1FF0, 2: 1 << 13, 3: 1 << 14}
_PR_SET_NO_NEW_PRIVS = 38

# What a running engine writes to: the null device, shared memory (OpenMP), and graphics cards where there are any.
_DEVICES = ("/dev/null", "/dev/zero", "/dev/kfd", "/dev/dxg")
_DEVICE_FOLDERS = ("/dev/shm", "/dev/dri", "/dev/nvidia-caps")  # noqa: S108 - a rule about it, not a file in it


class LandlockError(Exception):
    """This system has no Landlock; the text says why."""


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("folder", ctypes.c_int32))


def forbid_writes(removable: Path) -> None:
    """From now on this thread and its children change no file; those in `removable` may be removed.

    Raises LandlockError.
    """
    if sys.platform != "linux":
        raise LandlockError(f"no Landlock on {sys.platform}")
    libc = ctypes.CDLL(None, use_errno=True)
    version = _call(libc, _CREATE_RULESET, None, ctypes.c_size_t(0), _ASK_VERSION)
    writes = sum(rights for since, rights in _WRITES.items() if since <= version)
    handled = ctypes.c_uint64(writes)
    ruleset = _call(libc, _CREATE_RULESET, ctypes.byref(handled), ctypes.c_size_t(8), 0)
    try:
        to_files = (_WRITE_FILE | 1 << 14) & writes
        _allow(libc, ruleset, [*_DEVICES, *map(str, Path("/dev").glob("nvidia*"))], to_files)
        _allow(libc, ruleset, _DEVICE_FOLDERS, to_files | _MAKE_REGULAR | _REMOVE_FILE)
        _allow(libc, ruleset, [str(removable)], _REMOVE_FILE)
        if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
            raise LandlockError(f"no_new_privs: {os.strerror(ctypes.get_errno())}")
        _call(libc, _RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(libc: ctypes.CDLL, ruleset: int, paths: Iterable[str], rights: int) -> None:
    for path in paths:
        try:
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue  # what is not there need not be written to
        try:
            is_folder = Path(path).is_dir()
            allowed = rights if is_folder else rights & ~(_MAKE_REGULAR | _REMOVE_FILE)
            rule = _PathBeneath(allowed, place)
            _call(libc, _ADD_RULE, ruleset, _RULE_PATH_BENEATH, ctypes.byref(rule), 0)
        finally:
            os.close(place)


def _call(libc: ctypes.CDLL, number: int, *arguments: object) -> int:
    result = int(libc.syscall(ctypes.c_long(number), *arguments))
    if result < 0:
        raise LandlockError(f"Landlock: {os.strerror(ctypes.get_errno())}")
    return result
