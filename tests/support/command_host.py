"""A process that has imported the command line once and forks for each command that a test runs.

Each command is a process of its own, with its own arguments, environment, folder and output, as if it had been typed;
only the second and a half that Python takes to import everything is not spent again. `forked.py` asks it.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from router.cli.main import COMMANDS, main

FILES = 3  # stdin, stdout, stderr come with a request
_HEAD = 8


def receive(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """One request and the files that come with it."""
    head, files, _, _ = socket.recv_fds(connection, _HEAD, FILES)
    size, raw = int.from_bytes(head, "big"), b""
    while len(raw) < size:
        piece = connection.recv(size - len(raw))
        if not piece:
            raise EOFError
        raw += piece
    return json.loads(raw), files


def send(connection: socket.socket, request: dict[str, Any], files: list[int]) -> None:
    raw = json.dumps(request).encode()
    socket.send_fds(connection, [len(raw).to_bytes(_HEAD, "big")], files)
    connection.sendall(raw)


def become(request: dict[str, Any], files: list[int]) -> None:
    """This process is the command from now on."""
    for number, file in enumerate(files):
        os.dup2(file, number)
    for file in files:
        if file >= FILES:
            os.close(file)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    sys.argv = ["gatehouse", *request["arguments"]]


def attend(connection: socket.socket) -> Callable[[], None] | None:
    """Fork the command, tell its process id and then its end. In the command itself: what it is to run."""
    request, files = receive(connection)
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        connection.close()
        become(request, files)
        return main
    for file in files:
        os.close(file)
    connection.sendall(f"{child}\n".encode())
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    connection.sendall(f"{code}\n".encode())
    return None


def serve(listener: socket.socket) -> Callable[[], None] | None:
    """Until whoever started this process is gone. Returns something in a forked command only."""
    while True:
        ready, _, _ = select.select([listener, sys.stdin], [], [])
        if sys.stdin in ready:
            return None
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            return attend(connection)
        connection.close()


def load() -> None:
    for module in (*COMMANDS.values(), "router.parent"):
        importlib.import_module(module)
    tasks = Path("/proc/self/task")
    assert not tasks.exists() or len(list(tasks.iterdir())) == 1, "a process with threads must not fork"
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    load()
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(sys.argv[1])
        door.listen(64)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is for the tests, and for the commands themselves
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how those ended that wait for a command
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        command = serve(door)
    if command is not None:
        command()
