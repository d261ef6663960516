"""A program that gives up what an engine gives up, then tries everything that it must not be able to do any more.

Prints a JSON object: what was tried -> "done", or the name of the error. Arguments: a folder of its own.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import platform
import queue
import resource
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from router.engine.confine import confine

BUDGET = 64_000_000

LIBC = ctypes.CDLL(None, use_errno=True)
X32_SOCKET = 0x40000000 + 41
NUMBERS = {"x86_64": (425, 101, 310), "aarch64": (425, 117, 270)}  # io_uring_setup, ptrace, process_vm_readv


def raw(number: int, *arguments: int) -> None:
    if LIBC.syscall(ctypes.c_long(number), *map(ctypes.c_long, arguments)) < 0:
        raise OSError(ctypes.get_errno(), "")


def outcome(attempt: Callable[[], Any]) -> str:
    try:
        attempt()
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    except MemoryError:
        return "MemoryError"
    return "done"


def main() -> None:
    folder = Path(sys.argv[1])
    (folder / "file").write_text("x")
    (folder / "other").mkdir()
    (folder / "other" / "file").write_text("x")
    made_before = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listening.bind(str(folder / "socket"))
    unix_before = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    work: queue.Queue[Callable[[], None]] = queue.Queue()
    threading.Thread(target=lambda: work.get()(), daemon=True).start()  # runs before, is confined with the others
    answers: queue.Queue[str] = queue.Queue()

    shown = asdict(confine(folder, BUDGET))

    io_uring_setup, ptrace, process_vm_readv = NUMBERS[platform.machine()]
    parent = os.getppid()
    attempts: dict[str, Callable[[], Any]] = {
        "socket AF_INET": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
        "socket AF_INET datagram": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
        "socket AF_INET6": lambda: socket.socket(socket.AF_INET6, socket.SOCK_STREAM),
        "socket AF_UNIX": lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM),
        "socketpair datagram": lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM),
        "connect": lambda: made_before.connect(("127.0.0.1", 9)),
        "connect AF_UNIX": lambda: unix_before.connect(str(folder / "socket")),
        "bind": lambda: made_before.bind(("127.0.0.1", 0)),
        "execve": lambda: os.execv("/bin/true", ["true"]),
        "subprocess": lambda: subprocess.run(["/bin/true"], check=True),
        "ptrace": lambda: raw(ptrace, 16, parent, 0, 0),
        "process_vm_readv": lambda: raw(process_vm_readv, parent, 0, 0, 0, 0, 0),
        "io_uring": lambda: raw(io_uring_setup, 1, 0),
        "kill the parent": lambda: os.kill(parent, 0),
        "kill the group": lambda: os.kill(0, 0),
        "limit the parent": lambda: resource.prlimit(parent, resource.RLIMIT_NOFILE),
        "a socket in an older thread": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
        "a socket in a newer thread": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
        "socketpair stream": socket.socketpair,
        "kill itself": lambda: os.kill(os.getpid(), 0),
        "read": (folder / "other" / "file").read_text,
        "remove beside the socket": (folder / "file").unlink,
        "write": lambda: (folder / "other" / "file").write_text("y"),
        "make": lambda: (folder / "new").write_text("y"),
        "make a folder": lambda: (folder / "new").mkdir(),
        "remove in another folder": lambda: Path(sys.argv[2]).unlink(),
        "write to the null device": lambda: Path(os.devnull).write_text("y"),
        "three gigabytes": lambda: bytearray(3_000_000_000),
        "a hundred megabytes": lambda: bytearray(100_000_000),
    }
    if platform.machine() == "x86_64":
        attempts["socket of x32"] = lambda: raw(X32_SOCKET, socket.AF_INET, socket.SOCK_STREAM, 0)
    tried = {}
    for name, attempt in attempts.items():
        if name.endswith("thread"):
            job = lambda tried=attempt: answers.put(outcome(tried))  # noqa: E731 - the argument is bound here
            if "older" in name:
                work.put(job)
            else:
                threading.Thread(target=job).start()
            tried[name] = answers.get(timeout=10)
        else:
            tried[name] = outcome(attempt)
    print(json.dumps({"confinement": shown, "tried": tried}))


if __name__ == "__main__":
    main()
