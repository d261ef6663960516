"""The clients of tests/clients: installed once for all clones with the same locks; what stops that is told."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import pytest

from deploy import bootstrap, clients
from deploy.clients import Clients, is_offline, prepare
from deploy.console import Console, SetupError
from deploy.environment import digest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The locks of this clone, in another one."""
    folder = tmp_path / "clone"
    (folder / "tests" / "clients").mkdir(parents=True)
    shutil.copy(ROOT / "requirements-clients.lock", folder)
    shutil.copytree(ROOT / "tests" / "clients" / "node", folder / "tests" / "clients" / "node")
    return folder


def at(clone: Path) -> Clients:
    return Clients(clone, Console(clone / "log", io.StringIO()), clone.parent / "cache")


def test_a_change_of_either_lock_is_another_folder(clone: Path) -> None:
    first = at(clone).folder
    assert at(clone).folder == first
    (clone / "tests" / "clients" / "node" / "package-lock.json").write_text("{}")
    second = at(clone).folder
    (clone / "requirements-clients.lock").write_text("")
    assert len({first, second, at(clone).folder}) == 3


def test_what_is_complete_is_left_alone_and_what_is_not_is_not_called_so(clone: Path) -> None:
    ours = at(clone)
    assert not ours.is_complete()
    ours.python.parent.mkdir(parents=True)
    ours.python.touch()
    stamp = ours._environment
    stamp.remember(clients=digest((clone / "requirements-clients.lock").read_text("utf-8")))
    assert not ours.is_complete()
    stamp.remember(npm=ours._npm_digest)
    assert ours.is_complete()
    ours.require()
    assert not (clone / "log").exists()


@pytest.mark.parametrize(("value", "offline"), [(None, False), ("", False), ("0", False), ("1", True)])
def test_who_is_offline_says_so(value: str | None, offline: bool) -> None:
    assert is_offline({} if value is None else {clients.OFFLINE: value}) is offline


def test_offline_nothing_is_installed(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(clients.OFFLINE, "1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(clone.parent / "cache"))
    prepare(clone, Console(clone / "log", io.StringIO()))
    assert not (clone.parent / "cache").exists()


def test_the_other_tests_run_all_the_same_where_they_cannot_be_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(root: Path, console: Console) -> None:
        raise SetupError("pip could not reach the package registry")

    monkeypatch.setattr(clients, "prepare", refuse)
    output = io.StringIO()
    bootstrap._prepare_clients(bootstrap.Setup(tmp_path, tmp_path / "venv", Console(tmp_path / "log", output)))
    assert "tests will fail" in output.getvalue()
    assert "could not reach" in output.getvalue()
