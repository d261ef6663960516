"""`gatehouse policy fmt` and the errors of `validate`, as a person and a CI system see them."""

from __future__ import annotations

from pathlib import Path

from tests.cli.test_commands import gatehouse
from tests.policies.test_layout import MESSY, NEAT


def test_fmt_checks_then_writes_then_is_content(tmp_path: Path) -> None:
    file = tmp_path / "ours.yaml"
    file.write_text(MESSY)
    file.chmod(0o640)
    check = gatehouse("policy", "fmt", "--check", str(file), folder=tmp_path)
    assert check.returncode == 1
    assert "+version: 1" in check.stdout
    assert file.read_text() == MESSY
    assert gatehouse("policy", "fmt", str(file), folder=tmp_path).returncode == 0
    assert file.read_text() == NEAT
    assert file.stat().st_mode & 0o777 == 0o640
    assert gatehouse("policy", "fmt", "--check", str(file), "default", folder=tmp_path).returncode == 0
    assert gatehouse("policy", "fmt", "default", folder=tmp_path).returncode == 2


def test_validate_shows_the_line_with_a_caret(tmp_path: Path) -> None:
    file = tmp_path / "ours.yaml"
    file.write_text(NEAT.replace("route: cloud", "route: clowd"))
    told = gatehouse("policy", "validate", str(file), folder=tmp_path)
    assert told.returncode == 1
    assert told.stderr.splitlines() == [
        f"{file}:25:12: 'clowd' is no locality and no model; did you mean 'cloud'?",
        "   25 |     route: clowd",
        "      |            ^",
    ]
