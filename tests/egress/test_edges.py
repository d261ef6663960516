"""What surrounds a body never leaves: headers, cookies, query, path. Nor does what only some readers of JSON see."""

from __future__ import annotations

import http.client
import json
from urllib.parse import urlsplit

import pytest

from tests.egress.conftest import Houses
from tests.egress.houses import BY_RULE, House
from tests.egress.positions import PUBLIC, filled
from tests.egress.values import value_of

CANARY = "Kanarienvogel-7Q2Z"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
HEADERS = {
    "Authorization": f"Bearer {CANARY}",
    "X-Api-Key": CANARY,
    "Cookie": f"session={CANARY}",
    "Baggage": f"user={CANARY}",
    "Traceparent": f"00-{TRACE}-00f067aa0ba902b7-01",
    "Tracestate": f"vendor={CANARY}",
    "X-Anything": CANARY,
    f"X-{CANARY}": "1",
    "X-Request-Id": CANARY,
    "X-Forwarded-For": CANARY,
    "Forwarded": f"for={CANARY}",
    "User-Agent": CANARY,
    "Referer": f"https://{CANARY}.example/",
    "From": CANARY,
    "Accept": f"application/json; x={CANARY}",
    "Accept-Language": CANARY,
    "OpenAI-Organization": CANARY,
    "OpenAI-Project": CANARY,
    "OpenAI-Beta": CANARY,
    "X-Stainless-Lang": CANARY,
    "Idempotency-Key": CANARY,
    "Content-Type": f"application/json; charset={CANARY}",
    "Proxy-Authorization": f"Basic {CANARY}",
}
# All that a server sees of us beside the body.
SENT = {"host", "content-type", "content-length", "accept", "accept-encoding", "user-agent", "connection"}


def post(house: House, body: bytes, path: str = "/v1/chat/completions", **headers: str) -> tuple[int, bytes]:
    """One request as it is given; http.client adds only Host, Accept-Encoding and Content-Length."""
    connection = http.client.HTTPConnection(urlsplit(house.gateway.root).netloc, timeout=30)
    try:
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


@pytest.mark.parametrize("stream", [False, True])
def test_no_header_cookie_or_query_of_the_caller_leaves(quiet_house: House, stream: bool) -> None:
    cloud = quiet_house.cloud
    before = len(cloud.exchanges)
    body = json.dumps(filled("user", f"{PUBLIC} headers {stream}", stream=stream)).encode()
    status, _ = post(quiet_house, body, f"/v1/chat/completions?key={CANARY}&{CANARY}", **HEADERS)
    assert status == 200
    (exchange,) = cloud.exchanges[before:]
    assert exchange.target == "/v1/chat/completions"
    names = {name.lower() for name, _ in exchange.headers}
    assert names <= SENT, f"sent besides: {names - SENT}"
    assert not cloud.saw_which([CANARY, TRACE, "00f067aa0ba902b7"])


@pytest.mark.parametrize(
    "doubled",
    [
        '"user": "a", "user": "b"',
        '"user": "a", "\\u0075ser": "b"',
        '"metadata": {"k": "a", "k": "b"}',
        '"x": [{"y": {"k": 1, "z": 2, "k": 1}}]',
        '"x": "\\\\", "x": "\\""',
        '"messages": [{"role": "user", "content": "x", "content": "y"}]',
    ],
)
def test_a_body_with_duplicate_keys_is_refused_and_nothing_leaves(quiet_house: House, doubled: str) -> None:
    before = len(quiet_house.cloud.received)
    messages = '"messages": [{"role": "user", "content": "hello"}]'
    parts = [
        part for part in ('"model": "cloud"', messages, doubled) if part is not messages or "messages" not in doubled
    ]
    status, answer = post(quiet_house, f"{{{', '.join(parts)}}}".encode(), **{"Content-Type": "application/json"})
    error = json.loads(answer)["error"]
    assert (status, error["code"]) == (400, "invalid_json"), error
    assert "duplicate" in error["message"]
    assert len(quiet_house.cloud.received) == before


NUMBER = value_of("card", "as a number").needle.replace(" ", "")
HIDDEN = {
    "in a duplicate key of JSON in a string": '{"note": "%s", "note": "x"}',
    "in a duplicate key deeper in JSON in a string": '[{"a": {"note": "%s", "other": 1, "note": "x"}}]',
    "beside what some readers refuse": '{"note": "%s", "x": NaN, "y": "\\ud800", "z": "\t"}',
    "in a string in a string": '"%s"',
}


@pytest.mark.parametrize("template", HIDDEN.values(), ids=HIDDEN.keys())
def test_a_value_does_not_hide_behind_what_a_parser_drops(quiet_house: House, template: str) -> None:
    """The receiver may read JSON in a string with another parser than ours, one that keeps the first of two."""
    before = len(quiet_house.cloud.received)
    escaped = "".join(f"\\u{ord(digit):04x}" for digit in NUMBER)
    body = filled("tool call arguments", "x", stream=False, model="cloud")
    call = next(message for message in body["messages"] if message.get("tool_calls"))
    call["tool_calls"][0]["function"]["arguments"] = template % escaped
    status, _ = post(quiet_house, json.dumps(body).encode())
    assert (status, len(quiet_house.cloud.received) - before) == (403, 0)


@pytest.mark.parametrize(
    "place",
    ['"metadata": {"account": %s}', '"x_extra": [[%s]]', '"tools": [{"type": "x", "default": %s}]', '"x_extra": %s.0'],
)
def test_a_card_number_written_as_a_number_stays(quiet_house: House, place: str) -> None:
    before = len(quiet_house.cloud.received)
    rest = '"model": "cloud", "messages": [{"role": "user", "content": "hello"}]'
    status, _ = post(quiet_house, f"{{{rest}, {place % NUMBER}}}".encode())
    assert (status, len(quiet_house.cloud.received) - before) == (403, 0)


def test_the_model_that_the_caller_names_does_not_leave(quiet_house: House) -> None:
    cloud, before = quiet_house.cloud, len(quiet_house.cloud.exchanges)
    body = filled("user", f"{PUBLIC} model", stream=False)
    assert post(quiet_house, json.dumps({**body, "model": f"gpt-{CANARY}"}).encode())[0] == 200
    assert [exchange.json["model"] for exchange in cloud.exchanges[before:]] == ["scripted-cloud"]
    assert not cloud.saw(CANARY)


PROSE = "The interval is compact, so a finite subcover exists and the least of its radii will do. " * 500  # 44 KB


def test_a_field_that_the_gateway_rewrites_carries_nothing_out(quiet_house: House) -> None:
    received = len(quiet_house.cloud.received)
    body = filled("user", PUBLIC, stream=True, model="cloud")
    body["stream_options"]["note"] = NUMBER
    assert post(quiet_house, json.dumps(body).encode())[0] == 403
    assert len(quiet_house.cloud.received) == received


def test_the_privacy_header_keeps_a_public_request_at_home(quiet_house: House) -> None:
    received = len(quiet_house.cloud.received)
    header = {"X-Gatehouse-Privacy": "local-only"}
    for model, expected in (("auto", 200), ("cloud", 403)):
        for stream in (False, True):
            body = filled("user", f"{PUBLIC} kept", stream=stream, model=model)
            assert post(quiet_house, json.dumps(body).encode(), **header)[0] == expected
    assert len(quiet_house.cloud.received) == received


DIGITS = "31 41 59 26 53 58 97 93 23 84 62 64 33 83 27 95 02 88 41 97 16 93 99 37 51 05 82 09 " * 500  # slow to judge


@pytest.mark.parametrize("at", ["begin", "middle", "end"])
@pytest.mark.parametrize("entity", ["card", "github_token", "email"])
def test_a_large_body_is_scanned_to_its_end(quiet_house: House, entity: str, at: str) -> None:
    value = value_of(entity, f"large body, {at}")
    cut = {"begin": 0, "middle": len(PROSE) // 2, "end": len(PROSE)}[at]
    received = len(quiet_house.cloud.received)
    body = filled("user content", f"{PROSE[:cut]} {value.text} {PROSE[cut:]}", stream=False, model="cloud")
    status, _ = post(quiet_house, json.dumps(body).encode())
    assert (status, len(quiet_house.cloud.received) - received) == (403, 0)


def test_a_large_public_body_leaves_unchanged(quiet_house: House) -> None:
    before = len(quiet_house.cloud.exchanges)
    body = filled("user content", PROSE, stream=False, model="cloud")
    assert post(quiet_house, json.dumps(body).encode())[0] == 200
    (exchange,) = quiet_house.cloud.exchanges[before:]
    assert {**exchange.json, "model": "cloud"} == body


def test_a_large_body_stays_when_its_detectors_raise(houses: Houses) -> None:
    troubled = houses(BY_RULE, "faulty")
    body = filled("user content", PROSE, stream=False, model="cloud")
    assert post(troubled, json.dumps(body).encode())[0] == 403
    assert not [exchange for exchange in troubled.cloud.exchanges if PROSE[:200].encode() in exchange.body]


@pytest.mark.parametrize(("text", "at_home"), [(PUBLIC, 200), (DIGITS, 400)], ids=["small", "large"])
def test_what_could_not_be_scanned_in_time_stays(hasty_house: House, text: str, at_home: int) -> None:
    """The large text fits no window at home, and so has nowhere to go."""
    for model, expected in (("cloud", 403), ("auto", at_home)):
        for stream in (False, True):
            raw = json.dumps(filled("user content", text, stream=stream, model=model)).encode()
            _, explanation = post(hasty_house, raw, "/v1/route")
            assert "timeout" in [unknown["kind"] for unknown in json.loads(explanation)["unknowns"]]
            assert post(hasty_house, raw)[0] == expected
    assert not hasty_house.cloud.received
