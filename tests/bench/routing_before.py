"""Complexity, before the answer: APGR against random and prompt length, AUROC, calibration error, and the curves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score

from classifiers.training import corpus, experts, fitting
from classifiers.training.apgr import apgr
from tests.bench import routing_pictures

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]
# Left out, with their relatives, for "no question of the benchmark seen"; conversations are left out there too.
RELATIVES = frozenset(
    {*experts.BENCHMARKS, "arena", "llmrouter/mmlu", "llmrouter/gsm8k", "llmrouter/math", "big_math/gsm8k"}
)
RESAMPLES = 2000
_PAIR = ("mistralai/Mixtral-8x7B-Instruct-v0.1", "gpt-4-1106-preview")


def _edges(values: Floats, form: str = ".3f") -> str:
    low, high = np.percentile(values, (2.5, 97.5))
    return f"{low:{form}} to {high:{form}}"


def lines(gap: Floats, scores: dict[str, Floats]) -> list[str]:
    """One line a router: APGR, its 95 % interval, and the paired interval of its difference to prompt length."""
    draw = np.random.default_rng(fitting.SEED)
    jitter = draw.random(len(gap))
    samples = [draw.integers(0, len(gap), len(gap)) for _ in range(RESAMPLES)]
    samples = [index for index in samples if gap[index].sum() > 0]

    def resampled(score: Floats) -> Floats:
        return np.array([apgr(score[index], gap[index], jitter[index]) for index in samples])

    baseline = resampled(scores["prompt length"])
    # Random routing is the mean over orders, so its interval is that of one random order on a resample.
    random = np.array([apgr(np.zeros(len(index)), gap[index], draw.random(len(index))) for index in samples])
    found = [f"| random | {random.mean():.3f} | {_edges(random)} | |"]
    for name, score in scores.items():
        values = resampled(score)
        against = "" if name == "prompt length" else _edges(values - baseline, "+.3f")
        found.append(f"| {name} | {apgr(score, gap, jitter):.3f} | {_edges(values)} | {against} |")
    found.append(f"| perfect foresight | {apgr(gap, gap, jitter):.3f} | | |")
    return found


def conversations(rows: Sequence[corpus.Row], folder: Path) -> tuple[Places, Floats]:
    """The rows of `arena_bench_scores` on which Mixtral and GPT-4 were judged, and the gap between them."""
    found = {corpus.key(row["prompt"]): row["scores"] for row in corpus.read(folder, "routing/arena_bench_scores")}
    places, gaps = [], []
    for place, row in enumerate(rows):
        scores = found.get(corpus.key(row.text), {}) if row.source == "arena" else {}
        weak, strong = (scores.get(model) for model in _PAIR)
        if weak is not None and strong is not None:
            places.append(place)
            gaps.append(float(strong - weak))
    return np.array(places, dtype=np.intp), np.array(gaps)


def routing(
    rows: Sequence[corpus.Row], table: experts.Table, scores: Floats, folder: Path, pictures: Path | None
) -> None:
    """The APGR tables."""
    unseen = experts.cross_validate(table, np.isin(table.source, sorted(RELATIVES)))
    sets = {name: np.flatnonzero(table.source == name) for name in experts.BENCHMARKS}
    judged = {name: (places, table.gain[places]) for name, places in sets.items()}
    judged["arena_bench_scores"] = conversations(rows, folder)
    curves = {}
    for name, (places, gap) in judged.items():
        columns = {
            "prompt length": np.array([float(len(rows[place].text)) for place in places]),
            "complexity, in-domain (5 folds)": scores[places],
            "complexity, no question of the benchmark seen": unseen[places],
        }
        print(f"\n{name}: {len(places)} questions\n\n| router | APGR | 95 % | minus prompt length, 95 % |")
        print("| --- | --- | --- | --- |")
        print("\n".join(lines(gap, columns)))
        curves[name] = (gap, columns)
    if pictures is not None:
        routing_pictures.quality(curves, pictures / "quality-against-cloud-share.svg")


def held_out(rows: Sequence[corpus.Row], table: experts.Table, scores: Floats, pictures: Path | None) -> None:
    """AUROC of "a small model fails" and the calibration error, on graded rows that the fold's model had not seen."""
    draw = np.random.default_rng(fitting.SEED)
    graded = table.measured
    failed, target = table.target[graded] >= 0.5, table.target[graded]
    chance = experts.halves(table, scores)[graded]
    print(f"\nHeld out of the training mix: {len(target)} graded prompts\n\n| | AUROC | 95 % | ECE, 10 bins |")
    print("| --- | --- | --- | --- |")
    lengths = np.array([float(len(row.text)) for row in rows if row.measured])
    samples = [draw.integers(0, len(failed), len(failed)) for _ in range(200)]
    for name, column in (("prompt length", lengths), ("complexity", chance)):
        resampled = np.array([roc_auc_score(failed[index], column[index]) for index in samples])
        error = f"{fitting.calibration_error(chance, target):.3f}" if name == "complexity" else ""
        print(f"| {name} | {roc_auc_score(failed, column):.3f} | {_edges(resampled)} | {error} |")
    if pictures is not None:
        routing_pictures.reliability(chance, target, pictures / "complexity-reliability.svg")
