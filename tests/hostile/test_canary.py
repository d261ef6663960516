"""A word that callers write and models answer is nowhere but in answers: not in a log, metric, span, record or file."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.hostile.places import CANARY, WAYS, Place, Response
from tests.support.gateway import until

SECRET = "4012 8888 8888 1881"  # a card number: what is found must not be written down either


def request(way: str, model: str, stream: bool, text: str = "") -> dict[str, Any]:
    """A request with the canary in every place that takes a text; its last message says what the model shall do."""
    call = {"id": f"id-{CANARY}", "type": "function", "function": {"name": CANARY, "arguments": f'{{"{CANARY}": 1}}'}}
    schema = {"type": "object", "properties": {CANARY: {"description": CANARY, "enum": [CANARY]}}}
    body: dict[str, Any] = {
        "model": model,
        "messages": [
            {"role": "system", "content": f"be {CANARY}"},
            {"role": "assistant", "content": CANARY, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": f"id-{CANARY}", "content": f'{{"{CANARY}": "{CANARY}"}}'},
            {"role": "user", "name": CANARY, "content": f"[{way}] {CANARY} {model} {stream} {text}"},
        ],
        "tools": [{"type": "function", "function": {"name": CANARY, "description": CANARY, "parameters": schema}}],
        "metadata": {CANARY: CANARY},
        "user": CANARY,
        "stop": [f"stop {CANARY}"],
        "prediction": {"type": "content", "content": CANARY},
    }
    return body | ({"stream": True} if stream else {})


HEADERS = {"X-Canary": CANARY, "Cookie": CANARY, "Baggage": f"a={CANARY}", "Tracestate": f"a={CANARY}", "From": CANARY}


def settled(place: Place, last: Response) -> None:
    """Wait until records, metrics and spans of what has been asked, to the last answer, are where they will stay."""
    exports = len(place.collector.metric_requests)
    request_id = last.headers["x-gatehouse-request-id"]
    until(lambda: any(name.startswith("export") for name in place.places_with(request_id)), 60)
    until(lambda: len(place.collector.metric_requests) >= exports + 2, 60)


def shown(response: Response) -> str:
    return "\n".join(f"{name}: {value}" for name, value in response.headers.items()) + response.body.decode()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["local", "cloud", "auto"])
@pytest.mark.parametrize("way", WAYS)
def test_an_answer_may_say_it_and_an_error_may_not(hostile: Place, way: str, model: str, stream: bool) -> None:
    response = hostile.send(request(way, model, stream), f"/v1/chat/completions?{CANARY}={CANARY}", headers=HEADERS)
    text = response.body.decode()
    if way in ("answer", "tool"):
        assert response.status == 200, shown(response)
        assert CANARY in text
    elif response.status != 200:
        assert CANARY not in shown(response)
        assert response.error["code"]
    elif stream and way != "odd finish":
        error = json.loads(text.strip().rpartition("data: ")[2])["error"]
        assert CANARY not in json.dumps(error)
        assert "[DONE]" not in text
    assert CANARY.lower() not in str(response.headers).lower()


@pytest.mark.parametrize("stream", [False, True])
def test_what_was_found_is_not_told_either(hostile: Place, stream: bool) -> None:
    for path, model in (("/v1/chat/completions", "cloud"), ("/v1/chat/completions", "auto"), ("/v1/route", "auto")):
        response = hostile.send(request("answer", model, stream, SECRET), path)
        assert SECRET not in shown(response)
    settled(hostile, hostile.send(request("answer", "cloud", stream)))
    assert hostile.places_with(SECRET) == []


def test_nothing_of_it_is_kept_anywhere(hostile: Place) -> None:
    """The same search finds the id of a request, so it would have found the canary."""
    for path in ("/v1/chat/completions", "/v1/route", f"/v1/{CANARY}", f"/v1/models/{CANARY}"):
        for body in (request("answer", CANARY, False), request("answer", "auto", False) | {CANARY: CANARY}):
            hostile.send(body, path, headers=HEADERS)
    cached = request("answer", "local", False, "to be cached")
    answer = hostile.send(cached)
    assert hostile.send(cached).headers["x-gatehouse-route"] == "cache"
    settled(hostile, answer)
    names = [name for name, _ in hostile.kept()]
    assert "the log" in names
    assert any(name.startswith("value of ") for name in names), "nothing is cached in Redis"
    assert any("records.sqlite" in name for name in names)
    found = hostile.places_with(answer.headers["x-gatehouse-request-id"])
    assert any("records.sqlite" in name for name in found), found
    assert any(name.startswith("export") for name in found), found
    assert "/metrics" in hostile.places_with("gatehouse_")
    assert "the log" in hostile.places_with("level=")
    assert hostile.places_with(CANARY) == []
