"""`gatehouse eval sensitivity` as a person runs it: rates and ids of their own rows, and never a text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from router.cli.main import build

CARD = "Pay it with card 4929 1254 8763 0175 please."
ROWS = (
    {"id": "card", "text": CARD, "spans": [{"type": "CREDIT_CARD", "start": 17, "end": 36}], "language": "en"},
    {"id": "unfindable", "text": "the purple one", "spans": [{"type": "CODENAME", "start": 4, "end": 10}]},
    {"id": "harmless", "text": "How long do I boil an egg?", "spans": [], "language": "en"},
    {"id": "wrongly", "text": "Write to me at info77@posteo.net or so.", "spans": [], "language": "en"},
    {"id": "level", "body": {"messages": [{"role": "user", "content": "What a day."}]}, "level": "public"},
)


def run(path: Path, *arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(build(["eval"]), ["eval", "sensitivity", str(path), *arguments])
    return result.exit_code, result.output


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COLUMNS", "200")
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in ROWS))
    return path


def test_it_prints_what_was_missed_and_what_was_held_back_by_entity_and_language(file: Path) -> None:
    code, shown = run(file)
    assert code == 0, shown
    lines = [line.split() for line in shown.splitlines()]
    assert ["CREDIT_CARD", "en", "0", "1", "0.00%", "0.00%", "to", "79.35%"] in lines
    assert ["CODENAME", "-", "1", "1", "100.00%", "20.65%", "to", "100.00%"] in lines
    assert ["EMAIL_ADDRESS", "en", "1", "3", "33.33%", "6.15%", "to", "79.23%"] in lines
    assert "worst missed, by id: unfindable" in shown
    assert "worst over-retained, by id: wrongly" in shown
    for row in ROWS:
        assert str(row.get("text", "What a day")) not in shown


def test_json_holds_the_same_figures_and_the_confusion_of_levels(file: Path) -> None:
    code, shown = run(file, "--json")
    assert code == 0, shown
    figures = json.loads(shown[shown.index("{") :])
    assert {name: value for name, value in figures["missed"][0].items() if name != "interval"} == {
        "entity": "CODENAME",
        "language": "-",
        "count": 1,
        "total": 1,
        "rate": 1.0,
    }
    assert figures["confusion"]["restricted"]["restricted"] == 1
    assert figures["confusion"]["confidential"]["public"] == 1
    assert figures["worst"] == {"missed": ["unfindable"], "over_retained": ["wrongly"]}


def test_the_policy_that_is_named_says_what_a_finding_means(file: Path, tmp_path: Path) -> None:
    lenient = tmp_path / "lenient.yaml"
    lenient.write_text(
        "version: 1\nmodels: {home: {locality: local, backend: engine, model: smollm2-135m-instruct}}\n"
        "defaults: {local: home}\nsensitivity: {levels: {public: [CREDIT_CARD, CODENAME, EMAIL_ADDRESS, PERSON]}}\n"
    )
    code, shown = run(file, "--json", "--policy", str(lenient))
    assert code == 0, shown
    assert json.loads(shown[shown.index("{") :])["confusion"]["public"]["public"] == len(ROWS)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"text": "a", "spans": []}\n{"text": "b"}\n', "rows.jsonl: line 2: give `spans`"),
        ("\n\n", "rows.jsonl: there is no row in it"),
    ],
)
def test_a_file_that_cannot_be_used_is_an_error_that_says_where(file: Path, content: str, said: str) -> None:
    file.write_text(content)
    code, shown = run(file)
    assert code == 1
    assert said in shown.replace("\n", "")


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    code, shown = run(tmp_path / "nothing.jsonl")
    assert code == 1
    assert "cannot be read" in shown.replace("\n", " ")
