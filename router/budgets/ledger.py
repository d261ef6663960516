"""The ledger of one host: what each account has spent, and what is reserved for calls that are under way.

One SQLite file in the state folder for all workers. A reservation checks every account and writes in one transaction,
so that no two can be given the same money. Amounts are whole numbers of 10^-12 USD. Never holds content.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from policies.allowances import Account
from router.keys import ensure_private_folder

LEDGER_FILE = "budgets.sqlite"
LEASE_SECONDS = 120.0  # that a reservation lasts unless it is renewed
KEPT_DAYS = 62  # that an account is kept after its period: longer than any lease, and the month before is still seen

_BUSY_MS = 5000
_KEPT_SECONDS = 86_400.0  # that a lease which has run out may still be settled
_SCHEMA = """
    CREATE TABLE IF NOT EXISTS accounts (name TEXT PRIMARY KEY, spent INTEGER NOT NULL, held INTEGER NOT NULL)
        WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS leases (
        id TEXT PRIMARY KEY, amount INTEGER NOT NULL, accounts TEXT NOT NULL, until REAL NOT NULL, over INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS host (one INTEGER PRIMARY KEY CHECK (one = 1), name TEXT NOT NULL,
        turn INTEGER NOT NULL);
"""


class LedgerError(Exception):
    """The ledger cannot be read or written; nothing is known of what may be spent."""


class Balance(NamedTuple):
    """One account on this host, in 10^-12 USD. `turn` grows with every change of the ledger."""

    name: str
    spent: int
    held: int
    turn: int


class Reserved(NamedTuple):
    """What came of asking: the account that had not enough left (""; then it is reserved), and the balances."""

    refused: str
    balances: tuple[Balance, ...]


class BudgetLedger:
    """Opened by each process for itself; used by one thread at a time. Everything raises `LedgerError`."""

    def __init__(self, state_dir: Path) -> None:
        self.path = ensure_private_folder(state_dir) / LEDGER_FILE
        with _told():
            descriptor = os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600)
            os.close(descriptor)
            self._database = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
            self._database.execute(f"PRAGMA busy_timeout={_BUSY_MS}")
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=FULL")  # money that has been spent outlives a power cut
            self._database.executescript(_SCHEMA)
            self._database.execute("INSERT OR IGNORE INTO host VALUES (1, ?, 0)", (secrets.token_hex(8),))
            (self.host,) = self._database.execute("SELECT name FROM host").fetchone()

    def reserve(self, lease: str, amount: int, accounts: Sequence[Account], now: float) -> Reserved:
        """Hold `amount` in every account, or in none of them. `now` is Unix time."""
        with self._transaction():
            self._run_out(now)
            turn = self._turn()
            before = {each.name: self._balance(each.name, turn) for each in accounts}
            for account in accounts:
                balance = before[account.name]
                if balance.spent + balance.held + amount > account.limit:
                    return Reserved(account.name, tuple(before.values()))
            for name in before:
                self._add(name, 0, amount)
            names = "\n".join(before)
            self._database.execute(
                "INSERT INTO leases VALUES (?, ?, ?, ?, 0)", (lease, amount, names, now + LEASE_SECONDS)
            )
            after = tuple(each._replace(held=each.held + amount) for each in before.values())
            return Reserved("", after)

    def settle(self, lease: str, actual: int) -> tuple[Balance, ...]:
        """Take what was really used in place of what was held; what had run out is put right. Once: then it is gone."""
        with self._transaction():
            row = self._database.execute("SELECT amount, accounts, over FROM leases WHERE id = ?", (lease,)).fetchone()
            if row is None:
                return ()
            amount, names, is_over = row
            for name in names.split("\n"):
                self._add(name, actual - amount if is_over else actual, 0 if is_over else -amount)
            self._database.execute("DELETE FROM leases WHERE id = ?", (lease,))
            turn = self._turn()
            return tuple(self._balance(name, turn) for name in names.split("\n"))

    def renew(self, leases: Iterable[str], now: float) -> None:
        """The calls of these leases are still under way."""
        with self._transaction():
            rows = [(now + LEASE_SECONDS, lease) for lease in leases]
            self._database.executemany("UPDATE leases SET until = ? WHERE id = ? AND over = 0", rows)

    def run_out(self, now: float) -> None:
        """Charge what was reserved by whoever has died: nobody knows what it cost, and it was no more than that."""
        with self._transaction():
            self._run_out(now)

    def balances(self, period: str = "") -> list[Balance]:
        """Every account, or those of one period (`2026-05`), by name."""
        with _told():
            (turn,) = self._database.execute("SELECT turn FROM host").fetchone()
            rows = self._database.execute("SELECT name, spent, held FROM accounts ORDER BY name").fetchall()
        return [
            Balance(name, spent, held, turn) for name, spent, held in rows if not period or name.endswith(f"/{period}")
        ]

    def forget(self, before: date) -> int:
        """Delete the accounts of periods that ended before that day, in which nothing is held; how many it were."""
        day = f"{before:%Y-%m-%d}"
        with self._transaction():
            rows = self._database.execute("SELECT name FROM accounts WHERE held = 0").fetchall()
            gone = [(name,) for (name,) in rows if (period := name.rpartition("/")[2]) < day[: len(period)]]
            self._database.executemany("DELETE FROM accounts WHERE name = ?", gone)
        return len(gone)

    def close(self) -> None:
        self._database.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with _told():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")

    def _turn(self) -> int:
        (turn,) = self._database.execute("UPDATE host SET turn = turn + 1 RETURNING turn").fetchone()
        return int(turn)

    def _balance(self, name: str, turn: int) -> Balance:
        row = self._database.execute("SELECT spent, held FROM accounts WHERE name = ?", (name,)).fetchone()
        spent, held = row or (0, 0)
        return Balance(name, spent, held, turn)

    def _add(self, name: str, spent: int, held: int) -> None:
        self._database.execute(
            "INSERT INTO accounts VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET spent = spent + excluded.spent, "
            "held = held + excluded.held",
            (name, spent, held),
        )

    def _run_out(self, now: float) -> None:
        rows = self._database.execute(
            "SELECT id, amount, accounts FROM leases WHERE over = 0 AND until < ?", (now,)
        ).fetchall()
        for lease, amount, names in rows:
            for name in names.split("\n"):
                self._add(name, amount, -amount)
            self._database.execute("UPDATE leases SET over = 1 WHERE id = ?", (lease,))
        self._database.execute("DELETE FROM leases WHERE over = 1 AND until < ?", (now - _KEPT_SECONDS,))


def forget_accounts(state_dir: Path, now: datetime) -> int:
    """Delete the accounts of this host that nobody asks for any more; makes no ledger. Raises `LedgerError`."""
    if not (state_dir / LEDGER_FILE).exists():
        return 0
    ledger = BudgetLedger(state_dir)
    try:
        return ledger.forget((now - timedelta(days=KEPT_DAYS)).date())
    finally:
        ledger.close()


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise LedgerError(f"the ledger of budgets: {error}") from None
