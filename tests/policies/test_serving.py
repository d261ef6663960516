"""Deadlines and urgency: what a rule does not say is what `defaults` says, and what makes no sense does not load."""

from __future__ import annotations

from dataclasses import replace

import pytest

from policies.choosing import serving_of
from policies.comparing.compare import compare
from policies.decide import decide
from policies.errors import PolicyError
from policies.schema import compile_policy
from policies.serving import Serving
from policies.types import Facts
from tests.policies.worlds import BASE, ENTITIES, load, signals

ROUTE = "{at_least: 0.7}}]}, route: cloud}"
DEFAULTS = "defaults: {local: home, cloud: cloud}"
FORBID = "forbid: [cloud]}"


def text(rule: str = "", defaults: str = "") -> str:
    """The base policy with something more beside its route, and under `defaults`."""
    assert ROUTE in BASE
    assert DEFAULTS in BASE
    more = f", deadline: {defaults}" if defaults else ""
    changed = BASE.replace(ROUTE, f"{ROUTE[:-1]}, {rule}}}" if rule else ROUTE)
    return changed.replace(DEFAULTS, f"{DEFAULTS[:-1]}{more}}}")


@pytest.mark.parametrize(
    ("rule", "defaults", "hard", "other"),
    [
        ("", "", Serving(), Serving()),
        ("", "{total_seconds: 9}", Serving(9.0), Serving(9.0)),
        ("deadline: {total_seconds: 5}", "", Serving(5.0), Serving()),
        ("deadline: {first_token_seconds: 2}", "{total_seconds: 9}", Serving(9.0, 2.0), Serving(9.0)),
        ("deadline: {total_seconds: 20}", "{total_seconds: 9, first_token_seconds: 3}", Serving(20.0, 3.0),
         Serving(9.0, 3.0)),
        ("urgency: low", "{total_seconds: 9}", Serving(9.0, None, "low"), Serving(9.0)),
        ("urgency: normal", "", Serving(), Serving()),
    ],
)  # fmt: skip
def test_what_a_rule_does_not_say_the_defaults_do(rule: str, defaults: str, hard: Serving, other: Serving) -> None:
    policy = load(text(rule, defaults))
    by = next(each for each in policy.rules if each.name == "hard")
    assert serving_of(policy, by) == hard
    assert serving_of(policy, None) == other
    assert decide(policy, Facts(), signals({"complexity": 0.9})).serving == hard
    assert decide(policy, Facts(), signals({"complexity": 0.1})).serving == other


@pytest.mark.parametrize(
    ("serving", "stream", "seconds"),
    [
        (Serving(), True, None),
        (Serving(9.0), False, 9.0),
        (Serving(9.0, 2.0), False, 9.0),
        (Serving(9.0, 2.0), True, 2.0),
        (Serving(None, 2.0), False, None),
        (Serving(None, 2.0), True, 2.0),
        (Serving(3.0, 5.0), True, 3.0),
    ],
)
def test_an_answer_must_be_there_by(serving: Serving, stream: bool, seconds: float | None) -> None:
    assert serving.seconds_until_answer(stream=stream) == seconds


@pytest.mark.parametrize(
    ("policy", "problem"),
    [
        (text("deadline: {}"), "names nothing"),
        (text("deadline: 30"), "deadline"),
        (text("deadline: {total_seconds: 0}"), "total_seconds"),
        (text("deadline: {total_seconds: .inf}"), "total_seconds"),
        (text("deadline: {total_seconds: 5, first_token_seconds: 6}"), "more than the 5 seconds"),
        (text("deadline: {first_token_seconds: 10}", "{total_seconds: 9}"), "more than the 9 seconds"),
        (text(defaults="{total_seconds: 1, first_token_seconds: 2}"), "more than the 1 seconds"),
        (text("urgency: high"), "not one of normal, low"),
        (BASE.replace(FORBID, FORBID[:-1] + ", urgency: low}"), "only a route has 'urgency'"),
        (BASE.replace(FORBID, FORBID[:-1] + ", deadline: {total_seconds: 5}}"), "only a route has 'deadline'"),
    ],
)
def test_what_makes_no_sense_does_not_load(policy: str, problem: str) -> None:
    assert policy != BASE
    with pytest.raises(PolicyError, match=problem):
        compile_policy(policy, "p", ENTITIES)


def test_an_urgency_that_no_line_knows_is_a_warning() -> None:
    other = text("urgency: low").replace("backend: engine", 'backend: openai, base_url: "http://127.0.0.1:9/v1"')
    assert any("'urgency' changes nothing" in each for each in compile_policy(other, "p", ENTITIES).warnings)
    assert not any("urgency" in each for each in load(text("urgency: low")).warnings)


@pytest.mark.parametrize(
    ("before", "after", "direction"),
    [
        (text(), text("deadline: {total_seconds: 5}"), "changes"),
        (text("urgency: low"), text(), "changes"),
        (text(), text(defaults="{total_seconds: 5}"), "sends out"),  # home may be too slow now to be judged
        (text(defaults="{total_seconds: 5}"), text(defaults="{total_seconds: 6}"), "changes"),
        (text(defaults="{total_seconds: 5}"), text(defaults="{total_seconds: 5, first_token_seconds: 1}"),
         "sends out"),
    ],
)  # fmt: skip
def test_a_deadline_never_loosens_and_a_shorter_one_may_send_out(before: str, after: str, direction: str) -> None:
    assert [each.direction for each in compare(load(before), load(after))] == [direction]


def test_a_rule_with_a_deadline_says_so_where_it_differs() -> None:
    (each,) = compare(load(text()), load(text("deadline: {total_seconds: 5, first_token_seconds: 2}, urgency: low")))
    assert "route cloud within 5 s, first token within 2 s, with low urgency when" in each.what


@pytest.mark.parametrize(("wait", "route"), [(4_000.0, "local"), (6_000.0, "cloud")])
def test_home_is_not_begun_to_be_judged_where_it_could_not_end_in_time(wait: float, route: str) -> None:
    policy = load(text(defaults="{total_seconds: 5}"))
    facts = replace(Facts(), waits={"home": wait})
    assert decide(policy, facts, signals({"complexity": 0.1})).route == route
