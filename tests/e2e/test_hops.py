"""`escalation: {max_hops: 2, to: […]}`: a doubtful answer goes from one model outside to the next until one answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from router.backends.scripted_replies import Script
from router.records.store import RECORDS_FILE, RecordReader
from tests.support.gateway import POLICY, Gateway, local_server, until
from tests.support.recorder import Recorder, RecorderThread

LOCAL = "It is six."
DOUBTFUL = Script(answer=LOCAL, confidence=0.05)
SURE = Script(answer=LOCAL, confidence=0.999)
BROKEN = Script(status=500)
PUBLIC, SENSITIVE = "Say hello.", "Write to bob@corp-mail.com."
MODELS = ("near", "first", "second")
RULES = """\
escalation: {threshold: 0.5, max_hops: 2, stream: STREAM, to: [near, first, second]}
networks: {lan: [127.0.0.0/8]}
"""
EXIT = """\
  {name}: {{locality: {locality}, backend: openai, base_url: "{url}", model: scripted-{name}, region: us,
          price: {{input_per_1m: 1.0, output_per_1m: 2.0}}}}
"""
BUDGET = "budgets: {each_tenant: {usd_per_day: 0.000001}, when_exhausted: local}\n"


@dataclass(frozen=True)
class House:
    gateway: Gateway
    home: Recorder
    exits: dict[str, Recorder]

    def set(self, home: Script = DOUBTFUL, **exits: Script) -> None:
        """What each answers now, after a good answer of each: no breaker opens over the failures of all tests."""
        for name, recorder in {"home": self.home, **self.exits}.items():
            recorder.script = Script(answer=f"The answer of {name}.", confidence=0.999)
            self.ask(PUBLIC, model=name)
        for name, recorder in self.exits.items():
            recorder.script = exits.get(name, Script(answer=f"The answer of {name}."))
            recorder.forget()
        self.home.script = home
        self.home.forget()

    def ask(self, text: str, model: str = "auto", **more: Any) -> httpx.Response:
        body = {"model": model, "messages": [{"role": "user", "content": text}], **more}
        return httpx.post(f"{self.gateway.url}/chat/completions", json=body, trust_env=False, timeout=60)

    @property
    def asked(self) -> dict[str, int]:
        return {name: len(recorder.exchanges) for name, recorder in self.exits.items() if recorder.exchanges}

    def record(self, answer: httpx.Response) -> dict[str, Any]:
        found: list[dict[str, Any]] = []

        def is_there() -> bool:
            with RecordReader(self.gateway.state_dir / RECORDS_FILE) as reader:
                record = reader.get_latest(answer.headers["x-gatehouse-request-id"], "decision")
            found.extend([record] if record is not None else [])
            return bool(found)

        until(is_there)
        return found[0]


def started(folder: Path, stack: ExitStack, stream: str = "hold", more: str = "") -> House:
    home = stack.enter_context(RecorderThread(DOUBTFUL))
    exits = {name: stack.enter_context(RecorderThread(Script())) for name in MODELS}
    localities = {"near": "lan", "first": "cloud", "second": "cloud"}
    lines = "".join(EXIT.format(name=name, locality=localities[name], url=exits[name].url) for name in MODELS)
    policy = POLICY.format(home=local_server(home.url), cloud=exits["first"].url)
    start, end = policy.index("  cloud: {"), policy.index("defaults:")
    policy = f"{policy[:start]}{lines}{policy[end:]}".replace("cloud: cloud}", "cloud: first}")
    policy = policy.replace("public: {payload: full}", "public: {payload: full, localities: [lan, cloud]}")
    gateway = stack.enter_context(Gateway(folder, policy + RULES.replace("STREAM", stream) + more))
    return House(gateway, home, exits)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with ExitStack() as stack:
        yield started(tmp_path_factory.mktemp("hops"), stack)


@pytest.mark.parametrize("stream", [False, True])
def test_the_first_hop_answers_and_nobody_else_is_asked(house: House, stream: bool) -> None:
    house.set()
    answer = house.ask(PUBLIC, stream=stream)
    assert "The answer of near." in answer.text.replace('"}}]}\n\ndata: ', "") or stream
    assert (answer.headers["x-gatehouse-model"], answer.headers["x-gatehouse-route"]) == ("near", "lan")
    assert answer.headers["x-gatehouse-reason"] == "escalation"
    assert house.asked == {"near": 1}
    record = house.record(answer)
    assert record["outcome"]["hops"] == [{"model": "near", "error": None}]
    assert [grant["model"] for grant in record["decision"]["grants"]] == ["near", "first"]


@pytest.mark.parametrize("stream", [False, True])
def test_where_it_cannot_answer_the_second_is_asked_with_a_permit_of_its_own(house: House, stream: bool) -> None:
    house.set(near=BROKEN)
    answer = house.ask(PUBLIC, stream=stream)
    assert answer.headers["x-gatehouse-model"] == "first"
    assert answer.headers["x-gatehouse-reason"] == "escalation"
    assert LOCAL not in answer.text
    assert house.asked == {"near": 1, "first": 1}, "no retry of who fails while another can be asked"
    record = house.record(answer)
    assert record["outcome"]["hops"] == [
        {"model": "near", "error": "upstream_error"},
        {"model": "first", "error": None},
    ]
    assert record["outcome"]["escalation_error"] is None
    assert [(each["model"], each["purpose"]) for each in record["permits"]] == [
        ("near", "escalation"),
        ("first", "escalation"),
    ]
    assert len({each["digest"] for each in record["permits"]}) == 2, "each for the bytes that it let leave"


def test_there_are_no_more_hops_than_the_policy_says_and_the_local_answer_stands(house: House) -> None:
    house.set(near=BROKEN, first=BROKEN)
    answer = house.ask(PUBLIC)
    assert (answer.status_code, answer.headers["x-gatehouse-route"]) == (200, "local")
    assert answer.json()["choices"][0]["message"]["content"] == LOCAL
    assert "second" not in house.asked
    outcome = house.record(answer)["outcome"]
    assert [each["model"] for each in outcome["hops"]] == ["near", "first"]
    assert outcome["escalation_error"] == "upstream_error"


def test_what_the_request_itself_is_refused_for_is_asked_of_nobody_else(house: House) -> None:
    house.set(near=Script(status=400))
    answer = house.ask(PUBLIC)
    assert answer.headers["x-gatehouse-route"] == "local"
    assert house.asked == {"near": 1}


def test_a_sure_answer_and_a_sensitive_request_make_no_hop(house: House) -> None:
    house.set(home=SURE)
    assert house.ask(PUBLIC).headers["x-gatehouse-route"] == "local"
    house.set()
    assert house.ask(SENSITIVE).headers["x-gatehouse-route"] == "local"
    assert house.asked == {}


def test_a_hop_that_cannot_be_paid_is_passed_over_for_one_that_costs_nothing_less(tmp_path: Path) -> None:
    """The budget is asked for each hop: what has no money left leaves the local answer standing."""
    with ExitStack() as stack:
        house = started(tmp_path, stack, more=BUDGET)
        house.home.script = DOUBTFUL
        answer = house.ask(PUBLIC)
        assert answer.headers["x-gatehouse-route"] == "local"
        assert house.asked == {}


@pytest.mark.parametrize("fault", [BROKEN, Script(fault="close_before")])
def test_a_committed_stream_hops_before_anything_was_seen(tmp_path: Path, fault: Script) -> None:
    with ExitStack() as stack:
        house = started(tmp_path, stack, stream="commit, hold_tokens: 2, hold_ms: 5000")
        house.set(near=fault)
        answer = house.ask(PUBLIC, stream=True)
        assert answer.headers["x-gatehouse-model"] == "first"
        assert "six" not in answer.text
        assert house.asked["first"] == 1
