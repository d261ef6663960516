"""Harmless traffic: what share of it the default policy holds back; languages and meanings by their cards."""

from __future__ import annotations

import json
import random
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator
from importlib.resources import files

from classifiers.pipeline import Pipeline
from classifiers.rates import Rate
from classifiers.training import corpus
from classifiers.types import Scan
from policies.schema import load_policy
from policies.types import Level, Policy
from tests.bench.benign import CAPITALS, CODING, look_alikes
from tests.bench.figures import Figure, of_rate

MOST = 1200  # rows of each set
_SETS = {
    "CLINC150": ("traffic/clinc150", "text"),
    "BANKING77": ("traffic/banking77", "text"),
    "public medical questions": ("sensitivity/medical_public_questions", "question"),
    "self-instruct": ("traffic/self_instruct", "instruction"),
    "awesome prompts": ("traffic/awesome_prompts", "prompt"),
}


async def benign(given: Namespace) -> Iterator[Figure]:
    """The share of each set whose level keeps it from leaving as it is, and what holds it; then by entity."""
    sets = {
        name: _sample([row[member] for row in corpus.read(given.data, file)]) for name, (file, member) in _SETS.items()
    }
    own = _kept_lines()
    sets |= {
        "coding prompts": [*CODING, *own["code"]],
        "prose full of capitals": [*CAPITALS, *own["capitals"], *own["knowledge"]],
        "look-alikes": look_alikes(),
    }
    policy, figures = load_policy("default"), []
    together: Counter[str] = Counter()
    pipeline = Pipeline(signals={}, memory_bytes=0, budget_ms=60_000)
    try:
        for name, texts in sets.items():
            held, why = 0, Counter[str]()
            for text in texts:
                body = {"messages": [{"role": "user", "content": text}]}
                holding = _what_holds(policy, (await pipeline.run(body, policy.scan_rules, "bench")).scan)
                held += bool(holding)
                why.update(holding)
            note = ", ".join(f"{kind} {count}" for kind, count in why.most_common(4))
            rate = Rate(held, len(texts))
            figures.append(
                of_rate(f"held back: {name}", rate, 0.02, "at_most", baseline="hold nothing 0.000", note=note)
            )
            together += why
    finally:
        await pipeline.close()
    rows = sum(map(len, sets.values()))
    figures += [of_rate(f"held back by {kind}", Rate(n, rows), None, "at_most") for kind, n in together.most_common()]
    return iter(figures)


def _what_holds(policy: Policy, scan: Scan) -> set[str]:
    """The kinds of findings and unknowns that give a body a level above `internal`."""
    found = {
        each.entity_type
        for each in scan.findings
        if each.score >= policy.min_score.get(each.entity_type, 0.0)
        and policy.levels.get(each.entity_type, Level.CONFIDENTIAL) >= Level.CONFIDENTIAL
    }
    unread = {
        each.kind for each in scan.unknowns if policy.on_unknown.get(each.kind, Level.RESTRICTED) >= Level.CONFIDENTIAL
    }
    return found | unread


def _kept_lines() -> dict[str, list[str]]:
    """Harmless lines that the tagger's makers kept from its training, by kind."""
    lines: dict[str, list[str]] = {}
    for line in files("classifiers.training").joinpath("tagger_benign.txt").read_text("utf-8").splitlines():
        kind, _, text = line.partition("\t")
        lines.setdefault(kind, []).append(text.replace("\\n", "\n"))
    return lines


def _sample(texts: list[str]) -> list[str]:
    return random.Random(2).sample(texts, min(MOST, len(texts)))


def _card(name: str) -> dict[str, object]:
    card = files("classifiers.artifacts").joinpath(f"{name}.json")
    loaded: dict[str, object] = json.loads(card.read_text("utf-8")) if card.is_file() else {}
    return loaded


def languages(given: Namespace) -> Iterator[Figure]:
    """From the card of `language`: sources and halves of sets that the judged model had not seen."""
    metric = _card("language").get("metric", {})
    assert isinstance(metric, dict)
    note = "from the artifact's card"
    if "recall" in metric:
        yield Figure("sentences in unmeasured languages told", metric["recall"], 0.97, note=note)
    for name, row in metric.get("by", {}).items():
        kind, _, which = name.partition("/")
        if kind == "alarms":
            rate = Rate(round(row["share"] * row["n"]), row["n"])
            yield of_rate(f"called unsupported: {which}", rate, 0.003 if "/" in which else None, "at_most", note=note)


def meaning(given: Namespace) -> Iterator[Figure]:
    """From the card of `meaning`: families of texts that the judged model had not seen."""
    metric = _card("meaning").get("metric", {})
    assert isinstance(metric, dict)
    held = metric.get("held_out_families", {})
    baseline = ""
    if "keyword_list_recall" in held:
        baseline = f"keywords {held['keyword_list_recall']:.3f} at {held['keyword_list_false_positives']:.3f} false"
    yield Figure(
        "confidential meaning, recall at 5 % false positives",
        held.get("recall_at_5_percent_false_positives"),
        0.85,
        baseline=baseline,
        note="from the artifact's card, families held out",
    )
    free = metric.get("free_texts_en", {}).get("recall_at_5_percent_false_positives")
    yield Figure("the same on texts written freely, English", free, 0.85, note="from the artifact's card, 135 texts")
