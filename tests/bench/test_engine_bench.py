"""The engine's benchmark: it runs on the real engine, judges by its targets, and asks nothing twice."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.engine import Figure
from tests.bench.engine_load import long_question, question, report

ROOT = Path(__file__).resolve().parents[2]


def test_a_part_runs_and_writes_what_it_measured(tmp_path: Path) -> None:
    """The memory of a real engine, in one short round: beyond zero, and the same on the screen as in the file."""
    file = tmp_path / "figures.json"
    command = [sys.executable, "-m", "tests.bench.engine", "--only", "memory", "--rounds", "1", "--tokens", "4"]
    done = subprocess.run(
        [*command, "--context", "512", "--json", str(file)], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    written = json.loads(file.read_text("utf-8"))
    (figure,) = written["figures"]
    assert figure["target"] == 150
    assert 0 < figure["value"] < 1000
    assert f"{figure['value']:.2f} MB" in done.stdout
    assert len(written["rounds"]["memory"]["resident MB"]) == 1


@pytest.mark.parametrize(
    ("figure", "is_met"),
    [
        (Figure("fast enough", 1.0, 1.0), True),
        (Figure("too slow", 0.99, 1.0), False),
        (Figure("short enough", 1.0, 1.0, at_most=True), True),
        (Figure("too long", 1.01, 1.0, at_most=True), False),
        (Figure("nothing to compare with", None, 1.0), None),
        (Figure("no target", 3.0), None),
    ],
)
def test_a_figure_is_judged_by_its_target_and_never_met_unmeasured(figure: Figure, is_met: bool | None) -> None:
    assert figure.is_met is is_met


def test_no_two_rounds_ask_the_same_and_every_server_is_asked_the_same() -> None:
    names = [f"crowd {number} {request}" for number in range(6) for request in range(24)]
    for prompt in (question, lambda name: long_question(name, 50), report):
        assert len({prompt(name) for name in names}) == len(names)
        assert prompt(names[0]) == prompt(names[0])
