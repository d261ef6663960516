"""A request's time: what runs over it ends with a clear error and a closed call, and what is over is not begun."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from router.backends.scripted_replies import Script
from router.records.store import RECORDS_FILE, RecordReader
from tests.e2e.conftest import HARD
from tests.support.gateway import POLICY, Gateway, local_server, until
from tests.support.recorder import Recorder, RecorderThread

STREAM = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
STALLS = Script(fault="stall_before")
PATHS = {
    "chat": ("/chat/completions", lambda text: {"messages": [{"role": "user", "content": text}]}),
    "messages": ("/messages", lambda text: {"max_tokens": 50, "messages": [{"role": "user", "content": text}]}),
    "responses": ("/responses", lambda text: {"input": text}),
    "completions": ("/completions", lambda text: {"prompt": text}),
}


@dataclass
class House:
    gateway: Gateway
    home: Recorder
    cloud: Recorder
    second: Recorder
    told: dict[str, Script]

    def ask(self, text: str, *, stream: bool, dialect: str = "chat") -> httpx.Response:
        path, body = PATHS[dialect]
        asked = {"model": "auto", "stream": stream, **body(text)}
        return httpx.post(f"{self.gateway.url}{path}", json=asked, trust_env=False, timeout=60)

    def record(self, answer: httpx.Response) -> dict[str, Any]:
        found: list[dict[str, Any]] = []

        def is_written() -> bool:
            with RecordReader(self.gateway.state_dir / RECORDS_FILE) as reader:
                record = reader.get_record(answer.headers["x-gatehouse-request-id"])
            found.extend([record] if record is not None and record["kind"] == "decision" else [])
            return bool(found)

        until(is_written)
        return found[0]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    told = dict.fromkeys(("home", "cloud", "second"), Script())
    with (
        RecorderThread(lambda _: told["home"]) as home,
        RecorderThread(lambda _: told["cloud"]) as cloud,
        RecorderThread(lambda _: told["second"]) as second,
    ):
        policy = POLICY.format(home=local_server(home.url), cloud=cloud.url)
        spare = f'  second: {{locality: cloud, backend: openai, base_url: "{second.url}", model: spare, region: us}}\n'
        policy = policy.replace("defaults: {local: home, cloud: cloud}", f"{spare.rstrip()}\ndefaults: "
                                "{local: home, cloud: cloud, deadline: {total_seconds: 4}}")  # fmt: skip
        limits = "deadline: {total_seconds: 3, first_token_seconds: 1.5}"
        policy = policy.replace("route: cloud}", f"route: cloud, fallback: [second], {limits}}}")
        policy += "escalation: {threshold: 0.5, max_hops: 1, stream: hold}\n"
        with Gateway(tmp_path_factory.mktemp("house"), policy) as gateway:
            yield House(gateway, home, cloud, second, told)


@pytest.fixture(autouse=True)
def _fresh(house: House) -> None:
    for recorder in (house.home, house.cloud, house.second):
        recorder.forget()
    house.told.update(home=Script(confidence=0.99), cloud=Script(), second=Script())


@STREAM
@pytest.mark.parametrize("dialect", PATHS)
def test_a_model_outside_that_stalls_is_given_up_when_the_time_is_over(
    house: House, stream: bool, dialect: str
) -> None:
    house.told["cloud"] = STALLS
    answer = house.ask(HARD, stream=stream, dialect=dialect)
    assert answer.status_code == 504, answer.text
    assert answer.headers["x-should-retry"] == "false"
    error = answer.json()["error"]
    assert error["type"] == "timeout_error" if dialect == "messages" else error["code"] == "deadline_exceeded"
    assert not house.second.exchanges  # no time is left for it
    until(lambda: house.cloud.open_connections == 0)


@pytest.mark.parametrize("dialect", PATHS)
def test_a_stream_that_runs_over_ends_with_an_error_event_and_is_billed(house: House, dialect: str) -> None:
    house.told["cloud"] = Script(answer="one two three four", fault="stall_after", after=3)
    answer = house.ask(f"{HARD} {dialect}", stream=True, dialect=dialect)
    assert answer.status_code == 200
    assert "one" in answer.text
    assert "deadline_exceeded" in answer.text or '"timeout_error"' in answer.text
    assert "[DONE]" not in answer.text
    until(lambda: house.cloud.open_connections == 0)
    record = house.record(answer)
    assert record["outcome"]["error"] == "deadline_exceeded"
    (call,) = record["costs"]["calls"]
    assert (call["method"], call["output"] > 0) == ("at_least", True)


@STREAM
def test_a_fallback_gets_what_is_left_of_the_time(house: House, stream: bool) -> None:
    house.told.update(cloud=Script(status=500), second=STALLS)
    answer = house.ask(HARD, stream=stream)
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "deadline_exceeded")
    assert len(house.second.exchanges) == 1
    outcome = house.record(answer)["outcome"]
    assert [each["model"] for each in outcome["failed_over"]] == ["cloud"]
    assert outcome["error"] == "deadline_exceeded"


@STREAM
def test_a_local_model_that_stalls_is_given_up_and_nothing_leaves(house: House, stream: bool) -> None:
    house.told["home"] = STALLS
    answer = house.ask("Say hello.", stream=stream)
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "deadline_exceeded")
    assert not house.cloud.exchanges
    until(lambda: house.home.open_connections == 0)


@STREAM
def test_a_doubtful_local_answer_stands_where_the_escalation_does_not_come_in_time(house: House, stream: bool) -> None:
    house.told.update(home=Script(answer="perhaps so", confidence=0.05), cloud=STALLS)
    answer = house.ask("Say hello.", stream=stream)
    assert answer.status_code == 200, answer.text
    assert "perhaps" in answer.text
    assert len(house.cloud.exchanges) == 1
    outcome = house.record(answer)["outcome"]
    assert (outcome["route"], outcome["escalation_error"]) == ("local", "deadline_exceeded")
