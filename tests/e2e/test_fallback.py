"""A cloud that fails before its first byte: the policy's list is asked in order, each model with its own permit."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from router.backends.scripted import Exchange
from router.backends.scripted_replies import Script
from router.records.store import RECORDS_FILE, RecordReader
from tests.e2e.conftest import HARD
from tests.support.gateway import POLICY, Gateway, local_server
from tests.support.recorder import Recorder, RecorderThread

STREAM = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
SECOND = """
  second: {{locality: cloud, backend: openai, base_url: "{url}", model: scripted-second, region: eu}}
"""


class House:
    """A gateway with two clouds, whose first one fails as it is told."""

    def __init__(self, gateway: Gateway, second: Recorder, told: dict[str, Script]) -> None:
        self.gateway = gateway
        self.second = second
        self.told = told

    def ask(self, text: str, *, stream: bool = False, model: str = "auto") -> httpx.Response:
        body = {"model": model, "messages": [{"role": "user", "content": text}], "stream": stream}
        return httpx.post(f"{self.gateway.url}/chat/completions", json=body, trust_env=False, timeout=30)

    def record(self, answer: httpx.Response) -> dict[str, Any]:
        for _ in range(200):
            with RecordReader(self.gateway.state_dir / RECORDS_FILE) as reader:
                record = reader.get_record(answer.headers["x-gatehouse-request-id"])
            if record is not None and record["kind"] == "decision":
                return record
            time.sleep(0.05)
        raise AssertionError("no record was written")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    told: dict[str, Script] = {}

    def first(exchange: Exchange) -> Script:
        return told["first"]

    def other(exchange: Exchange) -> Script:
        return told["second"]

    with (
        RecorderThread(Script(answer="Home answers.")) as home,
        RecorderThread(first) as cloud,
        RecorderThread(other) as second,
    ):
        policy = POLICY.format(home=local_server(home.url), cloud=cloud.url)
        policy = policy.replace("\ndefaults:", SECOND.format(url=second.url).rstrip() + "\ndefaults:")
        policy = policy.replace("route: cloud}", "route: cloud, fallback: [second, home]}")
        policy = policy.replace(
            "  dictionaries:\n", "  dictionaries:\n    - {name: ours, level: internal, terms: [Gannet]}\n"
        )
        policy += "cache: {mode: exact}\n"
        policy = policy.replace("  internal: {payload: full}", "  internal: {payload: full, regions: [us]}")
        with Gateway(tmp_path_factory.mktemp("house"), policy) as gateway:
            yield House(gateway, second, told)


ROUNDS = itertools.count(1)  # no two questions alike: the cache is on


@pytest.fixture(autouse=True)
def _fresh(house: House) -> None:
    """Each model has answered once more, so that no breaker opens over the failures of all tests together."""
    house.told.update(first=Script(), second=Script(answer="The second answers."))
    for model in ("cloud", "second"):
        assert house.ask("Say hello" + "!" * next(ROUNDS), model=model).status_code == 200
    house.second.forget()


FAILURES = {
    "500": Script(status=500),
    "429": Script(status=429),
    "401": Script(status=401),
    "closed": Script(fault="close_before"),
}


@STREAM
@pytest.mark.parametrize("failing", FAILURES)
def test_the_next_of_the_list_answers_in_its_place(house: House, failing: str, stream: bool) -> None:
    house.told["first"] = FAILURES[failing]
    answer = house.ask(f"{HARD} {failing} {stream}", stream=stream)
    assert answer.status_code == 200, answer.text
    assert "second" in answer.text.lower()
    assert answer.headers["x-gatehouse-model"] == "second"
    assert answer.headers["x-gatehouse-reason"] == "fallback"
    record = house.record(answer)
    assert [(permit["model"], permit["purpose"]) for permit in record["permits"]] == [
        ("cloud", "answer"),
        ("second", "fallback"),
    ]
    assert [each["model"] for each in record["outcome"]["failed_over"]] == ["cloud"]
    assert len({permit["digest"] for permit in record["permits"]}) == 2  # each names its own model in its bytes


@STREAM
def test_home_may_be_the_last_of_the_list(house: House, stream: bool) -> None:
    house.told.update(first=Script(status=500), second=Script(status=503))
    answer = house.ask(f"{HARD} home {stream}", stream=stream)
    assert answer.status_code == 200, answer.text
    assert (answer.headers["x-gatehouse-route"], answer.headers["x-gatehouse-reason"]) == ("local", "fallback")
    failed = house.record(answer)["outcome"]["failed_over"]
    assert [each["model"] for each in failed] == ["cloud", "second"]


def test_a_model_that_may_not_have_this_request_is_not_asked(house: House) -> None:
    """What is internal may reach region us alone: the second cloud is in eu, so home is next."""
    house.told["first"] = Script(status=500)
    answer = house.ask(f"For Gannet: {HARD}")
    assert answer.headers["x-gatehouse-sensitivity"] == "internal"
    assert answer.headers["x-gatehouse-route"] == "local"
    assert not house.second.exchanges


def test_what_the_cloud_refuses_for_the_requests_own_sake_is_not_tried_elsewhere(house: House) -> None:
    house.told["first"] = Script(status=400)
    assert house.ask(f"{HARD} refused").status_code == 400
    assert not house.second.exchanges


def test_a_model_that_the_caller_named_is_replaced_by_nobody(house: House) -> None:
    house.told["first"] = Script(status=500)
    answer = house.ask(f"{HARD} named", model="cloud")
    assert answer.status_code == 502
    assert not house.second.exchanges


def test_an_answer_from_elsewhere_is_not_kept_in_the_cache(house: House) -> None:
    house.told["first"] = Script(status=500)
    assert house.ask(f"{HARD} cached").headers["x-gatehouse-model"] == "second"
    house.told["first"] = Script(answer="The first is back.")
    again = house.ask(f"{HARD} cached")
    assert (again.headers["x-gatehouse-route"], again.headers["x-gatehouse-model"]) == ("cloud", "cloud")


def test_a_stream_that_breaks_after_its_first_chunk_is_never_continued_by_another(house: House) -> None:
    house.told["first"] = Script(answer="one two three four", fault="close_after", after=2)
    answer = house.ask(f"{HARD} broken", stream=True)
    assert "second" not in answer.text.lower()
    assert not house.second.exchanges
