"""What surrounds a body never leaves: headers, cookies, query, path. Nor does what only some readers of JSON see."""

from __future__ import annotations

import http.client
import json
from urllib.parse import urlsplit

import pytest

from tests.egress.houses import House
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
