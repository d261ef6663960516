"""`cache: {mode: semantic}` on a real gateway: what says the same is answered again, and nothing else ever is."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from router.api_keys.store import KeyStore
from router.backends.scripted import Exchange
from router.backends.scripted_replies import Script, last_user_text
from router.records.store import RECORDS_FILE, RecordReader
from tests.support.gateway import POLICY, Gateway, local_server, until
from tests.support.recorder import Recorder, RecorderThread
from tests.support.redis_server import RedisServer

PATIENT = {"GATEHOUSE_SCAN_BUDGET_MS": "10000"}
RULE = """\
  - {name: kept-exactly, priority: 60, when: {all: [{context_length: {at_least: 300}}]}, route: cloud, cache: exact}
  - {name: out, priority: 10, route: cloud}
cache: {mode: semantic, ttl_seconds: 600, similarity: 0.95}
tenants:
  plain: {cache: exact}
"""
TENANTS = ("north", "south", "plain")


def says(exchange: Exchange) -> Script:
    """The question itself is the answer, so that whoever gets another's can tell."""
    return Script(answer=f"You asked: {last_user_text(exchange.json)}")


@pytest.fixture(scope="module")
def cloud() -> Iterator[Recorder]:
    with RecorderThread(says) as recorder:
        yield recorder


def started(folder: Path, cloud: Recorder, home: Recorder, **environment: str) -> Gateway:
    policy = POLICY.format(home=local_server(home.url), cloud=cloud.url) + RULE
    return Gateway(folder, policy, environment={**PATIENT, **environment})


class House:
    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        with KeyStore(gateway.state_dir) as store:
            self.keys = {name: store.create(name, tenant=name, scopes=("infer", "read"))[1] for name in TENANTS}
        until(lambda: self.ask("Hello there, you.", tenant="plain").status_code == 200)
        until(lambda: httpx.get(f"{gateway.url}/models", trust_env=False).status_code == 401)

    def ask(self, text: Any, tenant: str = "north", **more: Any) -> httpx.Response:
        body = {"model": "auto", "messages": [{"role": "user", "content": text}], **more}
        headers = {"x-api-key": self.keys[tenant]}
        return httpx.post(
            f"{self.gateway.url}/chat/completions", json=body, headers=headers, timeout=120, trust_env=False
        )

    def kept(self, text: str, **more: Any) -> httpx.Response:
        """Ask until the answer is kept: it is stored after it was given."""
        until(lambda: self.ask(text, **more).headers["x-gatehouse-route"] == "cache")
        return self.ask(text, **more)


@pytest.fixture(scope="module")
def house(cloud: Recorder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with (
        RecorderThread(Script(answer="At home.")) as home,
        started(tmp_path_factory.mktemp("similar"), cloud, home) as gateway,
    ):
        yield House(gateway)


NUMBERS = itertools.count(1)


def fresh() -> str:
    """A question that no other test asks."""
    return f"What is the melting point of alloy {next(NUMBERS)} of copper?"


def route(answer: httpx.Response) -> tuple[str, bool]:
    return answer.headers["x-gatehouse-route"], "x-gatehouse-similarity" in answer.headers


@pytest.mark.parametrize("stream", [False, True])
def test_a_question_that_says_the_same_is_answered_from_the_cache_and_says_so(
    house: House, cloud: Recorder, stream: bool
) -> None:
    question = fresh()
    first = house.kept(question)
    assert route(first) == ("cache", False), "the very same request is no similar one"
    asked = len(cloud.exchanges)
    answer = house.ask(f"Hello, can you tell me {question[0].lower()}{question[1:]}", stream=stream)
    assert route(answer) == ("cache", True)
    assert 0.95 <= float(answer.headers["x-gatehouse-similarity"]) <= 1
    assert answer.headers["x-gatehouse-model"] == "cloud"
    assert ("data:" in answer.text) is stream
    if not stream:
        assert answer.json()["choices"] == first.json()["choices"]
    assert len(cloud.exchanges) == asked, "nothing was sent anywhere"
    record: list[dict[str, Any]] = []

    def is_written() -> bool:
        with RecordReader(house.gateway.state_dir / RECORDS_FILE) as reader:
            found = reader.get_latest(answer.headers["x-gatehouse-request-id"], "decision")
        record.extend([found] if found is not None else [])
        return bool(record)

    until(is_written)
    outcome = record[0]["outcome"]
    assert f"{outcome['similarity']:.3f}" == answer.headers["x-gatehouse-similarity"]
    assert (outcome["route"], outcome["cost_usd"], outcome["bytes_left"]) == ("cache", 0.0, 0)
    assert record[0]["decision"]["cache_similarity"] == 0.95
    until(lambda: 'gatehouse_cache_total{result="similar"}' in _metrics(house))


def _metrics(house: House) -> str:
    headers = {"x-api-key": house.keys["north"]}
    return httpx.get(f"{house.gateway.root}/metrics", headers=headers, trust_env=False, timeout=60).text


def test_what_differs_in_a_word_that_matters_never_hits(house: House) -> None:
    question = fresh()
    house.kept(question)
    number = question.split()[-3]
    others = [
        question.replace("What is", "What is not"),
        question.replace(number, f"{number}1"),
        question.replace("copper", "silver"),
        question.replace("copper", "Copper"),
        question.replace("melting", "boiling"),
        question.replace("What is", "What was"),
        question.replace("the melting", "my melting"),
        question.replace("alloy", "alloys and isotope"),
        f"{question} Answer in German.",
        f"{question}\nIgnore the question and say hello.",
        question.replace("What", "Why"),
    ]
    for other in others:
        answer = house.ask(other)
        assert route(answer) == ("cloud", False), other
        assert answer.json()["choices"][0]["message"]["content"].startswith("You asked: ")
        assert other.split("\n")[0] in answer.json()["choices"][0]["message"]["content"]


def test_neither_another_tenant_nor_another_request_around_the_question_hits(house: House) -> None:
    question = fresh()
    house.kept(question)
    like = f"Please, {question[0].lower()}{question[1:]}"
    assert route(house.ask(like, tenant="south")) == ("cloud", False)
    for more in (
        {"temperature": 0.3},
        {"max_tokens": 40},
        {"seed": 4},
        {"model": "cloud"},
        {"response_format": {"type": "json_object"}},
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]},
        {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": like}]},
        {"messages": [{"role": "user", "content": like}, {"role": "assistant", "content": "Well:"}]},
    ):
        assert route(house.ask(like, **more))[1] is False, more
    parts = [{"type": "text", "text": like}]
    assert route(house.ask([*parts, {"type": "text", "text": "And of iron?"}]))[1] is False
    assert route(house.ask(like)) == ("cache", True), "it was there all the time"
    assert route(house.ask([{"type": "text", "text": question.replace("What is", "What's")}])) == ("cache", True)


def test_what_is_not_public_not_kept_or_kept_exactly_is_never_compared(house: House) -> None:
    for text in ("What is the address of bob@corp-mail.com?", "What does the project Bluebird do for us?"):
        house.ask(text)
        assert route(house.ask(text.replace("What is", "What's").replace("does", "does really")))[1] is False
    question = fresh()
    house.kept(question, tenant="plain")
    assert route(house.ask(question.replace("What is", "What's"), tenant="plain")) == ("cloud", False)
    long = f"{fresh()} {'Consider the pressure and the purity of it. ' * 40}"
    house.ask(long)
    assert route(house.ask(long.replace("What is", "What's")))[1] is False


def test_hosts_with_one_redis_answer_each_others_and_without_it_nothing_fails(cloud: Recorder, tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    server.start()
    with (
        RecorderThread(Script(answer="At home.")) as home,
        started(
            tmp_path / "house", cloud, home, GATEHOUSE_REDIS_URL=server.url, GATEHOUSE_REDIS_TIMEOUT_MS="1000"
        ) as gateway,
    ):
        house, question = House(gateway), fresh()
        house.kept(question)
        like = question.replace("What is", "What's")
        assert route(house.ask(like)) == ("cache", True)
        assert b"alloy" not in server.content()
        assert b"You asked" not in server.content()
        server.kill()
        assert route(house.ask(like)) == ("cloud", False)
    server.stop()
