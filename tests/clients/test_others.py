"""Clients that stand in an environment of their own: langchain-openai, llama-index's OpenAILike, `openai` under Node.

Each goes through one session as a program; the tests look at what it says of it, and at what the models were sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from deploy.clients import Clients
from tests.clients.conftest import HOME, House, told_by
from tests.clients.talk import CITY, SUMMED_UP, VECTOR, WEATHER_CALLS, talk
from tests.support.gateway import until

HERE = Path(__file__).parent
CARD = "Charge 4012 8888 8888 1881 please."
CLIENTS = ("langchain", "llama_index", "node")
ARGUMENTS = [(call["id"], "get_weather", orjson.loads(call["function"]["arguments"])) for call in WEATHER_CALLS]


def command(client: str, others: Clients, url: str, folder: Path) -> list[str | Path]:
    if client != "node":
        return [others.python, HERE / "scripts" / f"{client}_session.py", url, CARD]
    script = folder / "session.mjs"  # Node looks for packages beside a script
    script.write_bytes((HERE / "node" / "session.mjs").read_bytes())
    (folder / "node_modules").symlink_to(others.node_modules)
    return [others.node, script, url, CARD]


@pytest.fixture(scope="module", params=CLIENTS)
def session(
    request: pytest.FixtureRequest, others: Clients, _house: House, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, dict[str, Any], House]]:
    """Which client, what it says, and the house with what was sent to its models."""
    _house.home.forget()
    _house.cloud.forget()
    _house.script(home=talk(HOME))
    line = command(request.param, others, _house.gateway.url, tmp_path_factory.mktemp(request.param))
    yield request.param, told_by(line), _house
    _house.script()


Session = tuple[str, dict[str, Any], House]


def test_a_text_comes_whole_and_in_pieces_with_its_usage(session: Session) -> None:
    client, told, _ = session
    assert (told["text"], told["stream"]["text"]) == (HOME, HOME)
    if client == "langchain":
        assert told["usage"]["total_tokens"] == told["stream"]["usage"]["total_tokens"] > 7
        assert told["stream"]["chunks"] > 3
    elif client == "llama_index":
        assert told["usage"] == told["stream"]["usage"] > 7
    else:
        assert told["stream"]["tokens"] > 7
        assert told["stream"]["empty"] == 0
        assert told["route"] == "local"
        assert told["requestId"][0] == told["requestId"][1]
    if client != "node":
        assert told["async"] == {"whole": HOME, "stream": HOME}


def test_heartbeats_amid_a_stream_change_nothing(session: Session) -> None:
    """Each piece of these answers comes after four silences, in every dialect that the client speaks."""
    _, told, _ = session
    assert told["slowly"]
    assert set(told["slowly"]) == {HOME}


def test_parallel_calls_of_tools_and_their_results(session: Session) -> None:
    client, told, house = session
    tools = told["tools"]
    assert tools["after"] == SUMMED_UP
    if client == "langchain":
        for calls in (tools["calls"], tools["streamed"]):
            assert [(call["id"], call["name"], call["args"]) for call in calls] == ARGUMENTS
    elif client == "llama_index":
        assert [tuple(call) for call in tools["calls"]] == ARGUMENTS
    else:
        for calls in (tools["whole"], tools["streamed"]):
            assert [(own_id, name, orjson.loads(text)) for own_id, name, text in calls] == ARGUMENTS
    answered = [
        message["tool_call_id"]
        for exchange in house.home.exchanges
        for message in exchange.json.get("messages", ())
        if message["role"] == "tool"
    ]
    assert answered == ["call_1", "call_2"]


def test_a_schema_is_kept(session: Session) -> None:
    client, told, house = session
    assert told["schema"] == orjson.loads(CITY)
    if client == "langchain":
        assert told["function"] == orjson.loads(CITY)
    forms = {(exchange.json.get("response_format") or {}).get("type") for exchange in house.home.exchanges}
    assert client == "llama_index" or "json_schema" in forms  # llama-index asks by a tool


def test_texts_are_embedded_in_their_order(session: Session) -> None:
    _, told, house = session
    assert told["vectors"] == [[0, *VECTOR], [1, *VECTOR]]
    assert [exchange.json["input"] for exchange in house.cloud.exchanges] == [["One.", "Two."]]


def test_errors_are_the_clients_own_at_every_stage(session: Session) -> None:
    client, told, house = session
    expected = {
        "denied": ["PermissionDeniedError", 403, "policy_denied"],
        "unknown": ["NotFoundError", 404, "model_not_found"],
        "down": ["InternalServerError", 503, "local_unavailable"],
        "broken": ["APIError", None, "upstream_error"],
    }
    if client == "langchain":
        expected = {name: [status, code] for name, (_, status, code) in expected.items()}
    if client == "llama_index":
        expected = {name: [kind, code] for name, (kind, _, code) in expected.items()}
    assert told["errors"] == expected
    assert not house.cloud.saw("4012 8888 8888 1881")


def test_what_only_some_of_them_have(session: Session) -> None:
    client, told, house = session
    if client == "langchain":
        assert told["responses"] == HOME
        assert "ContextOverflowError" in told["overflow"]  # by which its agents know to shorten what they send
    if client == "node":
        assert told["responses"] == {"text": HOME, "first": "response.created", "last": "response.completed"}
        assert {"auto", "local", "cloud", "embedder"} <= set(told["models"])
        assert told["aborted"] == 2
        until(lambda: house.home.in_flight == 0, seconds=30)
    assert all(told["versions"].values())
