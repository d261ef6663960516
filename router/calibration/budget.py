"""Whether this month's escalations have used up what the policy lets them cost, as the records say it."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from policies.types import Policy
from router.store import RecordReader, StoreError

log = logging.getLogger("gatehouse.calibration")


def spent_on_escalations(records: Path, month: str) -> Decimal:
    """USD of a calendar month (`2026-05`, UTC) for requests that escalated. Raises `StoreError`."""
    with RecordReader(records) as reader:
        return sum((each.usd for each in reader.spent(month) if each.reason == "escalation"), Decimal(0))


class BudgetWatch:
    """Asks the records. What they cannot tell counts as used up: a budget that is not known is not spent."""

    def __init__(self, records: Path) -> None:
        self._records = records
        self.is_used_up = False

    def has_changed(self, policy: Policy, now: datetime | None = None) -> bool:
        """Look, where the policy has a budget; whether `is_used_up` is another than before. Reads a file."""
        before, target = self.is_used_up, policy.escalation.target
        if target is None or target.kind != "max_usd_per_month":
            self.is_used_up = False
            return before
        try:
            spent = spent_on_escalations(self._records, (now or datetime.now(UTC)).strftime("%Y-%m"))
            self.is_used_up = spent >= Decimal(str(target.value))
        except StoreError as error:
            self.is_used_up = True
            if not before:
                log.warning("what this month has cost cannot be read, so nothing escalates: %s", error)
        return before != self.is_used_up
