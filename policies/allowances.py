"""How much may be asked for and spent: the nouns of `rates` and `budgets`, and which of them one caller is held to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, Literal, NamedTuple, TypeVar

WhenExhausted = Literal["local", "refuse"]
WhenUnshared = Literal["own_limits", "refuse", "stay"]

PICO = 10**12  # parts of a US dollar in which budgets are kept: whole numbers add exactly

L = TypeVar("L")


class Rate(NamedTuple):
    """In any 60 seconds; None: as many as come."""

    requests: int | None
    tokens: int | None

    def tighter(self, other: Rate | None) -> Rate:
        """What is left of both: of each number the smaller."""
        if other is None:
            return self
        return Rate(_least(self.requests, other.requests), _least(self.tokens, other.tokens))


class Budget(NamedTuple):
    """In 10^-12 USD, for a day and a month (UTC); None: no limit."""

    day: int | None
    month: int | None


@dataclass(frozen=True, slots=True)
class Scopes(Generic[L]):
    """Limits for everybody, by tenant and by key. A name of its own takes the place of `each_…`."""

    all: L | None = None
    each_tenant: L | None = None
    each_key: L | None = None
    tenants: Mapping[str, L] = field(default_factory=dict)
    keys: Mapping[str, L] = field(default_factory=dict)

    def of(self, tenant: str, key: str | None) -> list[tuple[str, L]]:
        """What one caller is held to, all of it: the name of each counter, and its limit."""
        found = [("all", self.all), (f"tenant:{tenant}", self.tenants.get(tenant, self.each_tenant))]
        if key is not None:
            found.append((f"key:{key}", self.keys.get(key, self.each_key)))
        return [(name, limit) for name, limit in found if limit is not None]


@dataclass(frozen=True, slots=True)
class Rates:
    """The rates of a policy. `when_unshared`: what follows when hosts share a Redis and it does not answer."""

    scopes: Scopes[Rate]
    when_unshared: WhenUnshared = "own_limits"  # or `refuse`


@dataclass(frozen=True, slots=True)
class Budgets:
    """The budgets of a policy, and what follows when one is used up or cannot be asked."""

    scopes: Scopes[Budget]
    when_exhausted: WhenExhausted = "local"
    refuse_with: int = 429
    when_unshared: WhenUnshared = "stay"  # or `own_limits`


class Account(NamedTuple):
    """One sum with its limit: `name` holds scope and period, as `tenant:acme/2026-05`."""

    name: str
    limit: int  # 10^-12 USD


def accounts_of(budgets: Budgets, tenant: str, key: str | None, now: datetime) -> tuple[Account, ...]:
    """Every account that a call of this caller at `now` (UTC) is charged to. The day and month it began in count."""
    found = []
    for name, limit in budgets.scopes.of(tenant, key):
        for form, most in (("%Y-%m-%d", limit.day), ("%Y-%m", limit.month)):
            if most is not None:
                found.append(Account(f"{name}/{now.strftime(form)}", most))
    return tuple(found)


def _least(one: int | None, other: int | None) -> int | None:
    return one if other is None else other if one is None else min(one, other)
