"""Backup and restore: the way there and back, what is left out, and what a restore never undoes."""

from __future__ import annotations

import hashlib
import sqlite3
import stat
import tarfile
from pathlib import Path

import orjson
import pytest

from router.backup import BackupError, make_backup, restore_backup, serving
from router.keys import load_keys
from router.lockdown.lockdown import LOCKDOWN_FILE, lock, read_locks, unlock
from router.records.store import RECORDS_FILE, RecordReader, SqliteStore, verify
from router.releases.store import ReleaseStore
from router.taint.marks import MARKS_FILE


def write(state: Path, *numbers: int) -> SqliteStore:
    store = SqliteStore(state / RECORDS_FILE)
    records = [{"kind": "decision", "id": f"gh-{number}", "time": "2026-01-01", "principal": {}} for number in numbers]
    store.append(records, durable=True)
    return store


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    write(folder, 1, 2, 3).close()
    load_keys(folder)
    (folder / "calibration").mkdir(mode=0o700)
    (folder / "calibration" / "card.json").write_text("{}", "utf-8")
    (folder / "models").mkdir()
    (folder / "models" / "big.gguf").write_bytes(b"x" * 1000)
    (folder / MARKS_FILE).write_bytes(b"old marks")
    return folder


def test_releases_that_were_used_since_cannot_be_brought_back_unused(state: Path, tmp_path: Path) -> None:
    with ReleaseStore(state) as store:
        before = store.host
    make_backup(state, tmp_path / "b.tar.gz")
    with tarfile.open(tmp_path / "b.tar.gz") as tar:
        assert not [name for name in tar.getnames() if "releases" in name]
    restore_backup(state, tmp_path / "b.tar.gz")
    with ReleaseStore(state) as store:
        assert store.host != before


def ids(state: Path) -> list[str]:
    with RecordReader(state / RECORDS_FILE) as reader:
        return [record["id"] for record in reader.list_records()]


def test_there_and_back_while_records_are_written(state: Path, tmp_path: Path) -> None:
    store = write(state, 4)  # stays open, as a gateway's is
    file = tmp_path / "b.tar.gz"
    with serving(state):
        kept = make_backup(state, file)
    assert (kept.records, kept.has_secrets) == (4, False)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    store.append([{"kind": "decision", "id": "gh-5", "time": "2026-01-02"}], durable=True)
    store.close()
    (state / "calibration" / "card.json").write_text("changed", "utf-8")
    assert restore_backup(state, file).records == 4
    assert ids(state) == ["gh-4", "gh-3", "gh-2", "gh-1"]
    assert verify(state / RECORDS_FILE).intact
    assert (state / "calibration" / "card.json").read_text("utf-8") == "{}"
    assert (state / "models" / "big.gguf").exists()
    (aside,) = state.glob("before-restore-*")
    assert verify(aside / RECORDS_FILE).rows == 5
    write(state, 6).close()
    assert verify(state / RECORDS_FILE).intact


def test_into_an_empty_folder_with_its_secrets(state: Path, tmp_path: Path) -> None:
    file, other = tmp_path / "b.tar.gz", tmp_path / "other"
    make_backup(state, file, b"a long passphrase")
    with pytest.raises(BackupError, match="passphrase is not the one"):
        restore_backup(other, file, b"another")
    assert restore_backup(other, file, b"a long passphrase").has_secrets
    assert load_keys(other).digest(b"x") == load_keys(state).digest(b"x")
    assert stat.S_IMODE((other / "root.key").stat().st_mode) == 0o600
    assert ids(other) == ids(state)


def test_without_a_passphrase_no_secret_is_in_it_and_those_of_the_folder_stay(state: Path, tmp_path: Path) -> None:
    file, root = tmp_path / "b.tar.gz", (state / "root.key").read_bytes()
    make_backup(state, file)
    with tarfile.open(file) as tar:
        names = tar.getnames()
        inside = b"".join(tar.extractfile(name).read() for name in names)  # type: ignore[union-attr]  # plain files
    assert not any("key" in name or "models" in name for name in names)
    assert root.strip() not in inside
    restore_backup(state, file)
    assert (state / "root.key").read_bytes() == root
    with pytest.raises(BackupError, match="holds no secrets"):
        restore_backup(state, file, b"x")


def test_a_sealed_secret_is_not_readable_in_the_file(state: Path, tmp_path: Path) -> None:
    make_backup(state, tmp_path / "b.tar.gz", b"phrase")
    with tarfile.open(tmp_path / "b.tar.gz") as tar:
        sealed = tar.extractfile("secrets.sealed")
        assert sealed is not None
        assert (state / "root.key").read_bytes().strip() not in sealed.read()


def test_a_restore_opens_no_lock_and_forgets_no_mark(state: Path, tmp_path: Path) -> None:
    make_backup(state, tmp_path / "open.tar.gz")
    lock(state, reason="since then")
    (state / MARKS_FILE).write_bytes(b"newer marks")
    restore_backup(state, tmp_path / "open.tar.gz")
    assert read_locks(state).holds("anybody")
    assert (state / MARKS_FILE).read_bytes() == b"newer marks"
    (state / LOCKDOWN_FILE).write_bytes(b"{")
    restore_backup(state, tmp_path / "open.tar.gz")
    assert read_locks(state).unreadable
    unlock(state)


def test_nothing_is_restored_over_a_gateway_that_runs(state: Path, tmp_path: Path) -> None:
    make_backup(state, tmp_path / "b.tar.gz")
    with serving(state), serving(state), pytest.raises(BackupError, match="a gateway runs"):
        restore_backup(state, tmp_path / "b.tar.gz")
    assert not list(state.glob("before-restore-*"))


def test_a_damaged_or_a_foreign_file_changes_nothing(state: Path, tmp_path: Path) -> None:
    good = tmp_path / "b.tar.gz"
    make_backup(state, good)
    data = good.read_bytes()
    broken = tmp_path / "broken.tar.gz"
    for content in (b"", b"no tar at all", data[: len(data) // 2], data[:-400] + b"\0" * 400):
        broken.write_bytes(content)
        with pytest.raises(BackupError):
            restore_backup(state, broken)
    assert not list(state.glob("before-restore-*"))
    assert not list(state.glob(".restoring-*"))
    assert ids(state) == ["gh-3", "gh-2", "gh-1"]


def test_a_name_that_leads_out_of_the_folder_is_refused(state: Path, tmp_path: Path) -> None:
    for name in ("../escaped", "/tmp/escaped", "root.key", "models/x"):
        source = tmp_path / "evil.tar.gz"
        with tarfile.open(source, "w:gz") as tar:
            for entry, content in (("manifest.json", _manifest(name)), (f"state/{name}", b"x")):
                path = tmp_path / "entry"
                path.write_bytes(content)
                tar.add(path, entry)
        with pytest.raises(BackupError, match="no backup, or is damaged"):
            restore_backup(state, source)


def _manifest(name: str) -> bytes:
    return orjson.dumps({"version": 1, "made": 0, "files": {name: hashlib.sha256(b"x").hexdigest()}})


def test_a_broken_chain_is_neither_backed_up_nor_a_target_written_twice(state: Path, tmp_path: Path) -> None:
    make_backup(state, tmp_path / "b.tar.gz")
    with pytest.raises(BackupError, match="there already"):
        make_backup(state, tmp_path / "b.tar.gz")
    database = sqlite3.connect(state / RECORDS_FILE)
    database.execute("DELETE FROM records WHERE seq = 2")
    database.commit()
    database.close()
    with pytest.raises(BackupError, match="broken at 2"):
        make_backup(state, tmp_path / "c.tar.gz")
