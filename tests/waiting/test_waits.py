"""What a worker foretells: from an engine's own words, from another server's answers, and when it says nothing."""

from __future__ import annotations

import pytest

from policies.schema import compile_policy
from policies.types import Policy
from router.types import ChatRequest, Principal
from router.waiting.flow import Costs, seconds_to_last
from router.waiting.line import Ask
from router.waiting.waits import Waits, ask_of, load_of

POLICY = """\
version: 1
models:
  home: {locality: local, backend: engine, model: small}
  other: {locality: local, backend: openai, base_url: "http://127.0.0.1:9/v1", model: mid}
  cloud: {locality: cloud, backend: openai, base_url: "https://api.example.com/v1", model: big, region: us}
defaults: {local: home, cloud: cloud}
sensitivity: {levels: {restricted: [SECRET]}}
egress: {public: {payload: full}}
"""
COSTS = Costs(0.010, 0.002, 0.003)
LOAD = {"small": {"costs": [0.010, 0.002, 0.003], "slots": 4, "present": 0}}
ASK = Ask(prompt=100, cap=16)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def policy() -> Policy:
    return compile_policy(POLICY, "test")


def usage(prompt: int, answer: int, cached: int = 0) -> dict[str, object]:
    details = {"cached_tokens": cached}
    return {"prompt_tokens": prompt, "completion_tokens": answer, "prompt_tokens_details": details}


def answered(waits: Waits, policy: Policy, clock: Clock, name: str, seconds: float, ask: Ask = ASK) -> None:
    call = waits.begin(policy.models[name], ask)
    assert call is not None
    clock.now += seconds
    waits.tell(LOAD)
    call.end(usage(ask.prompt, ask.cap), was_cut=True, is_whole=True)


def test_nothing_is_said_of_an_engine_that_says_nothing(clock: Clock, policy: Policy) -> None:
    waits = Waits(clock=clock)
    assert waits.before(policy, ASK) == {}
    waits.tell(LOAD)
    assert set(waits.before(policy, ASK)) == {"home"}
    clock.now += 6
    assert waits.before(policy, ASK) == {}, "it has not been heard of for too long"
    waits.tell({})
    assert waits.before(policy, ASK) == {}, "it is gone"


def test_an_engine_is_believed_from_the_first_request_on(clock: Clock, policy: Policy) -> None:
    waits = Waits(clock=clock)
    waits.tell(LOAD)
    expected = seconds_to_last([(100, 16)], COSTS, 4) * 1000
    assert waits.before(policy, ASK)["home"] == pytest.approx(expected, rel=0.05)


def test_those_who_were_asked_for_before_are_waited_for_until_they_end(clock: Clock, policy: Policy) -> None:
    waits = Waits(clock=clock)
    waits.tell(LOAD)
    alone = waits.before(policy, ASK)["home"]
    calls = [waits.begin(policy.models["home"], Ask(400, 256)) for _ in range(5)]
    full = waits.before(policy, ASK)["home"]
    assert full > 5 * alone
    clock.now += 4.0
    later = waits.before(policy, ASK)["home"]
    assert alone < later < full - 2000, "they have come further meanwhile"
    for call in calls:
        assert call is not None
        call.end(None, was_cut=False, is_whole=False)
    assert waits.before(policy, ASK)["home"] == alone


def test_requests_of_other_workers_count_where_the_engine_is_shared(clock: Clock, policy: Policy) -> None:
    crowd = {"small": {**LOAD["small"], "present": 3}}
    shared, own = Waits(shares_engine=True, clock=clock), Waits(shares_engine=False, clock=clock)
    for waits in (shared, own):
        waits.before(policy, ASK)
        waits.tell(crowd)
    assert shared.before(policy, ASK)["home"] > own.before(policy, ASK)["home"]


def test_another_server_is_known_from_its_first_answer_on(clock: Clock, policy: Policy) -> None:
    waits = Waits(clock=clock)
    answered(waits, policy, clock, "other", 2.0)
    assert waits.before(policy, ASK)["other"] == pytest.approx(2000, rel=0.1)
    for _ in range(50):
        answered(waits, policy, clock, "other", 8.0)
    assert waits.before(policy, ASK)["other"] == pytest.approx(8000, rel=0.1), "it has become slower"


def test_longer_answers_of_another_server_are_told_from_shorter_ones(clock: Clock, policy: Policy) -> None:
    waits = Waits(clock=clock)
    for _ in range(30):
        answered(waits, policy, clock, "other", 1.0, Ask(50, 20))
        answered(waits, policy, clock, "other", 5.0, Ask(50, 100))
    short, long = (waits.before(policy, Ask(50, cap))["other"] for cap in (20, 100))
    assert short == pytest.approx(1000, rel=0.25)
    assert long == pytest.approx(5000, rel=0.25)


def test_an_engine_that_is_always_slower_than_it_says_is_corrected(clock: Clock, policy: Policy) -> None:
    waits = Waits(clock=clock)
    waits.tell(LOAD)
    told = waits.before(policy, ASK)["home"]
    for _ in range(40):
        answered(waits, policy, clock, "home", told / 1000 * 2)
    assert waits.before(policy, ASK)["home"] == pytest.approx(2 * told, rel=0.1)


@pytest.mark.parametrize(("whole", "counted"), [(False, usage(100, 16)), (True, None), (True, usage(100, 0))])
def test_from_an_answer_that_broke_off_or_says_no_usage_nothing_is_learned(
    clock: Clock, policy: Policy, whole: bool, counted: object
) -> None:
    waits = Waits(clock=clock)
    call = waits.begin(policy.models["other"], ASK)
    assert call is not None
    clock.now += 3
    call.end(counted, was_cut=False, is_whole=whole)
    assert "other" not in waits.before(policy, ASK)


def test_a_model_outside_has_no_line(policy: Policy) -> None:
    assert Waits().begin(policy.models["cloud"], ASK) is None


def conversation(*texts: str, tenant: str = "default") -> ChatRequest:
    messages = [{"role": ("user", "assistant")[turn % 2], "content": text} for turn, text in enumerate(texts)]
    body = {"messages": messages}
    return ChatRequest("1", body, "auto", Principal(tenant), False, False, False, False, 0.0)


@pytest.mark.parametrize(
    ("claim", "again", "is_shorter"),
    [
        ("one more turn", conversation("one", "two", "three"), True),
        ("another beginning", conversation("zero", "two", "three"), False),
        ("another tenant", conversation("one", "two", "three", tenant="elsewhere"), False),
    ],
)
def test_what_a_conversation_has_had_read_is_not_counted_again(
    clock: Clock, policy: Policy, claim: str, again: ChatRequest, is_shorter: bool
) -> None:
    waits = Waits(clock=clock)
    waits.tell(LOAD)
    answered(waits, policy, clock, "home", 3.03, ask_of(conversation("one"), 1000, 16))
    waits.tell(LOAD)
    new = waits.before(policy, ask_of(conversation("a new one"), 1020, 16))["home"]
    assert (waits.before(policy, ask_of(again, 1020, 16))["home"] < new / 4) is is_shorter, claim


def test_of_the_engine_s_figures_workers_get_what_is_whole_and_of_a_model_that_has_decoded() -> None:
    good = {
        "pass_seconds": 0.01,
        "answer_token_seconds": 0.002,
        "prompt_token_seconds": 0.003,
        "slots": 4,
        "running": 1,
        "waiting": 2,
    }
    stats = {"models": {"good": good, "new": {**good, "pass_seconds": 0.0}, "odd": {**good, "slots": "4"}, "none": 5}}
    assert load_of(stats) == {"good": {"costs": [0.01, 0.002, 0.003], "slots": 4, "present": 3}}
    assert load_of({}) == load_of({"models": []}) == {}


def test_a_call_that_was_broken_off_says_what_it_took_at_least(clock: Clock, policy: Policy) -> None:
    waits = Waits(clock=clock)
    waits.tell(LOAD)
    first = waits.before(policy, ASK)["home"]

    def broken_off(seconds: float) -> float:
        call = waits.begin(policy.models["home"], ASK)
        assert call is not None
        clock.now += seconds
        waits.tell(LOAD)
        call.end(None, was_cut=False, is_whole=False)
        return waits.before(policy, ASK)["home"]

    assert broken_off(first / 2000) == first, "it might have ended in time"
    assert broken_off(30.0) > 2 * first, "time-outs must not be forgotten: the forecast was far too low"
