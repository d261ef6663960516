"""Whether this month's escalations have used up what the policy lets them cost, as the records say it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from policies.types import Policy
from router.records.spending import BY_RULE
from router.records.store import RecordReader, StoreError

log = logging.getLogger("gatehouse.calibration")


def spent_on_escalations(records: Path, month: str) -> dict[str, Decimal]:
    """USD of a calendar month (`2026-05`, UTC) for requests that escalated, by the rule whose terms they escalated by.

    Under "" those that escalated by the policy's own. Raises `StoreError`.
    """
    found: dict[str, Decimal] = {}
    with RecordReader(records) as reader:
        for each in reader.spent(month):
            reason, _, rule = each.reason.partition(BY_RULE)
            if reason == "escalation":
                found[rule] = found.get(rule, Decimal(0)) + each.usd
    return found


class BudgetWatch:
    """Asks the records. What they cannot tell counts as used up: a budget that is not known is not spent."""

    def __init__(self, records: Path) -> None:
        self._records = records
        self.used_up: frozenset[str] = frozenset()  # by rule; "": the policy's own

    def has_changed(self, policy: Policy, now: datetime | None = None) -> bool:
        """Look, where there are budgets; whether `used_up` is another than before. Reads a file."""
        before, budgets = self.used_up, dict(_budgets(policy))
        if not budgets:
            self.used_up = frozenset()
            return bool(before)
        try:
            spent = spent_on_escalations(self._records, (now or datetime.now(UTC)).strftime("%Y-%m"))
            self.used_up = frozenset(rule for rule, most in budgets.items() if spent.get(rule, Decimal(0)) >= most)
        except StoreError as error:
            self.used_up = frozenset(budgets)
            if not before:
                log.warning("what this month has cost cannot be read, so nothing escalates: %s", error)
        return before != self.used_up


def _budgets(policy: Policy) -> Iterator[tuple[str, Decimal]]:
    for terms in (policy.escalation, *(rule.escalation for rule in policy.rules)):
        if terms is not None and terms.target is not None and terms.target.kind == "max_usd_per_month":
            yield terms.rule, Decimal(str(terms.target.value))
