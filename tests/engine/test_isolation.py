"""Time to the first token does not tell what another tenant has asked: a prompt reuses nothing of other partitions.

The attack: a shared prefix cache answers sooner when somebody has asked the same ("I Know What You Asked", NDSS 2025).
Each trial has a prompt of its own. The victim asks it; then the attacker asks it, and another of the same length that
nobody has asked, in random order; then the victim asks it again, which shows that reuse exists and can be seen.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import orjson
import pytest

from tests.engine.driver import ALIAS, Body, Client, EngineProcess, end_engine, says, start_engine
from tests.support.tiny_gguf import make_model

# Two hundred trials: with no difference at all, an AUC is beyond 0.6 once in 1,700 runs (its deviation is 0.029).
# Measured here: 0.51 and 0.49, and 0.99 and more for the control. With ninety words, that is 280 tokens, to read or not
# to read, the control is as sure as with twice as many, for a third of the processor time.
TRIALS = 200
TINY = "tiny"
VICTIM = {"cache_salt": "of-the-victim", "tenant": "victim"}
# The attacker comes each time with a partition that is new to the engine: what it has left behind itself, the first
# word of an earlier prompt perhaps, would only be noise.
ATTACKERS = [{"cache_salt": "of-the-attacker", "tenant": "attacker"}, {}]
WORDS = ("city", "river", "ship", "wind", "stone", "bird", "tree", "number", "sea", "people", "tell", "think") * 16

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Probe:
    seconds: float  # to the first token
    prompt_tokens: int
    cached_tokens: int
    read: float  # prompt tokens that the engine decoded


@dataclass
class Seen:
    """What each class of requests was like."""

    asked_before: list[Probe] = field(default_factory=list)  # by another
    asked_by_nobody: list[Probe] = field(default_factory=list)
    asked_by_itself: list[Probe] = field(default_factory=list)


def times(probes: list[Probe]) -> Values:
    return np.array([probe.seconds for probe in probes])


def auc(quick: Values, slow: Values) -> float:
    """How often one of the first is quicker than one of the second: 0.5 when nothing tells them apart."""
    return float((quick[:, None] < slow).mean() + (quick[:, None] == slow).mean() / 2)


def interval(quick: Values, slow: Values) -> tuple[float, float]:
    """Of the AUC, by bootstrap: left once in a thousand runs, so that a test may rely on it."""
    source = np.random.default_rng(1)
    draws = [auc(source.choice(quick, len(quick)), source.choice(slow, len(slow))) for _ in range(2_000)]
    low, high = np.quantile(draws, (0.0005, 0.9995))
    return float(low), float(high)


def prompt(source: random.Random, words: int) -> str:
    """Another order of the same words: as many tokens, and hardly two that begin alike."""
    return "Count: " + " ".join(source.sample(WORDS[:words], words))


async def probe(client: Client, name: str, body: Body) -> Probe:
    read = (await client.figures(name))["prompt_tokens_total"]
    whole = {**body, "model": name, "temperature": 0, "max_tokens": 1, "stream": True}
    started = time.perf_counter()
    async with client.post({**whole, "stream_options": {"include_usage": True}}) as response:
        assert response.status == 200
        await response.content.readline()
        seconds = time.perf_counter() - started
        rest = (await response.read()).decode()
    chunks = [orjson.loads(line.removeprefix("data: ")) for line in rest.splitlines() if line.startswith("data: {")]
    usage = chunks[-1]["usage"]
    cached = usage["prompt_tokens_details"]["cached_tokens"]
    after = (await client.figures(name))["prompt_tokens_total"]
    return Probe(seconds, usage["prompt_tokens"], cached, after - read)


async def attack(client: Client, name: str, attacker: Body, *, trials: int, words: int) -> Seen:
    source = random.Random(1)
    seen = Seen()
    # What all may share, the template's own opening, is there before anybody measures.
    await probe(client, name, says("Hello"))
    for number in range(trials):
        known, fresh = prompt(source, words), prompt(source, words)
        await probe(client, name, says(known, **VICTIM))
        tries = [(seen.asked_before, known), (seen.asked_by_nobody, fresh)]
        for turn, (found, text) in enumerate(source.sample(tries, 2)):
            salt = {"cache_salt": f"{attacker['cache_salt']}-{number}-{turn}"} if attacker else {}
            found.append(await probe(client, name, says(text, **{**attacker, **salt})))
        seen.asked_by_itself.append(await probe(client, name, says(known, **VICTIM)))
    return seen


def check_reading(seen: Seen) -> None:
    """The reason why time cannot tell: the same tokens are read whether or not another has asked for them."""
    attacked = [*seen.asked_before, *seen.asked_by_nobody]
    assert len({(one.prompt_tokens, one.cached_tokens, one.read) for one in attacked}) == 1
    cold = attacked[0]
    assert cold.cached_tokens + cold.read == cold.prompt_tokens
    assert cold.cached_tokens < 30, "more than the template's opening"
    # The control: the one who asked itself reads the last token only.
    assert {(one.prompt_tokens, one.read) for one in seen.asked_by_itself} == {(cold.prompt_tokens, 1)}


@pytest.fixture(scope="module")
def tiny() -> Iterator[EngineProcess]:
    with tempfile.TemporaryDirectory(prefix="gh-") as folder:
        path = make_model("smollm2", Path(folder))
        options = ("--model", str(path), "--alias", TINY, "--threads", "1", "--slots", "8", "--context", "1024")
        running = start_engine(Path(folder), *options)
        try:
            running.wait()
            yield running
        finally:
            end_engine(running)


@pytest.mark.parametrize("attacker", ATTACKERS, ids=["another tenant", "nobody in particular"])
async def test_time_to_the_first_token_does_not_tell_what_another_has_asked(
    tiny: EngineProcess, attacker: Body
) -> None:
    """What is read decides. A clock that says otherwise, as by chance it may, is asked a second time."""
    for attempt in (1, 2):
        async with Client(tiny.socket) as client:
            seen = await attack(client, TINY, attacker, trials=TRIALS, words=90)
        check_reading(seen)
        if is_blind(seen):
            return
        print(f"told apart at attempt {attempt}")
    raise AssertionError("the clock tells what another has asked, or does not see reuse at all")


def is_blind(seen: Seen) -> bool:
    """Whether the times of what another asked are those of what nobody asked; and reuse of one's own shows."""
    before, nobody, itself = times(seen.asked_before), times(seen.asked_by_nobody), times(seen.asked_by_itself)
    print(
        "AUC",
        auc(before, nobody),
        interval(before, nobody),
        auc(itself, nobody),
        seen.asked_before[:2],
        seen.asked_by_itself[:2],
        np.median(before),
        np.median(nobody),
    )
    told_apart = auc(before, nobody)
    low, high = interval(before, nobody)
    return 0.4 <= told_apart <= 0.6 and low <= 0.5 <= high and auc(itself, nobody) > 0.9


async def test_the_real_model_reads_the_same_for_what_another_has_asked(engine: EngineProcess) -> None:
    """A few trials: a prompt takes long here, and what is read decides."""
    async with Client(engine.socket) as client:
        seen = await attack(client, ALIAS, ATTACKERS[0], trials=4, words=120)
    check_reading(seen)
