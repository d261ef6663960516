"""`gatehouse policy diff` and `simulate`, as an admin runs them: over files, and over the records of a gateway."""

from __future__ import annotations

import json
from pathlib import Path

from policies.schema import load_policy
from policies.text.chain import read_chain
from router.records.store import RECORDS_FILE, SqliteStore
from router.versions.versions import VersionStore
from tests.cli.test_commands import gatehouse
from tests.policies.test_simulate import EASY, FACTS, HARD, HOME_ONLY, record_of
from tests.policies.worlds import BASE


def store_of(folder: Path, *records: dict[str, object]) -> None:
    store = SqliteStore(folder / RECORDS_FILE)
    store.append(list(records), durable=True)
    store.close()


def test_diff_is_a_gate_for_what_loosens_only(tmp_path: Path) -> None:
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text(BASE)
    new.write_text(BASE.replace("regions: [site, eu]", "regions: [site, us, eu]"))
    loosened = gatehouse("policy", "diff", str(old), str(new), "--fail-on", "loosening", folder=tmp_path)
    assert loosened.returncode == 1
    assert "confidential to 'cloud': none -> full" in loosened.stdout
    tightened = gatehouse("policy", "diff", str(new), str(old), "--fail-on", "loosening", "--json", folder=tmp_path)
    assert tightened.returncode == 0
    assert {each["direction"] for each in json.loads(tightened.stdout)["differences"]} == {"tightens"}
    assert "say the same" in gatehouse("policy", "diff", str(old), str(old), folder=tmp_path).stdout


def test_simulate_says_which_requests_would_newly_leave(tmp_path: Path) -> None:
    store_of(tmp_path, *(record_of(HOME_ONLY, FACTS, seen) for seen in (HARD, HARD, EASY)))
    (tmp_path / "new.yaml").write_text(BASE)
    command = ("policy", "simulate", str(tmp_path / "new.yaml"), "--state-dir", str(tmp_path))
    shown = gatehouse(*command, "--fail-on", "leaving", folder=tmp_path)
    assert shown.returncode == 1
    assert "3 requests would newly leave" in shown.stdout
    told = json.loads(gatehouse(*command, "--json", folder=tmp_path).stdout)
    assert told["changes"] == {"newly leaves": 2, "newly may leave": 1}
    assert told["groups"][0] == {
        "change": "newly leaves",
        "rule": "hard",
        "tenant": "default",
        "sensitivity": "public",
        "was": "home",
        "becomes": "cloud",
        "requests": 2,
        "cost_delta_usd": 0.0,
        "cost_unknown": 2,
        "latency_delta_ms_median": None,
        "ids": ["r1", "r1"],
    }
    assert {each["tenant"] for each in told["by_tenant"]} == {"default"}


def test_simulate_without_records_says_what_to_do(tmp_path: Path) -> None:
    nothing = gatehouse("policy", "simulate", "default", "--state-dir", str(tmp_path), folder=tmp_path)
    assert nothing.returncode == 1
    assert "Has `gatehouse serve` answered a request?" in nothing.stderr


def test_a_gate_compares_with_what_is_in_force(tmp_path: Path) -> None:
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text(BASE)
    new.write_text(BASE.replace("regions: [site, eu]", "regions: [site, us, eu]"))
    state = tmp_path / "state"
    gate = ("--against", "RUNNING", "--fail-on", "loosening", "--state-dir", str(state))
    nothing = gatehouse("policy", "diff", str(new), *gate, folder=tmp_path)
    assert nothing.returncode == 2
    assert "no gateway has put a policy in force" in nothing.stderr
    with VersionStore(state) as versions:
        versions.note_in_force(load_policy(str(old)), read_chain(str(old)), "file:root")
    loosened = gatehouse("policy", "diff", str(new), *gate, folder=tmp_path)
    assert loosened.returncode == 1, loosened.stderr
    assert "confidential to 'cloud': none -> full" in loosened.stdout
    assert gatehouse("policy", "diff", str(old), *gate, folder=tmp_path).returncode == 0
    assert gatehouse("policy", "diff", str(tmp_path / "none.yaml"), *gate, folder=tmp_path).returncode == 2
    listed = json.loads(gatehouse("policy", "history", "--json", "--state-dir", str(state), folder=tmp_path).stdout)
    assert [(each["number"], each["state"], each["author"]) for each in listed] == [(1, "active", "file:root")]
    shown = gatehouse("policy", "show", "1", "--text", "--state-dir", str(state), folder=tmp_path)
    assert shown.stdout == BASE
