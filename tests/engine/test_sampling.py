"""How the next token is chosen, against the plain way to compute the same: sort everything, in float64."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.engine.constraint import Constraint
from router.engine.grammar import schema_grammar
from router.engine.native import NativeModel
from router.engine.process import spin_briefly
from router.engine.ranking import Ranking
from router.engine.sampling import Describer, Sampler
from router.engine.softmax import NativeDenominator, log_denominator, make_denominator
from router.engine.types import Sampling
from router.models.catalogue import embedded_model
from tests.engine.driver import Client, says

Row = np.ndarray[Any, np.dtype[np.float32]]

SETTINGS: dict[str, dict[str, Any]] = {
    "all": {},
    "cold": {"temperature": 0.3},
    "hot": {"temperature": 2.0},
    "top-p": {"top_p": 0.7},
    "top-p-hot": {"top_p": 0.95, "temperature": 1.8},
    "top-k": {"top_k": 7},
    "top-k-then-top-p": {"top_k": 20, "top_p": 0.6},
    "min-p": {"min_p": 0.1},
    "top-p-then-min-p": {"top_p": 0.9, "min_p": 0.15},
    "everything": {"temperature": 0.8, "top_k": 50, "top_p": 0.9, "min_p": 0.02},
}


@pytest.fixture(scope="module")
def model() -> NativeModel:
    spin_briefly()
    return NativeModel(str(embedded_model()))


def sampling(**fields: Any) -> Sampling:
    return Sampling(**{"temperature": 1.0, "top_p": 1.0, "seed": 3, **fields})


def row(size: int, seed: int, spread: float = 3.0) -> Row:
    return np.random.default_rng(seed).normal(0, spread, size).astype(np.float32)


def expected(logits: Row, wanted: Sampling) -> dict[int, float]:
    """Temperature, top-k, top-p, min-p, as transformers has them: token -> probability."""
    scaled = logits.astype(np.float64) / wanted.temperature
    order = np.argsort(-scaled, kind="stable")[: wanted.top_k or None]
    weights = np.exp(scaled[order] - scaled.max())
    weights /= weights.sum()
    before = np.cumsum(weights) - weights
    kept = (before < wanted.top_p) & (weights >= wanted.min_p * weights[0])
    kept[0] = True
    return dict(zip(order[kept].tolist(), (weights[kept] / weights[kept].sum()).tolist(), strict=True))


@pytest.mark.parametrize("size", [300, 1024, 2500])
@pytest.mark.parametrize("name", SETTINGS)
def test_tokens_come_as_often_as_the_plain_computation_says(model: NativeModel, name: str, size: int) -> None:
    wanted = sampling(**SETTINGS[name])
    logits = row(size, seed=size)
    sampler = Sampler(model, wanted)
    draws = 4000
    seen = Counter(sampler.pick(logits) for _ in range(draws))
    chances = expected(logits, wanted)
    assert seen.keys() <= chances.keys()
    for token, chance in sorted(chances.items(), key=lambda item: -item[1])[:10]:
        # Five standard deviations: the seed is fixed, so this passes always or never.
        assert abs(seen[token] - draws * chance) <= 5 * math.sqrt(draws * chance * (1 - chance)) + 1, token


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5000), st.integers(0, 2**16), st.integers(1, 1500), st.booleans())
def test_the_largest_are_those_that_sorting_gives(size: int, seed: int, count: int, has_ties: bool) -> None:
    logits = row(size, seed)
    if has_ties:
        logits = np.round(logits)
    found = Ranking(logits).largest(count)
    assert len(set(found.tolist())) == len(found) == min(count, size)
    assert logits[found].tolist() == np.sort(logits)[::-1][:count].tolist()


@settings(max_examples=40, deadline=None)
@given(
    st.integers(2, 3000),
    st.integers(0, 2**16),
    st.lists(st.integers(0, 2999), max_size=40),
    st.sampled_from([0.0, 1.0]),
    st.sampled_from([1.0, 1.3, 0.7]),
    st.sampled_from([0.0, 1.5, -1.0]),
    st.sampled_from([0.0, 0.8]),
)
def test_picking_leaves_the_logits_as_they_were_to_the_bit(
    size: int, seed: int, prompt: list[int], temperature: float, repetition: float, presence: float, frequency: float
) -> None:
    wanted = sampling(
        temperature=temperature,
        repetition_penalty=repetition,
        presence_penalty=presence,
        frequency_penalty=frequency,
    )
    no_model: Any = None  # only a grammar asks the model
    sampler = Sampler(no_model, wanted, [token % size for token in prompt])
    for step in range(4):
        logits = row(size, seed + step)
        before = logits.tobytes()
        assert 0 <= sampler.pick(logits) < size
        assert logits.tobytes() == before


def test_penalties_are_those_of_transformers_and_of_openai(model: NativeModel) -> None:
    """Repetition over prompt and answer, presence and frequency over the answer alone."""
    wanted = sampling(temperature=0, repetition_penalty=1.5, presence_penalty=0.4, frequency_penalty=0.3)
    prompt, size = [1, 2, 2, 5], 64
    sampler = Sampler(model, wanted, prompt)
    answer: list[int] = []
    for step in range(200):
        logits = row(size, seed=step, spread=1.0)
        penalised = logits.astype(np.float64)
        for token in {*prompt, *answer}:
            penalised[token] *= 1.5 if penalised[token] < 0 else 1 / 1.5
        for token, count in Counter(answer).items():
            penalised[token] -= 0.3 * count + 0.4
        answer.append(sampler.pick(logits))
        assert penalised[answer[-1]] == pytest.approx(penalised.max(), abs=1e-4)
    assert len(set(answer)) > 30  # they did change what was chosen


@pytest.mark.parametrize("fields", [{"presence_penalty": 2.0}, {"frequency_penalty": 2.0}, {"repetition_penalty": 3.0}])
def test_each_penalty_alone_ends_a_repetition(model: NativeModel, fields: dict[str, float]) -> None:
    logits = np.zeros(100, np.float32)
    logits[[7, 8]] = 1.5, 1.0
    sampler = Sampler(model, sampling(temperature=0, **fields))
    assert [sampler.pick(logits), sampler.pick(logits)] == [7, 8]
    plain = Sampler(model, sampling(temperature=0))
    assert [plain.pick(logits), plain.pick(logits)] == [7, 7]


def test_a_sampler_that_stops_early_has_chosen_what_one_that_goes_on_chooses(model: NativeModel) -> None:
    """Guesses are verified with it: nothing that it returns may depend on a token that comes later."""
    wanted = sampling(top_p=0.9, presence_penalty=0.5, repetition_penalty=1.2)
    rows = [row(2000, seed) for seed in range(12)]
    whole = Sampler(model, wanted, [3])
    full = [whole.pick(logits) for logits in rows]
    for stop in range(1, 12):
        early = Sampler(model, wanted, [3])
        assert [early.pick(logits) for logits in rows[:stop]] == full[:stop]


def test_a_seed_repeats_its_choices_and_another_one_makes_others(model: NativeModel) -> None:
    rows = [row(3000, seed) for seed in range(20)]

    def choices(seed: int) -> list[int]:
        sampler = Sampler(model, sampling(seed=seed))
        return [sampler.pick(logits) for logits in rows]

    assert choices(1) == choices(1)
    assert choices(1) != choices(2)


def test_log_probabilities_are_the_log_softmax_in_float64(model: NativeModel) -> None:
    describer = Describer(model)
    for seed in range(20):
        logits = row(model.size, seed, spread=1.0 + seed / 2)
        exact = logits.astype(np.float64)
        exact -= exact.max() + np.log(np.exp(exact - exact.max()).sum())
        token = int(logits.argmax()) if seed % 2 else seed
        for top in (0, 1, 20):
            told = describer.describe(logits, token, top)
            assert told.logprob == pytest.approx(exact[token], abs=1e-5)
            best = np.sort(exact)[::-1][:top]
            assert [value for _, value in told.top] == pytest.approx(best.tolist(), abs=1e-5)
            assert [piece for piece, _ in told.top] == [model.piece(int(at)) for at in np.argsort(-exact)[:top]]


@pytest.mark.parametrize("by", ["numpy", "ggml"])
def test_the_denominator_of_a_softmax_is_that_in_float64(by: str) -> None:
    """Also of logits so far below the best that they weigh nothing, which a vector unit may take for subnormal."""
    denominator = NativeDenominator() if by == "ggml" else log_denominator
    for seed in range(20):
        logits = row((1, 7, 1023, 49_152, 128_257)[seed % 5], seed, spread=1.0 + 3 * seed)
        exact = logits.astype(np.float64)
        assert denominator(logits) == pytest.approx(exact.max() + np.log(np.exp(exact - exact.max()).sum()), abs=1e-5)


def test_a_build_whose_vector_code_computes_something_else_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(make_denominator(), NativeDenominator)
    monkeypatch.setattr(NativeDenominator, "__call__", lambda self, logits: log_denominator(logits) + 2e-5)
    assert make_denominator() is log_denominator
    monkeypatch.setattr(NativeDenominator, "__call__", lambda self, logits: math.nan)
    assert make_denominator() is log_denominator


GRAMMAR = schema_grammar({
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 20}, "age": {"type": "integer"}},
    "required": ["name", "age"],
})  # fmt: skip


@pytest.mark.parametrize(
    "said", ["", "{", '{"name": ', '{"name": "Bo', '{"name": "Bob", "age": 3', '{"name":"a","age":1}']
)
def test_the_tokens_that_a_grammar_allows_are_found_without_asking_about_all(model: NativeModel, said: str) -> None:
    constraint = Constraint(model, GRAMMAR, frozenset())
    for token in model.tokenize(said, special=False):
        constraint.accept(token)
    logits = row(model.size, len(said))
    every = {token for token in range(model.size) if constraint.allows(token)}
    assert set(constraint.allowed(logits, math.inf).tolist()) == every
    best = max(every, key=lambda token: logits[token])
    assert best in constraint.allowed(logits, 0.0).tolist()
    for token in every:
        assert model.piece(token) or model.is_end(token), "a token that the answer would not show"


def test_behind_all_that_a_grammar_says_only_the_end_is_left(model: NativeModel) -> None:
    constraint = Constraint(model, 'root ::= "a"', frozenset())
    constraint.accept(model.tokenize("a", special=False)[0])
    left = constraint.allowed(row(model.size, 1), math.inf).tolist()
    assert left
    assert all(model.is_end(token) for token in left)


@pytest.mark.parametrize(
    "fields", [{"top_k": 1}, {"min_p": 1}, {"top_k": 1, "min_p": 0.5, "top_p": 0.5}], ids=["top-k", "min-p", "together"]
)
async def test_cuts_that_leave_one_token_make_the_answer_greedy(client: Client, fields: dict[str, float]) -> None:
    body = says("Name three colours.", max_tokens=12)
    greedy = await client.text({**body, "temperature": 0})
    assert await client.text({**body, "temperature": 1.5, "seed": 4, "top_p": 1, **fields}) == greedy


@pytest.mark.parametrize("name", ["presence_penalty", "frequency_penalty", "repetition_penalty", "repeat_penalty"])
async def test_penalties_reach_the_answer(client: Client, name: str) -> None:
    """Greedy, the model says one syllable over and over here."""
    body = says('Repeat exactly: "🎉🎊🥳 ﷽ naïve 東京"', max_tokens=40, temperature=0, logprobs=True)
    plain, penalised = await client.answer(body), await client.answer({**body, name: 1.8})
    kinds = [
        len({entry["token"] for entry in reply["choices"][0]["logprobs"]["content"]}) for reply in (plain, penalised)
    ]
    assert kinds[0] < 15
    assert kinds[1] > kinds[0]


async def test_both_names_of_the_repetition_penalty_say_the_same(client: Client) -> None:
    body = says("Name three colours.", max_tokens=16, temperature=0)
    both = [await client.text({**body, name: 1.8}) for name in ("repetition_penalty", "repeat_penalty")]
    assert both[0] == both[1]
