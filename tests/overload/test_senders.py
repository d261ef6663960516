"""Callers that are slow, huge, many or deaf: each is bounded, told why where it listens, and nobody else notices."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import httpx
import pytest

from router.backends.scripted_replies import Script
from tests.overload.conftest import PATIENCE, body, connect, read_until, record_of, request_bytes
from tests.support.gateway import POLICY, Gateway, local_server, until
from tests.support.recorder import Recorder, RecorderThread

HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n"
BOUNDS = {
    "GATEHOUSE_HEAD_TIMEOUT_S": "2",
    "GATEHOUSE_BODY_TIMEOUT_S": "2",
    "GATEHOUSE_WRITE_TIMEOUT_S": "2",
    "GATEHOUSE_MAX_HEAD_BYTES": "16384",
    "GATEHOUSE_MAX_CONNECTIONS": "600",
    "GATEHOUSE_MAX_BODIES_BYTES": str(16 * 1024 * 1024),
}


@pytest.fixture(scope="module")
def house(home: Recorder, cloud: Recorder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    policy = POLICY.format(home=local_server(home.url), cloud=cloud.url)
    with Gateway(tmp_path_factory.mktemp("house"), policy, environment=BOUNDS) as gateway:
        yield gateway


def answers(house: Gateway) -> bool:
    answer = httpx.post(f"{house.url}/chat/completions", json=body("Say hello."), trust_env=False, timeout=PATIENCE)
    return answer.status_code == 200 and "All good." in answer.text  # of the home that this gateway began with


def trickle(sock: socket.socket, data: bytes) -> bytes:
    """Send a byte at a time, slower than any deadline, until the other side has had enough; what it said."""
    sock.settimeout(0.1)
    for index in range(len(data)):
        try:
            sock.sendall(data[index : index + 1])
            received = sock.recv(65536)
        except TimeoutError:
            continue
        except ConnectionError:
            return b""
        sock.settimeout(PATIENCE)
        return received + read_until(sock)
    raise AssertionError("it was never cut off")


@pytest.mark.parametrize(
    ("sent", "trickled", "status"),
    [
        (b"", HEAD + b"x-a: " + b"a" * 1000, 408),
        (HEAD + b"content-length: 1000\r\n\r\n", b'{"messages": [' + b" " * 1000, 408),
        (HEAD + b"transfer-encoding: chunked\r\n\r\n", b"1\r\n{\r\n" * 300, 408),
        (b"", b"\r\n" * 500, None),  # blank lines before a request: nothing that could be answered
        (b"GET /healthz HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n", b"x" * 1000, 200),  # nobody reads it
    ],
    ids=["head", "body", "chunks", "blank lines", "a body that nobody reads"],
)
def test_a_byte_at_a_time_is_cut_off_and_others_are_answered_meanwhile(
    house: Gateway, sent: bytes, trickled: bytes, status: int | None
) -> None:
    with connect(house) as sock, ThreadPoolExecutor() as threads:
        sock.sendall(sent)
        said = threads.submit(trickle, sock, trickled)
        assert answers(house)
        received = said.result(2 * PATIENCE)
        if status is None:
            assert received == b""
        else:
            assert received.startswith(b"HTTP/1.1 %d " % status), received
        if status == 408:
            assert b'"code":"timeout"' in received
            assert b"x-gatehouse-request-id: gh-" in received


def test_a_caller_that_is_answered_and_sends_no_more_of_its_body_is_not_waited_for(house: Gateway) -> None:
    with connect(house) as sock:
        sock.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\nx")
        assert read_until(sock).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("pieces", [1, 9])
@pytest.mark.parametrize(
    "extra",
    [b"x-a: " + b"a" * 60_000, b"\r\n".join(b"x-%d: 1" % number for number in range(4000))],
    ids=["one", "many"],
)
def test_a_huge_head_is_a_431_at_once_or_in_pieces(house: Gateway, extra: bytes, pieces: int) -> None:
    head = HEAD + extra + b"\r\n\r\n"
    with connect(house) as sock:
        for start in range(0, len(head), len(head) // pieces + 1):
            try:
                sock.sendall(head[start : start + len(head) // pieces + 1])
            except ConnectionError:
                break
        received = read_until(sock, b"}}")
    assert received.startswith(b"HTTP/1.1 431 "), received
    assert b'"code":"headers_too_large"' in received
    assert b"GATEHOUSE_MAX_HEAD_BYTES" in received
    assert b"connection: close" in received
    assert answers(house)


def test_a_head_that_is_large_but_allowed_is_served(house: Gateway) -> None:
    with connect(house) as sock:
        sock.sendall(request_bytes(body("Say hello."), "/v1/chat/completions", "x-a: " + "a" * 15_000))
        assert read_until(sock, b'"usage"').startswith(b"HTTP/1.1 200 ")


def test_five_hundred_idle_sockets_are_closed_by_their_deadline_and_others_are_answered_meanwhile(
    house: Gateway,
) -> None:
    with ExitStack() as stack:
        idle = [stack.enter_context(connect(house)) for _ in range(500)]
        assert answers(house)
        for sock in idle:  # whoever says nothing hears nothing
            assert read_until(sock) == b""
    assert answers(house)


def test_more_connections_than_there_may_be_are_told_so(house: Gateway) -> None:
    with ExitStack() as stack:
        for _ in range(600):
            stack.enter_context(connect(house))
        with connect(house) as one_too_many:
            received = read_until(one_too_many)
        assert received.startswith(b"HTTP/1.1 503 "), received
        assert b"retry-after: " in received
    until(lambda: answers(house), PATIENCE)


def test_bodies_that_together_take_too_much_are_refused_and_their_room_is_given_back(house: Gateway) -> None:
    large = HEAD + b"content-length: 8000000\r\n\r\n" + b'{"x": "' + b"a" * 7_900_000
    with ExitStack() as stack:
        stalled = [stack.enter_context(connect(house)) for _ in range(3)]  # 24 MB, of 16 that there is room for
        for sock in stalled:
            with suppress(ConnectionError):
                sock.sendall(large)
        said = [read_until(sock) for sock in stalled]
    assert sum(b"local_overloaded" in each for each in said) >= 1, [each[:40] for each in said]
    assert sum(each.startswith(b"HTTP/1.1 408 ") for each in said) >= 1  # the others were merely slow
    assert answers(house)


def test_a_caller_that_does_not_read_its_stream_is_cut_off_and_what_it_used_is_written_down(
    cloud: Recorder, house: Gateway
) -> None:
    with RecorderThread(Script(answer="word " * 200_000)) as flood:
        policy = POLICY.format(home=local_server(flood.url), cloud=cloud.url)
        before = house.policy_file.read_text()
        house.policy_file.write_text(policy)
        try:
            until(lambda: flood_answers(house), PATIENCE)
            with connect(house, receive_buffer=4096) as deaf:
                deaf.sendall(request_bytes(body("Say it all.", stream=True)))
                received = read_until(deaf, b"\r\n\r\n")
                until(lambda: flood.in_flight >= 1, PATIENCE)
                assert answers_of(house, "/healthz") == 200
                until(lambda: flood.in_flight == 0, PATIENCE)  # the upstream call has been closed
                head = received.split(b"x-gatehouse-request-id: ")[1]
                record = record_of(house, head[:27].decode())
            assert record["outcome"]["error"] == "client_closed"
            assert record["costs"]["calls"][0]["output"] < 200_000  # what it never took was not fetched
        finally:
            house.policy_file.write_text(before)
            until(lambda: answers(house), PATIENCE)


def flood_answers(house: Gateway) -> bool:
    asked = body("Say hello.", stream=True)
    with httpx.stream("POST", f"{house.url}/chat/completions", json=asked, trust_env=False) as answer:
        return "word" in "".join(line for line, _ in zip(answer.iter_lines(), range(4), strict=False))


def answers_of(house: Gateway, path: str) -> int:
    return httpx.get(house.root + path, trust_env=False, timeout=PATIENCE).status_code


def test_trickling_callers_by_the_hundred_do_not_slow_down_the_others(
    house: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    """Asserted: everybody is answered. Printed: how long it took them, with and without the tricklers."""

    def median() -> float:
        with httpx.Client(trust_env=False, timeout=PATIENCE) as http:
            times = []
            for _ in range(20):
                began = time.monotonic()
                assert http.post(f"{house.url}/chat/completions", json=body("Say hello.")).status_code == 200
                times.append(time.monotonic() - began)
        return sorted(times)[10] * 1000

    async def attack(until_done: asyncio.Event) -> None:
        async def one() -> None:
            address = httpx.URL(house.root)
            while not until_done.is_set():
                reader, writer = await asyncio.open_connection(address.host, address.port)
                try:
                    writer.write(HEAD + b"content-length: 100000\r\n\r\n")
                    while not until_done.is_set() and not reader.at_eof():
                        writer.write(b" ")
                        await writer.drain()
                        await asyncio.sleep(0.5)
                except ConnectionError:
                    pass
                finally:
                    writer.close()

        await asyncio.gather(*(one() for _ in range(300)))

    async def both() -> float:
        done = asyncio.Event()
        attacking = asyncio.create_task(attack(done))
        await asyncio.sleep(0.5)
        try:
            return await asyncio.to_thread(median)
        finally:
            done.set()
            await attacking

    alone = median()
    attacked = asyncio.run(both())
    with capsys.disabled():
        print(f"\n  median of an answer {alone:.1f} ms alone, {attacked:.1f} ms beside 300 slow senders")
