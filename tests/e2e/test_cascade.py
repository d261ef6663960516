"""The cascade: a local answer that is judged before anybody sees it, and one clean answer whatever comes.

Every mode and both forms of an answer against scripted servers over loopback: kept, dropped, a cloud that fails before
or amid its answer, a home that dies, a caller that leaves, a request that may not leave.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from router.backends.scripted_replies import Script
from router.records.store import RECORDS_FILE, RecordReader
from tests.support.gateway import POLICY, Gateway, local_server, until
from tests.support.recorder import Recorder, RecorderThread

MODES = {
    "before": "escalation: {threshold: 0.5, stream: before}\n",
    "hold": "escalation: {threshold: 0.5, stream: hold}\n",
    "commit": "escalation: {threshold: 0.5, stream: commit, hold_tokens: 4, hold_ms: 5000}\n",
    "race": "escalation: {threshold: 0.5, stream: commit, hold_tokens: 4, hold_ms: 5000, race: 0.0}\n",
}
PRICED = POLICY.replace(", n]}}", ", n], price: {{input_per_1m: 1.0, output_per_1m: 2.0}}}}")
HOME = "one two three four five six seven eight"
CLOUD = "The cloud answers at length."
SURE = Script(answer=HOME, confidence=0.999)
DOUBTFUL = Script(answer=HOME, confidence=0.05)
ANSWERS = Script(answer=CLOUD)
PUBLIC, SENSITIVE = "Say hello.", "Write to bob@corp-mail.com."


@dataclass(frozen=True)
class House:
    mode: str
    gateway: Gateway
    home: Recorder
    cloud: Recorder

    def set(self, home: Script, cloud: Script = ANSWERS) -> None:
        """What each answers now. Each has answered once before: no breaker opens over the failures of all tests."""
        self.home.script, self.cloud.script = SURE, ANSWERS
        for model in ("home", "cloud"):
            body = {"model": model, "messages": [{"role": "user", "content": PUBLIC}]}
            httpx.post(f"{self.gateway.url}/chat/completions", json=body, trust_env=False, timeout=60)
        for recorder in (self.home, self.cloud):
            recorder.forget()
        self.home.script, self.cloud.script = home, cloud

    def record(self, request_id: str) -> dict[str, Any]:
        found: list[dict[str, Any]] = []

        def is_there() -> bool:
            with RecordReader(self.gateway.state_dir / RECORDS_FILE) as reader:
                record = reader.get_record(request_id)
            found.extend([record] if record is not None and record["kind"] == "decision" else [])
            return bool(found)

        until(is_there)
        return found[0]


@pytest.fixture(scope="module", params=list(MODES))
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    mode = request.param
    with RecorderThread(SURE) as home, RecorderThread(ANSWERS) as cloud:
        policy = PRICED.format(home=local_server(home.url), cloud=cloud.url) + MODES[mode]
        with Gateway(tmp_path_factory.mktemp(mode), policy) as gateway:
            yield House(mode, gateway, home, cloud)


@dataclass
class Answer:
    """What a caller gets: status, headers, text, and for a stream what its chunks say of themselves."""

    status: int
    headers: dict[str, str]
    text: str = ""
    ids: set[str] = field(default_factory=set)
    roles: int = 0
    usage: list[dict[str, int]] = field(default_factory=list)
    error: str | None = None
    last: dict[str, Any] = field(default_factory=dict)
    is_done: bool = False

    @property
    def id(self) -> str:
        return self.headers["request-id"]


def ask(house: House, text: str, *, stream: bool, **more: Any) -> Answer:
    body = {"messages": [{"role": "user", "content": text}], "stream": stream, **more}
    raw = httpx.post(f"{house.gateway.url}/chat/completions", json=body, trust_env=False, timeout=60)
    headers = {k.removeprefix("x-gatehouse-"): v for k, v in raw.headers.items() if k.startswith("x-gatehouse-")}
    answer = Answer(raw.status_code, headers)
    if raw.headers["content-type"].startswith("application/json"):
        body = raw.json()
        answer.error = body["error"]["code"] if "error" in body else None
        answer.text = "" if answer.error else body["choices"][0]["message"]["content"]
        return answer
    for line in raw.text.splitlines():
        if line == "data: [DONE]":
            answer.is_done = True
        elif line.startswith("data: "):
            _read(answer, json.loads(line.removeprefix("data: ")))
    return answer


def _read(answer: Answer, chunk: dict[str, Any]) -> None:
    if "error" in chunk:
        answer.error = chunk["error"]["code"]
        return
    answer.last = chunk
    answer.ids.add(f"{chunk['id']} {chunk['model']}")
    if chunk.get("usage"):
        answer.usage.append(chunk["usage"])
    for choice in chunk["choices"]:
        answer.roles += "role" in choice["delta"]
        answer.text += choice["delta"].get("content") or ""


def is_clean(answer: Answer, stream: bool) -> bool:
    """One model's stream from its role to its end."""
    return not stream or (len(answer.ids) == 1 and answer.roles == 1 and answer.is_done)


STREAM = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


@STREAM
def test_a_sure_answer_stays_and_only_a_race_asks_outside(house: House, stream: bool) -> None:
    house.set(SURE)
    answer = ask(house, PUBLIC, stream=stream)
    assert (answer.text, answer.headers["route"], answer.headers["reason"]) == (HOME, "local", "default")
    assert is_clean(answer, stream)
    record = house.record(answer.id)
    assert record["outcome"]["raced"] is (house.mode == "race")
    if house.mode != "race":
        assert not house.cloud.exchanges
        assert record["permits"] == []
    judged = record["outcome"]["judgement"]
    if stream and house.mode == "before":
        assert judged is None
    else:
        at_commit = stream and house.mode in ("commit", "race")
        assert (judged["verdict"], judged["at"]) == ("keep", "commit" if at_commit else "whole")
        assert judged["tokens"] == (4 if at_commit else 8)


@STREAM
def test_a_doubtful_answer_is_replaced_by_one_clean_answer_from_the_cloud(house: House, stream: bool) -> None:
    house.set(DOUBTFUL)
    answer = ask(house, PUBLIC, stream=stream)
    assert is_clean(answer, stream)
    assert answer.usage == []
    if stream and house.mode == "before":
        assert (answer.text, answer.headers["route"]) == (HOME, "local")
        assert not house.cloud.exchanges
        return
    assert (answer.text, answer.headers["route"], answer.headers["reason"]) == (CLOUD, "cloud", "escalation")
    assert float(answer.headers["confidence"]) < 0.5
    assert len(house.cloud.exchanges) == 1
    record = house.record(answer.id)
    assert [permit["purpose"] for permit in record["permits"]] == ["escalation"]
    assert record["outcome"]["judgement"]["verdict"] == "escalate"
    uses = {call["model"]: call["use"] for call in record["costs"]["calls"]}
    assert uses == {"home": "wasted", "cloud": "answer"}
    assert record["costs"]["usd"] > 0


def test_usage_comes_in_one_chunk_and_only_when_asked_for(house: House) -> None:
    house.set(DOUBTFUL)
    answer = ask(house, PUBLIC, stream=True, stream_options={"include_usage": True})
    assert is_clean(answer, True)
    assert len(answer.usage) == 1
    assert answer.usage[0]["completion_tokens"] >= 4
    assert answer.last["choices"] == []


@STREAM
def test_what_may_not_leave_is_answered_at_home_however_doubtful(house: House, stream: bool) -> None:
    house.set(DOUBTFUL)
    answer = ask(house, SENSITIVE, stream=stream)
    assert (answer.status, answer.text, answer.headers["route"]) == (200, HOME, "local")
    assert is_clean(answer, stream)
    assert not house.cloud.received.strip()
    record = house.record(answer.id)
    assert (record["permits"], record["outcome"]["bytes_left"], record["outcome"]["raced"]) == ([], 0, False)


@STREAM
@pytest.mark.parametrize(
    "failing", [Script(status=500), Script(fault="close_before"), Script(status=429)], ids=["500", "closed", "429"]
)
def test_a_cloud_that_does_not_begin_leaves_the_local_answer_whole(house: House, failing: Script, stream: bool) -> None:
    house.set(DOUBTFUL, failing)
    answer = ask(house, PUBLIC, stream=stream)
    assert (answer.status, answer.text, answer.headers["route"]) == (200, HOME, "local")
    assert is_clean(answer, stream)
    escalated = not (stream and house.mode == "before")
    record = house.record(answer.id)
    assert (record["outcome"]["escalation_error"] is not None) is escalated
    assert bool(house.cloud.exchanges) is escalated


def test_a_cloud_that_fails_amid_its_stream_is_an_error_and_never_a_second_model(house: House) -> None:
    if house.mode in ("before", "hold"):
        pytest.skip("before never asks the cloud here; hold and commit share the way out, which commit shows")
    house.set(DOUBTFUL, Script(answer=CLOUD, fault="close_after", after=3))
    answer = ask(house, PUBLIC, stream=True)
    assert (answer.status, answer.error, answer.is_done) == (200, "upstream_error", False)
    assert CLOUD.startswith(answer.text)
    assert len(answer.ids) == 1
    until(lambda: house.home.in_flight == 0)


def test_a_home_that_dies_while_it_is_held_is_an_error_and_never_a_second_model(house: House) -> None:
    house.set(Script(answer=HOME, confidence=0.999, fault="close_after", after=3))
    answer = ask(house, PUBLIC, stream=True)
    if house.mode == "before":
        assert (answer.status, answer.is_done) == (200, False)
        assert answer.error is not None
    else:
        assert (answer.status, answer.error) == (503, "local_unavailable")
    assert CLOUD not in answer.text
    if house.mode != "race":
        assert not house.cloud.exchanges
    house.record(answer.id)


def test_a_home_that_dies_after_the_commit_point_ends_in_an_error(house: House) -> None:
    # Slow enough for the verdict to be given before the connection breaks, also while the machine is busy.
    house.set(Script(answer=HOME, confidence=0.999, fault="close_after", after=7, chunk_delay=0.25))
    answer = ask(house, PUBLIC, stream=True)
    if house.mode in ("commit", "race"):
        assert answer.status == 200
        assert HOME.startswith(answer.text)
        assert answer.text
    assert answer.error is not None
    assert not answer.is_done
    assert CLOUD not in answer.text


@pytest.mark.parametrize("home", [SURE, DOUBTFUL], ids=["after the commit point", "in the cloud's answer"])
def test_a_caller_who_leaves_frees_both_models(house: House, home: Script) -> None:
    slow = Script(answer=home.answer * 60, confidence=home.confidence, chunk_delay=0.02)
    house.set(slow, Script(answer=CLOUD * 60, chunk_delay=0.02))
    body = {"messages": [{"role": "user", "content": PUBLIC}], "stream": True}
    with httpx.stream(
        "POST", f"{house.gateway.url}/chat/completions", json=body, trust_env=False, timeout=60
    ) as answer:
        next(answer.iter_lines())
    until(lambda: house.home.in_flight + house.cloud.in_flight == 0, 8)  # to its end it would take ten seconds


def test_a_caller_who_leaves_while_the_answer_is_held_frees_it(house: House) -> None:
    if house.mode == "before":
        pytest.skip("nothing is held")
    house.set(Script(answer=HOME, confidence=0.999, fault="stall_after", after=2), Script(fault="stall_before"))
    body = {"messages": [{"role": "user", "content": PUBLIC}], "stream": True}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{house.gateway.url}/chat/completions", json=body, trust_env=False, timeout=0.7)
    until(lambda: house.home.in_flight + house.cloud.in_flight == 0)


def test_a_home_that_says_nothing_more_is_let_go_after_hold_ms(tmp_path: Path) -> None:
    """What was not measured in time is not sent out for that."""
    stalls = Script(answer=HOME, confidence=0.05, fault="stall_after", after=1)
    with RecorderThread(SURE) as home, RecorderThread(ANSWERS) as cloud:
        rule = "escalation: {threshold: 0.5, stream: commit, hold_ms: 100}\n"
        with Gateway(tmp_path, POLICY.format(home=local_server(home.url), cloud=cloud.url) + rule) as gateway:
            home.script = stalls
            body = {"messages": [{"role": "user", "content": PUBLIC}], "stream": True}
            with httpx.stream(
                "POST", f"{gateway.url}/chat/completions", json=body, trust_env=False, timeout=60
            ) as answer:
                assert answer.headers["x-gatehouse-route"] == "local"
                assert '"role":"assistant"' in next(answer.iter_lines())
            assert not cloud.exchanges


def test_a_race_is_cancelled_when_home_is_sure(house: House) -> None:
    if house.mode != "race":
        pytest.skip("only the race asks outside beside home")
    house.set(SURE, Script(fault="stall_before"))
    answer = ask(house, PUBLIC, stream=True)
    answered = time.monotonic()
    assert (answer.text, answer.headers["route"]) == (HOME, "local")
    until(lambda: house.cloud.in_flight == 0)
    print(
        f"\n  the race's loser was let go {(time.monotonic() - answered) * 1000:.0f} ms after the answer (target: 200)"
    )
    record = house.record(answer.id)
    uses = {call["model"]: call["use"] for call in record["costs"]["calls"]}
    assert uses == {"home": "answer", "cloud": "wasted"}
    assert [permit["purpose"] for permit in record["permits"]] == ["escalation"]


def test_headers_wait_for_the_verdict_and_then_the_last_chunk_tells_the_route(tmp_path: Path) -> None:
    slow = Script(answer=HOME, confidence=0.05, first_delay=1.0)
    with RecorderThread(slow) as home, RecorderThread(ANSWERS) as cloud:
        policy = POLICY.format(home=local_server(home.url), cloud=cloud.url) + MODES["commit"] + "headers_after: 0.2\n"
        with Gateway(tmp_path, policy) as gateway:
            answer = ask(House("commit", gateway, home, cloud), PUBLIC, stream=True)
    assert answer.headers["route"] == "pending"
    assert answer.text == CLOUD
    assert is_clean(answer, True)
    told = answer.last["gatehouse"]
    assert (told["route"], told["model"], told["reason"]) == ("cloud", "cloud", "escalation")


def test_a_conversation_goes_on_where_it_was_answered_until_it_may_not(tmp_path: Path) -> None:
    rule = "escalation: {threshold: 0.5, stream: commit, affinity: {minutes: 30}}\n"
    with RecorderThread(SURE) as home, RecorderThread(ANSWERS) as cloud:
        policy = POLICY.format(home=local_server(home.url), cloud=cloud.url) + rule
        with Gateway(tmp_path, policy, "--workers", "2") as gateway:
            house = House("commit", gateway, home, cloud)

            def turn(*said: str) -> Answer:
                roles = [{"role": "assistant" if at % 2 else "user", "content": text} for at, text in enumerate(said)]
                body = {"messages": roles, "stream": True}
                with httpx.Client(
                    trust_env=False, timeout=60
                ) as fresh:  # a connection of its own: either worker may answer
                    raw = fresh.post(f"{gateway.url}/chat/completions", json=body)
                named = {key.removeprefix("x-gatehouse-"): value for key, value in raw.headers.items()}
                return Answer(raw.status_code, named)

            house.set(DOUBTFUL)
            assert turn(PUBLIC).headers["reason"] == "escalation"
            house.set(SURE)
            assert turn(PUBLIC).headers["route"] == "local", "a question by itself is decided by itself"
            for _ in range(4):
                went = turn(PUBLIC, CLOUD, "And in French?")
                assert (went.headers["route"], went.headers["reason"]) == ("cloud", "affinity")
            record = house.record(went.id)
            assert record["facts"]["answered_by"][0] == "cloud"
            assert [permit["rule"] for permit in record["permits"]] == ["affinity"]
            before = len(cloud.exchanges)
            kept = turn(PUBLIC, CLOUD, SENSITIVE)
            assert (kept.headers["route"], kept.headers["reason"]) == ("local", "sensitivity")
            assert kept.headers["held"] == "affinity"
            assert turn("Another beginning.", CLOUD, "And in French?").headers["route"] == "local"
            assert len(cloud.exchanges) == before


TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}


def test_a_tool_call_whose_tokens_are_not_measured_is_let_go_at_once(house: House) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"at": "it"}'}}
    house.set(Script(tool_calls=(call,), finish_reason="tool_calls", chunk_size=3))
    body = {"messages": [{"role": "user", "content": PUBLIC}], "stream": True, "tools": [TOOL]}
    raw = httpx.post(f"{house.gateway.url}/chat/completions", json=body, trust_env=False, timeout=60)
    assert raw.headers["x-gatehouse-route"] == "local"
    assert '"name":"look"' in raw.text
    assert raw.text.rstrip().endswith("data: [DONE]")
    if house.mode != "race":
        assert not house.cloud.exchanges
