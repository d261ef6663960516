"""The store keeps a chain that shows every change, survives what it can and says what it could not."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from router.keys import StateFolderError
from router.records.chain import FIRST_DIGEST
from router.records.store import RecordReader, SqliteStore, StoreError, StoreFullError, verify


def record(name: str, **more: Any) -> dict[str, Any]:
    return {
        "id": name,
        "kind": "decision",
        "time": "2030-01-01T00:00:00.000+00:00",
        "principal": {"tenant": "default"},
        **more,
    }


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "records.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    opened = SqliteStore(path)
    yield opened
    opened.close()


def filled(path: Path, count: int = 20) -> Path:
    store = SqliteStore(path)
    store.append([record(f"r{number}") for number in range(count)], durable=False)
    store.close()
    return path


def change(path: Path, *statements: str) -> None:
    database = sqlite3.connect(path)
    for statement in statements:
        database.execute(statement)
    database.commit()
    database.close()


def test_each_record_names_the_digest_of_the_one_before(store: SqliteStore, path: Path) -> None:
    store.append([record("a"), record("b")], durable=False)
    store.append([record("c")], durable=True)
    with RecordReader(path) as reader:
        newest, middle, oldest = reader.list_records()
    assert [newest["id"], middle["id"], oldest["id"]] == ["c", "b", "a"]
    assert (newest["prev"], middle["prev"], oldest["prev"]) == (middle["digest"], oldest["digest"], FIRST_DIGEST)
    assert verify(path).rows == 3


def test_a_later_opening_goes_on_with_the_chain(path: Path) -> None:
    for _ in range(3):
        filled(path)
    report = verify(path)
    assert (report.intact, report.rows) == (True, 60)


def test_two_writers_on_one_file_do_not_fork_the_chain(path: Path) -> None:
    one, other = SqliteStore(path), SqliteStore(path)

    def write(store: SqliteStore) -> None:
        for number in range(50):
            store.append([record(f"{id(store)}-{number}")], durable=False)

    threads = [threading.Thread(target=write, args=(store,)) for store in (one, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    one.close()
    other.close()
    report = verify(path)
    assert (report.intact, report.rows) == (True, 100)


@pytest.mark.parametrize(
    ("statements", "at", "why"),
    [
        (["UPDATE records SET body = replace(body, 'r7', 'r8') WHERE seq = 8"], 8, "the row was changed"),
        (["UPDATE records SET digest = 'x' WHERE seq = 8"], 8, "the row was changed"),
        (["UPDATE records SET body = CAST(body AS TEXT) WHERE seq = 8"], 8, "the row was changed"),
        (["DELETE FROM records WHERE seq = 8"], 8, "rows are missing"),
        (["DELETE FROM records WHERE seq = 1"], 1, "rows are missing"),
        (["DELETE FROM records WHERE seq > 15"], 16, "rows are missing at the end"),
        (["DELETE FROM records"], 1, "rows are missing at the end"),
        (
            [
                "UPDATE records SET seq = -1 WHERE seq = 8",
                "UPDATE records SET seq = 8 WHERE seq = 9",
                "UPDATE records SET seq = 9 WHERE seq = -1",
            ],
            8,
            "the row does not follow its predecessor",
        ),
        (["UPDATE head SET digest = 'x'"], 20, "the head names another digest"),
        (["UPDATE head SET seq = 19"], 21, "rows after the head"),
    ],
)
def test_every_tampering_shows_with_its_place(path: Path, statements: list[str], at: int, why: str) -> None:
    change(filled(path), *statements)
    report = verify(path)
    assert (report.intact, report.broken_at, report.why) == (False, at, why)
    store = SqliteStore(path)
    assert store.damage is not None
    assert str(at) in store.damage
    store.close()


def test_an_intact_file_opens_without_a_complaint(path: Path) -> None:
    store = SqliteStore(filled(path))
    assert store.damage is None
    store.close()


def test_a_file_that_is_no_database_is_set_aside_and_kept(path: Path) -> None:
    filled(path).write_bytes(b"not a database at all" * 1000)
    store = SqliteStore(path)
    store.append([record("new")], durable=True)
    store.close()
    assert store.damage is not None
    kept = [file for file in path.parent.iterdir() if "damaged" in file.name]
    assert len(kept) == 1
    assert kept[0].read_bytes().startswith(b"not a database")
    assert kept[0].name in store.damage
    assert verify(path).rows == 1


def test_a_file_with_a_torn_page_is_set_aside_or_shown_and_writing_goes_on(path: Path) -> None:
    filled(path, 500)
    with path.open("r+b") as file:
        file.seek(-4096 * 4, os.SEEK_END)
        file.write(os.urandom(4096 * 4))
    store = SqliteStore(path)
    assert store.damage is not None
    store.append([record("new")], durable=True)
    store.close()


def test_a_full_store_says_so_keeps_what_it_has_and_no_half_batch(path: Path) -> None:
    store = SqliteStore(path, max_bytes=64 * 1024)
    written = 0

    def fill() -> None:
        nonlocal written
        while written < 10_000:
            store.append([record(f"r{written + n}", filler="x" * 500) for n in range(10)], durable=False)
            written += 10

    with pytest.raises(StoreFullError, match="GATEHOUSE_RECORDS_MAX_BYTES"):
        fill()
    with pytest.raises(StoreFullError):
        store.append([record("more", filler="x" * 9000)], durable=True)
    store.close()
    assert path.stat().st_size <= 64 * 1024
    report = verify(path)
    assert (report.intact, report.rows) == (True, written)


def test_a_raised_limit_lets_it_write_again(path: Path) -> None:
    store = SqliteStore(path, max_bytes=64 * 1024)
    with pytest.raises(StoreFullError):
        store.append([record(f"r{n}", filler="x" * 500) for n in range(1000)], durable=False)
    store.close()
    store = SqliteStore(path, max_bytes=4 << 20)
    store.append([record(f"r{n}", filler="x" * 500) for n in range(1000)], durable=False)
    store.close()
    assert verify(path).rows == 1000


def test_readers_see_whole_batches_while_the_writer_writes(store: SqliteStore, path: Path) -> None:
    seen: list[int] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            report = verify(path)
            assert report.intact, report
            seen.append(report.rows)

    reader = threading.Thread(target=read)
    reader.start()
    deadline = time.monotonic() + 20
    while len(set(seen)) < 5 and time.monotonic() < deadline:
        store.append([record(f"{n}") for n in range(10)], durable=False)
        time.sleep(0.001)
    done.set()
    reader.join()
    assert len(set(seen)) >= 5
    assert all(rows % 10 == 0 for rows in seen)
    assert seen == sorted(seen)


def test_records_are_found_by_id_and_by_each_column(store: SqliteStore, path: Path) -> None:
    store.append(
        [
            record("a", decision={"rule": "", "sensitivity": "public"}, outcome={"route": "local", "model": "home"}),
            record(
                "b", decision={"rule": "hard", "sensitivity": "internal"}, outcome={"route": "cloud", "model": "big"}
            ),
            record("c", outcome={"route": "refused", "error": "policy_denied"}, principal={"tenant": "acme"}),
        ],
        durable=False,
    )
    with RecordReader(path) as reader:

        def ids(**filters: str) -> list[str]:
            return [found["id"] for found in reader.list_records(10, filters)]

        assert ids() == ["c", "b", "a"]
        assert ids(route="cloud") == ["b"]
        assert ids(tenant="acme") == ["c"]
        assert ids(model="home", sensitivity="public") == ["a"]
        assert ids(error="policy_denied") == ["c"]
        assert ids(rule="' OR 1=1 --") == []
        assert [found["id"] for found in reader.list_records(2)] == ["c", "b"]
        found = reader.get_record("b")
        assert found is not None
        assert found["outcome"]["model"] == "big"
        assert reader.get_record("none") is None
        with pytest.raises(ValueError, match="use one of"):
            ids(body="x")


def test_latencies_are_those_of_answers_and_a_damaged_row_has_none(store: SqliteStore, path: Path) -> None:
    home = {"outcome": {"model": "home", "error": None}}
    store.append(
        [
            record("a", latency_ms=12.5, **home),
            record("b", latency_ms=7, **home),
            record("c", latency_ms=9.0, outcome={"model": "home", "error": "upstream_error"}),
            record("d", latency_ms=9.0, outcome={"model": None, "error": None}),
            record("e", **home),
            record("old", latency_ms=9.0, **home) | {"time": "2029-12-31T00:00:00.000+00:00"},
            record("intent", latency_ms=9.0, **home) | {"kind": "intent"},
            record("f", latency_ms=3.0, **home),
        ],
        durable=False,
    )
    change(path, "UPDATE records SET body = CAST('{\"latency_ms\":' AS BLOB) WHERE id = 'f'")
    with RecordReader(path) as reader:
        assert list(reader.latencies_since("2030")) == [("home", 12.5), ("home", 7.0)]


def test_an_intent_is_shown_only_until_its_decision_came(store: SqliteStore, path: Path) -> None:
    store.append([record("a", kind="intent")], durable=True)
    with RecordReader(path) as reader:
        assert reader.list_records() == []
        assert [found["kind"] for found in reader.list_records(filters={"kind": "intent"})] == ["intent"]
        assert (reader.get_record("a") or {})["kind"] == "intent"
        store.append([record("a")], durable=False)
        assert (reader.get_record("a") or {})["kind"] == "decision"
        assert len(reader.list_records()) == 1


def test_a_reader_cannot_write(store: SqliteStore, path: Path) -> None:
    store.append([record("a")], durable=True)
    with RecordReader(path) as reader, pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader._db.execute("DELETE FROM records")


def test_reading_before_anything_was_written_says_that_there_is_nothing(path: Path) -> None:
    with pytest.raises(StoreError, match="no records yet"):
        RecordReader(path)


def test_a_file_of_a_newer_version_is_left_alone(path: Path) -> None:
    change(filled(path), "INSERT INTO schema_version VALUES (99)")
    before = path.read_bytes()
    with pytest.raises(StoreError, match="newer gatehouse"):
        SqliteStore(path)
    assert path.read_bytes() == before


def test_every_file_of_it_belongs_to_the_owner_alone(store: SqliteStore, path: Path) -> None:
    store.append([record("a")], durable=True)
    assert {file.name for file in path.parent.iterdir()} == {
        "records.sqlite",
        "records.sqlite-wal",
        "records.sqlite-shm",
    }
    assert {file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {0o600}


def test_a_folder_that_others_may_enter_is_refused(path: Path) -> None:
    path.parent.mkdir()
    path.parent.chmod(0o755)
    with pytest.raises(StateFolderError, match="chmod 700"):
        SqliteStore(path)


def test_a_name_with_odd_characters_is_a_name(tmp_path: Path) -> None:
    path = filled(tmp_path / "a?b#c%20 d" / "records.sqlite", 3)
    assert verify(path).rows == 3
