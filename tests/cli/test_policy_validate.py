"""`gatehouse policy validate` as CI runs it: its exit codes, its JSON, and what it warns of."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.test_commands import gatehouse
from tests.policies import worlds

BASE = worlds.BASE.replace("http://10.20", "https://10.20")


def test_exit_codes_tell_good_bad_and_doubtful(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(BASE)
    (tmp_path / "doubtful.yaml").write_text(BASE.replace("at_least: 0.6", "at_least: 0.8"))
    (tmp_path / "bad.yaml").write_text(BASE.replace("version: 3", "version: three"))
    found = {
        (name, *flags): gatehouse("policy", "validate", name, *flags, folder=tmp_path, CLOUD_KEY="k").returncode
        for name in ("good.yaml", "doubtful.yaml", "bad.yaml")
        for flags in ((), ("--strict",))
    }
    assert found == {
        ("good.yaml",): 0,
        ("good.yaml", "--strict"): 0,
        ("doubtful.yaml",): 0,
        ("doubtful.yaml", "--strict"): 2,
        ("bad.yaml",): 1,
        ("bad.yaml", "--strict"): 1,
    }


def test_the_proof_can_be_read_by_programs(tmp_path: Path) -> None:
    (tmp_path / "doubtful.yaml").write_text(BASE.replace("at_least: 0.6", "at_least: 0.8"))
    told = json.loads(gatehouse("policy", "validate", "doubtful.yaml", "--json", folder=tmp_path).stdout)
    cells = {(cell["sensitivity"], cell["model"]): (cell["region"], cell["payload"]) for cell in told["reach"]}
    assert told["good"]
    assert len(cells) == 16
    assert cells["confidential", "eu"] == ("eu", "full")
    assert cells["restricted", "cloud"] == ("us", "none")
    idle, key = told["warnings"]
    assert "the rule 'hard-eu' is idle: 'hard' (priority 50), which matches whenever it does" in idle
    assert key == "models.cloud: the variable CLOUD_KEY is not set here, so requests pass this model over"
    without = gatehouse("policy", "validate", "doubtful.yaml", "--json", "--no-keys", folder=tmp_path)
    assert json.loads(without.stdout)["warnings"] == [idle]


def test_a_bad_file_is_told_to_programs_too(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(BASE.replace("version: 3", "version: three"))
    told = gatehouse("policy", "validate", "bad.yaml", "--json", folder=tmp_path)
    assert told.returncode == 1
    assert json.loads(told.stdout)["problems"][0]["line"] == 1


def test_a_key_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(BASE.replace("api_key_env: CLOUD_KEY", "api_key_file: /nowhere/key"))
    told = gatehouse("policy", "validate", "p.yaml", "--strict", folder=tmp_path)
    assert told.returncode == 2
    assert "models.cloud: the file /nowhere/key is not here" in told.stderr


def test_a_tenant_that_reaches_no_less_is_said_so_without_an_empty_table(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(BASE + "tenants: {clinic: {audit: required}}\n")
    shown = gatehouse("policy", "validate", "p.yaml", folder=tmp_path).stdout
    assert "tenant clinic: reaches what all others reach\n" in shown
    assert "for others" not in shown


def test_what_a_tenant_may_reach_less_is_shown(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(BASE + "tenants: {clinic: {models: [home, eu]}}\n")
    shown = gatehouse("policy", "validate", "p.yaml", folder=tmp_path)
    rows = [" ".join(row.split()) for row in shown.stdout.split("tenant clinic")[1].splitlines()]
    assert "public cloud no such model full" in rows
    assert not any(row.startswith("restricted cloud") for row in rows[:8])  # nobody's may
    told = json.loads(gatehouse("policy", "validate", "p.yaml", "--json", folder=tmp_path).stdout)
    own = {(cell["sensitivity"], cell["model"]): cell["payload"] for cell in told["tenants"]["clinic"]}
    assert own["public", "eu"] == "full"
    assert own.get(("public", "cloud"), "none") == "none"
