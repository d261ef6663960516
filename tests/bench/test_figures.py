"""The tables of figures: what counts as met, and what is said of a figure that was not measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from classifiers.rates import Rate
from tests.bench import sensitivity
from tests.bench.benign import look_alikes
from tests.bench.figures import Figure, as_json, as_table, of_rate, resampled


@pytest.mark.parametrize(
    ("figure", "verdict"),
    [
        (Figure("a", 0.86, 0.85), "met"),
        (Figure("a", 0.84, 0.85), "MISSED"),
        (Figure("a", 0.02, 0.02, "at_most"), "met"),
        (Figure("a", 0.03, 0.02, "at_most"), "MISSED"),
        (Figure("a", 0.03), "-"),
        (Figure("a", None, 0.85), "not measured"),
        (of_rate("a", Rate(0, 0), 0.9, "at_least"), "not measured"),
    ],
)
def test_a_figure_is_met_missed_or_not_measured(figure: Figure, verdict: str) -> None:
    assert figure.verdict == verdict
    assert verdict in as_table([figure], markdown=False)
    assert as_json([figure])[0]["verdict"] == verdict


def test_a_table_for_a_document_has_as_many_cells_in_each_line() -> None:
    lines = as_table(
        [of_rate("recall", Rate(9, 10), 0.5, "at_least", baseline="none"), Figure("b", 3.0, unit="ms")], True
    )
    assert {line.count("|") for line in lines.splitlines()} == {9}
    assert "| recall | 0.900 | 0.596 to 0.982 | 10 | ≥ 0.500 | met | none |" in lines


def test_a_bootstrap_interval_holds_the_measure_and_is_the_same_each_time() -> None:
    rows = [0.0, 1.0] * 50
    low, high = resampled(rows, lambda chosen: sum(chosen) / len(chosen))
    assert low < 0.5 < high
    assert (low, high) == resampled(rows, lambda chosen: sum(chosen) / len(chosen))


def test_the_command_prints_what_was_asked_for_and_writes_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = tmp_path / "figures.json"
    assert sensitivity.main(["--data", str(tmp_path), "--only", "languages", "--markdown", "--json", str(written)]) == 0
    assert "sentences in unmeasured languages told" in capsys.readouterr().out
    assert json.loads(written.read_text())[0]["target"] == 0.97


def test_look_alikes_are_the_same_each_time_and_differ_from_each_other() -> None:
    assert look_alikes(50) == look_alikes(50)
    assert len(set(look_alikes(200))) > 190
