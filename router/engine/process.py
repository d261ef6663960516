"""What the engine's process owes its machine: a private socket, a fair number of threads, death with its parent.

It leaves no core dump: one would hold prompts.
"""

from __future__ import annotations

import ctypes
import datetime
import json
import os
import resource
import signal
import socket
import stat
import sys
import threading
import time
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_CGROUPS = Path("/sys/fs/cgroup")


def say(message: str) -> None:
    """One line on stderr, in the key=value form that the parent's log has."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
    sys.stderr.write(f"time={now} level=error logger=gatehouse.engine message={json.dumps(message)}\n")
    sys.stderr.flush()


class SocketError(Exception):
    """The socket's path cannot be used."""


def usable_cpus() -> int:
    """The processors that this process may use: its affinity, and its control groups' limits (cgroup v2, or v1)."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    folders = [_quota(folder / "cpu.max") for folder in _groups("")]
    quotas = [limit for limit in [*folders, _quota_v1(_CGROUPS / "cpu")] if limit is not None]
    return max(1, min([affinity, *(int(limit) for limit in quotas)]))


def usable_memory() -> int:
    """The bytes of memory that this process may use: the machine's, or its control groups' limit (cgroup v2, or v1)."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    files = [folder / "memory.max" for folder in _groups("")]
    files += [folder / "memory.limit_in_bytes" for folder in _groups("memory")]
    return min([total, *(limit for limit in map(_bytes, files) if limit is not None)])


def _groups(controller: str) -> list[Path]:
    """The folders of this process's control groups up to the root: the limit of each holds. "" is cgroup v2."""
    try:
        lines = Path("/proc/self/cgroup").read_text("utf-8").splitlines()
    except OSError:
        return []
    return group_folders(lines, controller, _CGROUPS)


def group_folders(lines: list[str], controller: str, root: Path) -> list[Path]:
    """The same from the lines of /proc/PID/cgroup (`number:controllers:path`), the groups being mounted at `root`.

    Inside a container the path may be the host's: its own limit then stands at the root of what is mounted.
    """
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            own = root / controller / path.strip("/")
            return [folder for folder in (own, *own.parents) if folder.is_relative_to(root / controller)]
    return []


def _bytes(path: Path) -> int | None:
    """The limit in a file of a control group. None where there is none; v1 writes a huge number for that."""
    try:
        return int(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None


def _quota(path: Path) -> float | None:
    try:
        quota, period = path.read_text("utf-8").split()
    except (OSError, ValueError):
        return None
    return None if quota == "max" else int(quota) / int(period)


def _quota_v1(folder: Path) -> float | None:
    try:
        quota = int((folder / "cpu.cfs_quota_us").read_text("utf-8"))
        period = int((folder / "cpu.cfs_period_us").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return quota / period if quota > 0 else None


def spin_briefly() -> None:
    """Let native threads sleep soon when they wait for each other. Must come before numpy and llama.cpp are loaded.

    OpenMP's default is to spin for milliseconds, at a thousand barriers a token. As soon as anything else wants a
    processor that is ruinous: on 2 cores under a load of 7, no token in four seconds, against 14 to 21 a second so.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    os.environ.setdefault("KMP_BLOCKTIME", "1")
    # numpy's own threads, which nothing here has a use for, would be there before the process is confined.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def listen(path: Path) -> socket.socket:
    """A listening unix socket at `path`, mode 0600 from its first moment. Raises SocketError."""
    if path.exists() and not stat.S_ISSOCK(path.stat().st_mode):
        raise SocketError("something that is not a socket is in the way")
    if _is_answered(path):
        raise SocketError("another engine is listening there")
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise SocketError(error.strerror or str(error)) from None
    finally:
        os.umask(before)
    return listener


def _is_answered(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True


def leave_no_core() -> None:
    """No core dumps, through a file or a handler."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def die_with_parent(parent: int, interval: float = 0.5) -> None:
    """End this process when its parent ends: by signal on Linux, and everywhere by looking, in a thread.

    `parent` is its process id as it was at the start: the look also catches one that has died since.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(interval)
        os._exit(0)

    threading.Thread(target=watch, name="parent", daemon=True).start()
