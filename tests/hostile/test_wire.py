"""What is not even a proper HTTP request, and callers that stall or go away: bounded, without an echo, never fatal."""

from __future__ import annotations

import socket
import time
from urllib.parse import urlsplit

import pytest

from tests.hostile.places import CANARY, Place

HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n"
ASKING = b'{"messages": [{"role": "user", "content": "hello"}]}'


def exchange(place: Place, *pieces: bytes, half_close: bool = True, seconds: float = 10) -> bytes:
    """Send the bytes as they are; everything that comes back until the gateway closes."""
    address = urlsplit(place.gateway.root)
    with socket.create_connection((address.hostname, address.port), timeout=seconds) as connection:
        received = b""
        try:
            for piece in pieces:
                connection.sendall(piece)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
            while chunk := connection.recv(65536):
                received += chunk
        except (TimeoutError, ConnectionError):
            pass
        return received


C = CANARY.encode()
NOT_HTTP = {
    "words": C + b"\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00" + C,
    "no version": b"POST /v1/chat/completions\r\n\r\n",
    "bad header": HEAD + C + b" : x\r\n\r\n",
    "header with a NUL": HEAD + b"X-A: " + C + b"\x00\r\n\r\n",
    "line folding": HEAD + b"X-A: 1\r\n " + C + b"\r\n\r\n",
    "bad length": HEAD + b"Content-Length: " + C + b"\r\n\r\n",
    "negative length": HEAD + b"Content-Length: -5\r\n\r\n" + C,
    "two lengths": HEAD + b"Content-Length: 5\r\nContent-Length: 50\r\n\r\n" + C,
    "length and chunks": HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + C,
    "bad chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + C + b"\r\n",
    "unknown transfer encoding": HEAD + b"Transfer-Encoding: " + C + b"\r\n\r\n",
    "huge header": HEAD + b"X-A: " + C * 20_000 + b"\r\n\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}


@pytest.mark.parametrize("name", NOT_HTTP)
def test_what_is_no_http_is_not_answered_with_success_nor_echoed(hostile: Place, name: str) -> None:
    before = len(hostile.home.exchanges) + len(hostile.cloud.exchanges)
    answer = exchange(hostile, NOT_HTTP[name])
    assert not answer.startswith(b"HTTP/1.1 2"), answer
    assert not answer.startswith(b"HTTP/1.1 5"), answer
    assert C not in answer
    assert len(hostile.home.exchanges) + len(hostile.cloud.exchanges) == before
    assert hostile.send(b"", "/healthz", "GET").status == 200


def test_a_body_that_stalls_is_a_408(hostile: Place) -> None:
    began = time.monotonic()
    answer = exchange(hostile, HEAD + b"Content-Length: 500\r\n\r\n" + C, half_close=False, seconds=60)
    assert time.monotonic() - began > 2
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"timeout"' in answer
    assert b"x-gatehouse-request-id" in answer
    assert C not in answer


def test_callers_that_go_away_in_the_middle_do_no_harm(hostile: Place) -> None:
    for cut in (1, 20, len(ASKING) - 1):
        exchange(hostile, HEAD + b"Content-Length: %d\r\n\r\n" % len(ASKING) + ASKING[:cut])
    assert hostile.send(ASKING).status == 200


def test_the_caller_of_a_413_that_waits_for_leave_to_send_is_told_at_once(hostile: Place) -> None:
    began = time.monotonic()
    length = b"Content-Length: 9437184\r\nExpect: 100-continue\r\n\r\n"
    answer = exchange(hostile, HEAD + length, half_close=False, seconds=2)
    assert answer.startswith(b"HTTP/1.1 413 "), answer
    assert b"100 Continue" not in answer
    assert time.monotonic() - began < 10


def test_two_requests_on_one_connection_are_told_apart(hostile: Place) -> None:
    one = HEAD + b"Content-Length: %d\r\n\r\n" % len(ASKING) + ASKING
    other = one.replace(b"POST /v1/chat/completions", b"POST /v1/unknown")
    answer = exchange(hostile, one, other, half_close=False, seconds=2)
    assert answer.count(b"HTTP/1.1 200 ") == 1
    assert answer.count(b"HTTP/1.1 404 ") == 1
