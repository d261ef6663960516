"""What differs between the rates and budgets of two policies, in words. Pure.

More money for models outside, or a kinder word for when it is used up, counts as loosening.
"""

from __future__ import annotations

from collections.abc import Iterable

from policies.allowances import PICO, Budget, Rate, Scopes
from policies.types import Policy

Found = tuple[str, bool, str]  # path, whether it is looser, what differs


def allowed(old: Policy, new: Policy) -> Iterable[Found]:
    """Every limit that differs."""
    had, has = old.rates, new.rates
    rates_before: Scopes[Rate] = had.scopes if had is not None else Scopes()
    rates_after: Scopes[Rate] = has.scopes if has is not None else Scopes()
    yield from _limits("rates", rates_before, rates_after, Rate._fields, 1)
    if had is not None and has is not None and had.when_unshared != has.when_unshared:
        is_looser = has.when_unshared == "own_limits"
        yield "rates.when_unshared", is_looser, f"{had.when_unshared} -> {has.when_unshared}"
    was, now = old.budgets, new.budgets
    before: Scopes[Budget] = was.scopes if was is not None else Scopes()
    after: Scopes[Budget] = now.scopes if now is not None else Scopes()
    yield from _limits("budgets", before, after, Budget._fields, PICO)
    if was is None or now is None:
        return
    if was.when_exhausted != now.when_exhausted:
        yield "budgets.when_exhausted", False, f"{was.when_exhausted} -> {now.when_exhausted}"
    if was.when_unshared != now.when_unshared:
        is_looser = now.when_unshared == "own_limits"
        yield "budgets.when_unshared", is_looser, f"{was.when_unshared} -> {now.when_unshared}"


def _limits(path: str, old: Scopes, new: Scopes, fields: tuple[str, ...], unit: int) -> Iterable[Found]:  # type: ignore[type-arg]
    before, after, nothing = _flat(old), _flat(new), (None,) * len(fields)
    for name in sorted(before.keys() | after.keys()):
        for index, word in enumerate(fields):
            usual = f"each_{name.split('.')[0].removesuffix('s')}"  # what counts for a tenant that is not named
            was = before.get(name, before.get(usual, nothing))[index]
            now = after.get(name, after.get(usual, nothing))[index]
            if was != now:
                is_looser = was is not None and (now is None or now > was)
                yield f"{path}.{name}", is_looser, f"{word}: {_said(was, unit)} -> {_said(now, unit)}"


def _flat(scopes: Scopes) -> dict[str, tuple[int | None, ...]]:  # type: ignore[type-arg]
    single = {name: getattr(scopes, name) for name in ("all", "each_tenant", "each_key")}
    many = {f"tenants.{name}": each for name, each in scopes.tenants.items()}
    keys = {f"keys.{name}": each for name, each in scopes.keys.items()}
    return {name: each for name, each in {**single, **many, **keys}.items() if each is not None}


def _said(value: int | None, unit: int) -> str:
    return "no limit" if value is None else f"{value / unit:,g}"
