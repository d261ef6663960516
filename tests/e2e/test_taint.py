"""Taint follows through a real gateway: what was answered at home because of a card stays at home when it is quoted."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from classifiers.vocabulary import MEANINGS
from router.backends.scripted import Exchange
from router.backends.scripted_replies import Script
from tests.support.gateway import Gateway, local_server, until
from tests.support.recorder import Recorder, RecorderThread
from tests.support.redis_server import RedisServer

POLICY = """\
version: 1
models:
  home: {{locality: local, {home}}}
  cloud: {{locality: cloud, backend: openai, base_url: "{cloud}", model: scripted-cloud, region: us,
          capabilities: [tools, json_schema, json_mode, logprobs, n]}}
defaults: {{local: home, cloud: cloud}}
sensitivity:
  levels:
    restricted: [CREDIT_CARD]
    confidential: [EMAIL_ADDRESS]
    public: [{others}]  # whatever a detector may think of the sentences here
  on_unknown: {{unsupported_language: {{counts_as: public, reason: short sentences}}}}
egress: {{public: {{payload: full}}}}
decisions:
  - {{name: out, priority: 50, when: {{all: [{{complexity: {{at_least: 0.0}}}}]}}, route: cloud}}
"""
TAGGED = ("PERSON", "LOCATION", "ORGANIZATION", "NRP", "AGE", "DATE_TIME", "STREET_ADDRESS")
OTHERS = ", ".join(sorted({*MEANINGS, *TAGGED}))
ANSWER = "The holder has booked the green room for the whole of next week. Nobody else may enter it in that time."
HARMLESS = "The cloud says something quite harmless about the weather."
SECRET = "My card is 4111 1111 1111 1111, what has its holder booked?"
PATIENT = {"GATEHOUSE_SCAN_BUDGET_MS": "5000"}  # on a busy machine the scan may be slow
TOOL_CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "book", "arguments": orjson.dumps({"note": ANSWER, "room": 3}).decode()},
}
TOOLS = [{"type": "function", "function": {"name": "book", "parameters": {"type": "object"}}}]


def says(exchange: Exchange) -> Script:
    """What the model at home says: a tool call where there are tools, slowly where it is asked to."""
    body = exchange.json
    if body.get("tools"):
        return Script(tool_calls=(TOOL_CALL,), finish_reason="tool_calls")
    return Script(answer=ANSWER, chunk_delay=0.15 if "slowly" in str(body["messages"][-1]) else 0.0)


@pytest.fixture(scope="module")
def home() -> Iterator[Recorder]:
    with RecorderThread(says) as recorder:
        yield recorder


def harmless(exchange: Exchange) -> Script:
    """What the cloud says: it repeats a placeholder where it is asked to confirm."""
    last = str(exchange.json["messages"][-1])
    found = re.search(r"<EMAIL_ADDRESS_1_[A-Z]+>", last)
    if found is not None and "confirm" in last:
        return Script(answer=f"Certainly, I shall write to {found[0]} as soon as that can be done.")
    return Script(answer=HARMLESS)


@pytest.fixture(scope="module")
def cloud() -> Iterator[Recorder]:
    with RecorderThread(harmless) as recorder:
        yield recorder


@pytest.fixture(autouse=True)
def _forget(cloud: Recorder) -> None:
    cloud.forget()


def policy(home: Recorder, cloud: Recorder, more: str = "") -> str:
    return POLICY.format(home=local_server(home.url), cloud=cloud.url, others=OTHERS) + more


@pytest.fixture(scope="module")
def gateway(home: Recorder, cloud: Recorder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with Gateway(tmp_path_factory.mktemp("taint"), policy(home, cloud), environment=PATIENT) as running:
        yield running


def chat(*contents: str, **more: Any) -> dict[str, Any]:
    """A conversation that begins with the user."""
    roles = ("user", "assistant")
    messages = [{"role": roles[at % 2], "content": each} for at, each in enumerate(contents)]
    return {"model": "auto", "messages": messages, **more}


def ask(gateway: Gateway, body: dict[str, Any], path: str = "/chat/completions") -> httpx.Response:
    answer = httpx.post(gateway.url + path, content=orjson.dumps(body), trust_env=False, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer


def route(gateway: Gateway, body: dict[str, Any]) -> str:
    return ask(gateway, body).headers["x-gatehouse-route"]


def unlike(text: str, number: int) -> dict[str, Any]:
    """A follow-up that quotes, and differs from any other."""
    return chat("Hello", text, f"Explain that, please, for the {number}th time")


def test_a_quoted_answer_to_a_sensitive_request_stays_at_home(gateway: Gateway, cloud: Recorder) -> None:
    body = chat("What has the holder booked?", ANSWER, "And after that?")
    assert route(gateway, body) == "cloud", "nothing has been said yet"
    cloud.forget()
    first = ask(gateway, chat(SECRET))
    assert (first.headers["x-gatehouse-route"], first.headers["x-gatehouse-sensitivity"]) == ("local", "restricted")
    assert first.json()["choices"][0]["message"]["content"] == ANSWER
    second = ask(gateway, body)
    assert second.headers["x-gatehouse-route"] == "local"
    assert second.headers["x-gatehouse-sensitivity"] == "restricted"
    assert second.headers["x-gatehouse-held"] == "out"
    why = [reason["why"] for reason in ask(gateway, body, "/route").json()["reasons"]]
    assert "restricted: inherited from an earlier answer at /messages/1" in why
    assert route(gateway, chat(f"You wrote: '{ANSWER}' Is that so?")) == "local", "a quotation without a conversation"
    assert not cloud.exchanges
    assert route(gateway, chat("What has the holder booked?", "Nothing at all, as far as we know today.", "Why?")) == (
        "cloud"
    )


def test_what_an_answer_at_home_added_to_a_tainted_conversation_is_tainted_too(
    gateway: Gateway, home: Recorder, cloud: Recorder
) -> None:
    ask(gateway, chat(SECRET))
    later = "Later on the room is to be painted in a rather dark shade of red by two men."
    with RecorderThread(Script(answer=later)) as other:
        folder = gateway.folder / "other"
        shutil.copytree(gateway.state_dir, folder / "state")
        (folder / "state").chmod(0o700)
        with Gateway(folder, policy(other, cloud), environment=PATIENT) as second:
            assert route(second, unlike(ANSWER, 1)) == "local"
            assert route(second, unlike(later, 1)) == "local"
    assert not cloud.exchanges


def test_a_streamed_answer_is_known_as_soon_as_it_has_ended(gateway: Gateway, cloud: Recorder) -> None:
    with httpx.stream(
        "POST", gateway.url + "/chat/completions", json=chat(SECRET, stream=True), trust_env=False, timeout=30
    ) as stream:
        assert stream.headers["x-gatehouse-route"] == "local"
        text = "".join(
            orjson.loads(line[6:])["choices"][0]["delta"].get("content") or ""
            for line in stream.iter_lines()
            if line.startswith("data: {")
        )
    assert text == ANSWER
    assert route(gateway, unlike(text, 2)) == "local"
    assert not cloud.exchanges


def test_what_was_delivered_of_a_stream_before_its_caller_went_away_is_known(
    home: Recorder, cloud: Recorder, tmp_path: Path
) -> None:
    with Gateway(tmp_path, policy(home, cloud), environment=PATIENT) as gateway:
        got = ""
        with httpx.stream(
            "POST",
            gateway.url + "/chat/completions",
            json=chat(SECRET + " Say it slowly", stream=True),
            trust_env=False,
            timeout=30,
        ) as stream:
            for line in stream.iter_lines():
                if line.startswith("data: {"):
                    got += orjson.loads(line[6:])["choices"][0]["delta"].get("content") or ""
                if len(got) > 45:
                    break
        assert ANSWER.startswith(got)
        assert "." not in got
        until(lambda: route(gateway, unlike(got, int(time.monotonic() * 1000))) == "local")


def test_arguments_of_a_tool_call_are_known(home: Recorder, cloud: Recorder, tmp_path: Path) -> None:
    with Gateway(tmp_path, policy(home, cloud), environment=PATIENT) as gateway:
        called = ask(gateway, chat(SECRET, tools=TOOLS))
        assert called.json()["choices"][0]["finish_reason"] == "tool_calls"
        assert route(gateway, chat(f"Is this right? {ANSWER}")) == "local"
        assert not cloud.exchanges


@pytest.mark.parametrize("stream", [False, True])
def test_every_worker_knows_at_once_and_so_does_the_next_start(
    home: Recorder, cloud: Recorder, tmp_path: Path, stream: bool
) -> None:
    text = policy(home, cloud)
    with Gateway(tmp_path, text, "--workers", "2", environment=PATIENT) as gateway:
        ask(gateway, chat(SECRET, stream=stream))
        assert {route(gateway, unlike(ANSWER, number)) for number in range(24)} == {"local"}
    with Gateway(tmp_path, text, environment=PATIENT) as gateway:
        assert route(gateway, unlike(ANSWER, 99)) == "local"
    assert not cloud.exchanges


def test_after_its_time_a_quoted_answer_is_free_again(home: Recorder, cloud: Recorder, tmp_path: Path) -> None:
    with Gateway(tmp_path, policy(home, cloud), environment={**PATIENT, "GATEHOUSE_TAINT_TTL_S": "5"}) as gateway:
        ask(gateway, chat(SECRET))
        assert route(gateway, unlike(ANSWER, 1)) == "local"
        # That answer was marked in its turn; to ask where the next one would go makes no answer, and so no mark.
        until(lambda: ask(gateway, unlike(ANSWER, 2), "/route").json()["route"] == "cloud")


def test_the_records_and_metrics_tell_of_it_without_content(gateway: Gateway) -> None:
    ask(gateway, chat(SECRET))
    ask(gateway, unlike(ANSWER, 7))
    page = httpx.get(gateway.root + "/metrics", trust_env=False, timeout=60).text
    assert 'gatehouse_taint_hits_total{cause="answer",sensitivity="restricted"}' in page
    assert "gatehouse_taint_marks" in page
    until(lambda: b'"taint_source":"answer"' in everything(gateway))
    assert b"green room" not in everything(gateway).lower()


def everything(gateway: Gateway) -> bytes:
    """All that the gateway has written anywhere."""
    return b"".join(each.read_bytes() for each in gateway.folder.rglob("*") if each.is_file())


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def hosts(home: Recorder, cloud: Recorder, redis: RedisServer, tmp_path: Path) -> Iterator[tuple[Gateway, Gateway]]:
    """Two gateways with one root secret and one Redis, as on two hosts."""
    environment = {**PATIENT, "GATEHOUSE_REDIS_URL": redis.url}
    with ExitStack() as stack:
        one = stack.enter_context(Gateway(tmp_path / "one", policy(home, cloud), environment=environment))
        (tmp_path / "two" / "state").mkdir(parents=True, mode=0o700)
        shutil.copy(one.state_dir / "root.key", tmp_path / "two" / "state" / "root.key")
        two = stack.enter_context(Gateway(tmp_path / "two", policy(home, cloud), environment=environment))
        yield one, two


@pytest.mark.parametrize("stream", [False, True])
def test_the_other_host_knows_at_once(
    hosts: tuple[Gateway, Gateway], cloud: Recorder, redis: RedisServer, stream: bool
) -> None:
    one, two = hosts
    ask(one, chat(SECRET, stream=stream))
    assert route(two, unlike(ANSWER, 1)) == "local"
    assert not cloud.exchanges
    assert route(two, chat("Hello", "Nothing at all, as far as we know today.", "Why?")) == "cloud"
    assert b"gatehouse:taint:" in redis.command("KEYS", "*")
    assert b"green" not in redis.command("KEYS", "*")


@pytest.mark.parametrize("fault", ["down", "hanging"])
def test_while_redis_does_not_answer_conversations_stay_at_home_and_single_turns_go_on(
    hosts: tuple[Gateway, Gateway], cloud: Recorder, redis: RedisServer, fault: str
) -> None:
    one, two = hosts
    (redis.kill if fault == "down" else redis.pause)()
    clean = chat("Hello", "Nothing at all, as far as we know today.", "Why?")
    assert {route(two, clean) for _ in range(3)} == {"local"}
    why = [reason["why"] for reason in ask(two, clean, "/route").json()["reasons"]]
    assert any("taint_unavailable" in each for each in why)
    ask(one, chat(SECRET))
    assert not cloud.exchanges
    assert route(two, chat("What is the weather like in the mountains today?")) == "cloud"
    two.wait_for("/readyz", "taint_unreachable")
    (redis.start if fault == "down" else redis.resume)()
    # What was said at home meanwhile has come to the other host before any conversation may leave it again.
    until(lambda: route(two, clean) == "cloud")
    cloud.forget()
    assert route(two, unlike(ANSWER, 1)) == "local"
    assert not cloud.exchanges


@pytest.mark.parametrize("fault", ["down", "hanging"])
def test_where_no_other_host_shares_it_redis_may_be_away(
    home: Recorder, cloud: Recorder, redis: RedisServer, tmp_path: Path, fault: str
) -> None:
    environment = {**PATIENT, "GATEHOUSE_REDIS_URL": redis.url}
    with Gateway(tmp_path / "one", policy(home, cloud), environment=environment) as gateway:
        ask(gateway, chat(SECRET))
        (redis.kill if fault == "down" else redis.pause)()
        assert {route(gateway, unlike(ANSWER, number)) for number in range(12)} == {"local"}
        assert not cloud.exchanges
        clean = chat("Hello", "Nothing at all, as far as we know today.", "Why?")
        assert {route(gateway, clean) for _ in range(12)} == {"cloud"}


@pytest.fixture(scope="module")
def dropping(home: Recorder, cloud: Recorder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    text = policy(home, cloud, "history: drop_turns\n")
    with Gateway(tmp_path_factory.mktemp("drop"), text, environment=PATIENT) as running:
        yield running


def test_only_clean_turns_leave_and_the_header_says_how_many_did_not(dropping: Gateway, cloud: Recorder) -> None:
    secret = ask(dropping, chat(SECRET)).json()["choices"][0]["message"]["content"]
    body = chat("What is the sea?", "Water, mostly.", SECRET, secret, "Thank you. How deep is the sea?")
    answer = ask(dropping, body)
    assert answer.headers["x-gatehouse-route"] == "cloud"
    assert answer.headers["x-gatehouse-history"] == "dropped=2"
    assert answer.headers["x-gatehouse-sensitivity"] == "public"
    (left,) = cloud.bodies
    assert [each["content"] for each in left["messages"]] == [
        "What is the sea?",
        "Water, mostly.",
        "[Earlier messages were removed here by a privacy policy.]",
        "[Understood.]",
        "Thank you. How deep is the sea?",
    ]
    assert not cloud.saw("4111 1111 1111 1111")
    assert not cloud.saw("green room")
    explained = ask(dropping, body, "/route").json()
    assert explained["history"] == {"dropped": 2}
    assert any("CREDIT_CARD at /messages/2/content" in reason["why"] for reason in explained["reasons"])


def test_what_was_derived_goes_with_it_wherever_it_stands(dropping: Gateway, cloud: Recorder) -> None:
    ask(dropping, chat(SECRET))
    body = chat("What is the sea?", ANSWER, "And a lake?", "Smaller.", "How deep is the sea?", stream=True)
    answer = ask(dropping, body)
    assert answer.headers["x-gatehouse-history"] == "dropped=2"
    assert "green room" not in str(cloud.bodies)
    assert [each["content"] for each in cloud.bodies[0]["messages"]][2:] == [
        "And a lake?",
        "Smaller.",
        "How deep is the sea?",
    ]


def test_in_a_tool_loop_nothing_is_dropped_and_nothing_leaves(dropping: Gateway, cloud: Recorder) -> None:
    harmless = TOOL_CALL | {"function": {"name": "book", "arguments": "{}"}}
    body = chat(SECRET, "I shall look.", "Please do.")
    body["messages"] += [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [harmless],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "Nothing was found."},
    ]
    answer = ask(dropping, body)
    assert answer.headers["x-gatehouse-route"] == "local"
    assert "x-gatehouse-history" not in answer.headers
    assert not cloud.exchanges


def test_what_then_stays_at_home_anyway_stays_whole(dropping: Gateway, home: Recorder) -> None:
    home.forget()
    body = chat(SECRET, "I shall look.", "My card is 4111 1111 1111 1111, remember?")
    assert "x-gatehouse-history" not in ask(dropping, body).headers
    assert [len(each["messages"]) for each in home.bodies] == [3]


def test_a_conversation_of_placeholders_goes_on_outside_until_an_answer_holds_a_value(
    home: Recorder, cloud: Recorder, tmp_path: Path
) -> None:
    """What the cloud made of placeholders has been there already; what was put back into it has not."""
    text = policy(home, cloud).replace(
        "egress: {", "egress: {internal: PART, confidential: PART, ".replace("PART", "{payload: pseudonymized}")
    )
    mail = "ann.plain@corp-mail.com"
    with Gateway(tmp_path, text, environment=PATIENT) as gateway:
        first = ask(gateway, chat(f"Write to {mail}, please."))
        assert first.headers["x-gatehouse-route"] == "cloud"
        second = ask(gateway, chat(f"Write to {mail}, please.", HARMLESS, "Go on, please."))
        assert second.headers["x-gatehouse-route"] == "cloud"
        assert ask(gateway, unlike(HARMLESS, 1)).headers["x-gatehouse-sensitivity"] == "confidential"
        confirmed = ask(gateway, chat(f"Write to {mail}, and confirm it."))
        said = confirmed.json()["choices"][0]["message"]["content"]
        assert (confirmed.headers["x-gatehouse-route"], mail in said) == ("cloud", True)
        assert route(gateway, chat(f"Write to {mail}, and confirm it.", said, "Go on, please.")) == "local"
        assert route(gateway, chat(f"Write to {mail}, and confirm it.")) == "cloud", "the same question once more"
    assert not cloud.saw(mail)
