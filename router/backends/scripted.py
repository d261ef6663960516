"""The shipped fake: a real HTTP server that answers chat completions by a script and records every byte it receives.

For demonstrations, tests and benchmarks. It contacts nothing; it must never be a default of anything.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import orjson

from router.backends import scripted_replies as replies
from router.backends.scripted_replies import Script
from router.types import JsonObject

_REASONS = {200: "OK", 307: "Temporary Redirect", 400: "Bad Request", 401: "Unauthorized", 429: "Too Many Requests"}
_SSE = (("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked"))

ScriptSource = Script | Callable[["Exchange"], Script]


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request as it came: every byte of it, and its parts."""

    raw: bytes
    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    received: float  # time.time()

    @property
    def json(self) -> JsonObject:
        """The body as JSON; an empty object when it is none."""
        try:
            value = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return {}
        return value if isinstance(value, dict) else {}

    def header(self, name: str) -> str | None:
        """The first header of that name, whatever its case."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


def head(status: int, headers: Iterable[tuple[str, str]]) -> bytes:
    """A status line and headers, as bytes."""
    lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Scripted')}", *(f"{name}: {value}" for name, value in headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _whole(status: int, body: bytes, headers: tuple[tuple[str, str], ...] = ()) -> bytes:
    fixed = (("Content-Type", "application/json"), ("Content-Length", str(len(body))))
    return head(status, (*fixed, *headers)) + body


def _transfer_chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


class ScriptedServer:
    """A scripted upstream on loopback or a unix socket.

    `script` answers every request; a callable chooses one for each. `exchanges` holds the requests (unless
    `keep=False`), `received` every byte of every connection, also of requests that never became whole.
    """

    def __init__(
        self,
        script: ScriptSource | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        socket: Path | None = None,
        record: Path | None = None,
        keep: bool = True,
        models: tuple[str, ...] = ("scripted",),
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.script: ScriptSource = script if script is not None else Script()
        self.exchanges: list[Exchange] = []
        self.connections = 0  # accepted so far
        self.open_connections = 0
        self.models = models
        self.keep = keep
        self._buffers: list[bytearray] = []
        self._host, self._port, self._socket = host, port, socket
        self._record = record
        self._tls = tls
        self._file: IO[bytes] | None = None
        self._server: asyncio.Server | None = None
        self._protocols: set[_Connection] = set()

    @property
    def url(self) -> str:
        """The base URL for a policy: `http://127.0.0.1:PORT/v1`, or `unix:///path` for a socket."""
        if self._socket:
            return f"unix://{self._socket}"
        return f"{'https' if self._tls else 'http'}://{self._host}:{self._port}/v1"

    @property
    def port(self) -> int:
        """The TCP port; known once started."""
        return self._port

    @property
    def in_flight(self) -> int:
        """Answers that are being given now, those that wait or stall by their script included."""
        return sum(protocol.is_busy for protocol in self._protocols)

    @property
    def received(self) -> bytes:
        """Every byte that came in, over all connections."""
        return b"\n".join(bytes(buffer) for buffer in self._buffers)

    async def start(self) -> ScriptedServer:
        """Listen. Raises `OSError` when the address is taken."""
        loop = asyncio.get_running_loop()
        if self._record:
            self._file = self._record.open("ab", buffering=0)
        if self._socket:
            self._server = await loop.create_unix_server(lambda: _Connection(self), str(self._socket))
        else:
            self._server = await loop.create_server(
                lambda: _Connection(self), self._host, self._port, backlog=1024, ssl=self._tls
            )
            self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        """Close the listener and every connection. Idempotent."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        for protocol in list(self._protocols):
            protocol.abort()
        await asyncio.sleep(0)
        if self._file:
            self._file.close()
            self._file = None
        if self._socket:
            self._socket.unlink(missing_ok=True)

    async def __aenter__(self) -> ScriptedServer:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def forget(self) -> None:
        """Drop what was recorded so far (the file, if any, stays)."""
        self.exchanges.clear()
        for buffer in self._buffers:
            buffer.clear()

    def _opened(self, protocol: _Connection) -> bytearray:
        self.connections += 1
        self.open_connections += 1
        self._protocols.add(protocol)
        buffer = bytearray()
        if self.keep:
            self._buffers.append(buffer)
        return buffer

    def _closed(self, protocol: _Connection) -> None:
        self.open_connections -= 1
        self._protocols.discard(protocol)

    def _took(self, exchange: Exchange) -> None:
        if self.keep:
            self.exchanges.append(exchange)
        if self._file:
            line = {"received": exchange.received, "raw": base64.b64encode(exchange.raw).decode()}
            self._file.write(orjson.dumps(line) + b"\n")

    def _choose(self, exchange: Exchange) -> Script:
        return self.script if isinstance(self.script, Script) else self.script(exchange)


class _Connection(asyncio.Protocol):
    """One connection: parses requests one after another and answers each before it reads the next."""

    def __init__(self, server: ScriptedServer) -> None:
        self._server = server
        self._buffer = bytearray()
        self._task: asyncio.Task[None] | None = None
        self.seen = bytearray()

    @property
    def is_busy(self) -> bool:
        return self._task is not None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self.seen = self._server._opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server._closed(self)
        if self._task:
            self._task.cancel()

    def abort(self) -> None:
        """Close without waiting for anything."""
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._server.keep:
            self.seen += data
        self._buffer += data
        if self._task is None:
            self._advance()

    def _advance(self) -> None:
        while self._task is None and (exchange := self._take()) is not None:
            self._server._took(exchange)
            self._answer(exchange)

    def _take(self) -> Exchange | None:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return None
        lines = bytes(self._buffer[:end]).decode("latin-1").split("\r\n")
        headers = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines[1:]))
        length = next((int(value) for name, value in headers if name.lower() == "content-length"), 0)
        total = end + 4 + length
        if len(self._buffer) < total:
            return None
        raw = bytes(self._buffer[:total])
        del self._buffer[:total]
        method, _, rest = lines[0].partition(" ")
        return Exchange(raw, method, rest.rpartition(" ")[0], headers, raw[end + 4 :], time.time())

    def _answer(self, exchange: Exchange) -> None:
        if exchange.method == "GET":
            models = [
                {"id": name, "object": "model", "created": 0, "owned_by": "scripted"} for name in self._server.models
            ]
            self._transport.write(_whole(200, orjson.dumps({"object": "list", "data": models})))
            return
        script = self._server._choose(exchange)
        request = exchange.json
        is_plain = script.status == 200 and script.fault == "none" and not script.first_delay
        is_stream = bool(request.get("stream")) or ":stream" in exchange.target  # Gemini says it in the path
        if is_plain and not is_stream:
            self._transport.write(_whole(200, replies.body(script, request), script.headers))
            return
        self._task = asyncio.get_running_loop().create_task(self._perform(script, request, is_stream))

    async def _perform(self, script: Script, request: JsonObject, is_stream: bool) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(script.first_delay)
            if script.fault == "stall_before":
                await asyncio.Event().wait()
            if not self._refuses(script):
                await (self._stream(script, request) if is_stream else self._body(script, request))
            self._task = None
            self._advance()

    def _refuses(self, script: Script) -> bool:
        if script.fault == "close_before":
            self._transport.abort()
        elif script.fault == "not_http":
            self._transport.write(b"\x16\x03\x01 no HTTP at all\r\n\r\n")
        elif script.fault == "redirect":
            self._transport.write(_whole(307, b"", (("Location", script.location), *script.headers)))
        elif script.status != 200:
            self._transport.write(_whole(script.status, orjson.dumps({"error": script.error}), script.headers))
        else:
            return False
        return True

    async def _body(self, script: Script, request: JsonObject) -> None:
        body = replies.body(script, request)
        if script.fault == "garbage":
            self._transport.write(_whole(200, b"\x00\xff<html>no JSON</html>"))
        elif script.fault == "half_json":
            self._transport.write(_whole(200, body[: len(body) // 2]))
        elif script.fault in ("stall_after", "close_after", "wrong_length"):
            whole = _whole(200, body)
            self._transport.write(whole[: -len(body) // 2])
            await self._stall_or_close(script)
        else:
            self._transport.write(_whole(200, body, script.headers))

    async def _stream(self, script: Script, request: JsonObject) -> None:
        self._transport.write(head(200, (*_SSE, *script.headers)))
        for index, event in enumerate(replies.events(script, request)):
            if index == script.after and script.fault in ("stall_after", "close_after"):
                await self._stall_or_close(script)
                return
            if script.chunk_delay:
                await asyncio.sleep(script.chunk_delay)
            self._transport.write(_transfer_chunk(event))
        ends_cleanly = script.fault == "none" and not script.raw_events
        done = _transfer_chunk(replies.event(b"[DONE]", script.line_end)) if ends_cleanly else b""
        self._transport.write(done + b"0\r\n\r\n")

    async def _stall_or_close(self, script: Script) -> None:
        if script.fault == "stall_after":
            await asyncio.Event().wait()
        self._transport.close()


def read_record(path: Path) -> list[bytes]:
    """The raw requests in a file written with `record=`, oldest first."""
    return [base64.b64decode(orjson.loads(line)["raw"]) for line in path.read_bytes().splitlines() if line]


if __name__ == "__main__":
    from router.backends.scripted_main import main

    main()
