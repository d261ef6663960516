"""Every mistake in a policy is told with `file:line:column`, what is wrong, and the nearest valid word."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from policies.errors import PolicyError, Problem
from policies.schema import compile_policy
from tests.policies.worlds import BASE, ENTITIES, OFFLINE

ROWS: list[dict[str, str]] = YAML(typ="safe", pure=True).load(Path(__file__).with_name("problems.yaml"))
MARK = "‸"


def problems(text: str) -> list[str]:
    with pytest.raises(PolicyError) as caught:
        compile_policy(text, "p.yaml", ENTITIES)
    return str(caught.value).splitlines()


def edited(before: str, after: str) -> str:
    assert before in BASE, before
    return BASE.replace(before, after, 1)


@pytest.mark.parametrize("row", ROWS, ids=[f"{number}-{row['says'][:40]}" for number, row in enumerate(ROWS)])
def test_the_problem_is_told_at_its_place(row: dict[str, str]) -> None:
    marked = edited(row["was"], row["is"])
    text = marked.replace(MARK, "")
    offset = marked.index(MARK) if MARK in marked else text.index(row["at"])
    line = text.count("\n", 0, offset) + 1
    column = offset - (text.rfind("\n", 0, offset) + 1) + 1
    told = problems(text)
    assert any(each.startswith(f"p.yaml:{line}:{column}: ") and row["says"] in each for each in told), told


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("route: lan}", "route: cloud}", "no model has the locality cloud"),
        ("aliases: {}", "aliases: {x: cloud}", "no model has the locality cloud"),
        ("aliases: {}", "aliases: {x: nobody}", "an alias leads to"),
    ],
)
def test_a_locality_that_no_model_has_leads_nowhere(before: str, after: str, message: str) -> None:
    text = OFFLINE + "aliases: {}\ndecisions: [{name: a, priority: 1, route: lan}]\n"
    assert any(message in line for line in problems(text.replace(before, after)))


def test_the_whole_file_may_be_of_the_wrong_kind() -> None:
    assert problems("") == ["p.yaml:1:1: the file is empty"]
    assert problems("- a\n") == ["p.yaml:1:1: a policy must be a mapping, not a list"]


def test_all_problems_come_in_the_order_of_the_file() -> None:
    text = BASE.replace("route: eu", "route: us-east").replace(
        "complexity: {at_least: 0.7}", "complexity: {at_least: 7}"
    )
    text = text.replace("api.example.com/v1", "api.example.com/v1#x")
    places = [tuple(map(int, line.split(":")[1:3])) for line in problems(text)]
    assert len(places) == 3
    assert places == sorted(places)


def test_no_message_repeats_a_term_an_address_or_a_key() -> None:
    text = edited("terms: [Bluebird]", "terms: [Bluebird, [x]]").replace("CLOUD_KEY", "sk-verysecret")
    text = text.replace("https://api.example.com/v1", "https://user:hunter2@api.example.com/v1")
    told = "\n".join(problems(text) + problems(text.replace("[x]", "'  '").replace("sk-verysecret", "A_KEY")))
    assert "user or password" in told
    for hidden in ("Bluebird", "verysecret", "hunter2", "example.com"):
        assert hidden not in told


@settings(max_examples=80, deadline=None)
@given(
    position=st.integers(0, len(BASE) - 1),
    length=st.integers(0, 12),
    text=st.text(alphabet="abclo:-[]{}&*!,\n 01.\"'", max_size=8),
)
def test_a_policy_with_any_slip_loads_or_is_refused_with_places(position: int, length: int, text: str) -> None:
    broken = BASE[:position] + text + BASE[position + length :]
    told: tuple[Problem, ...] = ()
    try:
        compile_policy(broken, "p.yaml", ENTITIES)
    except PolicyError as error:
        told = error.problems
    lines = broken.count("\n") + 1
    assert all(1 <= problem.line <= lines + 1 and problem.column >= 1 for problem in told)
