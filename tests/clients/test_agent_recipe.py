"""The recorded coding agent under the recipe that ships for it, word for word but for the two models' addresses.

On its own open repository nothing that it reads, lists, greps or changes may keep it at home: each of its turns goes
out, and a key that turns up amid them still stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from policies.text.sources import read_source
from router.backends.scripted_replies import Script
from tests.clients.test_recorded import AGENT, STEPS, results
from tests.support.gateway import Gateway
from tests.support.recorder import RecorderThread

KEY = "AKIA" + "Z7QW2MVN5XK3RJ8T"


def recipe(home: str, cloud: str) -> str:
    """`coding-agent` with a home that has no tools, as the embedded model has none, and a cloud of the tests."""
    text = read_source("coding-agent")[0].decode()
    was = "    backend: engine\n    model: smollm2-135m-instruct\n"
    assert was in text
    now = "".join(f"    {part}\n" for part in (f'backend: openai\n    base_url: "{home}"', "model: scripted-local"))
    text = text.replace(was, now, 1).replace("    context: 8192\n", "    context: 8192\n    capabilities: []\n", 1)
    assert "https://api.openai.com/v1" in text
    return text.replace("https://api.openai.com/v1", cloud).replace("    api_key_env: OPENAI_API_KEY\n", "")


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with (
        RecorderThread(Script(answer="home")) as home,
        RecorderThread(Script(answer="cloud")) as cloud,
        Gateway(tmp_path_factory.mktemp("recipe"), recipe(home.url, cloud.url)) as running,
    ):
        yield running


def turns() -> list[list[Any]]:
    """The messages of each of its requests."""
    history: list[Any] = list(AGENT["chat"]["begin"])
    asked = []
    for step in STEPS:
        asked.append(list(history))
        calls = [
            {"id": call["id"], "type": "function", "function": {"name": call["name"], "arguments": call["arguments"]}}
            for call in step["calls"]
        ]
        history.append({"role": "assistant", "content": step["text"] or None, "tool_calls": calls})
        history += results("chat", [(call["id"], "", "") for call in step["calls"]], step["results"])
    return asked


def route(gateway: Gateway, messages: list[Any]) -> dict[str, Any]:
    body = {**AGENT["chat"]["fixed"], "messages": messages}
    return dict(httpx.post(f"{gateway.url}/route", json=body, trust_env=False, timeout=60).json())


def test_each_turn_of_an_agent_on_an_open_repository_goes_out(gateway: Gateway) -> None:
    asked = turns()
    assert len(asked) > 30
    held = []
    for number, messages in enumerate(asked):
        told = route(gateway, messages)
        if told.get("route") != "cloud":
            kinds = {each["entity_type"] for each in told.get("findings", ())}
            held.append((number, told.get("route"), sorted(kinds), told.get("unknowns"), told.get("error")))
    assert held == []


def test_a_key_in_the_result_of_a_tool_stays_whatever_the_agent_does(gateway: Gateway) -> None:
    messages = turns()[20]
    result = next(message for message in reversed(messages) if message["role"] == "tool")
    told = route(gateway, [*messages[:-1], {**result, "content": f"{result['content']}\naws_access_key_id = {KEY}\n"}])
    assert told.get("route") != "cloud"
