"""How much is asked for in a minute, as one worker holds its callers to it: requests and tokens, by the policy.

Counted in a table of the host, and in Redis where hosts share one. Where nothing is limited, nothing is opened. What
cannot be counted together is counted by each alone, or refused, as the policy says: never does anything leave for it.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from policies.allowances import Rate
from policies.types import Policy
from router.errors import RatesUnavailable, TooMany
from router.rates.table import Counter, Kind, Level, RateTable, RateTableError, Taken, need_of
from router.types import Principal

_UNSAID = 512  # tokens of an answer whose length nobody bounds, to begin with
_LOCK_SECONDS = 1.0  # that other workers may hold the table
_LOCK_PAUSE = 0.0005
_TRY_AGAIN_SECONDS = 5.0
_NOTHING = Rate(None, None)

log = logging.getLogger("gatehouse.rates")


class SharedRates(Protocol):
    """The same counters for all hosts (`router.cache.redis_rates.RedisRates`)."""

    async def take(self, counters: Sequence[Counter], requests: int, tokens: int) -> Taken | None:
        """None when nobody says."""
        ...

    async def give(self, counters: Sequence[Counter], second: int, requests: int, tokens: int) -> None: ...

    async def close(self) -> None: ...


class RateLimited(TooMany):
    """As much was asked for as may be in a minute; `levels` says how the limits stand."""

    def __init__(self, taken: Taken, counters: Sequence[Counter], requests: int, tokens: int) -> None:
        self.scope, self.kind, self.levels = taken.refused.split(":")[0], taken.kind, taken.levels
        limit = next(getattr(each.limit, taken.kind) for each in counters if each.name == taken.refused)
        needed = need_of(taken.kind, requests, tokens)
        whose = {"key": "this API key", "tenant": "this tenant"}.get(self.scope, "this gateway")
        if needed > limit:
            what = f"This request may need {needed:,} {self.kind}, more than {whose} may use in a minute ({limit:,})."
            super().__init__(f"{what} Shorten it, or ask for a shorter answer.", should_retry=False)
        else:
            what = f"The limit of {limit:,} {self.kind} a minute of {whose} is reached."
            super().__init__(f"{what} Retry in {math.ceil(max(taken.wait, 1))} s.", retry_after=taken.wait)


@dataclass(slots=True)
class Ticket:
    """What one request has taken, and how its limits stood then."""

    counters: tuple[Counter, ...]
    levels: dict[Kind, Level] = field(default_factory=dict)
    tokens: int = 0  # that are held for it
    used: int | None = None  # that it really took; None until it has ended
    here: tuple[RateTable, int] | None = None  # where its tokens stand on this host, and at which second
    together: int | None = None  # the second at which they stand in Redis


def counters_of(policy: Policy, principal: Principal) -> tuple[Counter, ...]:
    """Every counter that a caller is held to. Whoever comes with a token of one issuer has a counter of their own."""
    key, subject = principal.key_id, principal.subject
    found = dict(policy.rates.scopes.of(principal.tenant, key)) if policy.rates is not None else {}
    own = f"key:{key}"
    if principal.rate is not None:
        found[own] = principal.rate.tighter(found.get(own))
    if subject is not None and key == "token" and own in found:
        found[f"{own}/{principal.tenant}/{subject}"] = found.pop(own)
    return tuple(Counter(name, limit) for name, limit in found.items() if limit != _NOTHING)


class RateLimits:
    """One a worker, for one event loop."""

    def __init__(
        self,
        path: Path,
        shared: SharedRates | None = None,
        clock: Callable[[], float] = time.monotonic,
        lock_seconds: float = _LOCK_SECONDS,
    ) -> None:
        """`lock_seconds`: how long other workers may hold the file; whoever waits holds nobody else up."""
        self._path = path
        self._shared = shared
        self._clock = clock
        self._lock_seconds = lock_seconds
        self._table: RateTable | None = None
        self._alone: RateTable | None = None  # while the host's cannot be had
        self._open_again = 0.0
        self._opening = asyncio.Lock()
        self._giving: set[asyncio.Task[None]] = set()
        self.on_refusal: Callable[[str, Kind], None] = lambda scope, kind: None

    async def admit(self, policy: Policy, principal: Principal) -> Ticket | None:
        """Take one request; None where nothing limits this caller. Raises `RateLimited`, `RatesUnavailable`."""
        counters = counters_of(policy, principal)
        if not counters:
            return None
        ticket = Ticket(counters)
        await self._take(ticket, policy, 1, 0)
        return ticket

    async def reserve(self, ticket: Ticket, policy: Policy, prompt: int, answer: int) -> None:
        """Hold the tokens that a request may need; `answer`: at most, 0 if not said. Raises as `admit` does."""
        limits = [counter.limit.tokens for counter in ticket.counters if counter.limit.tokens is not None]
        if limits:
            needed = prompt + (answer or max(min(_UNSAID, min(limits) - prompt), 1))
            await self._take(ticket, policy, 0, needed)
            ticket.tokens = needed

    def settle(self, ticket: Ticket, used: int) -> None:
        """The request has ended: what it used counts, in place of what was held. Once."""
        if ticket.used is not None:
            return
        ticket.used, more = used, used - ticket.tokens
        if not more or all(counter.limit.tokens is None for counter in ticket.counters):
            return
        table, second = ticket.here or (None, 0)
        if self._shared is None and table is not None and table.try_lock():  # nearly always: nobody has to wait for it
            try:
                _give(table, ticket.counters, second, 0, more)
            finally:
                table.unlock()
            return
        giving = asyncio.get_running_loop().create_task(self._give(ticket, 0, more))
        self._giving.add(giving)
        giving.add_done_callback(self._giving.discard)

    async def close(self) -> None:
        """Give back what waits to be given back, and let go of the file."""
        if self._giving:
            await asyncio.wait(self._giving, timeout=5)
        if self._shared is not None:
            await self._shared.close()
        for table in (self._table, self._alone):
            if table is not None:
                table.close()

    async def _take(self, ticket: Ticket, policy: Policy, requests: int, tokens: int) -> None:
        is_strict = policy.rates is not None and policy.rates.when_unshared == "refuse"
        table, taken = await self._take_here(ticket.counters, requests, tokens, is_strict=is_strict)
        ticket.here, ticket.together = (table, taken.second), None
        if not taken.refused and self._shared is not None:
            together = await self._shared.take(ticket.counters, requests, tokens)
            if together is not None:
                ticket.together, taken = together.second, together
            elif is_strict:
                await self._give(ticket, -requests, -tokens)
                raise RatesUnavailable
            if taken.refused:
                ticket.together = None
                await self._give(ticket, -requests, -tokens)
        ticket.levels.update(taken.levels)
        if taken.refused:
            error = RateLimited(taken, ticket.counters, requests, tokens)
            self.on_refusal(error.scope, error.kind)
            raise error

    async def _take_here(
        self, counters: Sequence[Counter], requests: int, tokens: int, *, is_strict: bool
    ) -> tuple[RateTable, Taken]:
        """On the host's table; where that cannot be had, what this worker counts alone."""
        try:
            table = await self._locked(self._table or await self._open())
            try:
                return table, table.take(counters, requests, tokens)
            finally:
                table.unlock()
        except RateTableError as error:
            if is_strict:
                raise RatesUnavailable from None
            if self._alone is None:
                log.error("this worker counts alone what is asked for: %s", error)
                self._alone = RateTable(None, self._clock)
            return self._alone, self._alone.take(counters, requests, tokens)

    async def _locked(self, table: RateTable) -> RateTable:
        """The table, locked. Raises `RateTableError`."""
        if table.try_lock():
            return table
        until = time.monotonic() + self._lock_seconds
        while time.monotonic() < until:
            await asyncio.sleep(_LOCK_PAUSE)
            if table.try_lock():
                return table
        raise RateTableError("another process holds the table of rates")

    async def _open(self) -> RateTable:
        async with self._opening:
            if self._table is None:
                now = time.monotonic()
                if now < self._open_again:
                    raise RateTableError("the table of rates could not be opened")
                self._open_again = now + _TRY_AGAIN_SECONDS
                self._table = await asyncio.to_thread(RateTable, self._path, self._clock)
            return self._table

    async def _give(self, ticket: Ticket, requests: int, tokens: int) -> None:
        """Change what a ticket has taken by so much, wherever it stands."""
        if ticket.together is not None and self._shared is not None:
            await self._shared.give(ticket.counters, ticket.together, requests, tokens)
        if ticket.here is None:
            return
        try:
            table = await self._locked(ticket.here[0])
        except RateTableError as error:
            log.warning("what was not used stays counted for a minute: %s", error)
            return
        try:
            _give(table, ticket.counters, ticket.here[1], requests, tokens)
        finally:
            table.unlock()


def _give(table: RateTable, counters: Sequence[Counter], second: int, requests: int, tokens: int) -> None:
    try:
        table.give(counters, second, requests, tokens)
    except RateTableError as error:  # its counter has gone meanwhile, and there is no room for it any more
        log.warning("what was used after a minute is not counted: %s", error)
