"""How the budgets of a policy stand: limit, spent, held, left, and when each begins anew. No content.

Spent and held are this host's; what other hosts have counts in what is left, where they share a Redis.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from policies.allowances import Budget, Budgets, Scopes
from router.budgets.ledger import LEDGER_FILE, Balance, BudgetLedger
from router.budgets.purse import usd_of
from router.types import JsonObject

Period = Literal["day", "month"]

_FORMS: dict[Period, str] = {"day": "%Y-%m-%d", "month": "%Y-%m"}


@dataclass(frozen=True, slots=True)
class BudgetRow:
    """One budget in the period that runs now; amounts in 10^-12 USD."""

    scope: str  # `all`, `tenant:acme`, `key:abc`
    period: Period
    limit: int
    spent: int
    held: int  # for calls under way
    resets: datetime
    elsewhere: int = 0  # what other hosts have spent and hold, as far as that is known

    @property
    def left(self) -> int:
        """What may still be reserved; less than nothing never."""
        return max(self.limit - self.spent - self.held - self.elsewhere, 0)


class Ledger(NamedTuple):
    """What one host's ledger says; "" where nothing was ever reserved."""

    host: str
    balances: Sequence[Balance]


class Reporting(Protocol):
    """What all hosts have told their common Redis (`router.cache.redis_budgets.RedisBudgets`)."""

    async def elsewhere(self, host: str, periods: Sequence[str]) -> dict[str, int] | None: ...

    async def close(self) -> None: ...


def budget_rows(
    budgets: Budgets | None,
    balances: Sequence[Balance],
    now: datetime,
    known: Iterable[str] = (),
    elsewhere: Mapping[str, int] | None = None,
) -> list[BudgetRow]:
    """Every budget that the policy names, that was used in its period, or whose scope is `known`; the widest first.

    `elsewhere`: what other hosts have of each account.
    """
    if budgets is None:
        return []
    others = elsewhere or {}
    scopes = {name.rpartition("/")[0] for name in (*(balance.name for balance in balances), *others)}
    scopes |= {"all", *known}
    scopes |= {f"tenant:{name}" for name in budgets.scopes.tenants} | {f"key:{name}" for name in budgets.scopes.keys}
    found = {balance.name: balance for balance in balances}
    rows = []
    for scope in sorted(scopes, key=_order):
        limits = _limit_of(budgets.scopes, scope)
        periods: tuple[tuple[Period, int | None], ...] = (
            (("day", limits.day), ("month", limits.month)) if limits is not None else ()
        )
        for period, limit in periods:
            if limit is not None:
                account = f"{scope}/{now.strftime(_FORMS[period])}"
                balance = found.get(account)
                spent, held = (balance.spent, balance.held) if balance is not None else (0, 0)
                rows.append(BudgetRow(scope, period, limit, spent, held, _end_of(period, now), others.get(account, 0)))
    return rows


def read_ledger(state_dir: Path) -> Ledger:
    """What this host's ledger holds; empty where nothing was ever reserved. Raises `LedgerError`."""
    if not (state_dir / LEDGER_FILE).exists():
        return Ledger("", ())
    ledger = BudgetLedger(state_dir)
    try:
        return Ledger(ledger.host, ledger.balances())
    finally:
        ledger.close()


async def read_elsewhere(shared: Reporting | None, host: str, now: datetime) -> dict[str, int] | None:
    """What other hosts have of each account in the periods that run now; None when Redis does not say."""
    if shared is None:
        return {}
    return await shared.elsewhere(host, [now.strftime(form) for form in _FORMS.values()])


def report_json(
    policy: str, rows: Iterable[BudgetRow], *, is_shared: bool, elsewhere: Mapping[str, int] | None
) -> JsonObject:
    """All of it as plain JSON. `shared`: whether what other hosts have is counted (`ok`), or is not known."""
    said = ("ok" if elsewhere is not None else "unknown") if is_shared else "off"
    return {"policy": policy, "shared": said, "budgets": [row_json(row) for row in rows]}


def row_json(row: BudgetRow) -> JsonObject:
    """A row as plain JSON; amounts in USD."""
    return {
        "scope": row.scope,
        "period": row.period,
        "limit_usd": usd_of(row.limit),
        "spent_usd": usd_of(row.spent),
        "held_usd": usd_of(row.held),
        "elsewhere_usd": usd_of(row.elsewhere),
        "left_usd": usd_of(row.left),
        "resets": row.resets.isoformat(),
    }


def _limit_of(scopes: Scopes[Budget], scope: str) -> Budget | None:
    kind, _, name = scope.partition(":")
    if kind == "tenant":
        return scopes.tenants.get(name, scopes.each_tenant)
    return scopes.keys.get(name, scopes.each_key) if kind == "key" else scopes.all


def _order(scope: str) -> tuple[int, str]:
    return ("all", "tenant", "key").index(scope.split(":")[0]), scope


def _end_of(period: Period, now: datetime) -> datetime:
    day = datetime(now.year, now.month, now.day, tzinfo=UTC)
    if period == "day":
        return day + timedelta(days=1)
    return datetime(now.year + now.month // 12, now.month % 12 + 1, 1, tzinfo=UTC)
