"""The kill switch's state: what locks, what ends a lock, and that whatever cannot be read is locked."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from router.errors import Locked
from router.lockdown.exits import Exits, degraded_words
from router.lockdown.lockdown import LOCKDOWN_FILE, Lock, LockdownError, Locks, adopt, lock, merged, read_locks, unlock
from router.lockdown.sharing import changes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


def test_nothing_is_locked_at_first_and_a_lock_holds_until_it_is_ended(folder: Path) -> None:
    assert not read_locks(folder).holds("a")
    made = lock(folder, reason="a leak", by="me")
    assert read_locks(folder).holds("a")
    assert read_locks(folder).in_force == (made,)
    assert unlock(folder) == (made,)
    assert not read_locks(folder).holds("a")
    assert unlock(folder) == ()


def test_a_tenants_lock_holds_that_tenant_alone_and_is_ended_by_its_name_alone(folder: Path) -> None:
    lock(folder, reason="theirs", tenant="a")
    assert (read_locks(folder).holds("a"), read_locks(folder).holds("b")) == (True, False)
    assert unlock(folder) == ()
    assert read_locks(folder).holds("a")
    assert len(unlock(folder, tenant="a")) == 1
    assert not read_locks(folder).holds("a")


def test_the_end_of_one_lock_leaves_the_other(folder: Path) -> None:
    lock(folder, reason="all")
    lock(folder, reason="theirs", tenant="a")
    unlock(folder)
    assert (read_locks(folder).holds("a"), read_locks(folder).holds("b")) == (True, False)


@pytest.mark.parametrize("reason", ["", "  ", "two\nlines", "x" * 201, "\x1b[31m"])
def test_a_reason_is_one_line(folder: Path, reason: str) -> None:
    with pytest.raises(LockdownError, match="one line"):
        lock(folder, reason=reason)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"version": 2, "locks": {}, "ended": {}}',
        b'{"version": 1, "locks": {"a": {}}, "ended": {}}',
        b'{"version": 1, "locks": {"a": {"tenant": 7, "reason": "", "since": "", "by": ""}}, "ended": {}}',
        b'{"version": 1, "locks": {}, "ended": []}',
        b'{"version": 1, "locks": {}, "ended": {"a": 1}}',
    ],
)
def test_a_state_that_cannot_be_read_locks_everything(folder: Path, content: bytes) -> None:
    lock(folder, reason="to make the file")
    unlock(folder)
    (folder / LOCKDOWN_FILE).write_bytes(content)
    state = read_locks(folder)
    assert state.unreadable
    assert state.holds("anybody")
    with pytest.raises(LockdownError, match="without --tenant"):
        unlock(folder, tenant="a")
    assert unlock(folder)
    assert not read_locks(folder).holds("anybody")
    assert len(list(folder.glob(f"{LOCKDOWN_FILE}.damaged-*"))) == 1


def test_a_state_that_others_may_read_or_that_is_no_file_locks_everything(folder: Path) -> None:
    lock(folder, reason="x", tenant="a")
    path = folder / LOCKDOWN_FILE
    path.chmod(0o644)
    assert read_locks(folder).holds("b")
    path.chmod(0o600)
    assert not read_locks(folder).holds("b")
    path.unlink()
    path.mkdir()
    assert read_locks(folder).holds("b")


def test_a_new_lock_in_place_of_a_damaged_state_keeps_everything_locked(folder: Path) -> None:
    lock(folder, reason="x")
    (folder / LOCKDOWN_FILE).write_bytes(b"{")
    lock(folder, reason="y", tenant="a")
    state = read_locks(folder)
    assert not state.unreadable
    assert state.holds("b")


def test_too_many_locks_are_refused_before_the_file_grows_past_what_is_read(folder: Path) -> None:
    def fill() -> None:
        for index in range(1000):
            lock(folder, reason="x" * 200, tenant=f"tenant-{index}-{'y' * 150}")

    with pytest.raises(LockdownError, match="too many"):
        fill()
    state = read_locks(folder)
    assert not state.unreadable
    assert state.holds(f"tenant-0-{'y' * 150}")


def test_states_of_hosts_come_together_the_same_in_any_order() -> None:
    first, second = (Lock(name, None, "r", f"2026-01-0{name}", "me") for name in "12")
    states = (
        Locks({"1": first}),
        Locks({"2": second}, {"1": "2026-02-01"}),
        Locks({"1": first, "2": second}),
    )
    outcomes = {tuple(merged(merged(a, b), c).in_force) for a, b, c in itertools.permutations(states)}
    assert outcomes == {(second,)}
    assert merged(states[1], states[1]) == states[1]


def test_a_lock_that_another_host_made_unseen_survives_this_hosts_unlock(folder: Path) -> None:
    mine = lock(folder, reason="mine")
    theirs = Lock("ff", None, "theirs", "2026-01-01", "them")
    unlock(folder)
    state = adopt(folder, Locks({mine.id: mine, "ff": theirs}))
    assert state.in_force == (theirs,)
    assert adopt(folder, Locks(ended={"ff": "2026-01-02"})).in_force == ()


def test_what_came_from_elsewhere_is_told_apart() -> None:
    one = Lock("1", None, "r", "t", "me")
    assert changes(Locks(), Locks({"1": one})) == [("lock", (one,))]
    assert changes(Locks({"1": one}), Locks({}, {"1": "t"})) == [("unlock", (one,))]
    assert changes(Locks({"1": one}), Locks({"1": one})) == []


def test_an_exit_sees_a_lock_at_once_and_its_end_too(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    exits = Exits(folder)
    exits.require_open("a")
    lock(folder, reason="x")
    with pytest.raises(Locked):
        exits.require_open("a")
    assert degraded_words(exits.locks) == ("lockdown",)
    unlock(folder)
    exits.require_open("a")
    assert degraded_words(exits.locks) == ()
    lock(folder, reason="x", tenant="a")
    exits.require_open("b")
    with pytest.raises(Locked):
        exits.require_open("a")
    assert degraded_words(exits.locks) == ("lockdown_tenants",)


def test_a_state_file_that_vanishes_is_a_fault_and_locks(folder: Path) -> None:
    lock(folder, reason="x")
    unlock(folder)
    exits = Exits(folder)
    exits.require_open("a")
    (folder / LOCKDOWN_FILE).unlink()
    for _ in range(2):
        with pytest.raises(Locked):
            exits.require_open("a")
    assert degraded_words(exits.locks) == ("lockdown", "lockdown_unreadable")
    assert unlock(folder) == ()  # nothing stands on the disk …
    lock(folder, reason="y")
    unlock(folder)  # … and whoever writes the state anew ends the fault
    exits.require_open("a")
