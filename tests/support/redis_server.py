"""A real redis-server on a free loopback port, which a test may hang, kill, restart or fill with nonsense."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from tests.support.ports import free_port

_START_SECONDS = 60.0


class RedisServer:
    """Started by `start`, gone with `stop`. Nothing is written to the disk."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("redis-server")
        if program is None:
            raise RuntimeError(
                "redis-server is not on the PATH: install the Debian package redis-server (or Homebrew's redis)"
            )
        self._program = program
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start, and return when it answers."""
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        command = [self._program, *options, "--dir", str(self._folder)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"redis-server did not start on port {self.port}")
            time.sleep(0.02)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError):
            return self.command("PING").startswith(b"+PONG")
        return False

    def command(self, *words: str) -> bytes:
        """Send one command on a connection of its own; the first 64 KB of the raw answer."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            parts = [f"${len(word.encode())}\r\n{word}\r\n" for word in words]
            connection.sendall(f"*{len(words)}\r\n{''.join(parts)}".encode())
            return connection.recv(65536)

    def content(self) -> bytes:
        """All keys and values, as Redis serialises them."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            client = _Client(connection)
            keys = client.ask(b"KEYS", b"*")
            values = [value for key in keys for value in client.ask(*_READ[client.word(b"TYPE", key)], key=key)]
        return b"\n".join([*keys, *values])

    def pause(self) -> None:
        """Hang: connections are taken by the kernel, and nobody answers them."""
        self._running().send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._running().send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """Die at once."""
        process = self._running()
        process.kill()
        process.wait()

    def stop(self) -> None:
        """End it, whatever state it is in."""
        if self._process is not None and self._process.poll() is None:
            self.kill()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("the server was not started")
        return self._process


# How all of a key's value is read, by its type; `key` stands behind the first word.
_READ: dict[bytes, tuple[bytes, ...]] = {
    b"string": (b"GET",),
    b"hash": (b"HGETALL",),
    b"set": (b"SMEMBERS",),
    b"list": (b"LRANGE", b"0", b"-1"),
    b"zset": (b"ZRANGE", b"0", b"-1"),
    b"none": (b"GET",),  # it has just expired
}


class _Client:
    """As much of Redis' protocol as `content` needs. Source: the protocol's specification, version 2."""

    def __init__(self, connection: socket.socket) -> None:
        self._stream = connection.makefile("rwb")

    def ask(self, command: bytes, *rest: bytes, key: bytes | None = None) -> list[bytes]:
        """The strings of the answer."""
        head = self._send(command, *(() if key is None else (key,)), *rest)
        if head.startswith(b"*"):
            return [self._text(self._stream.readline()) for _ in range(int(head[1:]))]
        return [self._text(head)]

    def word(self, *words: bytes) -> bytes:
        """An answer of one word."""
        return self._send(*words)[1:].strip()

    def _send(self, *words: bytes) -> bytes:
        parts = b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)
        self._stream.write(b"*%d\r\n" % len(words) + parts)
        self._stream.flush()
        return self._stream.readline()

    def _text(self, head: bytes) -> bytes:
        size = int(head[1:])
        return self._stream.read(size + 2)[:-2] if size >= 0 else b""
