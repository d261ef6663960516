"""Changing what is in force: what would newly leave is refused until somebody says that it may, and others approve."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from policies.schema import compile_policy, load_policy
from policies.text.chain import Written, read_chain
from policies.version import Serving, WrongState
from router.records.store import RECORDS_FILE, SqliteStore
from router.versions import changing
from router.versions.changing import NewlyLeaves, Refused
from router.versions.versions import VersionStore
from tests.policies.test_simulate import EASY, FACTS, HARD, HOME_ONLY, record_of
from tests.policies.worlds import BASE

LOOSER = BASE.replace("regions: [site, eu]", "regions: [site, us, eu]")
TIGHTER = BASE.replace("payload: full, localities: [lan], regions: [site]", "payload: none, localities: [lan]")
KEPT = "policy: {source: store}\napprovals: {loosening: 2}\n"


def texts(text: str) -> list[Written]:
    return [Written("new.yaml", text)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(BASE)
    path.chmod(0o640)
    return path


@pytest.fixture
def versions(tmp_path: Path, file: Path) -> Iterator[VersionStore]:
    with VersionStore(tmp_path / "state") as store:
        store.serve(Serving(str(file), "file"))
        follow(store, file)
        yield store


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[VersionStore]:
    with VersionStore(tmp_path / "state") as store:
        store.serve(Serving("seed.yaml", "store"))
        text = BASE + KEPT
        store.note_in_force(compile_policy(text, "seed.yaml"), [Written("seed.yaml", text)], "file:root")
        yield store


def follow(versions: VersionStore, file: Path) -> None:
    """What the gateway does when it has read its file."""
    versions.note_in_force(load_policy(str(file)), read_chain(str(file)), "file:root")


def test_a_looser_policy_is_not_applied_until_somebody_says_so(
    versions: VersionStore, file: Path, tmp_path: Path
) -> None:
    with pytest.raises(NewlyLeaves, match="confidential to 'cloud': none -> full"):
        changing.apply(versions, texts(LOOSER), tmp_path / "state", author="user:ann")
    assert file.read_text() == BASE
    assert len(versions.list()) == 1
    made = changing.apply(versions, texts(LOOSER), tmp_path / "state", author="user:ann", may_newly_leave=True)
    assert (made.file, file.read_text(), file.stat().st_mode & 0o777) == (file, LOOSER, 0o640)
    assert versions.active() == versions.get("1"), "written is not yet in force"
    follow(versions, file)
    active = versions.active()
    assert active is not None
    assert (active.number, active.author, active.state) == (2, "user:ann", "active")


def test_records_show_what_the_files_alone_call_harmless(versions: VersionStore, file: Path, tmp_path: Path) -> None:
    """More of what may leave is sent: the words of the files say `sends out`, recorded requests say that they leave."""
    store = SqliteStore(tmp_path / "state" / RECORDS_FILE)
    store.append([record_of(HOME_ONLY, FACTS, seen) for seen in (HARD, EASY)], durable=True)
    store.close()
    more = BASE.replace("{at_least: 0.7}}]}, route: cloud", "{at_least: 0.1}}]}, route: cloud")
    with pytest.raises(NewlyLeaves, match="of 2 recorded requests, 2 would newly leave"):
        changing.apply(versions, texts(more), tmp_path / "state", author="user:ann")


def test_without_records_sending_more_counts_as_letting_out(versions: VersionStore, tmp_path: Path) -> None:
    more = BASE.replace("{at_least: 0.7}}]}, route: cloud", "{at_least: 0.1}}]}, route: cloud")
    with pytest.raises(NewlyLeaves, match=r"decisions\.hard"):
        changing.apply(versions, texts(more), tmp_path / "state", author="user:ann")


def test_back_in_one_step_and_forth_again(versions: VersionStore, file: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    changing.apply(versions, texts(TIGHTER), state, author="user:ann")
    follow(versions, file)
    with pytest.raises(NewlyLeaves):
        changing.rollback(versions, state, author="user:ann")
    made = changing.rollback(versions, state, author="user:ann", reason="too tight", may_newly_leave=True)
    assert (file.read_text(), made.version.reason) == (BASE, "back to version 1: too tight")
    follow(versions, file)
    assert changing.rollback(versions, state, author="user:ann").version.digest == versions.get("2").digest
    assert file.read_text() == TIGHTER


def test_a_link_stays_a_link_and_what_it_leads_to_is_replaced(
    versions: VersionStore, file: Path, tmp_path: Path
) -> None:
    real = tmp_path / "real.yaml"
    file.rename(real)
    file.symlink_to(real)
    made = changing.apply(versions, texts(TIGHTER), tmp_path / "state", author="user:ann")
    assert made.file == real
    assert file.is_symlink()
    assert real.read_text() == TIGHTER


def test_what_an_orchestrator_puts_there_is_left_alone(versions: VersionStore, file: Path, tmp_path: Path) -> None:
    (tmp_path / "..2026_1").mkdir()
    file.rename(tmp_path / "..2026_1" / "policy.yaml")
    file.symlink_to("..2026_1/policy.yaml")
    with pytest.raises(Refused, match="orchestrator"):
        changing.apply(versions, texts(TIGHTER), tmp_path / "state", author="user:ann")
    assert file.read_text() == BASE


def test_what_it_extends_must_be_the_same_beside_the_gateways_file(
    versions: VersionStore, file: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "base.yaml").write_text(BASE)
    (elsewhere / "new.yaml").write_text("extends: base.yaml\nversion: 9\n")
    chain = changing.read_texts(str(elsewhere / "new.yaml"))
    with pytest.raises(Refused, match="beside the gateway's file"):
        changing.apply(versions, chain, tmp_path / "state", author="user:ann", may_newly_leave=True)
    (tmp_path / "base.yaml").write_text(BASE)
    changing.apply(versions, chain, tmp_path / "state", author="user:ann", may_newly_leave=True)
    follow(versions, file)
    active = versions.active()
    assert active is not None
    assert active.author == "user:ann"


def test_a_recipe_is_no_file_to_write(tmp_path: Path) -> None:
    with VersionStore(tmp_path / "state") as versions:
        with pytest.raises(Refused, match="no gateway was ever started"):
            changing.apply(versions, texts(BASE), tmp_path / "state", author="user:ann")
        versions.serve(Serving("default", "file"))
        with pytest.raises(Refused, match="the recipe 'default'"):
            changing.apply(versions, texts(TIGHTER), tmp_path / "state", author="user:ann", may_newly_leave=True)


def test_a_loosening_of_the_store_goes_by_approvals(kept: VersionStore, tmp_path: Path) -> None:
    state = tmp_path / "state"
    with pytest.raises(Refused, match="--key-file"):
        changing.propose(kept, texts(LOOSER + KEPT), state, author="user:ann")
    made = changing.apply(kept, texts(LOOSER + KEPT), state, author="key:ann", may_newly_leave=True)
    number = str(made.version.number)
    assert (made.version.state, made.version.needed, made.file) == ("proposed", 2, None)
    with pytest.raises(WrongState, match="somebody else"):
        changing.approve(kept, number, author="key:ann")
    with pytest.raises(Refused, match="--key-file"):
        changing.approve(kept, number, author="user:bob")
    changing.approve(kept, number, author="key:bob")
    with pytest.raises(WrongState):
        changing.activate(kept, number, author="key:ann")
    changing.approve(kept, number, author="key:cyd")
    assert changing.activate(kept, number, author="key:ann").state == "active"


def test_a_candidate_cannot_let_itself_off(kept: VersionStore, tmp_path: Path) -> None:
    free = LOOSER + "policy: {source: store}\n"
    made = changing.propose(kept, texts(free), tmp_path / "state", author="key:ann")
    assert (made.version.state, made.version.needed) == ("proposed", 2)
    with pytest.raises(Refused, match="must say"):
        changing.propose(kept, texts(LOOSER), tmp_path / "state", author="key:ann")


def test_a_tightening_of_the_store_needs_nobody(kept: VersionStore, tmp_path: Path) -> None:
    made = changing.apply(kept, texts(TIGHTER + KEPT), tmp_path / "state", author="user:ann")
    assert (made.version.state, made.version.needed) == ("active", 0)
    with pytest.raises(NewlyLeaves):
        changing.rollback(kept, tmp_path / "state", author="key:ann")
    back = changing.rollback(kept, tmp_path / "state", author="key:ann", may_newly_leave=True)
    assert back.version.state == "proposed", "back to what lets more out needs approvals too"


def test_a_draft_is_proposed_by_who_made_it(kept: VersionStore, tmp_path: Path) -> None:
    state = tmp_path / "state"
    made = changing.propose(kept, texts(LOOSER + KEPT), state, author="key:ann", is_draft=True)
    number = str(made.version.number)
    assert made.version.state == "draft"
    with pytest.raises(Refused, match="draft of key:ann"):
        changing.propose_draft(kept, number, state, author="key:bob")
    assert changing.propose_draft(kept, number, state, author="key:ann").version.state == "proposed"
