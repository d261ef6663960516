"""What is shown of budgets: every one that the policy names or that was used, in the period that runs now."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from policies.allowances import PICO, Account, Budget, Budgets, Scopes
from policies.types import Policy
from router.budgets.ledger import Balance, BudgetLedger, forget_accounts
from router.budgets.report import budget_rows, read_ledger, row_json
from router.budgets.watch import BudgetGauges
from tests.budgets.test_shared import PRICED
from tests.cli.test_commands import gatehouse
from tests.policies.worlds import load

NOW = datetime(2026, 12, 31, 23, 0, tzinfo=UTC)
SCOPES = Scopes(
    all=Budget(5 * PICO, 100 * PICO),
    each_key=Budget(2 * PICO, None),
    tenants={"lab": Budget(None, 50 * PICO)},
    keys={"nightly": Budget(0, None)},
)


def balance(name: str, spent: int, held: int = 0) -> Balance:
    return Balance(name, spent, held, 1)


def test_what_is_named_or_was_used_is_shown_with_what_is_left() -> None:
    balances = [
        balance("all/2026-12", 40 * PICO, PICO),
        balance("all/2026-12-31", 6 * PICO),  # an upstream that billed more than it was asked for
        balance("all/2026-12-30", 5 * PICO),
        balance("key:abc/2026-12-31", PICO),
        balance("tenant:old/2026-12", PICO),  # no budget any more
    ]
    rows = budget_rows(Budgets(SCOPES), balances, NOW)
    assert [
        (row.scope, row.period, row.limit // PICO, row.spent // PICO, row.held // PICO, row.left // PICO)
        for row in rows
    ] == [
        ("all", "day", 5, 6, 0, 0),
        ("all", "month", 100, 40, 1, 59),
        ("tenant:lab", "month", 50, 0, 0, 50),
        ("key:abc", "day", 2, 1, 0, 1),
        ("key:nightly", "day", 0, 0, 0, 0),
    ]
    assert {row.resets for row in rows} == {datetime(2027, 1, 1, tzinfo=UTC)}
    assert row_json(rows[1])["left_usd"] == 59.0
    assert budget_rows(None, balances, NOW) == []


def test_what_other_hosts_have_is_shown_and_is_not_left() -> None:
    balances = [balance("all/2026-12", 40 * PICO, PICO)]
    elsewhere = {"all/2026-12": 50 * PICO, "key:far/2026-12-31": PICO, "tenant:old/2026-12": PICO}
    rows = budget_rows(Budgets(SCOPES), balances, NOW, elsewhere=elsewhere)
    shown = {(row.scope, row.period): (row.elsewhere // PICO, row.left // PICO) for row in rows}
    assert shown["all", "month"] == (50, 9)
    assert shown["key:far", "day"] == (1, 1), "a key that was used elsewhere alone"
    assert shown["all", "day"] == (0, 5)
    assert not any(scope == "tenant:old" for scope, _ in shown)
    assert row_json(rows[1])["elsewhere_usd"] == 50.0


@pytest.mark.parametrize(
    ("now", "day", "month"),
    [
        (datetime(2026, 2, 28, 12, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)),
        (datetime(2026, 11, 5, tzinfo=UTC), datetime(2026, 11, 6, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)),
    ],
)
def test_a_period_ends_when_the_next_begins(now: datetime, day: datetime, month: datetime) -> None:
    assert [row.resets for row in budget_rows(Budgets(SCOPES), [], now)[:2]] == [day, month]


def world() -> Policy:
    return load(f"{PRICED}budgets: {{each_key: {{usd_per_month: 3}}}}\n")


async def test_the_metrics_tell_the_least_that_is_left(tmp_path: Path) -> None:
    told: dict[tuple[str, str], float] = {}
    gauges = BudgetGauges(tmp_path, world, lambda scope, period, usd: told.update({(scope, period): usd}))
    await gauges.look()
    assert told == {}
    assert read_ledger(tmp_path) == ("", ()), "looking makes no ledger"
    ledger = BudgetLedger(tmp_path)
    account = Account(f"key:abc/{datetime.now(UTC):%Y-%m}", 3 * PICO)
    ledger.reserve("one", PICO, [account], 0.0)
    await gauges.look()
    assert told == {("key", "month"): 2.0}
    other = Account(f"key:other/{datetime.now(UTC):%Y-%m}", 3 * PICO)
    ledger.reserve("two", 2 * PICO, [other], 0.0)
    await gauges.look()
    assert told == {("key", "month"): 1.0}, "no key is named: the one with the least left is told"
    ledger.settle("one", 0)
    ledger.settle("two", 0)
    ledger.close()
    await gauges.look()
    assert told == {("key", "month"): 3.0}


def test_accounts_of_periods_that_are_long_over_are_forgotten_and_no_other(tmp_path: Path) -> None:
    assert forget_accounts(tmp_path, NOW) == 0
    assert list(tmp_path.iterdir()) == [], "forgetting makes no ledger"
    ledger = BudgetLedger(tmp_path)
    kept = ["all/2026-10", "all/2026-10-30", "all/2026-12", "all/2026-12-31"]
    over = ["all/2026-09", "all/2026-10-29", "tenant:lab/2025-12", "key:abc/2026-01-31"]
    for number, name in enumerate([*kept, *over]):
        ledger.reserve(f"lease-{number}", 5, [Account(name, PICO)], 0.0)
        ledger.settle(f"lease-{number}", 5)
    ledger.reserve("under way", 7, [Account("all/2026-02", PICO)], NOW.timestamp())
    assert forget_accounts(tmp_path, NOW) == len(over)
    assert [each.name for each in ledger.balances()] == sorted([*kept, "all/2026-02"])
    ledger.settle("under way", 7)
    assert forget_accounts(tmp_path, NOW) == 1
    ledger.close()


def test_the_command_says_what_it_needs(tmp_path: Path) -> None:
    done = gatehouse("budgets", "--state-dir", str(tmp_path / "none"), folder=tmp_path)
    assert done.returncode == 1
    assert "--policy" in done.stderr
    (tmp_path / "p.yaml").write_text(f"{PRICED}budgets: {{all: {{usd_per_day: 7}}}}\n")
    done = gatehouse("budgets", "--policy", "p.yaml", "--state-dir", str(tmp_path / "none"), folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "$7.0000" in done.stdout
