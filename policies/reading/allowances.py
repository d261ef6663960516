"""From `rates` and `budgets` of a file to the nouns of `policies.allowances`, with their checks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, TypeVar

from policies.allowances import PICO, Budget, Budgets, Rate, Rates, Scopes
from policies.reading.notes import Notes
from policies.shape.allowances import BudgetsPart, RatesPart
from policies.text.document import Path
from policies.types import Model

L = TypeVar("L")


def read_rates(part: RatesPart | None, notes: Notes) -> Rates | None:
    """The rates; None where there are none."""
    if part is None:
        return None
    made = _scopes(("rates",), part, lambda each: Rate(each.requests_per_minute, each.tokens_per_minute), notes)
    return Rates(made, part.when_unshared)


def read_budgets(part: BudgetsPart | None, models: Mapping[str, Model], notes: Notes) -> Budgets | None:
    """The budgets; None where there are none. A cloud model without a price is a problem: it cannot be counted."""
    if part is None:
        return None
    for name, model in models.items():
        if model.locality == "cloud" and model.price is None:
            why = f"'{name}' has no price, so 'budgets' cannot count what it costs"
            notes.problem(("models", name), why, at_key=True)
    scopes = _scopes(("budgets",), part, lambda each: Budget(_pico(each.usd_per_day), _pico(each.usd_per_month)), notes)
    return Budgets(scopes, part.when_exhausted, part.refuse_with, part.when_unshared)


def _scopes(path: Path, part: Any, made: Callable[[Any], L], notes: Notes) -> Scopes[L]:
    def read(each: Any, *at: str) -> L:
        if all(value is None for value in each.model_dump().values()):
            notes.problem((*path, *at), "this sets no limit", at_key=True)
        return made(each)

    single = {
        name: read(getattr(part, name), name)
        for name in ("all", "each_tenant", "each_key")
        if getattr(part, name) is not None
    }
    found = Scopes(
        **single,
        tenants={name: read(each, "tenants", name) for name, each in part.tenants.items()},
        keys={name: read(each, "keys", name) for name, each in part.keys.items()},
    )
    if found == Scopes():
        why = f"'{path[0]}' sets no limit: write all, each_tenant, each_key, tenants or keys"
        notes.problem(path, why, at_key=True)
    return found


def _pico(usd: float | None) -> int | None:
    return None if usd is None else int(Decimal(repr(usd)) * PICO)
