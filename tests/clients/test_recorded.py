"""A coding agent's whole work, and Open WebUI's calls, replayed by the official clients against the real server.

Checked for the agent, in each dialect, under a policy that sends it to one model outside and holds what cannot be read:
every one of its turns is answered, all by that model, with calls, arguments and ids as the model gave them; what went
before reaches it unchanged; and nothing in code, paths, digests or the dialect's own ids counts as a blob. What code is
mistaken for by the detectors of names and meanings is not held against it here (docs/clients.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import orjson
import pytest
from anthropic import Anthropic
from openai import OpenAI

from router.backends.scripted import Exchange
from router.backends.scripted_replies import Script
from tests.clients.conftest import CLOUD, HOME, House
from tests.support.gateway import POLICY, ROOT, Gateway, local_server
from tests.support.recorder import Recorder, RecorderThread

RECORDED = ROOT / "tests" / "clients" / "recorded"
AGENT = orjson.loads((RECORDED / "agent.json").read_bytes())
OPEN_WEBUI = orjson.loads((RECORDED / "open_webui.json").read_bytes())
STEPS: list[dict[str, Any]] = AGENT["steps"]

MISTAKEN = """\
    public: [LOCATION, DATE_TIME, NRP, PERSON, STREET_ADDRESS, MEDICAL, PROPRIETARY_CODE,
      CREDENTIALS, INTERNAL_DOCUMENT, CUSTOMER_DATA, BUSINESS_STRATEGY, HUMAN_RESOURCES, LEGAL_MATTER, URL, IP_ADDRESS]
  on_unknown: {{unsupported_language: {{counts_as: internal, reason: "patterns and paths are no language"}}}}
"""

Calls = list[tuple[str, str, str]]
Turn = Callable[[Gateway, list[Any]], tuple[str, Calls, list[Any], str]]


def by_turn(exchange: Exchange) -> Script:
    """The step that stands next, by how often the model has spoken."""
    spoken = sum(message["role"] == "assistant" for message in exchange.json["messages"])
    step = STEPS[spoken]
    made = [{"name": call["name"], "arguments": call["arguments"]} for call in step["calls"]]
    calls = tuple(
        {"id": call["id"], "type": "function", "function": function}
        for call, function in zip(step["calls"], made, strict=True)
    )
    finish = "tool_calls" if calls else "stop"
    return Script(answer=step["text"], tool_calls=calls, finish_reason=finish, chunk_size=7)


@pytest.fixture(scope="module")
def cloud() -> Iterator[Recorder]:
    with RecorderThread(by_turn) as recorder:
        yield recorder


@pytest.fixture(scope="module")
def gateway(cloud: Recorder, _house: House, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Agents go to the cloud, by the names of models that they use."""
    _house.script()
    policy = POLICY.replace(", IP_ADDRESS]", "]", 1).replace("    public: [LOCATION, DATE_TIME, NRP]\n", MISTAKEN, 1)
    policy = policy.replace('{{"gpt-*": auto}}', '{{"gpt-*": cloud, "claude-*": cloud}}')
    policy = policy.format(home=local_server(_house.home.url), cloud=cloud.url)
    with Gateway(tmp_path_factory.mktemp("agent"), policy) as running:
        yield running


def chat_turn(gateway: Gateway, history: list[Any]) -> tuple[str, Calls, list[Any], str]:
    with (
        OpenAI(base_url=gateway.url, api_key="none", max_retries=0) as client,
        client.chat.completions.stream(messages=history, **AGENT["chat"]["fixed"]) as stream,
    ):
        message = stream.get_final_completion().choices[0].message
        model = stream._response.headers["x-gatehouse-model"]
    calls = [(call.id, call.function.name, call.function.arguments) for call in message.tool_calls or ()]
    said: dict[str, Any] = {"role": "assistant", "content": message.content}
    if calls:
        said["tool_calls"] = [
            {"id": own_id, "type": "function", "function": {"name": name, "arguments": arguments}}
            for own_id, name, arguments in calls
        ]
    return message.content or "", calls, [said], model


def messages_turn(gateway: Gateway, history: list[Any]) -> tuple[str, Calls, list[Any], str]:
    asked = {"messages": history, "extra_query": {"beta": "true"}, **AGENT["messages"]["fixed"]}
    with (
        Anthropic(base_url=gateway.root, api_key="none", max_retries=0) as client,
        client.messages.stream(**asked) as stream,
    ):
        message = stream.get_final_message()
        model = stream.response.headers["x-gatehouse-model"]
    text = "".join(block.text for block in message.content if block.type == "text")
    used = [block for block in message.content if block.type == "tool_use"]
    calls = [(block.id, block.name, orjson.dumps(block.input).decode()) for block in used]
    said = [block.model_dump(exclude_none=True) for block in message.content if block.type != "text" or block.text]
    # An agent keeps the model's thoughts, which are signed, and sends them back.
    thought = {"type": "thinking", "thinking": "Hmm.", "signature": "EqQBCkgIBBABGAIiQ" + "Zx9+/aB3" * 40 + "=="}
    return text, calls, [{"role": "assistant", "content": [thought, *said]}], model


def responses_turn(gateway: Gateway, history: list[Any]) -> tuple[str, Calls, list[Any], str]:
    with (
        OpenAI(base_url=gateway.url, api_key="none", max_retries=0) as client,
        client.responses.stream(input=history, **AGENT["responses"]["fixed"]) as stream,
    ):
        stream.until_done()
        response = stream.get_final_response()
        model = stream._raw_stream.response.headers["x-gatehouse-model"]
    calls = [(item.call_id, item.name, item.arguments) for item in response.output if item.type == "function_call"]
    thought = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAAAB" + "p9Qx-_Lk" * 60}
    said = [item.to_dict(mode="json") for item in response.output]
    for item in said:
        item.pop("parsed_arguments", None)
        for part in item.get("content") or ():
            part.pop("parsed", None)
    return response.output_text, calls, [thought, *said], model


def results(dialect: str, calls: Calls, given: list[str]) -> list[Any]:
    """What the tools gave, as a client of the dialect sends it."""
    pairs = list(zip((call[0] for call in calls), given, strict=True))
    if dialect == "messages":
        blocks = [
            {"type": "tool_result", "tool_use_id": own_id, "content": [{"type": "text", "text": text}]}
            for own_id, text in pairs
        ]
        return [{"role": "user", "content": blocks}]
    if dialect == "responses":
        return [{"type": "function_call_output", "call_id": own_id, "output": text} for own_id, text in pairs]
    return [{"role": "tool", "tool_call_id": own_id, "content": text} for own_id, text in pairs]


TURNS: dict[str, Turn] = {"chat": chat_turn, "messages": messages_turn, "responses": responses_turn}


@pytest.mark.parametrize("dialect", TURNS)
def test_an_agent_works_to_its_end(gateway: Gateway, cloud: Recorder, dialect: str) -> None:
    cloud.forget()
    history: list[Any] = list(AGENT[dialect]["begin"])
    answered_by: list[str] = []
    for step in STEPS:
        text, calls, said, model = TURNS[dialect](gateway, history)
        answered_by.append(model)
        assert text == ("" if calls else step["text"])  # a scripted model that calls says nothing beside
        assert [call[:2] for call in calls] == [(call["id"], call["name"]) for call in step["calls"]]
        if dialect == "messages":  # its clients are given objects
            assert [orjson.loads(call[2]) for call in calls] == [
                orjson.loads(one["arguments"]) for one in step["calls"]
            ]
        else:
            assert [call[2] for call in calls] == [one["arguments"] for one in step["calls"]]
        history += said
        if calls:
            history += results(dialect, calls, step["results"])
    assert len(answered_by) > 30
    assert set(answered_by) == {"cloud"}
    told = cloud.exchanges[-1].json["messages"]
    assert sum(message["role"] == "assistant" for message in told) == len(STEPS) - 1
    got = [message["content"] for message in told if message["role"] == "tool"]
    assert [got_text(content) for content in got] == [text for step in STEPS for text in step["results"]]
    assert b"signature" not in cloud.exchanges[-1].body
    assert b"encrypted_content" not in cloud.exchanges[-1].body


def got_text(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


def test_nothing_an_agent_sends_is_a_blob_that_cannot_be_read(gateway: Gateway) -> None:
    """The last request of all, explained: it holds everything."""
    messages: list[Any] = [{"role": "user", "content": "Go on."}]
    for step in STEPS[:-1]:
        calls = [
            {"id": call["id"], "type": "function", "function": {"name": call["name"], "arguments": call["arguments"]}}
            for call in step["calls"]
        ]
        messages.append({"role": "assistant", "content": None, "tool_calls": calls})
        messages += results("chat", [(call["id"], "", "") for call in step["calls"]], step["results"])
    fixed = {name: AGENT["chat"]["fixed"][name] for name in ("tools", "model")}
    told = httpx.post(f"{gateway.url}/route", json={**fixed, "messages": messages}, trust_env=False, timeout=60).json()
    assert {unknown["kind"] for unknown in told["unknowns"]} <= {"unsupported_language"}
    assert (told["model"], told["held"]) == ("cloud", None)


@pytest.mark.parametrize("call", OPEN_WEBUI["get"], ids=lambda call: call["path"])
def test_what_open_webui_looks_for(house: House, call: dict[str, Any]) -> None:
    answer = httpx.get(house.gateway.url + call["path"], trust_env=False)
    assert answer.status_code == call["status"]
    if call["status"] == 200:
        assert all(model["id"] and model["object"] == "model" for model in answer.json()["data"])
    else:
        assert answer.json()["error"]["code"] == "unknown_path"
    assert not house.home.exchanges


def test_open_webuis_chat_and_the_calls_beside_it(house: House) -> None:
    with OpenAI(base_url=house.gateway.url, api_key="none", max_retries=0) as client:
        chunks = list(client.chat.completions.create(**OPEN_WEBUI["chat"]))
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) in (HOME, CLOUD)
        assert chunks[-1].usage is not None
        for call in OPEN_WEBUI["background"]:
            raw = client.chat.completions.with_raw_response.create(**call["body"])
            assert raw.parse().choices[0].message.content in (HOME, CLOUD)
            assert raw.headers["x-gatehouse-sensitivity"] == "public"
            assert "x-gatehouse-held" not in raw.headers
    asked = [exchange for exchange in (*house.home.exchanges, *house.cloud.exchanges) if exchange.method == "POST"]
    assert len(asked) == 1 + len(OPEN_WEBUI["background"])
