"""The cascade with the real model: its first tokens are judged, its slot is freed, and what it may keep is whole."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.gateway import ENGINE, POLICY, Gateway, sequences_running, until
from tests.support.recorder import Recorder

# Above what any answer reaches, and below what any does: which of the two is asked for is what the tests need.
# A busy machine may be slow: headers wait for the verdict, so that they can tell the route.
PATIENT = "headers_after: 120\n"
RULE = "escalation: {{threshold: {threshold}, stream: commit, hold_tokens: 8, hold_ms: 20000}}\n"
STORY = "Tell me a very long story about a lighthouse."


@pytest.fixture(scope="module")
def gateway(cloud: Recorder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    policy = POLICY.format(home=ENGINE, cloud=cloud.url) + PATIENT + RULE.format(threshold=1.0)
    with Gateway(tmp_path_factory.mktemp("cascade"), policy, start_seconds=240.0) as gateway:
        yield gateway


def hold_against(gateway: Gateway, threshold: float) -> None:
    """Put another threshold in force."""
    before = in_force(gateway)
    text, rule, _ = gateway.policy_file.read_text("utf-8").partition("escalation:")
    assert rule
    gateway.policy_file.write_text(text + RULE.format(threshold=threshold), "utf-8")
    until(lambda: in_force(gateway) != before)


def in_force(gateway: Gateway) -> str:
    body = {"messages": [{"role": "user", "content": "Hello."}]}
    return str(httpx.post(f"{gateway.url}/route", json=body, trust_env=False, timeout=60).json()["policy"])


def stream(gateway: Gateway, text: str, **more: Any) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """The headers, and the chunks of a stream that ended as it should."""
    body = {"messages": [{"role": "user", "content": text}], "stream": True, "temperature": 0, **more}
    raw = httpx.post(f"{gateway.url}/chat/completions", json=body, trust_env=False, timeout=120)
    assert raw.status_code == 200, raw.text
    events = [line.removeprefix("data: ") for line in raw.text.splitlines() if line.startswith("data: ")]
    assert events[-1] == "[DONE]"
    return dict(raw.headers), [json.loads(event) for event in events[:-1]]


def said(chunks: list[dict[str, Any]], index: int = 0) -> str:
    return "".join(
        choice["delta"].get("content") or ""
        for chunk in chunks
        for choice in chunk["choices"]
        if choice["index"] == index
    )


def test_a_dropped_answer_frees_its_slot_and_the_cloud_answers_alone(gateway: Gateway, cloud: Recorder) -> None:
    headers, chunks = stream(gateway, STORY, max_tokens=6000)
    assert said(chunks) == "The cloud answers."
    assert (headers["x-gatehouse-route"], headers["x-gatehouse-reason"]) == ("cloud", "escalation")
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert len(cloud.exchanges) == 1
    until(lambda: sequences_running(gateway) == 0)  # all of it would take the engine a minute or more


def test_what_may_not_leave_is_told_to_its_end_by_the_real_model(gateway: Gateway, cloud: Recorder) -> None:
    headers, chunks = stream(gateway, "Write one line to bob@corp-mail.com.", max_tokens=24)
    assert headers["x-gatehouse-route"] == "local"
    assert said(chunks)
    assert not cloud.received.strip()


def test_two_choices_and_json_are_released_whole(gateway: Gateway, cloud: Recorder) -> None:
    schema = {
        "type": "object",
        "properties": {"colour": {"type": "string", "maxLength": 12}},
        "required": ["colour"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "c", "schema": schema}}
    hold_against(gateway, 0.000001)
    _, whole = stream(gateway, STORY, max_tokens=24, model="local")
    headers, chunks = stream(gateway, STORY, max_tokens=24)
    assert headers["x-gatehouse-route"] == "local"
    assert said(chunks) == said(whole), "nothing of what was held back is lost"
    assert all("logprobs" not in choice for chunk in chunks for choice in chunk["choices"])
    _, both = stream(gateway, STORY, max_tokens=12, n=2, stream_options={"include_usage": True})
    assert said(both, 0)
    assert said(both, 1)
    ends = [choice["finish_reason"] for chunk in both for choice in chunk["choices"] if choice["finish_reason"]]
    assert len(ends) == 2
    assert both[-1]["usage"]["completion_tokens"] == 24
    _, formed = stream(gateway, "Name a colour, as JSON.", max_tokens=60, response_format=form)
    assert set(json.loads(said(formed))) == {"colour"}
    assert not cloud.exchanges
