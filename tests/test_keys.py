"""One root secret, made once and read by its owner only; subkeys that do not lead to one another."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from router.keys import Keys, StateFolderError, create_private, ensure_private_folder, load_keys, read_private


def test_the_first_start_makes_a_folder_and_a_secret_that_only_the_owner_can_read(tmp_path: Path) -> None:
    state = tmp_path / "a" / "b" / "state"
    load_keys(state)
    assert state.stat().st_mode & 0o777 == 0o700
    assert (state / "root.key").stat().st_mode & 0o777 == 0o600


def test_a_loose_umask_changes_nothing(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        load_keys(tmp_path / "state")
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o077 for path in (tmp_path / "state").iterdir()} == {0}


def test_every_start_reads_the_same_secret(tmp_path: Path) -> None:
    assert load_keys(tmp_path / "s").subkey("cache") == load_keys(tmp_path / "s").subkey("cache")


def test_two_folders_have_two_secrets(tmp_path: Path) -> None:
    assert load_keys(tmp_path / "one").subkey("cache") != load_keys(tmp_path / "two").subkey("cache")


def test_processes_that_start_at_once_agree(tmp_path: Path) -> None:
    line = "import sys, pathlib, router.keys as k; print(k.load_keys(pathlib.Path(sys.argv[1])).subkey('state').hex())"
    command = [sys.executable, "-c", line, str(tmp_path / "state")]
    root = Path(__file__).parents[1]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) for _ in range(6)]
    answers = {process.communicate(timeout=60)[0] for process in started}
    assert len(answers) == 1
    assert len(answers.pop().strip()) == 64
    assert sorted(path.name for path in (tmp_path / "state").iterdir()) == [".lock", "root.key"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666, 0o620])
def test_a_secret_that_others_may_touch_is_refused_with_the_command_that_closes_it(tmp_path: Path, mode: int) -> None:
    load_keys(tmp_path / "s")
    path = tmp_path / "s" / "root.key"
    path.chmod(mode)
    with pytest.raises(StateFolderError, match=f"chmod 600 {path}"):
        load_keys(tmp_path / "s")


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o701, 0o770])
def test_a_folder_that_others_may_enter_is_refused_with_the_command_that_closes_it(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "s"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(StateFolderError, match=f"chmod 700 {folder}"):
        load_keys(folder)


def test_a_file_in_the_folders_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("")
    with pytest.raises(StateFolderError, match="not a folder"):
        ensure_private_folder(tmp_path / "s")


def test_a_link_in_the_secrets_place_is_refused(tmp_path: Path) -> None:
    state = ensure_private_folder(tmp_path / "s")
    (tmp_path / "elsewhere").write_text("0" * 64)
    (state / "root.key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StateFolderError, match=r"root\.key"):
        load_keys(state)


def test_a_pipe_in_the_secrets_place_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    state = ensure_private_folder(tmp_path / "s")
    os.mkfifo(state / "root.key", 0o600)
    with pytest.raises(StateFolderError, match="not a plain file"):
        load_keys(state)


@pytest.mark.parametrize("content", [b"", b"short", b"zz" * 32, b"0" * 63, b"\xff" * 64])
def test_a_damaged_secret_is_refused_and_never_replaced(tmp_path: Path, content: bytes) -> None:
    state = ensure_private_folder(tmp_path / "s")
    path = state / "root.key"
    path.touch(0o600)
    path.write_bytes(content)
    with pytest.raises(StateFolderError, match="damaged"):
        load_keys(state)
    assert path.read_bytes() == content


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateFolderError, match="GATEHOUSE_STATE_DIR"):
        load_keys(tmp_path / "file" / "state")


def test_a_private_file_is_made_once_and_read_afterwards(tmp_path: Path) -> None:
    folder = ensure_private_folder(tmp_path / "s")
    assert create_private(folder / "f", lambda: b"first") == b"first"
    assert create_private(folder / "f", lambda: b"second") == b"first"
    assert read_private(folder / "f") == b"first"


def test_names_and_contexts_give_different_subkeys() -> None:
    keys = Keys(b"r" * 32)
    made = [keys.subkey(name, context) for name in ("cache", "digests", "state") for context in ("", "a", "b")]
    assert len(set(made)) == len(made)
    assert {len(key) for key in made} == {32}


def test_a_digest_is_equal_for_equal_data_and_differs_between_installations() -> None:
    assert Keys(b"r" * 32).digest(b"data") == Keys(b"r" * 32).digest(b"data")
    assert Keys(b"r" * 32).digest(b"data") != Keys(b"s" * 32).digest(b"data")


def test_no_representation_shows_the_root() -> None:
    assert "r" * 8 not in repr(Keys(b"r" * 32))
