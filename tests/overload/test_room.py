"""A gateway that is full says so before it has read anything: in the caller's dialect, on a connection that stays."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest

from router.api.admission import full
from router.api.errors import openai_envelope
from router.api.turned_away import Refusals
from tests.overload.conftest import PATIENCE, body, connect, read_until, request_bytes
from tests.support.gateway import POLICY, Gateway, local_server, until
from tests.support.recorder import Recorder

CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def house(home: Recorder, cloud: Recorder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    policy = POLICY.format(home=local_server(home.url), cloud=cloud.url)
    with Gateway(tmp_path_factory.mktemp("room"), policy, environment={"GATEHOUSE_MAX_CONCURRENT": "1"}) as gateway:
        yield gateway


def response(raw: bytes) -> tuple[int, dict[str, str], bytes]:
    head, _, rest = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    return int(first.split()[1]), dict(line.lower().split(": ", 1) for line in lines), rest


@pytest.mark.parametrize("pieces", [1, 2, 3], ids=["at once", "head and body apart", "in three"])
@pytest.mark.parametrize("path", [CHAT, "/v1/messages", "/v1/responses", "/v1/completions", "/v1/embeddings"])
def test_whoever_finds_it_full_is_told_in_its_dialect_and_may_ask_again_on_the_same_connection(
    house: Gateway, home: Recorder, path: str, pieces: int
) -> None:
    with connect(house) as inside, connect(house) as caller:
        inside.sendall(request_bytes(body("[silent]")))
        until(lambda: home.in_flight == 1, PATIENCE)
        asked = len(home.exchanges)
        raw = request_bytes({"model": "auto"}, path, "connection: keep-alive")
        cut = raw.index(b"\r\n\r\n") + 4
        for piece in (
            [raw] if pieces == 1 else [raw[:cut], raw[cut:]] if pieces == 2 else [raw[:9], raw[9:cut], raw[cut:]]
        ):
            caller.sendall(piece)
        status, headers, text = response(read_until(caller, b"}}" if path != "/v1/messages" else b'"request_id"'))
        assert status == 503
        assert headers["retry-after"] == "1"
        assert headers["x-gatehouse-route"] == "refused"
        assert headers["x-gatehouse-request-id"].startswith("gh-")
        assert "connection" not in headers
        if path == "/v1/messages":
            text += read_until(caller, b"}") if not text.endswith(b"}") else b""
            told = json.loads(text)
            assert (told["type"], told["error"]["type"]) == ("error", "overloaded_error")
            assert told["request_id"] == headers["x-gatehouse-request-id"]
        else:
            assert json.loads(text)["error"]["code"] == "local_overloaded"
        assert len(home.exchanges) == asked
        caller.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")  # the same connection, and not refused
        assert response(read_until(caller, b"}"))[0] == 200
        inside.close()
        until(lambda: is_free(house), PATIENCE)


def is_free(house: Gateway) -> bool:
    answer = httpx.post(house.root + CHAT, json=body("Say hello."), trust_env=False, timeout=PATIENCE)
    return answer.status_code == 200


def test_a_slow_body_takes_nobody_s_place(house: Gateway) -> None:
    with connect(house) as slow:
        slow.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
        until(lambda: is_free(house), PATIENCE)
        assert is_free(house)


def test_what_was_refused_for_want_of_room_is_counted(house: Gateway, home: Recorder) -> None:
    def shed() -> float:
        page = httpx.get(f"{house.root}/metrics", trust_env=False).text
        found = [line for line in page.splitlines() if line.startswith('gatehouse_shed_total{cause="concurrency"')]
        return sum(float(line.split()[-1]) for line in found)

    before = shed()
    with connect(house) as inside, connect(house) as caller:
        inside.sendall(request_bytes(body("[silent]")))
        until(lambda: home.in_flight == 1, PATIENCE)
        caller.sendall(request_bytes(body("Say hello.")))
        read_until(caller, b"}}")
        assert shed() == before + 1


WHOLE = request_bytes(body("Say hello."))
ODD = {
    "half of it": WHOLE[:-1],
    "more than it": WHOLE + b"x",
    "two": WHOLE + WHOLE,
    "another method": WHOLE.replace(b"POST", b"PUT", 1),
    "another version": WHOLE.replace(b"HTTP/1.1", b"HTTP/1.0", 1),
    "another path": WHOLE.replace(b"/v1/chat/completions", b"/healthz", 1),
    "a query": WHOLE.replace(b"/completions", b"/completions?a=1", 1),
    "an absolute target": WHOLE.replace(b"POST /", b"POST http://x/", 1),
    "two lengths": WHOLE.replace(b"host: x", b"Content-Length: 1", 1),
    "chunks": WHOLE.replace(b"host: x", b"Transfer-Encoding: chunked", 1),
    "it wants to be asked": WHOLE.replace(b"host: x", b"Expect: 100-continue", 1),
    "it wants to close": WHOLE.replace(b"host: x", b"Connection: close", 1),
    "another protocol": WHOLE.replace(b"host: x", b"Upgrade: h2c", 1),
    "a folded line": WHOLE.replace(b"host: x", b"host: x\r\n y", 1),
    "a bare line feed": WHOLE.replace(b"host: x", b"host: x\nTransfer-Encoding: chunked", 1),
    "a length with a sign": WHOLE.replace(b"content-length: ", b"content-length: +", 1),
    "no length": WHOLE.replace(b"content-length", b"x-length", 1),
}


@pytest.mark.parametrize("name", ODD)
def test_only_what_is_plainly_one_request_is_refused_from_its_bytes(name: str) -> None:
    refusals = Refusals({CHAT: lambda error, _: openai_envelope(error)}, full())
    assert refusals.answer(ODD[name]) is None
    assert refusals.answer(WHOLE) is not None


def test_every_refusal_has_an_id_of_its_own() -> None:
    refusals = Refusals({CHAT: lambda error, request_id: request_id.encode()}, full())
    told = {refusals.answer(WHOLE) for _ in range(10)}
    assert len(told) == 10
    for raw in told:
        assert raw is not None
        _, headers, text = response(raw)
        assert text.decode() == headers["x-gatehouse-request-id"]
        assert int(headers["content-length"]) == len(text)
