"""The store of versions: numbers, authors, approvals, and that it never says more than was done."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from policies.schema import compile_policy
from policies.text.chain import Written
from policies.version import NoSuchVersion, Serving, Version, WrongState, difference
from router.records.store import StoreError
from router.versions.versions import VERSIONS_FILE, VersionStore, read_active, read_version
from tests.policies.worlds import OFFLINE

SECOND = OFFLINE.replace("version: 1", "version: 2")
THIRD = OFFLINE.replace("version: 1", "version: 3")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[VersionStore]:
    with VersionStore(tmp_path / "state") as versions:
        yield versions


def in_force(store: VersionStore, text: str, author: str = "file:root") -> Version | None:
    return store.note_in_force(compile_policy(text, "p.yaml"), [Written("p.yaml", text)], author)


def drafted(store: VersionStore, text: str, author: str = "key:ann") -> Version:
    return store.add(compile_policy(text, "p.yaml"), [Written("p.yaml", text)], author=author, reason="why not")


def test_everything_in_force_is_kept_with_its_text_and_the_one_before(store: VersionStore) -> None:
    for text in (OFFLINE, SECOND, OFFLINE):
        assert in_force(store, text) is not None
    assert in_force(store, OFFLINE) is None, "a restart puts nothing new in force"
    third, second, first = store.list()
    assert [each.state for each in (third, second, first)] == ["active", "past", "past"]
    assert [each.before for each in (third, second, first)] == [2, 1, None]
    assert third.texts == first.texts == (Written("p.yaml", OFFLINE),)
    assert third.digest == compile_policy(OFFLINE, "p.yaml").digest
    assert "-version: 1\n+version: 2\n" in difference(first, second)
    assert third == store.active() == read_active(Path(store._path).parent)


def test_the_file_is_its_owners_alone(store: VersionStore, tmp_path: Path) -> None:
    in_force(store, OFFLINE)
    for file in (tmp_path / "state").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


def test_who_applied_a_file_counts_as_its_author_and_not_the_owner_of_the_file(store: VersionStore) -> None:
    in_force(store, OFFLINE)
    text = [Written("/etc/p.yaml", SECOND)]  # the gateway was started with a relative path
    store.add(compile_policy(SECOND, "p.yaml"), text, author="user:ann", reason="new house", state="approved")
    noted = in_force(store, SECOND, "file:root")
    assert noted is not None
    assert (noted.number, noted.author, noted.reason, noted.state) == (2, "user:ann", "new house", "active")


def test_a_loosening_needs_others_who_approve_it(store: VersionStore) -> None:
    in_force(store, OFFLINE)
    version = store.propose(drafted(store, SECOND).number, ["more leaves"], 2)
    assert (version.state, version.loosens) == ("proposed", ("more leaves",))
    with pytest.raises(WrongState, match="somebody else"):
        store.approve(version.number, "key:ann")
    for _ in range(2):  # the same one twice is one
        assert store.approve(version.number, "key:bob").state == "proposed"
    with pytest.raises(WrongState, match="proposed, not approved"):
        store.activate(version.number, "key:bob")
    assert store.approve(version.number, "key:cyd").state == "approved"
    active = store.activate(version.number, "key:ann")
    assert (active.state, active.activated_by, active.approvals) == ("active", "key:ann", ("key:bob", "key:cyd"))
    assert store.get("1").state == "past"


def test_what_was_judged_against_another_policy_is_not_put_in_force(store: VersionStore) -> None:
    in_force(store, OFFLINE)
    one = store.propose(drafted(store, SECOND).number, (), 0)
    two = store.propose(drafted(store, THIRD).number, (), 0)
    store.activate(one.number, "key:ann")
    with pytest.raises(WrongState, match="judged against 1, and 2 is in force"):
        store.activate(two.number, "key:ann")


def test_a_version_is_found_by_number_and_by_the_beginning_of_its_digest(store: VersionStore) -> None:
    in_force(store, OFFLINE)
    in_force(store, SECOND)
    digest = compile_policy(OFFLINE, "p.yaml").digest
    assert store.get("2").number == 2
    assert store.get(digest[:8]).number == 1
    assert read_version(Path(store._path).parent, "1").number == 1
    for word in ("3", "ffffffffff", digest[:3], "", "x' OR 1"):
        with pytest.raises(NoSuchVersion):
            store.get(word)


def test_what_is_served_is_known_to_commands(store: VersionStore) -> None:
    assert store.serving() is None
    store.serve(Serving("/etc/policy.yaml", "file"))
    store.serve(Serving("/etc/other.yaml", "store"))
    assert store.serving() == Serving("/etc/other.yaml", "store")


def test_a_file_of_a_newer_gatehouse_is_left_alone(tmp_path: Path) -> None:
    VersionStore(tmp_path / "state").close()
    with closing(sqlite3.connect(tmp_path / "state" / VERSIONS_FILE)) as database, database:
        database.execute("INSERT INTO schema_version VALUES (99)")
    with pytest.raises(StoreError, match="newer gatehouse"):
        VersionStore(tmp_path / "state")
