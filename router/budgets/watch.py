"""Shows in the metrics what is left of budgets: the parent looks at the ledger, and asks Redis, every few seconds.

No tenant and no key is named there: of all tenants' budgets, and of all keys', the one with the least left is told.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from policies.types import Policy
from router.budgets.ledger import LedgerError
from router.budgets.purse import usd_of
from router.budgets.report import Reporting, budget_rows, read_elsewhere, read_ledger

_SECONDS = 5.0

log = logging.getLogger("gatehouse.budgets")


class BudgetGauges:
    """Tells how the budgets of the policy in force stand."""

    def __init__(
        self,
        state_dir: Path,
        policy: Callable[[], Policy],
        tell: Callable[[str, str, float], None],
        shared: Reporting | None = None,
    ) -> None:
        """`tell` takes a kind of scope (`all`, `tenant`, `key`), its period and what is left in USD. `shared`: what the
        other hosts have is counted too."""
        self._state_dir = state_dir
        self._shared = shared
        self._elsewhere: dict[str, int] = {}  # as it was when that was last known
        self._policy = policy
        self._tell = tell
        self._known: set[str] = set()  # scopes that were seen: their next period begins with all of it

    async def watch(self) -> None:
        """Look, until cancelled. Opens nothing while the policy has no budgets."""
        try:
            while True:
                if self._policy().budgets is not None:
                    await self.look()
                await asyncio.sleep(_SECONDS)
        finally:
            if self._shared is not None:
                await self._shared.close()

    async def look(self) -> None:
        """Tell once."""
        now = datetime.now(UTC)
        try:
            ledger = await asyncio.to_thread(read_ledger, self._state_dir)
        except LedgerError as error:
            log.warning("what is left cannot be shown: %s", error)
            return
        told = await read_elsewhere(self._shared, ledger.host, now)
        if told is not None:
            self._elsewhere = told
        least: dict[tuple[str, str], int] = {}
        for row in budget_rows(self._policy().budgets, ledger.balances, now, self._known, self._elsewhere):
            kind = row.scope.split(":")[0]
            self._known.add(row.scope)
            least[kind, row.period] = min(row.left, least.get((kind, row.period), row.left))
        for (kind, period), left in least.items():
            self._tell(kind, period, usd_of(left))
