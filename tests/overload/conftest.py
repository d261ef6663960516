"""A gateway between a scripted home and a scripted cloud that linger where a request asks for it."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from router.backends.scripted import Exchange
from router.backends.scripted_replies import Script
from router.records.store import RECORDS_FILE, RecordReader
from tests.support.gateway import Gateway, until
from tests.support.recorder import Recorder, RecorderThread

PATIENCE = 30.0  # seconds: the machine may be busy
LONG = Script(answer="word " * 3000, chunk_delay=0.05)  # two and a half minutes
SILENT = Script(fault="stall_before")
BEGUN = Script(answer="one two three", fault="stall_after", after=1)  # headers and a chunk without a text
MIDDLE = Script(answer="one two three four", fault="stall_after", after=3)


def script_for(exchange: Exchange) -> Script:
    """What a model answers: as the request's text asks for."""
    text = str(exchange.json.get("messages"))
    found = {"[long]": LONG, "[silent]": SILENT, "[begun]": BEGUN, "[middle]": MIDDLE}
    return next((script for word, script in found.items() if word in text), Script(confidence=0.9))


def body(text: str, model: str = "auto", **rest: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": text}], "max_tokens": 64, **rest}


def request_bytes(body: dict[str, Any], path: str = "/v1/chat/completions", *headers: str) -> bytes:
    """A request as it goes over the wire."""
    raw = json.dumps(body).encode()
    lines = [f"POST {path} HTTP/1.1", "host: x", f"content-length: {len(raw)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + raw


def connect(house: Gateway, receive_buffer: int | None = None) -> socket.socket:
    """A connection of its own."""
    address = urlsplit(house.root)
    sock = socket.socket()
    if receive_buffer is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.settimeout(PATIENCE)
    sock.connect((address.hostname, address.port))
    return sock


def read_until(sock: socket.socket, mark: bytes | None = None) -> bytes:
    """What comes, until `mark` is in it, or until the gateway closes."""
    received = b""
    while mark is None or mark not in received:
        try:
            piece = sock.recv(65536)
        except ConnectionResetError:
            break
        if not piece:
            break
        received += piece
    return received


def record_of(house: Gateway, request_id: str) -> dict[str, Any]:
    """The decision record of a request, once it is written."""
    found: list[dict[str, Any]] = []

    def is_there() -> bool:
        with RecordReader(house.state_dir / RECORDS_FILE) as reader:
            record = reader.get_record(request_id)
        if record is not None:
            found.append(record)
        return record is not None

    until(is_there, PATIENCE)
    return found[0]


def last_record(house: Gateway) -> dict[str, Any]:
    with RecordReader(house.state_dir / RECORDS_FILE) as reader:
        last: dict[str, Any] = reader.list_records(1)[0]
    return last


@pytest.fixture(scope="session")
def home(guard: object) -> Iterator[Recorder]:
    with RecorderThread(script_for) as recorder:
        yield recorder


@pytest.fixture(scope="session")
def cloud(guard: object) -> Iterator[Recorder]:
    with RecorderThread(script_for) as recorder:
        yield recorder


def timed(began: float) -> str:
    return f"{(time.monotonic() - began) * 1000:.0f} ms"
