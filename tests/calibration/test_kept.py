"""Answers that are kept while a calibration runs: private, whole after a crash, gone when told to."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from router.calibration.kept import KeptAnswers, digest_of
from router.keys import StateFolderError

CHOICE = {"message": {"content": "Paris"}, "finish_reason": "stop"}


def test_what_was_answered_is_there_again_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "calibration" / "answers.jsonl"
    with KeptAnswers(path) as kept:
        kept.add("a", CHOICE)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        with KeptAnswers(path) as other:
            assert other.choices == {"a": CHOICE}
    with KeptAnswers(path) as kept:
        kept.add("b", CHOICE)
        kept.delete()
    assert not path.exists()


def test_a_line_that_a_crash_cut_off_costs_that_answer_alone(tmp_path: Path) -> None:
    path = tmp_path / "calibration" / "answers.jsonl"
    with KeptAnswers(path) as kept:
        kept.add("a", CHOICE)
        kept.add("b", CHOICE)
    path.write_bytes(path.read_bytes()[:-9])
    with KeptAnswers(path) as kept:
        assert set(kept.choices) == {"a"}
        kept.add("c", CHOICE)
    with KeptAnswers(path) as kept:
        assert set(kept.choices) == {"a", "c"}


def test_a_folder_that_others_may_enter_and_a_link_are_refused(tmp_path: Path) -> None:
    open_to_all = tmp_path / "open"
    open_to_all.mkdir(mode=0o755)
    open_to_all.chmod(0o755)
    with pytest.raises(StateFolderError):
        KeptAnswers(open_to_all / "answers.jsonl")
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    (private / "answers.jsonl").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic link"):
        KeptAnswers(private / "answers.jsonl")
    assert not (tmp_path / "elsewhere").exists()


def test_another_model_or_another_body_is_another_answer() -> None:
    bodies = [{"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": 1, "b": 3}]
    first, same, changed = (digest_of("m", body) for body in bodies)
    assert first == same
    assert len({first, changed, digest_of("n", bodies[0])}) == 3
