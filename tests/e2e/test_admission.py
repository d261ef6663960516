"""What a request may offer and how big it may be, told in each dialect; and tools that keep a request at home."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from router.backends.scripted_replies import Script
from tests.e2e.conftest import HARD
from tests.support.gateway import POLICY, Gateway, local_server
from tests.support.recorder import Recorder, RecorderThread

KEYS = """\
limits: {max_input_tokens: 2000, max_output_tokens: 64, max_messages: 3}
tools: {forbid: ["shell*"], outside: {public: {forbid: [read_mailbox]}}}
"""


def tool(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}}


@pytest.fixture(scope="module")
def home() -> Iterator[Recorder]:
    with RecorderThread(Script(answer="Home answers.")) as recorder:
        yield recorder


@pytest.fixture(scope="module")
def house(home: Recorder, cloud: Recorder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    policy = POLICY.format(home=local_server(home.url), cloud=cloud.url) + KEYS
    policy = policy.replace("route: cloud}", "route: cloud, limits: {max_output_tokens: 32}}")
    with Gateway(tmp_path_factory.mktemp("house"), policy) as gateway:
        yield gateway


def ask(house: Gateway, text: str = "Say hello.", **body: Any) -> httpx.Response:
    body = {"model": "auto", "messages": [{"role": "user", "content": text}], **body}
    return httpx.post(f"{house.url}/chat/completions", json=body, trust_env=False, timeout=30)


def test_a_tool_that_may_not_leave_keeps_its_request_at_home(house: Gateway, cloud: Recorder) -> None:
    held = ask(house, HARD, tools=[tool("read_mailbox")])
    assert (held.headers["x-gatehouse-route"], held.headers["x-gatehouse-reason"]) == ("local", "tools")
    assert held.headers["x-gatehouse-held"] == "hard-questions"
    assert not cloud.exchanges
    assert ask(house, HARD, tools=[tool("read_calendar")]).headers["x-gatehouse-route"] == "cloud"
    denied = ask(house, tools=[tool("read_mailbox")], model="cloud")
    assert (denied.status_code, denied.json()["error"]["code"]) == (403, "policy_denied")


def test_a_tool_that_no_model_may_have_is_refused_and_its_name_not_repeated(house: Gateway, home: Recorder) -> None:
    home.forget()
    refused = ask(house, tools=[tool("shell_of_my_own")])
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "policy_denied")
    assert "shell*" in refused.text
    assert "of_my_own" not in refused.text
    assert not home.exchanges


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"messages": [{"role": "user", "content": "word " * 4000}]}, 413, "request_too_large"),
        ({"messages": [{"role": "user", "content": "x"}] * 4}, 413, "request_too_large"),
        ({"max_tokens": 65}, 400, "limit_exceeded"),
        ({"max_completion_tokens": 65}, 400, "limit_exceeded"),
    ],
)
def test_what_is_too_big_is_refused_with_both_numbers(
    house: Gateway, body: dict[str, Any], status: int, code: str
) -> None:
    answer = ask(house, **body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["type"]) == (status, code, "invalid_request_error")
    assert answer.headers["x-should-retry"] == "false"


def test_the_other_dialects_say_it_in_their_own_words(house: Gateway) -> None:
    body = {"model": "auto", "max_tokens": 65, "messages": [{"role": "user", "content": "hi"}]}
    answer = httpx.post(f"{house.root}/v1/messages", json=body, trust_env=False, timeout=60)
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")
    body = {**body, "max_tokens": 5, "messages": [{"role": "user", "content": "word " * 4000}]}
    answer = httpx.post(f"{house.root}/v1/messages", json=body, trust_env=False, timeout=60)
    assert (answer.status_code, answer.json()["error"]["type"]) == (413, "request_too_large")


def test_who_names_no_bound_gets_that_of_the_policy(house: Gateway, home: Recorder, cloud: Recorder) -> None:
    home.forget()
    assert ask(house).status_code == ask(house, HARD).status_code == ask(house, max_tokens=9).status_code == 200
    assert [body.get("max_tokens") for body in home.bodies] == [64, 9]
    assert [body.get("max_completion_tokens") for body in cloud.bodies] == [32], "of the rule that sent it out"


def test_what_a_rule_decides_is_held_to_its_own_limits_and_the_answer_names_it(house: Gateway, cloud: Recorder) -> None:
    cloud.forget()
    refused = ask(house, HARD, max_tokens=33)
    error = refused.json()["error"]
    assert (refused.status_code, error["code"]) == (400, "limit_exceeded")
    assert "the 32 that the rule 'hard-questions' allows (max_output_tokens)" in error["message"]
    assert not cloud.exchanges
    assert ask(house, HARD, max_tokens=31).headers["x-gatehouse-route"] == "cloud"
    assert ask(house, HARD, model="cloud", max_tokens=64).headers["x-gatehouse-reason"] == "pinned"
    assert [body.get("max_tokens") for body in cloud.bodies] == [31, 64]
