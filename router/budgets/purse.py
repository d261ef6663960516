"""The money for calls outside, as one worker asks for it: reserved before a call, settled with what it really cost.

Where the policy has no budgets, nothing here is opened and nothing is asked.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from policies.allowances import PICO, Account, Budgets, accounts_of
from policies.refusals import BUDGET
from policies.types import Model, Policy
from router.budgets.ledger import LEASE_SECONDS, Balance, BudgetLedger, LedgerError
from router.costs.cost import CallUse, price_of, price_tokens, used
from router.errors import BudgetExhausted
from router.settings import Settings
from router.types import Principal, Task, Usage

if TYPE_CHECKING:
    from router.cache.redis_budgets import RedisBudgets

_REMEMBERED_SECONDS = 0.5  # that a refusal is taken for granted when requests are decided
_RENEW_SECONDS = LEASE_SECONDS / 4
UNSHARED = "unshared"  # in place of an account: what other hosts have spent cannot be known

T = TypeVar("T")

log = logging.getLogger("gatehouse.budgets")


class Raised(Protocol):
    """What the hosts together say of a reservation."""

    @property
    def refused(self) -> str:
        """The account that has not enough left; "" for none."""
        ...


class SharedBalances(Protocol):
    """What the hosts tell each other of what they have spent (`router.cache.redis_budgets.RedisBudgets`)."""

    def others(self, account: str) -> int:
        """What the other hosts had spent and held when that was last known."""
        ...

    async def raise_to(self, host: str, balances: Sequence[Balance], accounts: Sequence[Account]) -> Raised | None:
        """Told, and within the limits of all hosts together; None when nobody can say."""
        ...

    async def tell(self, host: str, balances: Sequence[Balance]) -> None: ...

    async def beat(self, host: str, balances: Sequence[Balance]) -> None: ...

    async def close(self) -> None: ...


@dataclass(slots=True)
class Lease:
    """Money that is held for one call. `settle` takes it back, once."""

    purse: Purse
    id: str
    amount: int
    model: Model
    input_estimate: int
    is_settled: bool = field(default=False)
    actual: int = 0  # what it has cost in the end, in 10^-12 USD
    under_way: Callable[[], CallUse | None] = field(default=lambda: None)  # the call, once it has begun

    def settle(self, call: CallUse) -> None:
        """The call has ended: what it used is spent, the rest is free again."""
        usage = used(call, self.input_estimate)[0]
        self.end(cost_of(self.model, usage))

    def end(self, actual: int) -> None:
        """It has cost this much, in 10^-12 USD. Idempotent."""
        if not self.is_settled:
            self.is_settled, self.actual = True, actual
            self.purse.settle(self, actual)


class Purse:
    """One a worker. For one event loop; the ledger is asked in a thread."""

    def __init__(self, state_dir: Path, shared: SharedBalances | None = None) -> None:
        self._state_dir = state_dir
        self._shared = shared
        self._ledger: BudgetLedger | None = None
        self._host = ""  # the ledger's name among those of other hosts, once it is open
        self._thread = ThreadPoolExecutor(1, "budgets")
        self._leases: dict[str, Lease] = {}
        self._settling: set[asyncio.Task[None]] = set()
        self._refused: dict[tuple[str, str | None], float] = {}
        self._beating: asyncio.Task[None] | None = None
        self.on_refusal: Callable[[str], None] = lambda scope: None

    def closed(self, policy: Policy, principal: Principal) -> Mapping[str, str]:
        """The models that this caller had no money left for a moment ago: for deciding, never for spending."""
        budgets = policy.budgets
        if budgets is None or budgets.when_exhausted == "refuse":
            return {}
        until = self._refused.get((principal.tenant, principal.key_id))
        if until is None:
            return {}
        if time.monotonic() >= until:
            del self._refused[principal.tenant, principal.key_id]
            return {}
        return {name: BUDGET for name, model in policy.models.items() if _is_charged(model)}

    async def reserve(
        self, policy: Policy, principal: Principal, model: Model, most: Usage, input_estimate: int
    ) -> Lease | None:
        """Hold what a call can cost at most (`most_of`); None where no budget counts it. Raises `BudgetExhausted`."""
        if policy.budgets is None or not _is_charged(model):
            return None
        accounts = accounts_of(policy.budgets, principal.tenant, principal.key_id, datetime.now(UTC))
        if not accounts:
            return None
        amount = cost_of(model, most)
        lease = Lease(self, secrets.token_hex(12), amount, model, input_estimate)
        asking = asyncio.ensure_future(self._ask(lease, accounts, policy.budgets))
        try:
            refused = await asyncio.shield(asking)
        except asyncio.CancelledError:
            asking.add_done_callback(lambda done: lease.end(0) if done.cancelled() or not done.result() else None)
            raise
        if refused:
            self._refuse(refused, policy.budgets, principal)
        return lease

    def settle(self, lease: Lease, actual: int) -> None:
        """See `Lease.end`."""
        task = asyncio.get_running_loop().create_task(self._settle(lease, actual))
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)

    async def close(self) -> None:
        """Settle what waits. A call that has not ended is charged as its record would be: with what came."""
        if self._beating is not None:
            self._beating.cancel()
            with suppress(asyncio.CancelledError):
                await self._beating
        for lease in list(self._leases.values()):
            call = lease.under_way()
            if call is None:
                lease.end(0)  # nothing of it was sent
            else:
                lease.settle(call)
        if self._settling:
            await asyncio.wait(self._settling, timeout=5)
        self._thread.shutdown(wait=True)
        if self._shared is not None:
            await self._shared.close()
        if self._ledger is not None:
            self._ledger.close()

    def wake(self, policy: Policy) -> None:
        """Where hosts share budgets, tell of this one before anything is asked of it: the others may be waiting."""
        if self._shared is not None and policy.budgets is not None:
            self._begin()

    def _begin(self) -> None:
        if self._beating is None:
            self._beating = asyncio.get_running_loop().create_task(self._beat())

    async def _ask(self, lease: Lease, accounts: tuple[Account, ...], budgets: Budgets) -> str:
        """The account that has not enough left; "" when it is reserved."""
        self._begin()
        try:
            held = await self._run(lambda ledger: ledger.reserve(lease.id, lease.amount, accounts, time.time()))
        except LedgerError as error:
            log.error("nothing that costs may leave: %s", error)
            return "ledger"
        refused = held.refused
        if refused:
            return refused
        self._leases[lease.id] = lease
        if self._shared is not None:
            refused = await self._refused_together(self._shared, held.balances, accounts, budgets)
            if refused:
                lease.end(0)
        return refused

    async def _refused_together(
        self, shared: SharedBalances, balances: Sequence[Balance], accounts: Sequence[Account], budgets: Budgets
    ) -> str:
        """The account of which all hosts together have not enough left; where nobody can say, as the policy says."""
        told = await shared.raise_to(self._host, balances, accounts)
        if told is not None:
            return told.refused
        if budgets.when_unshared == "stay":
            return UNSHARED
        for balance, account in zip(balances, accounts, strict=True):
            if balance.spent + balance.held + shared.others(account.name) > account.limit:
                return account.name
        return ""

    async def _settle(self, lease: Lease, actual: int) -> None:
        try:
            balances = await self._run(lambda ledger: ledger.settle(lease.id, actual))
        except LedgerError as error:
            log.error("a call stays charged with what it could cost at most: %s", error)
            return
        finally:
            self._leases.pop(lease.id, None)
        if self._shared is not None:
            await self._shared.tell(self._host, balances)

    async def _beat(self) -> None:
        """Renew what is held, and charge what the dead have left."""
        turns = 0
        while True:
            await asyncio.sleep((1.0 if turns else 0.0) if self._shared is not None else _RENEW_SECONDS)
            turns += 1
            with suppress(LedgerError):
                if self._shared is None or turns % int(_RENEW_SECONDS) == 0:
                    leases, now = list(self._leases), time.time()
                    await self._run(lambda ledger, leases=leases, now=now: ledger.renew(leases, now))  # type: ignore[misc]
                    await self._run(lambda ledger, now=now: ledger.run_out(now))  # type: ignore[misc]
                if self._shared is not None:
                    balances = await self._run(lambda ledger: ledger.balances())
                    await self._shared.beat(self._host, in_force(balances, datetime.now(UTC)))

    async def _run(self, work: Callable[[BudgetLedger], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: work(self._opened()))

    def _opened(self) -> BudgetLedger:
        if self._ledger is None:
            self._ledger = BudgetLedger(self._state_dir)
            self._host = self._ledger.host
        return self._ledger

    def _refuse(self, account: str, budgets: Budgets, principal: Principal) -> None:
        self.on_refusal(account.split(":")[0].split("/")[0])
        self._refused[principal.tenant, principal.key_id] = time.monotonic() + _REMEMBERED_SECONDS
        raise BudgetExhausted(budgets.refuse_with, seconds_left(account, datetime.now(UTC)))


def most_of(model: Model, size: int, task: Task, output_tokens: int, choices: int) -> Usage:
    """What a call can use at most: a token is a byte at least, and neither prompt nor answer is longer than the window.

    `size`: bytes of the body; `output_tokens`: of each of the `choices` answers, 0 if not said. Vectors have no answer,
    and each of their inputs has the window for itself.
    """
    if task == "embeddings":
        return Usage(size, 0)
    return Usage(min(size, model.context), min(output_tokens or model.context, model.context) * choices)


def in_force(balances: Sequence[Balance], now: datetime) -> list[Balance]:
    """The accounts of this day and month, and those that hold something still."""
    ends = (now.strftime("/%Y-%m-%d"), now.strftime("/%Y-%m"))
    return [each for each in balances if each.held or each.name.endswith(ends)]


def usd_of(amount: int) -> float:
    """10^-12 USD as USD, to be shown."""
    return float(Decimal(amount) / PICO)


def cost_of(model: Model, usage: Usage) -> int:
    """In 10^-12 USD. A model without a price costs nothing that could be counted."""
    price = price_of(model)
    return 0 if price is None else int(price_tokens(usage, price) * PICO)


def seconds_left(account: str, now: datetime) -> float:
    """How long the period of an account goes on: `…/2026-05` or `…/2026-05-17`."""
    _, _, period = account.rpartition("/")
    parts = [int(part) for part in period.split("-") if part.isdigit()]
    if len(parts) < 2:
        return 1.0
    year, month = parts[:2]
    if len(parts) == 3:
        return 86_400.0 - (now.hour * 3600 + now.minute * 60 + now.second)
    after = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
    return max((after - now).total_seconds(), 1.0)


def _is_charged(model: Model) -> bool:
    return model.locality != "local" and model.price is not None


def shared_budgets(settings: Settings) -> RedisBudgets | None:
    """What the hosts tell each other of what they have spent; None where they share nothing."""
    if settings.redis_url is None:
        return None
    from router.cache.redis_budgets import RedisBudgets  # only where it is configured: the client costs 6 MB

    return RedisBudgets(settings.redis_url, settings.redis_timeout_ms)
