"""A person's rows go, old ones go, and the chain of records stays whole; what nobody has written down shows."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from policies.keeping import Kept, kept_shorter
from policies.types import Policy
from router.records.chain import delinked
from router.records.erasing import Eraser, expire_records
from router.records.store import RECORDS_FILE, RecordReader, SqliteStore, StoreError, verify
from router.types import JsonObject
from tests.policies.worlds import BASE, load

NOW = datetime(2026, 6, 1, tzinfo=UTC)
SOMEBODY = "5" * 32


def record(
    number: int, subject: str | None = None, tenant: str = "t", kind: str = "decision", age: int = 0
) -> JsonObject:
    return {
        "kind": kind,
        "id": f"gh-{number}",
        "time": (NOW - timedelta(days=age)).isoformat(timespec="milliseconds"),
        "principal": {"tenant": tenant, "key_id": "k", "subject": subject},
        "outcome": {"route": "local", "reason": "default"},
    }


def kept(days: int | None = None, *, more: str = "") -> Policy:
    """A policy that keeps records for so long; `more` stands at its end."""
    return load(BASE + (f"retention: {{records_days: {days}}}\n" if days is not None else "") + more)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / RECORDS_FILE


def write(path: Path, *records: JsonObject) -> None:
    store = SqliteStore(path)
    store.append(records, durable=True)
    store.close()


def test_a_persons_rows_are_emptied_and_the_chain_is_whole(path: Path) -> None:
    write(
        path,
        *(record(number, SOMEBODY if number % 3 == 0 else None) for number in range(10)),
        record(3, kind="feedback"),
        record(4, kind="feedback"),
        record(20, SOMEBODY, tenant="other"),
    )
    with Eraser(path) as eraser:
        assert eraser.erase_subject("t", SOMEBODY).rows == 5
    report = verify(path)
    assert (report.intact, report.erased) == (True, 5)
    with RecordReader(path) as reader:
        shown = reader.list_records(100)
        assert [each["id"] for each in shown] == ["gh-20", *(f"gh-{n}" for n in (8, 7, 5, 4, 2, 1))]
        assert reader.get_record("gh-3") is None
        assert reader.get_latest("gh-4", "feedback") is not None
    data = b"".join(each.read_bytes() for each in path.parent.iterdir() if each.name.startswith(RECORDS_FILE))
    assert data.count(SOMEBODY.encode()) == 1, "the other tenant's row alone names the pseudonym"
    assert b"gh-3" not in data


def test_it_is_done_once_and_what_comes_later_follows_the_chain(path: Path) -> None:
    write(path, record(1, SOMEBODY), record(2))
    for expected in (1, 0):
        with Eraser(path) as eraser:
            assert eraser.erase_subject("t", SOMEBODY).rows == expected
    write(path, record(3, SOMEBODY), record(4))
    assert verify(path).intact
    with Eraser(path) as eraser:
        assert eraser.erase_subject("t", SOMEBODY).rows == 1
    assert (verify(path).intact, verify(path).erased, verify(path, 3).intact) == (True, 2, True)


def test_rows_are_erased_beside_a_gateway_that_writes(path: Path) -> None:
    store = SqliteStore(path)
    store.append([record(1, SOMEBODY)], durable=False)
    with Eraser(path) as eraser:
        store.append([record(2)], durable=False)
        assert eraser.erase_subject("t", SOMEBODY).rows == 1
        store.append([record(3)], durable=True)
    store.close()
    assert verify(path).intact


def test_an_emptied_row_that_no_record_tells_of_breaks_the_chain(path: Path) -> None:
    write(path, record(1), record(2, SOMEBODY), record(3))
    with Eraser(path) as eraser:
        eraser.erase_subject("t", SOMEBODY)
    database = sqlite3.connect(path)
    (grave,) = database.execute("SELECT body FROM records WHERE seq = 2").fetchone()
    prev = database.execute("SELECT digest FROM records WHERE seq = 2").fetchone()[0]
    forged = grave.replace(grave[-66:-2], prev.encode())
    database.execute("UPDATE records SET body = ? WHERE seq = 3", (forged,))
    database.commit()
    database.close()
    report = verify(path)
    assert (report.broken_at, report.why) == (3, "the row was erased, and no record tells of it")


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE records SET body = replace(CAST(body AS TEXT), 'gh-1', 'gh-9') WHERE seq = 1",
        "DELETE FROM records WHERE seq = 2",
        "UPDATE records SET digest = 'x' WHERE seq = 2",
        "DELETE FROM records WHERE kind = 'erasure'",
        "INSERT OR REPLACE INTO cut VALUES (1, 1, (SELECT digest FROM records WHERE seq = 1))",
    ],
)
def test_everything_else_still_breaks_it(path: Path, change: str) -> None:
    write(path, record(1), record(2, SOMEBODY), record(3))
    with Eraser(path) as eraser:
        eraser.erase_subject("t", SOMEBODY)
    database = sqlite3.connect(path)
    database.execute(change)
    database.commit()
    database.close()
    assert not verify(path).intact


def test_what_is_older_than_retention_says_is_cut_off_and_the_rest_is_whole(path: Path) -> None:
    write(path, *(record(number, SOMEBODY if number % 4 == 0 else None, age=40 - number) for number in range(40)))
    with Eraser(path) as eraser:
        eraser.erase_subject("t", SOMEBODY)
    assert expire_records(path, kept(30), NOW).rows == 10
    assert expire_records(path, kept(30), NOW).rows == 0
    assert verify(path).intact
    assert verify(path, 5).intact
    assert expire_records(path, kept(20), NOW).rows == 11  # an emptied row keeps its day alone: it goes by its midnight
    write(path, record(99))
    report = verify(path)
    assert (report.intact, report.erased) == (True, 4)
    with RecordReader(path) as reader:
        assert min(each["seq"] for each in reader.list_records(100)) == 22


def decided(number: int, rule: str, age: int, tenant: str = "t", kind: str = "decision") -> JsonObject:
    return {**record(number, tenant=tenant, kind=kind, age=age), "decision": {"rule": rule}}


def test_what_a_route_or_a_tenant_leaves_behind_is_emptied_sooner_and_the_rest_stays(path: Path) -> None:
    write(
        path,
        decided(1, "hard", 20, kind="intent"),
        decided(1, "hard", 20),
        decided(2, "hard", 5),
        decided(3, "hard-eu", 20),
        record(1, kind="feedback", age=1),
        decided(4, "", 8, tenant="acme"),
        decided(5, "", 6, tenant="acme"),
        {**record(6, tenant="acme", age=50), "kind": "audit"},
        record(7, SOMEBODY, tenant="acme", age=9),
    )
    with Eraser(path) as eraser:
        eraser.delink_subject("acme", SOMEBODY)
    policy = load(
        BASE.replace(
            "{at_least: 0.7}}]}, route: cloud}", "{at_least: 0.7}}]}, route: cloud, retention: {records_days: 10}}"
        )
        + "tenants: {acme: {retention: {records_days: 7}}, other: {retention: {cache_seconds: 5}}}\n"
    )
    assert kept_shorter(policy) == (Kept("acme", None, 7), Kept(None, "hard", 10))
    assert expire_records(path, policy, NOW).rows == 5
    assert expire_records(path, policy, NOW).rows == 0
    report = verify(path)
    assert (report.intact, report.erased) == (True, 5)
    with RecordReader(path) as reader:
        left = [each["id"] for each in reader.rows_since("", ["decision", "intent", "feedback", "audit"])]
    assert left == ["gh-2", "gh-3", "gh-5", "gh-6"]
    with Eraser(path) as eraser, pytest.raises(ValueError, match="whose records"):
        eraser.empty_older(NOW)


def test_a_beginning_that_was_cut_off_by_hand_shows(path: Path) -> None:
    write(path, *(record(number, age=40 - number) for number in range(40)))
    expire_records(path, kept(30), NOW)
    database = sqlite3.connect(path)
    (digest,) = database.execute("SELECT digest FROM records WHERE seq = 15").fetchone()
    database.execute("DELETE FROM records WHERE seq <= 15")
    database.commit()
    assert not verify(path).intact
    database.execute("UPDATE cut SET seq = 15, digest = ?", (digest,))
    database.commit()
    database.close()
    assert verify(path).why == "the row was erased, and no record tells of it"


def test_all_that_is_old_may_go(path: Path) -> None:
    write(path, *(record(number, age=400) for number in range(5)))
    assert expire_records(path, kept(30), NOW).rows == 5
    assert verify(path).intact
    write(path, record(7))
    assert verify(path).intact


def test_without_records_there_is_nothing_to_expire_and_nobody_to_erase(path: Path) -> None:
    assert expire_records(path, kept(1)).rows == 0
    with pytest.raises(StoreError, match="no records yet"):
        Eraser(path)


def test_rows_that_are_delinked_stay_without_whose_they_were(path: Path) -> None:
    write(
        path,
        *(record(number, SOMEBODY if number % 3 == 0 else None) for number in range(10)),
        record(3, kind="feedback"),
        {**record(11), "reask_of": "gh-3"},
        record(20, SOMEBODY, tenant="other"),
    )
    with Eraser(path) as eraser:
        assert eraser.delink_subject("t", SOMEBODY).rows == 5
        assert eraser.delink_subject("t", SOMEBODY).rows == 0
    report = verify(path)
    assert (report.intact, report.erased) == (True, 5)
    with RecordReader(path) as reader:
        shown = reader.list_records(100)
        assert len(shown) == 12, "all are there for statistics"
        gone = [each for each in shown if each["id"] == ""]
        assert [each["outcome"] for each in gone] == [record(0)["outcome"]] * 4
        assert {each["time"] for each in gone} == {"2026-06-01T00:00:00.000+00:00"}
        assert [each["principal"] for each in gone] == [
            {"tenant": "t", "key_id": "k", "subject": None, "groups": []}
        ] * 4
        assert reader.get_record("gh-3") is None
    data = b"".join(each.read_bytes() for each in path.parent.iterdir() if each.name.startswith(RECORDS_FILE))
    assert data.count(SOMEBODY.encode()) == 1, "the other tenant's row alone names the pseudonym"


def test_what_was_delinked_may_be_erased_with_age_and_the_chain_goes_on(path: Path) -> None:
    write(path, record(1, SOMEBODY, age=40), record(2, SOMEBODY), record(3))
    with Eraser(path) as eraser:
        eraser.delink_subject("t", SOMEBODY)
    write(path, record(4, SOMEBODY))
    with Eraser(path) as eraser:
        eraser.erase_subject("t", SOMEBODY)
    assert (verify(path).intact, verify(path).erased) == (True, 3)
    assert expire_records(path, kept(30), NOW).rows == 1
    assert (verify(path).intact, verify(path).erased) == (True, 2)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE records SET body = CAST(replace(CAST(body AS TEXT), 'default', 'another') AS BLOB) WHERE seq = 2",
        "UPDATE records SET body = CAST(replace(CAST(body AS TEXT), 'erasure', 'nothing') AS BLOB) WHERE seq = 4",
        "DELETE FROM records WHERE kind = 'erasure'",
        "UPDATE records SET body = (SELECT body FROM records WHERE seq = 2) WHERE seq = 3",
    ],
)
def test_a_row_that_was_delinked_is_as_safe_from_changes_as_before(path: Path, change: str) -> None:
    write(path, record(1), record(2, SOMEBODY), record(3))
    with Eraser(path) as eraser:
        eraser.delink_subject("t", SOMEBODY)
    assert verify(path).intact
    database = sqlite3.connect(path)
    database.execute(change)
    database.commit()
    database.close()
    assert not verify(path).intact


def test_a_row_that_somebody_delinked_by_hand_breaks_the_chain(path: Path) -> None:
    write(path, record(1), record(2, SOMEBODY), record(3))
    database = sqlite3.connect(path)
    (text,) = database.execute("SELECT body FROM records WHERE seq = 2").fetchone()
    database.execute("UPDATE records SET body = ? WHERE seq = 2", (delinked(text, [SOMEBODY]),))
    database.commit()
    database.close()
    assert verify(path).why == "the row was erased, and no record tells of it"
