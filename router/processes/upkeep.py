"""What the parent does every so often beside serving: watches calibration, shares locks, deletes what is too old.

Each is a task of its own that ends when it is cancelled. Nothing here sees a request.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from policies.types import Policy
from router.budgets.ledger import LedgerError, forget_accounts
from router.calibration.budget import BudgetWatch
from router.calibration.watching import CardWatch, PromiseWatch
from router.lockdown.sharing import LockSharing, shared_locks
from router.records.erasing import expire_records
from router.records.store import RECORDS_FILE, StoreError
from router.settings import Settings
from router.types import JsonObject

log = logging.getLogger("gatehouse.parent")

_LOOK_SECONDS = 1.0
_RETENTION_SECONDS = 3600.0


class Upkeep:
    """One a gateway; in the parent's event loop."""

    def __init__(self, settings: Settings, policy: Callable[[], Policy]) -> None:
        """`policy` is asked each time for what is in force."""
        self._settings = settings
        self._policy = policy
        self._locks: LockSharing | None = None

    @property
    def locks_shared(self) -> str:
        """How it stands with the locks of other hosts."""
        return self._locks.state if self._locks is not None else "ok"

    async def watch_calibration(self, promises: PromiseWatch, publish: Callable[[JsonObject], Awaitable[None]]) -> None:
        """Tell the workers of new cards, and look whether traffic keeps what they promise."""
        state_dir = self._settings.state_dir
        cards, budget = CardWatch(state_dir), BudgetWatch(state_dir / RECORDS_FILE)
        while True:
            if await asyncio.to_thread(cards.has_changed):
                log.info("calibration cards in force: %s", cards.digest[:12])
                await publish({"t": "calibration", "digest": cards.digest})
            if await asyncio.to_thread(budget.has_changed, self._policy()):
                log.info("budgets of escalations that are used up this month: %d", len(budget.used_up))
                await publish({"t": "budget", "used_up": sorted(budget.used_up)})
            promises.show()
            await asyncio.sleep(_LOOK_SECONDS)

    async def share_locks(self, submit: Callable[[JsonObject], object]) -> None:
        """Keep the kill switch's state together with that of other hosts, where they have a common Redis."""
        shared = shared_locks(self._settings)
        if shared is not None:
            self._locks = LockSharing(self._settings.state_dir, shared, submit)
            await self._locks.run()

    async def retain(self) -> None:
        """Delete what is older than it may be, or is of no use any more, at the start and each hour."""
        while True:
            await asyncio.to_thread(self._expire_records)
            await asyncio.to_thread(self._forget_accounts)
            await asyncio.sleep(_RETENTION_SECONDS)

    def _expire_records(self) -> None:
        try:
            gone = expire_records(self._settings.state_dir / RECORDS_FILE, self._policy())
        except StoreError as error:
            log.error("records: what is older than the policy keeps it cannot be deleted: %s", error)
        else:
            if gone.rows:
                log.info("records: %d were older than the policy keeps them, and are deleted", gone.rows)

    def _forget_accounts(self) -> None:
        try:
            forget_accounts(self._settings.state_dir, datetime.now(UTC))
        except LedgerError as error:
            log.error("budgets: accounts of past months cannot be deleted: %s", error)
