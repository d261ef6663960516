"""A month's budget: what has escalated is summed from records; used up or unknown, nothing more is spent."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from policies.escalation import EscalationTarget
from policies.types import Policy, Price
from router.calibration.budget import BudgetWatch
from router.calibration.standing import Promises, reason_for
from router.calibration.targets import is_good_enough
from router.records.store import SqliteStore
from tests.calibration.test_standing import POLICY

NOW = datetime(2026, 11, 28, tzinfo=UTC)


def with_budget(usd: float, *, price: Price | None = Price(1.0, 2.0)) -> Policy:  # noqa: B008  # frozen
    target = EscalationTarget("max_usd_per_month", usd)
    models = {**POLICY.models, "cloud": replace(POLICY.models["cloud"], price=price)}
    return replace(POLICY, models=models, escalation=replace(POLICY.escalation, target=target))


def record(number: int, usd: float, reason: str = "escalation", month: str = "2026-11") -> dict[str, Any]:
    return {
        "kind": "decision",
        "id": f"gh-{number}",
        "time": f"{month}-27T10:00:00.000+00:00",
        "principal": {"tenant": "default"},
        "outcome": {"reason": reason},
        "costs": {"usd": usd},
    }


def test_only_this_month_s_escalations_count_and_the_next_month_is_open_again(tmp_path: Path) -> None:
    path = tmp_path / "state" / "records.sqlite"
    store = SqliteStore(path)
    store.append(
        [record(1, 6.0), record(2, 3.99), record(3, 90.0, "hard"), record(4, 90.0, month="2026-10")], durable=True
    )
    watch = BudgetWatch(path)
    assert (watch.has_changed(with_budget(10), NOW), watch.used_up) == (False, frozenset())
    store.append([record(5, 0.01)], durable=True)
    store.close()
    assert (watch.has_changed(with_budget(10), NOW), watch.used_up) == (True, frozenset({""}))
    assert not watch.has_changed(with_budget(10), NOW)
    assert (watch.has_changed(with_budget(20), NOW), watch.used_up) == (True, frozenset())
    assert watch.has_changed(with_budget(10), NOW)
    assert (watch.has_changed(with_budget(10), datetime(2026, 12, 1, tzinfo=UTC)), watch.used_up) == (True, frozenset())


def test_records_that_cannot_be_read_leave_nothing_to_spend_and_without_a_budget_they_are_not_asked(
    tmp_path: Path,
) -> None:
    watch = BudgetWatch(tmp_path / "absent.sqlite")
    assert not watch.has_changed(POLICY, NOW)
    assert (watch.has_changed(with_budget(10), NOW), watch.used_up) == (True, frozenset({""}))
    assert (watch.has_changed(POLICY, NOW), watch.used_up) == (True, frozenset())


def test_a_budget_that_is_used_up_or_has_no_price_keeps_every_answer_at_home(tmp_path: Path) -> None:
    promises = Promises([tmp_path])
    promises.budgets_used_up = frozenset({""})
    used_up = promises.standard(with_budget(10), "home", {})
    assert used_up is not None
    assert is_good_enough(used_up.promise, 0.0)
    assert "this month's budget is used up" in reason_for(used_up).why
    promises.budgets_used_up = frozenset()
    unpriced = with_budget(10, price=None)
    standard = promises.standard(unpriced, "home", {})
    assert standard is not None
    assert is_good_enough(standard.promise, 0.0)
    assert promises.complaints(unpriced) == [
        "model cloud has no price, so what escalations cost is not known and none is made"
    ]
