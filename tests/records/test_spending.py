"""What a month costs: exact, durable with the records that say it, by tenant and reason."""

from __future__ import annotations

import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from router.records.filing import filed
from router.records.spending import rows_of
from router.records.store import RecordReader, SqliteStore


def record(usd: float | None, reason: str = "default", tenant: str = "acme", month: str = "2026-05") -> dict[str, Any]:
    return {
        "id": "gh-1",
        "kind": "decision",
        "time": f"{month}-03T10:00:00.000+00:00",
        "principal": {"tenant": tenant},
        "outcome": {"reason": reason},
        "costs": {"usd": usd},
    }


@pytest.fixture
def path(tmp_path: Path) -> Path:
    tmp_path.chmod(0o700)
    return tmp_path / "records.sqlite"


def test_a_month_is_summed_exactly_and_outlives_the_process(path: Path) -> None:
    for _ in range(3):
        store = SqliteStore(path)
        store.append([record(0.1), record(0.2, "escalation"), record(None, "escalation")], durable=True)
        store.close()
    with RecordReader(path) as reader:
        default, escalated = reader.spent("2026-05")
        assert (default.reason, default.usd, default.requests, default.unknown) == ("default", Decimal("0.3"), 3, 0)
        assert (escalated.usd, escalated.requests, escalated.unknown) == (Decimal("0.6"), 6, 3)
        assert reader.spent("2026-06") == []


def test_months_and_tenants_are_apart_and_other_records_cost_nothing() -> None:
    batch = [
        record(0.000_000_15),
        record(0.5, month="2026-06"),
        record(0.5, tenant="other"),
        {**record(9.0), "kind": "intent"},
        {"kind": "decision", "time": "2026-05-01"},
        record(1e9),
    ]
    assert rows_of(map(filed, batch)) == [
        ("2026-05", "acme", "default", 150_000, 2, 1),
        ("2026-06", "acme", "default", 500_000_000_000, 1, 0),
        ("2026-05", "other", "default", 500_000_000_000, 1, 0),
    ]


def test_a_batch_that_is_not_kept_has_not_been_spent(path: Path) -> None:
    store = SqliteStore(path)
    with pytest.raises(TypeError):
        store.append([record(0.1), {**record(0.1), "bad": object()}], durable=False)
    store.append([record(0.2)], durable=False)
    store.close()
    with RecordReader(path) as reader:
        assert [each.usd for each in reader.spent("2026-05")] == [Decimal("0.2")]


def test_a_file_of_the_first_version_gets_the_table(path: Path) -> None:
    SqliteStore(path).close()
    database = sqlite3.connect(path)
    with database:
        database.execute("DROP TABLE spending")
        database.execute("DROP TABLE cut")
        database.execute("DELETE FROM schema_version WHERE version > 1")
    database.close()
    with RecordReader(path) as reader:
        assert reader.spent("2026-05") == []
    store = SqliteStore(path)
    store.append([record(0.1)], durable=False)
    store.close()
    with RecordReader(path) as reader:
        assert reader.spent("2026-05")[0].requests == 1
