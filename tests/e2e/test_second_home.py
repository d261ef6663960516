"""Two local models and a cloud: a doubtful answer is asked of the second at home before anything leaves.

Against scripted servers over loopback, whole answers and streams: the second's is taken, the cloud's, the first's
because nobody else can; what may not leave; and a rule with terms of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from router.backends.scripted_replies import Script
from tests.e2e.test_cascade import (
    ANSWERS,
    CLOUD,
    DOUBTFUL,
    HOME,
    PRICED,
    PUBLIC,
    SENSITIVE,
    STREAM,
    SURE,
    Answer,
    House,
    ask,
    is_clean,
)
from tests.support.gateway import Gateway, local_server, until
from tests.support.recorder import Recorder, RecorderThread

BETTER = "The second model at home knows."
SECOND = "  second: {{locality: local, {second}}}\n  cloud: {{locality: cloud,"
RULE = """\
  - name: with-tools
    priority: 60
    when: {all: [{has_tools: {is: true}}]}
    route: local
    escalation: {threshold: 0.9999}
escalation: {threshold: 0.5, via: second, stream: %s, hold_tokens: 4, hold_ms: 5000}
"""
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]


@dataclass(frozen=True)
class TwoHomes(House):
    second: Recorder

    def say(self, first: Script, second: Script, cloud: Script = ANSWERS) -> None:
        self.set(first, cloud)
        self.second.script = SURE
        ask(self, PUBLIC, stream=False, model="second")
        self.second.forget()
        self.second.script = second


@pytest.fixture(scope="module", params=["hold", "commit"])
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoHomes]:
    with RecorderThread(SURE) as home, RecorderThread(SURE) as second, RecorderThread(ANSWERS) as cloud:
        text = PRICED.replace("  cloud: {{locality: cloud,", SECOND)
        policy = text.format(home=local_server(home.url), second=local_server(second.url, "bigger"), cloud=cloud.url)
        with Gateway(tmp_path_factory.mktemp(request.param), policy + RULE % request.param) as gateway:
            yield TwoHomes(request.param, gateway, home, cloud, second)


def sure(text: str) -> Script:
    return Script(answer=text, confidence=0.999)


def doubtful(text: str, confidence: float = 0.05) -> Script:
    return Script(answer=text, confidence=confidence)


@STREAM
@pytest.mark.parametrize("text", [PUBLIC, SENSITIVE])
def test_the_second_models_good_answer_takes_the_place_of_a_doubtful_one(
    house: TwoHomes, text: str, stream: bool
) -> None:
    house.say(DOUBTFUL, sure(BETTER))
    answer = ask(house, text, stream=stream)
    assert (answer.text, answer.headers["route"], answer.headers["model"]) == (BETTER, "local", "second")
    assert answer.headers["reason"] == "escalation"
    assert is_clean(answer, stream)
    assert not house.cloud.exchanges
    outcome = house.record(answer.id)["outcome"]
    assert (outcome["model"], outcome["judgement"]["verdict"]) == ("second", "keep")
    (first,) = outcome["passed_over"]
    assert (first["model"], first["judgement"]["verdict"]) == ("home", "escalate")
    uses = {call["model"]: call["use"] for call in house.record(answer.id)["costs"]["calls"]}
    assert uses == {"home": "wasted", "second": "answer"}
    until(lambda: house.home.in_flight == 0)


@STREAM
def test_the_cloud_is_asked_once_neither_is_good_enough(house: TwoHomes, stream: bool) -> None:
    house.say(DOUBTFUL, doubtful(BETTER))
    answer = ask(house, PUBLIC, stream=stream)
    assert (answer.text, answer.headers["route"], answer.headers["reason"]) == (CLOUD, "cloud", "escalation")
    assert is_clean(answer, stream)
    record = house.record(answer.id)
    assert [each["model"] for each in record["outcome"]["passed_over"]] == ["home"]
    uses = {call["model"]: call["use"] for call in record["costs"]["calls"]}
    assert uses == {"home": "wasted", "second": "wasted", "cloud": "answer"}
    assert [permit["purpose"] for permit in record["permits"]] == ["escalation"]
    until(lambda: house.home.in_flight + house.second.in_flight == 0)


@STREAM
@pytest.mark.parametrize(("first", "second", "text"), [(0.3, 0.05, HOME), (0.05, 0.3, BETTER)], ids=["first", "second"])
def test_of_two_doubtful_answers_that_must_stay_the_surer_stands(
    house: TwoHomes, stream: bool, first: float, second: float, text: str
) -> None:
    house.say(doubtful(HOME, first), doubtful(BETTER, second))
    answer = ask(house, SENSITIVE, stream=stream)
    assert (answer.text, answer.headers["route"]) == (text, "local")
    assert is_clean(answer, stream)
    assert not house.cloud.received.strip()
    outcome = house.record(answer.id)["outcome"]
    assert outcome["model"] == ("home" if text == HOME else "second")
    assert [each["model"] for each in outcome["passed_over"]] == ["second" if text == HOME else "home"]


@STREAM
def test_a_sure_answer_asks_nobody_else(house: TwoHomes, stream: bool) -> None:
    house.say(SURE, sure(BETTER))
    answer: Answer = ask(house, PUBLIC, stream=stream)
    assert (answer.text, answer.headers["model"], answer.headers["reason"]) == (HOME, "home", "default")
    assert not house.second.exchanges
    assert house.record(answer.id)["outcome"]["passed_over"] == []


@STREAM
@pytest.mark.parametrize("failing", [Script(status=500), Script(fault="close_before")], ids=["500", "closed"])
def test_a_second_model_that_fails_leaves_the_first_and_the_cloud(
    house: TwoHomes, failing: Script, stream: bool
) -> None:
    house.say(DOUBTFUL, failing)
    assert ask(house, PUBLIC, stream=stream).text == CLOUD
    house.say(DOUBTFUL, failing)
    kept = ask(house, SENSITIVE, stream=stream)
    assert (kept.status, kept.text, kept.headers["model"]) == (200, HOME, "home")
    assert house.record(kept.id)["outcome"]["escalation_error"] is not None


def test_a_rule_has_a_threshold_of_its_own(house: TwoHomes) -> None:
    house.say(SURE, sure(BETTER))
    answer = ask(house, PUBLIC, stream=False, tools=TOOLS)
    assert (answer.text, answer.headers["reason"]) == (CLOUD, "escalation")
    outcome = house.record(answer.id)["outcome"]
    assert outcome["judgement"]["threshold"] == outcome["passed_over"][0]["judgement"]["threshold"] == 0.9999
    assert ask(house, SENSITIVE, stream=False, tools=TOOLS).headers["route"] == "local"
