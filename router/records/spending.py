"""What each month has cost, as decision records say it: kept beside them, in the transaction that writes them. Pure.

Exact for what is written, and no more: a record that was dropped is not in it, a call whose price is not known is
counted but not summed, and a request counts when it has ended. A budget that must never be passed needs reservations.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from router.costs.cost import amount
from router.records.filing import FiledRecord

BY_RULE = "/"  # between `escalation` and a rule's name, which never holds it
_PICO = Decimal(10**12)  # SQLite adds whole numbers exactly: a month is kept in 10^-12 USD, nine million USD at most
_MOST = Decimal(10_000)  # USD of one request; an upstream that claims more is not believed

TABLE = """
    CREATE TABLE spending (
        month TEXT NOT NULL, tenant TEXT NOT NULL, reason TEXT NOT NULL, pico_usd INTEGER NOT NULL,
        requests INTEGER NOT NULL, unknown INTEGER NOT NULL, PRIMARY KEY (month, tenant, reason)
    );
"""
ADD = (
    "INSERT INTO spending VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (month, tenant, reason) DO UPDATE SET "
    "pico_usd = pico_usd + excluded.pico_usd, requests = requests + excluded.requests, "
    "unknown = unknown + excluded.unknown"
)
READ = "SELECT month, tenant, reason, pico_usd, requests, unknown FROM spending WHERE month = ? ORDER BY tenant, reason"

SpendingRow = tuple[str, str, str, int, int, int]


@dataclass(frozen=True, slots=True)
class Spent:
    """What one tenant's requests with one `x-gatehouse-reason` have cost in a calendar month (UTC, `2026-05`)."""

    month: str
    tenant: str
    reason: str  # `escalation`, `escalation/RULE` by a rule's own target, a rule's name, …
    usd: Decimal
    requests: int
    unknown: int  # requests with a cost that is not known; none of it is in `usd`


def rows_of(records: Iterable[FiledRecord]) -> list[SpendingRow]:
    """What a batch of records adds to the table: one row a month, tenant and reason."""
    sums: dict[tuple[str, str, str], list[int]] = {}
    for record in records:
        if record.kind != "decision" or not record.has_costs:
            continue
        key = (record.time[:7], record.tenant or "", _reason(record))
        usd = amount(record.usd)
        usd = None if usd is not None and usd > _MOST else usd
        added = sums.setdefault(key, [0, 0, 0])
        added[0] += 0 if usd is None else int(usd * _PICO)
        added[1] += 1
        added[2] += usd is None
    return [(*key, pico, requests, unknown) for key, (pico, requests, unknown) in sums.items()]


def _reason(record: FiledRecord) -> str:
    """The outcome's reason; of an escalation by a rule's own target with the rule, which may have a budget."""
    reason = record.reason or ""
    return f"{reason}{BY_RULE}{record.promised_by}" if reason == "escalation" and record.promised_by else reason


def read_row(row: SpendingRow) -> Spent:
    """A row of the table as it is shown."""
    month, tenant, reason, pico, requests, unknown = row
    return Spent(month, tenant, reason, Decimal(pico) / _PICO, requests, unknown)
