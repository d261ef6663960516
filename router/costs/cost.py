"""What a request cost, and what the default cloud model would have cost for it. Pure.

Amounts are exact decimals in USD. What is not known is None, never 0 in silence, and every count of tokens says where
it comes from (`Method`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Literal

from classifiers.frozen import quickly_made
from policies.types import Decision, Model, Policy, Price
from router.costs.energy import Burn, Energy
from router.costs.energy import total as energy_of
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


@quickly_made
@dataclass(frozen=True, slots=True)
class CallCost:
    """One call, accounted for. `usd` is None where no price is known."""

    model: str
    usage: Usage
    method: Method
    use: Use
    usd: Decimal | None
    energy: Energy | None = None


@quickly_made
@dataclass(frozen=True, slots=True)
class Baseline:
    """What the default cloud model would have cost for the same request and an answer as long as the one given."""

    model: str | None = None
    usage: Usage = NOTHING
    method: Method = "none"
    usd: Decimal | None = None
    is_lawful: bool = False  # the policy would have let the request go there


@quickly_made
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
    charged = usage.input_tokens * _exact(price.input_per_1m)
    return (charged + usage.output_tokens * _exact(price.output_per_1m)) / _MILLION


@lru_cache(maxsize=256)
def _exact(price: float) -> Decimal:
    return Decimal(repr(price))


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
    answered_by: str = "",
    input_estimate: int = 0,
    stored: tuple[str, Usage] | None = None,
    burn: Burn | None = None,
) -> Costs:
    """The money of a request that has ended. `answered_by`: the model whose answer the caller got.

    `stored`: model and tokens of an answer that came from the cache. `burn`: what a local token takes, if measured.
    """
    answer = _answer_of(calls, answered_by)
    done = tuple(_cost(call, call is answer, policy.models[call.model], input_estimate, burn) for call in calls)
    total = _sum(call.usd for call in done)
    wasted = _sum(call.usd for call in done if call.use != "answer")
    baseline = _baseline(policy, decision, done, stored)
    at_home = [call for call in done if policy.models[call.model].locality == "local" and call.method != "none"]
    energy = energy_of(call.energy for call in at_home)
    energy_usd = None
    if energy is not None and policy.price_per_kwh is not None:
        spent = Decimal(repr(energy.joules)) * _exact(policy.price_per_kwh)
        energy_usd = (spent / _JOULES_PER_KWH).quantize(_FINEST)
    saved = None
    if baseline.usd is not None and total is not None:
        saved = baseline.usd - total - (energy_usd or Decimal(0))
    return Costs(done, total, wasted, baseline, energy, energy_usd, saved)


def _answer_of(calls: Sequence[CallUse], answered_by: str) -> CallUse | None:
    """The call that gave the answer: the model's first that did not fail, for later ones only judge it."""
    for call in calls:
        if call.model == answered_by and not call.is_wasted and call.end not in ("failed", "refused"):
            return call
    return None


def _cost(call: CallUse, is_answer: bool, model: Model, input_estimate: int, burn: Burn | None) -> CallCost:
    usage, method = used(call, input_estimate)
    price = price_of(model)
    usd = Decimal(0) if method == "none" else None if price is None else price_tokens(usage, price)
    use: Use = "answer" if is_answer else "wasted"
    if call.end in ("failed", "refused") and not call.is_wasted:
        use = "failed" if call.end == "failed" else "refused"
    energy = None
    if burn is not None and model.backend == "engine":
        energy = burn.of(model.model, max(usage.input_tokens - call.cached_tokens, 0), usage.output_tokens)
    return CallCost(call.model, usage, method, use, usd, energy)


def _baseline(
    policy: Policy, decision: Decision | None, calls: Sequence[CallCost], stored: tuple[str, Usage] | None
) -> Baseline:
    name = policy.default_cloud
    if name is None:
        return Baseline()
    seen = () if decision is None else decision.candidates
    is_lawful = any(each.model == name and each.lawful and each.able for each in seen)
    given = [(call.model, call.usage, call.method) for call in calls if call.use == "answer"]
    if stored is not None:
        given = [(*stored, "reported")]
    if not given:  # nothing was answered, so nothing is compared
        return Baseline(name, usd=Decimal(0), is_lawful=is_lawful)
    model, usage, method = given[0]
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
                "joules": None if call.energy is None else call.energy.joules,
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
