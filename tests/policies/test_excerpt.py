"""A problem is shown in its line, with a caret under it, and with nothing that should not stand in a log."""

from __future__ import annotations

import pytest

from policies.errors import PolicyError
from policies.schema import compile_policy
from policies.text.excerpt import excerpt
from tests.policies.test_problems import MARK, ROWS, edited
from tests.policies.worlds import ENTITIES


def shown(text: str) -> list[str]:
    with pytest.raises(PolicyError) as caught:
        compile_policy(text, "p.yaml", ENTITIES)
    return [excerpt(text, problem) for problem in caught.value.problems]


def test_the_caret_stands_under_the_word() -> None:
    line, caret = shown(edited("locality: local", "locality: locol"))[0].split("\n")
    assert line == "    3 |   home: {locality: locol, backend: engine, model: ·····, context: 8192}"
    assert line[caret.index("^") :].startswith("locol,")


@pytest.mark.parametrize("row", ROWS, ids=range(len(ROWS)))
def test_every_problem_of_the_table_has_its_line_and_caret(row: dict[str, str]) -> None:
    text = edited(row["was"], row["is"]).replace(MARK, "")
    with pytest.raises(PolicyError) as caught:
        compile_policy(text, "p.yaml", ENTITIES)
    for problem in caught.value.problems:
        lines = excerpt(text, problem).split("\n")
        assert len(lines) == 2, problem
        assert lines[1].replace(" ", "") == "|^"
        assert max(map(len, lines)) <= 124


def test_terms_keys_and_addresses_are_dotted_out() -> None:
    text = edited("terms: [Bluebird]", "terms: [Bluebird, [x]]").replace(
        "api_key_env: CLOUD_KEY", "api_key_env: sk-very-secret"
    )
    text = text.replace("https://api.example.com/v1", "https://user:hunter2@api.example.com/v1")
    text = text.replace("context: 16000}", "context: 16000, api_key: 4111111111111111}  # psst, hunter3")
    told = "\n".join(shown(text))
    assert "dictionaries: [{name: " in told
    assert "api_key_env: ····" in told
    for hidden in ("Bluebird", "secret", "hunter2", "hunter3", "example.com", "4111"):
        assert hidden not in told


def test_a_problem_of_the_whole_file_has_no_line() -> None:
    with pytest.raises(PolicyError) as caught:
        compile_policy("x" * 300_000, "p.yaml")
    assert excerpt("x", caught.value.problems[0]) == ""
