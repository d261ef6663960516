"""What a request cost, and what the default cloud model would have cost for it. Pure.

Amounts are exact decimals in USD. What is not known is None, never 0 in silence, and every count of tokens says where
it comes from (`Method`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from policies.types import Decision, Model, Policy, Price
from router.energy import Energy
from router.types import JsonObject, Usage

# reported: the upstream said so. estimated: counted from texts, for it said nothing. at_least: the same of a call that
# was cut off; what came after is not known. other_tokenizer: reported, by another model than the one that is priced.
# none: nothing was used.
Method = Literal["reported", "other_tokenizer", "estimated", "at_least", "none"]
End = Literal["running", "whole", "failed", "cancelled", "refused"]
Use = Literal["answer", "wasted", "failed", "refused"]

NOTHING = Usage()

_MILLION = Decimal(1_000_000)
_BYTES_PER_TOKEN = 4  # of UTF-8: what English prose takes in today's tokenizers
_TYPICAL = 0.75  # `Facts.input_tokens` takes a token for three bytes, to err high; here it shall not
_FREE = Price(0.0, 0.0)
_JOULES_PER_KWH = Decimal(3_600_000)
_FINEST = Decimal("1e-12")  # USD: estimates are rounded to it, prices times tokens never are


@dataclass(slots=True)
class CallUse:
    """What one call to a model has used, as far as it is known: filled while it runs."""

    model: str  # the policy's name
    reported: Usage | None = None
    cached_tokens: int = 0  # of the input, as reported: not computed anew
    pieces: int = 0  # chunks of text that have come
    size: int = 0  # bytes of text that have come
    end: End = "running"
    is_wasted: bool = False  # its answer is not the one that the caller gets


@dataclass(frozen=True, slots=True)
class CallCost:
    """One call, accounted for. `usd` is None where no price is known."""

    model: str
    usage: Usage
    method: Method
    use: Use
    usd: Decimal | None


@dataclass(frozen=True, slots=True)
class Baseline:
    """What the default cloud model would have cost for the same request and an answer as long as the one given."""

    model: str | None = None
    usage: Usage = NOTHING
    method: Method = "none"
    usd: Decimal | None = None
    is_lawful: bool = False  # the policy would have let the request go there


@dataclass(frozen=True, slots=True)
class Costs:
    """The money of one request. `saved_usd`: the baseline less all that was spent, what was wasted included."""

    calls: tuple[CallCost, ...] = ()
    usd: Decimal | None = Decimal(0)
    wasted_usd: Decimal | None = Decimal(0)  # part of `usd`: calls whose answer nobody got
    baseline: Baseline = Baseline()
    energy: Energy | None = None  # of all local calls; None where one of them was not measured
    energy_usd: Decimal | None = None  # None: not measured, or the policy gives no price
    saved_usd: Decimal | None = None


def price_of(model: Model) -> Price | None:
    """The model's price. The embedded engine and servers of this host charge nobody unless the policy says so."""
    return model.price or (_FREE if model.locality == "local" else None)


def price_tokens(usage: Usage, price: Price) -> Decimal:
    """USD, exact: a price is the decimal that the policy writes, not the binary fraction nearest to it."""
    charged = usage.input_tokens * Decimal(repr(price.input_per_1m))
    return (charged + usage.output_tokens * Decimal(repr(price.output_per_1m))) / _MILLION


def used(call: CallUse, input_estimate: int) -> tuple[Usage, Method]:
    """Tokens of one call and where their number comes from. `input_estimate`: `Facts.input_tokens`."""
    if call.reported is not None:
        return call.reported, "reported"
    if call.end == "refused":
        return NOTHING, "none"
    output = max(call.pieces, -(-call.size // _BYTES_PER_TOKEN))
    usage = Usage(round(input_estimate * _TYPICAL), output)
    return usage, "estimated" if call.end == "whole" else "at_least"


def account(
    policy: Policy,
    decision: Decision | None,
    calls: Sequence[CallUse],
    *,
    input_estimate: int = 0,
    stored: tuple[str, Usage] | None = None,
    energy: Energy | None = None,
    price_per_kwh: float | None = None,
) -> Costs:
    """The money of a request that has ended. `stored`: model and tokens of an answer that came from the cache.

    `energy` is that of all its local calls together.
    """
    done = tuple(_cost(call, policy.models, input_estimate) for call in calls)
    total = _sum(call.usd for call in done)
    wasted = _sum(call.usd for call in done if call.use != "answer")
    baseline = _baseline(policy, decision, done, stored)
    energy_usd = None
    if energy is not None and price_per_kwh is not None:
        energy_usd = _rounded(Decimal(repr(energy.joules)) * Decimal(repr(price_per_kwh)) / _JOULES_PER_KWH)
    saved = None
    if baseline.usd is not None and total is not None:
        saved = baseline.usd - total - (energy_usd or Decimal(0))
    return Costs(done, total, wasted, baseline, energy, energy_usd, saved)


def _cost(call: CallUse, models: Mapping[str, Model], input_estimate: int) -> CallCost:
    usage, method = used(call, input_estimate)
    price = price_of(models[call.model])
    usd = Decimal(0) if method == "none" else None if price is None else price_tokens(usage, price)
    use: Use = "answer"
    if call.end == "refused":
        use = "refused"
    elif call.is_wasted:
        use = "wasted"
    elif call.end == "failed":
        use = "failed"
    return CallCost(call.model, usage, method, use, usd)


def _baseline(
    policy: Policy, decision: Decision | None, calls: Sequence[CallCost], stored: tuple[str, Usage] | None
) -> Baseline:
    name = policy.default_cloud
    if name is None:
        return Baseline()
    seen = () if decision is None else decision.candidates
    is_lawful = any(each.model == name and each.lawful and each.able for each in seen)
    answer = (
        stored
        if stored is not None
        else next(((call.model, call.usage) for call in reversed(calls) if call.use == "answer"), None)
    )
    if answer is None:  # nothing was answered, so nothing is compared
        return Baseline(name, usd=Decimal(0), is_lawful=is_lawful)
    model, usage = answer
    method: Method = next((call.method for call in reversed(calls) if call.use == "answer"), "reported")
    if method == "reported" and model != name:
        method = "other_tokenizer"
    price = price_of(policy.models[name])
    return Baseline(name, usage, method, None if price is None else price_tokens(usage, price), is_lawful)


def _sum(amounts: Iterable[Decimal | None]) -> Decimal | None:
    total = Decimal(0)
    for amount in amounts:
        if amount is None:
            return None
        total += amount
    return total


def _rounded(amount: Decimal) -> Decimal:
    return amount.quantize(_FINEST)


def to_json(costs: Costs) -> JsonObject:
    """The `costs` of a decision record. Amounts are JSON numbers in USD; `amount` reads them back exactly."""
    baseline = costs.baseline
    return {
        "usd": _number(costs.usd),
        "wasted_usd": _number(costs.wasted_usd),
        "saved_usd": _number(costs.saved_usd),
        "calls": [
            {
                "model": call.model,
                "input": call.usage.input_tokens,
                "output": call.usage.output_tokens,
                "method": call.method,
                "use": call.use,
                "usd": _number(call.usd),
            }
            for call in costs.calls
        ],
        "baseline": {
            "model": baseline.model,
            "input": baseline.usage.input_tokens,
            "output": baseline.usage.output_tokens,
            "method": baseline.method,
            "usd": _number(baseline.usd),
            "lawful": baseline.is_lawful,
        },
        "energy": None
        if costs.energy is None
        else {"joules": costs.energy.joules, "method": costs.energy.method, "usd": _number(costs.energy_usd)},
    }


def _number(amount: Decimal | None) -> float | None:
    return None if amount is None else float(amount)


def amount(value: object) -> Decimal | None:
    """An amount of a record as the decimal that was written (to 15 digits); None for what is no number."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return Decimal(repr(value)) if is_number else None
