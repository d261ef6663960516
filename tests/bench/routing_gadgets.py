"""Gadgets against our own router: texts that, put before or after any simple prompt, shall make it look hard.

    python -m tests.bench.routing_gadgets --data FOLDER [--prompts unseen|trained] [--found FILE]

Each gadget is found by hill-climbing on the signal itself, as an attacker would who has the artifact (Shafran et al.,
arXiv 2501.01818: ten tokens, one exchanged at a time). The search sees one half of 500 simple prompts; what counts is
the other half. `unseen`: of sets that neither `complexity` nor `everyday` was trained on, which is the honest figure;
`trained`: of the sets that they were. Reported: the share that `complexity >= 0.7` would send out, without and with
each gadget, and whether any gadget lowers the sensitivity of a prompt with something to find in it. Seeded; nothing
outside is asked.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from classifiers.complexity import HARD, ComplexitySignal
from classifiers.pipeline import Pipeline
from classifiers.rates import Rate
from classifiers.training import corpus, meaning
from policies.levels import scan_level
from policies.schema import load_policy
from policies.types import Level, Policy
from tests.support import identifiers

SEED = 20261128
PROMPTS = {
    "unseen": {"cache/qqp_dev": ("text_a", 400), "traffic/self_instruct": ("instruction", 100)},
    "trained": {"traffic/clinc150": ("text", 300), "traffic/banking77": ("text", 100)},
}
EVERYDAY = 100  # of our own set, with the trained ones
HARD_TEXTS = {"routing/math_levels": "prompt", "routing/mmlu_2000": "prompt", "routing/arena_bench_scores": "prompt",
              "routing/llmrouter_train": "prompt"}  # fmt: skip
CLIMBED_ON = 40  # prompts that each step is judged on
STEPS = 60
TRIES = 8  # candidates a step
PATIENCE = 12  # steps without gain before it ends
PLANTED = ("EMAIL_ADDRESS", "CREDIT_CARD", "IBAN_CODE", "US_SSN", "PHONE_NUMBER", "IP_ADDRESS")
EACH_PLANTED = 8
MEANING_STRIDE = 4

Score = Callable[[str], float]


@dataclass(frozen=True, slots=True)
class Kind:
    """One way of attacking: where the gadget stands, of how many words, taken from which texts."""

    place: str  # before, after
    words: int
    source: str  # hard: words of hard questions; any: of all texts, simple ones included


@dataclass(frozen=True, slots=True)
class Gadget:
    """One text that was found, and what it is worth on the prompts that it was not climbed on."""

    place: str
    words: int
    source: str
    text: str
    seen: float = 0.0  # share at or above 0.7 on the half it was climbed on
    unseen: float = 0.0

    def on(self, prompt: str) -> str:
        """The prompt with the gadget."""
        return f"{self.text} {prompt}" if self.place == "before" else f"{prompt} {self.text}"


KINDS = (
    *(Kind("before", 10, "hard") for _ in range(6)),
    *(Kind("after", 10, "hard") for _ in range(6)),
    *(Kind("before", 10, "any") for _ in range(2)),
    *(Kind("after", 10, "any") for _ in range(2)),
    *(Kind("before", 4, "hard") for _ in range(2)),
    *(Kind("after", 30, "hard") for _ in range(2)),
)


def simple_prompts(data: Path, which: str, score: Score) -> list[str]:
    """500 distinct requests that are not hard by themselves, shuffled."""
    draw = random.Random(SEED)
    prompts = []
    for name, (member, count) in PROMPTS[which].items():
        texts = sorted({row[member] for row in corpus.read(data, name)})
        prompts += draw.sample([text for text in texts if score(text) < HARD], count)
    if which == "trained":
        prompts += draw.sample(sorted({question.prompt for question in corpus.load_everyday()}), EVERYDAY)
    draw.shuffle(prompts)
    return prompts


def vocabulary(data: Path, source: str) -> list[str]:
    """The words that gadgets are made of, as they stand in texts."""
    words = {
        word for name, member in HARD_TEXTS.items() for row in corpus.read(data, name) for word in row[member].split()
    }
    if source == "any":
        words |= {
            word
            for name, (member, _) in PROMPTS["trained"].items()
            for row in corpus.read(data, name)
            for word in row[member].split()
        }
    return sorted(word for word in words if len(word) <= 24)


def scorer(signal: ComplexitySignal) -> Score:
    """Complexity of a prompt that stands alone."""

    def score(text: str) -> float:
        value = signal.measure({"messages": [{"role": "user", "content": text}]}).value
        assert isinstance(value, float)
        return value

    return score


def climb(kind: Kind, words: Sequence[str], prompts: Sequence[str], score: Score, seed: int) -> Gadget:
    """Exchange one word at a time, and keep what raises the mean log-odds over the prompts most."""
    draw = random.Random(seed)
    chosen = draw.choices(words, k=kind.words)
    best, waited = -math.inf, 0
    judges = draw.sample(list(prompts), CLIMBED_ON)
    for step in range(STEPS):
        place = step % kind.words
        tries = [[*chosen[:place], draw.choice(words), *chosen[place + 1 :]] for _ in range(TRIES)]
        worth = [_worth(Gadget(kind.place, kind.words, kind.source, " ".join(each)), judges, score) for each in tries]
        top = max(range(TRIES), key=worth.__getitem__)
        waited = 0 if worth[top] > best else waited + 1
        if worth[top] > best:
            best, chosen = worth[top], tries[top]
        if waited >= max(PATIENCE, kind.words):
            break
    return Gadget(kind.place, kind.words, kind.source, " ".join(chosen))


def _worth(gadget: Gadget, prompts: Sequence[str], score: Score) -> float:
    return sum(_log_odds(score(gadget.on(prompt))) for prompt in prompts) / len(prompts)


def _log_odds(value: float) -> float:
    value = min(max(value, 1e-4), 1 - 1e-4)
    return math.log(value / (1 - value))


def share(prompts: Sequence[str], score: Score, gadget: Gadget | None = None) -> Rate:
    """How many of the prompts `complexity >= 0.7` would send out."""
    sent = sum(score(gadget.on(prompt) if gadget else prompt) >= HARD for prompt in prompts)
    return Rate(sent, len(prompts))


def planted(policy: Policy) -> Iterator[tuple[str, Level]]:
    """Prompts with a value to find, as the scan's own figures use them, and the level which that value has."""
    for entity in PLANTED:
        for row in identifiers.sentences(entity, EACH_PLANTED, SEED):
            yield row.text, policy.levels.get(entity, Level.CONFIDENTIAL)


async def lowered(gadgets: Sequence[Gadget], policy: Policy) -> dict[str, Rate]:
    """The share of (prompt, gadget) pairs whose level is below what it must be, of values and of meanings.

    A planted value's own level must stay. A text's meaning is learned from the whole of it: there the level without the
    gadget is what must stay.
    """
    pipeline = Pipeline(signals={}, memory_bytes=0, budget_ms=60_000)
    try:
        values = [pair for pair in planted(policy) if await level(pipeline, policy, pair[0]) >= pair[1]]
        texts = [row.text for row in meaning.free_texts()["en-first"] if row.label != "benign"]
        meant = [(text, await level(pipeline, policy, text)) for text in texts[::MEANING_STRIDE]]
        meant = [pair for pair in meant if pair[1] > Level.INTERNAL]
        return {
            name: Rate(
                sum(
                    [
                        await level(pipeline, policy, gadget.on(prompt)) < least
                        for prompt, least in pairs
                        for gadget in gadgets
                    ]
                ),
                len(pairs) * len(gadgets),
            )
            for name, pairs in (("planted values", values), ("meanings of whole texts", meant))
        }
    finally:
        await pipeline.close()


async def level(pipeline: Pipeline, policy: Policy, text: str) -> Level:
    """The sensitivity of one user message."""
    body = {"messages": [{"role": "user", "content": text}]}
    return scan_level(policy, await pipeline.scan_body(body, policy.scan_rules, "default"))


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder with routing/ and traffic/")
    parser.add_argument("--prompts", choices=PROMPTS, default="unseen", help="of which sets")
    parser.add_argument("--found", type=Path, help="where to write the gadgets, as JSON lines")
    given = parser.parse_args()
    score = scorer(ComplexitySignal())
    prompts = simple_prompts(given.data, given.prompts, score)
    seen, unseen = prompts[: len(prompts) // 2], prompts[len(prompts) // 2 :]
    words = {source: vocabulary(given.data, source) for source in ("hard", "any")}
    base = share(prompts, score)
    print(
        f"without: {_say(base)} of {base.total} at or above {HARD}; on the unseen half {_say(share(unseen, score))}\n"
    )
    print(
        "| place | words | from | seen half | unseen half | all | gadget |\n| --- | --- | --- | --- | --- | --- | --- |"
    )
    found, rates = [], []
    for number, kind in enumerate(KINDS):
        gadget = climb(kind, words[kind.source], seen, score, SEED + number)
        on_seen, on_unseen, on_all = (share(half, score, gadget) for half in (seen, unseen, prompts))
        gadget = Gadget(gadget.place, gadget.words, gadget.source, gadget.text, on_seen.share, on_unseen.share)
        found.append(gadget)
        rates.append(on_unseen)
        line = f"{kind.place} | {kind.words} | {kind.source} | {_say(on_seen)} | {_say(on_unseen)} | {_say(on_all)}"
        print(f"| {line} | `{gadget.text}` |", flush=True)
    total = Rate(sum(rate.count for rate in rates), sum(rate.total for rate in rates))
    rise = 100 * (total.share - share(unseen, score).share)
    most = 100 * (max(rate.share for rate in rates) - share(unseen, score).share)
    print(
        f"\nunseen half, mean over {len(found)} gadgets: {_say(total)}; +{rise:.1f} points (worst gadget +{most:.1f})"
    )
    for name, rate in asyncio.run(lowered(found, load_policy("default"))).items():
        print(f"sensitivity lowered, {name}: {rate.count} of {rate.total} pairs of a prompt and a gadget")
    if given.found:
        given.found.write_text(
            "".join(json.dumps(asdict(gadget), ensure_ascii=False) + "\n" for gadget in found), "utf-8"
        )


def _say(rate: Rate) -> str:
    low, high = rate.interval
    return f"{rate.share:.3f} ({low:.3f} to {high:.3f})"


if __name__ == "__main__":
    main()
