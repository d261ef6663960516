"""Commands that change something write it down before and after, as the admin API does; nobody's name stands there."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path
from typing import Any

import pytest
import typer

from policies.schema import load_policy
from policies.text.chain import read_chain
from policies.version import Serving
from router.backup import make_backup
from router.cli import approve_text, erase, lockdown, models, policy_change, policy_fmt, records, restore, unlock
from router.lockdown.lockdown import read_locks
from router.records.store import RECORDS_FILE, RecordReader, SqliteStore, verify
from router.versions.versions import VersionStore
from tests.support.tiny_gguf import make_model

POLICY = "version: 1\nmodels:\n  home: {locality: local, backend: engine, model: small}\ndefaults: {local: home}\n"


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "state"
    monkeypatch.setenv("GATEHOUSE_STATE_DIR", str(folder))
    return folder


def trail(state: Path) -> list[dict[str, Any]]:
    """What the trail says, in the order of writing."""
    with RecordReader(state / RECORDS_FILE) as reader:
        return [each["audit"] for each in reader.rows_since("", ["audit"])]


def results(state: Path) -> list[tuple[str, str | None, str]]:
    return [(each["action"], each["target"], each["result"]) for each in trail(state)]


def test_locks_stand_there_with_whom_and_why(state: Path) -> None:
    lockdown.lockdown(reason="a leak", tenant="acme")
    unlock.unlock(tenant="acme", reason="their key was revoked")
    assert results(state) == [
        ("lockdown.lock", "acme", "begun"),
        ("lockdown.lock", "acme", "done"),
        ("lockdown.unlock", "acme", "begun"),
        ("lockdown.unlock", "acme", "done"),
    ]
    assert [each["detail"]["locks"][0]["reason"] for each in trail(state)[1::2]] == ["a leak", "a leak"]
    assert trail(state)[3]["detail"]["reason"] == "their key was revoked"
    with RecordReader(state / RECORDS_FILE) as reader:
        told = [each["lockdown"] for each in reader.rows_since("", ["lockdown"])]
    assert [(each["action"], each["reason"]) for each in told] == [("lock", ""), ("unlock", "their key was revoked")]
    assert {each["via"] for each in trail(state)} == {"cli"}
    assert all(each["user"] for each in trail(state))


def test_a_lock_is_made_although_it_cannot_be_written_down_and_not_ended_then(state: Path) -> None:
    state.mkdir(mode=0o700)
    (state / RECORDS_FILE).mkdir()
    lockdown.lockdown(reason="a leak")
    assert read_locks(state).holds_all
    with pytest.raises(typer.Exit):
        unlock.unlock()
    assert read_locks(state).holds_all


@pytest.mark.parametrize("reason", ["", "  ", "two\nlines", "x" * 1000])
def test_a_reason_that_is_none_ends_no_lock(state: Path, reason: str) -> None:
    lockdown.lockdown(reason="a leak")
    with pytest.raises(typer.Exit):
        unlock.unlock(reason=reason)
    assert read_locks(state).holds_all


def test_erasing_names_the_tenant_and_how_many_rows_never_the_person(state: Path) -> None:
    erase.erase(subject="anna@example.com", tenant="acme")
    assert results(state) == [("erase", "acme", "begun"), ("erase", "acme", "done")]
    assert trail(state)[1]["detail"] == {"rows": 0, "conversations": 0, "delinked": False}
    assert "anna" not in str(trail(state))
    erase.erase(subject="anna@example.com", tenant="acme", delink=True)
    assert trail(state)[3]["detail"]["delinked"] is True


def test_models_that_come_and_go_stand_there_with_their_digests(state: Path, tmp_path: Path) -> None:
    file = make_model("llama-3.2", tmp_path)
    models.add(file, name="tiny")
    models.remove("tiny", force=True)
    with pytest.raises(typer.Exit):
        models.remove("tiny", force=True)
    with pytest.raises(typer.Exit):
        models.pull("no-such-model")
    assert results(state) == [
        ("models.add", "tiny", "begun"),
        ("models.add", "tiny", "done"),
        ("models.remove", "tiny", "begun"),
        ("models.remove", "tiny", "done"),
        ("models.remove", "tiny", "begun"),
        ("models.remove", "tiny", "failed"),
        ("models.pull", "no-such-model", "begun"),
        ("models.pull", "no-such-model", "failed"),
    ]
    assert len(trail(state)[1]["detail"]["sha256"]) == 64


def test_a_default_that_cannot_be_changed_stands_there_too(state: Path, tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(POLICY)
    with pytest.raises(typer.Exit):
        models.use("no-such-model", policy=str(file))
    assert results(state) == [("models.use", "no-such-model", "begun"), ("models.use", "no-such-model", "failed")]


def test_a_policy_that_is_refused_or_proposed_stands_there_with_its_version(state: Path, tmp_path: Path) -> None:
    file, broken = tmp_path / "policy.yaml", tmp_path / "broken.yaml"
    file.write_text(POLICY + "policy: {source: store}\n")
    broken.write_text(POLICY.replace("version", "versions"))
    with VersionStore(state) as versions:
        versions.serve(Serving(str(file), "store"))
        versions.note_in_force(load_policy(str(file)), read_chain(str(file)), "file:root")
    policy_change.propose(str(file), draft=True)
    with pytest.raises(typer.Exit):
        policy_change.propose(str(broken))
    with pytest.raises(typer.Exit):
        policy_change.approve("99")
    assert results(state) == [
        ("policy.propose", str(file), "begun"),
        ("policy.propose", str(file), "done"),
        ("policy.propose", str(broken), "begun"),
        ("policy.propose", str(broken), "failed"),
        ("policy.approve", "99", "begun"),
        ("policy.approve", "99", "failed"),
    ]
    assert trail(state)[1]["detail"]["version"]["state"] == "draft"


def test_a_restore_stands_in_the_records_that_it_has_brought_back(state: Path, tmp_path: Path) -> None:
    lockdown.lockdown(reason="a drill", tenant="acme")
    file = tmp_path / "b.tar.gz"
    make_backup(state, file)
    unlock.unlock(tenant="acme")
    restore.restore(file)
    assert [each[:1] + each[2:] for each in results(state)] == [
        ("lockdown.lock", "begun"),
        ("lockdown.lock", "done"),
        ("restore", "done"),
    ]
    detail = trail(state)[-1]["detail"]
    assert detail["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert detail["records"] == 3, "two of the trail, and one of the lock itself"
    assert verify(state / RECORDS_FILE).intact
    file.write_bytes(b"no backup")
    with pytest.raises(typer.Exit):
        restore.restore(file)
    assert results(state)[-2:] == [("restore", "b.tar.gz", "begun"), ("restore", "b.tar.gz", "failed")]


def test_a_text_that_is_approved_stands_there_with_the_lines_that_it_adds(state: Path, tmp_path: Path) -> None:
    file, prompt = tmp_path / "policy.yaml", tmp_path / "prompt.txt"
    file.write_text(POLICY)
    prompt.write_text("You answer for the hotline, 030 901820.")
    approve_text.approve_text(prompt, reason="our own number", policy=str(file))
    assert results(state) == [
        ("policy.approve_text", str(file), "begun"),
        ("policy.approve_text", str(file), "done"),
    ]
    assert 'reason: "our own number"' in trail(state)[1]["detail"]["diff"]
    assert "901820" not in str(trail(state))


def test_formatting_the_policy_in_force_stands_there_and_formatting_any_other_file_does_not(
    state: Path, tmp_path: Path
) -> None:
    file, other = tmp_path / "policy.yaml", tmp_path / "other.yaml"
    for each in (file, other):
        each.write_text(POLICY.replace("\n  home:", "\n      home:"))
    policy_fmt.fmt([str(other)])
    assert not state.exists(), "a machine without a gateway gets no state folder"
    with VersionStore(state) as versions:
        versions.note_in_force(load_policy(str(file)), read_chain(str(file)), "file:root")
    policy_fmt.fmt([str(file), str(other)], check=False)
    assert results(state) == [("policy.fmt", str(file), "begun"), ("policy.fmt", str(file), "done")]
    assert trail(state)[1]["detail"]["diff"].startswith("--- before")


def test_locks_and_erasures_are_listed_with_what_was_said(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lockdown.lockdown(reason="a leak", tenant="acme")
    unlock.unlock(tenant="acme", reason="their key was revoked")
    records.list_records(kind="lockdown")
    shown = capsys.readouterr().out
    assert "unlock: their key was revoked" in shown
    assert "lock: a leak" in shown
    assert "acme" in shown
    told = {"why": "subject", "rows": [1, 2]}
    row = {"kind": "erasure", "id": "", "time": "2026-01-01T00:00:00.000+00:00", "erasure": told}
    with contextlib.closing(SqliteStore(state / RECORDS_FILE)) as store:
        store.append([{"schema_version": 1, **row}], durable=True)
    records.list_records(kind="erasure")
    assert "subject: 2 rows" in capsys.readouterr().out
