"""The money of a request: exact amounts, both sides of an escalation, and nothing unknown that is shown as 0."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from policies.schema import compile_policy
from policies.types import Candidate, Decision, Level, Policy, Price
from router.calling import _how, _size
from router.costs.cost import CallUse, account, amount, price_tokens, to_json, used
from router.costs.energy import Burn, Energy, Rate, read_burn
from router.errors import Unavailable, UpstreamError
from router.types import Usage
from tests.support.gateway import POLICY, local_server

PRICED = Price(0.15, 0.60)


def policy(cloud_price: Price | None = PRICED, **home: Any) -> Policy:
    made = compile_policy(POLICY.format(home=local_server("http://127.0.0.1:9"), cloud="http://127.0.0.1:8"), "test")
    models = dict(made.models)
    models["cloud"] = replace(models["cloud"], price=cloud_price)
    models["home"] = replace(models["home"], **home)
    return replace(made, models=models)


def decision(lawful: bool = True) -> Decision:
    seen = (Candidate("home", True, True, ()), Candidate("cloud", lawful, True, ()))
    return Decision("local", "home", "", "default", "none", Level.PUBLIC, "d" * 64, candidates=seen)


def call(model: str, prompt: int, answer: int, **changed: Any) -> CallUse:
    return CallUse(model, **{"reported": Usage(prompt, answer), "end": "whole", **changed})


def test_amounts_are_the_decimals_that_the_policy_writes() -> None:
    assert price_tokens(Usage(1, 0), Price(0.15, 0.6)) == Decimal("0.00000015")
    assert price_tokens(Usage(123_457, 3), Price(0.1, 0.0375)) == Decimal("0.0123458125")
    many = sum((price_tokens(Usage(1, 1), Price(0.1, 0.2)) for _ in range(100_000)), Decimal(0))
    assert many == Decimal("0.03")


def test_an_amount_of_a_record_reads_back_as_the_same_decimal() -> None:
    for usage in (Usage(1, 1), Usage(12, 345), Usage(999_999, 777_777)):
        exact = price_tokens(usage, Price(0.0375, 4.4))
        assert amount(float(exact)) == exact
    assert amount(None) is None
    assert amount(True) is None


def test_an_answer_at_home_saves_what_the_cloud_would_have_cost_for_as_many_tokens() -> None:
    costs = account(policy(), decision(), [call("home", 1000, 500)], answered_by="home")
    assert (costs.usd, costs.wasted_usd) == (0, 0)
    assert costs.baseline.usd == Decimal("0.00045")
    assert costs.saved_usd == Decimal("0.00045")
    assert costs.baseline.method == "other_tokenizer"
    assert costs.baseline.is_lawful


def test_an_escalation_pays_for_both_and_saves_nothing() -> None:
    calls = [call("home", 1000, 500), call("cloud", 900, 400)]
    costs = account(policy(price=Price(0.01, 0.02)), decision(), calls, answered_by="cloud")
    assert [each.use for each in costs.calls] == ["wasted", "answer"]
    assert costs.wasted_usd == Decimal("0.00002")
    assert costs.baseline.usd == Decimal("0.000375")
    assert costs.baseline.method == "reported"
    assert costs.usd == Decimal("0.000395")
    assert costs.saved_usd == Decimal("-0.00002")


def test_the_loser_of_a_race_is_paid_for_with_what_had_come_of_it() -> None:
    loser = CallUse("cloud", pieces=3, size=40, end="cancelled", is_wasted=True)
    costs = account(policy(), decision(), [call("home", 100, 50), loser], answered_by="home", input_estimate=120)
    assert (costs.calls[1].usage, costs.calls[1].method, costs.calls[1].use) == (Usage(90, 10), "at_least", "wasted")
    assert costs.wasted_usd == costs.usd == Decimal("0.0000195")
    assert costs.saved_usd == Decimal("0.000045") - Decimal("0.0000195")


@pytest.mark.parametrize(
    ("use", "expected", "method"),
    [
        (CallUse("cloud", Usage(7, 3), pieces=99, size=999, end="cancelled"), Usage(7, 3), "reported"),
        (CallUse("cloud", pieces=1, size=41, end="whole"), Usage(75, 11), "estimated"),
        (CallUse("cloud", pieces=20, size=41, end="cancelled"), Usage(75, 20), "at_least"),
        (CallUse("cloud", end="failed"), Usage(75, 0), "at_least"),
        (CallUse("cloud", end="running", pieces=1, size=4), Usage(75, 1), "at_least"),
        (CallUse("cloud", end="refused"), Usage(0, 0), "none"),
    ],
)
def test_tokens_say_where_their_number_comes_from(use: CallUse, expected: Usage, method: str) -> None:
    assert used(use, 100) == (expected, method)


def test_what_has_no_price_is_unknown_and_never_nothing() -> None:
    costs = account(policy(None), decision(), [call("cloud", 10, 10)], answered_by="cloud")
    assert (costs.usd, costs.saved_usd, costs.baseline.usd) == (None, None, None)
    assert to_json(costs)["usd"] is None
    home = account(policy(None), decision(), [call("home", 10, 10)], answered_by="home")
    assert (home.usd, home.saved_usd) == (0, None)
    lan = account(policy(locality="lan"), decision(), [call("home", 10, 10)], answered_by="home")
    assert (lan.usd, lan.saved_usd) == (None, None)
    free = account(
        policy(locality="lan", price=Price(0.0, 0.0)), decision(), [call("home", 10, 10)], answered_by="home"
    )
    assert free.usd == 0
    assert free.saved_usd == Decimal("0.0000075")


def test_nothing_answered_is_compared_with_nothing() -> None:
    broken = CallUse("cloud", end="failed", pieces=4, size=16)
    failed = account(policy(), decision(), [broken], answered_by="cloud", input_estimate=4)
    assert failed.calls[0].use == "failed"
    assert failed.baseline.usd == 0
    assert failed.saved_usd == -Decimal("0.00000285")
    assert account(policy(), None, []).saved_usd == 0
    assert account(replace(policy(), default_cloud=None), None, []).saved_usd is None


def test_an_answer_from_the_cache_saves_its_price_and_costs_nothing() -> None:
    costs = account(policy(), decision(lawful=False), [], stored=("cloud", Usage(1000, 500)))
    assert (costs.usd, costs.saved_usd) == (0, Decimal("0.00045"))
    assert (costs.baseline.method, costs.baseline.is_lawful) == ("reported", False)


def test_later_calls_of_the_answering_model_judge_the_answer_and_are_no_answers() -> None:
    calls = [call("home", 10, 10, end="failed"), call("home", 100, 50), call("home", 160, 1)]
    costs = account(policy(price=Price(1.0, 1.0)), decision(), calls, answered_by="home")
    assert [each.use for each in costs.calls] == ["failed", "answer", "wasted"]
    assert costs.baseline.usage == Usage(100, 50)
    assert costs.wasted_usd == Decimal("0.000181")


BURN = Burn({"tiny": Rate(prompt=0.001, answer=0.01)}, 4.0, "stated_watts")
ENGINE: dict[str, Any] = {"backend": "engine", "model": "tiny"}


def test_energy_is_subtracted_only_at_a_price_of_the_policys() -> None:
    calls = [call("home", 1000, 500, cached_tokens=400)]
    unpriced = account(policy(**ENGINE), decision(), calls, answered_by="home", burn=BURN)
    assert unpriced.energy == Energy(4 * (0.6 + 5.0), "stated_watts")
    assert (unpriced.energy_usd, unpriced.saved_usd) == (None, Decimal("0.00045"))
    dear = replace(policy(**ENGINE), price_per_kwh=30.0)
    priced = account(dear, decision(), calls, answered_by="home", burn=BURN)
    assert priced.energy_usd == Decimal("0.000186666667")
    assert priced.saved_usd == Decimal("0.00045") - Decimal("0.000186666667")
    assert to_json(priced)["energy"] == {"joules": 22.4, "method": "stated_watts", "usd": 0.000186666667}


def test_energy_that_was_not_measured_is_none_and_not_nothing() -> None:
    calls = [call("home", 1000, 500)]
    assert account(policy(**ENGINE), decision(), calls, answered_by="home").energy is None
    assert account(policy(), decision(), calls, answered_by="home", burn=BURN).energy is None
    other = account(policy(**{**ENGINE, "model": "other"}), decision(), calls, answered_by="home", burn=BURN)
    assert (other.energy, to_json(other)["energy"]) == (None, None)
    cloud = account(policy(**ENGINE), decision(), [call("cloud", 9, 9)], answered_by="cloud", burn=BURN)
    assert cloud.energy is None
    both = [call("home", 0, 100), call("cloud", 9, 9)]
    escalated = account(policy(**ENGINE), decision(), both, answered_by="cloud", burn=BURN)
    assert escalated.energy == Energy(4.0, "stated_watts")
    assert read_burn(BURN.message()) == BURN


def test_a_call_that_never_left_or_was_refused_has_used_nothing_and_one_cut_off_has() -> None:
    fresh, begun = CallUse("cloud"), CallUse("cloud", size=9)
    assert _how(None, fresh) == "whole"
    assert _how(UpstreamError("x", unsent=True), fresh) == "refused"
    assert _how(UpstreamError("x", upstream_status=500), fresh) == "refused"
    assert _how(UpstreamError("x", upstream_status=500), begun) == "failed"
    assert _how(UpstreamError("x"), fresh) == "failed"
    assert _how(Unavailable("x"), fresh) == "refused"
    assert _how(KeyboardInterrupt(), fresh) == "cancelled"


def test_text_of_every_kind_is_counted() -> None:
    assert _size({"content": "héllo", "reasoning_content": "abc", "role": "assistant"}) == 6 + 3
    assert _size({"content": None, "tool_calls": [{"function": {"name": "f", "arguments": '{"a":1}'}}, None]}) == 8
    assert _size({}) == 0
