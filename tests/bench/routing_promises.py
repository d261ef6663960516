"""What thresholds promise against what is observed, over random halves of graded data; and what few labels do.

    python -m tests.bench.routing_promises [--data DATA_FOLDER]

Without data: the graded answers of the cards that are shipped, and the embedded model's with its confidence fitted
anew on each half. With it also three models' grades on LLMRouter's questions and the strong model's on MMLU, scored by
a plain router (hashed words and pairs, logistic regression, out of five folds).
Everything is seeded. A promise counts as exceeded where the other half holds so many bad (or escalated) answers that
chance alone would show them in fewer than one of twenty cases: target plus one-sided binomial noise.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from router.calibration.card import ALL_FEATURES
from router.calibration.fit import Floats, fit_line, folds
from router.calibration.targets import SHARE_DELTA, read_graded
from router.calibration.thresholds import DELTA, Graded, at_most_bad, at_most_escalated, tail, upper_bound

SPLITS = 500
SEED = 20261127
BAD = (0.05, 0.1, 0.2, 0.3)
SHARES = (0.1, 0.2, 0.5)
LABELS = (25, 100, 400)
MODELS = ("llama-3.1-8b-instruct", "llama-3.1-nemotron-51b-instruct", "qwen2.5-7b-instruct")

TRACES = Path(__file__).parent / "confidence_table.npz"  # the embedded model's graded answers, as numbers
PENALTY = 30.0  # the middle one of those that `gatehouse calibrate` chooses from


@dataclass(frozen=True, slots=True)
class Seen:
    """What one split showed. `exceeded` is None where there was no threshold, and so no promise."""

    exceeded: bool | None
    kept: float = 0.0
    bad: float = 0.0  # of those kept; for a share: of escalated among all


def shipped() -> Iterator[tuple[str, list[Graded]]]:
    """The graded answers in the cards beside the gateway, all tasks of a model together."""
    for entry in sorted((files("router") / "artifacts").iterdir(), key=lambda each: each.name):
        if entry.name.startswith("confidence-") and entry.name.endswith(".json"):
            card = json.loads(entry.read_bytes())
            if "graded" in card:
                graded = read_graded(card["model"], "", card["graded"], None)
                yield card["model"], [each for rows in graded.by_task.values() for each in rows]


def from_data(folder: Path) -> Iterator[tuple[str, list[Graded]]]:
    """Models' grades on public questions. A question that stands twice is taken once."""
    rows = _distinct(folder / "routing" / "llmrouter_train.jsonl.gz")
    for model in MODELS:
        yield (
            f"llmrouter/{model}",
            _scored([(row["prompt"], row["scores"][model]) for row in rows if model in row["scores"]]),
        )
    rows = _distinct(folder / "routing" / "mmlu_2000.jsonl.gz")
    yield "mmlu/strong", _scored([(row["prompt"], row["strong_score"]) for row in rows])


def _distinct(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return list({" ".join(row["prompt"].lower().split()): row for row in rows}.values())


def _scored(rows: Sequence[tuple[str, float | None]]) -> list[Graded]:
    kept = [(prompt, value >= 0.5) for prompt, value in rows if value is not None]
    inputs = HashingVectorizer(n_features=2**14, ngram_range=(1, 2), norm="l2").transform(
        [prompt for prompt, _ in kept]
    )
    good = np.array([is_good for _, is_good in kept])
    chance = np.zeros(len(good))
    for train, test in StratifiedKFold(5, shuffle=True, random_state=SEED).split(inputs, good):
        fitted = LogisticRegression(C=3.0, max_iter=500).fit(inputs[train], good[train])
        chance[test] = fitted.predict_proba(inputs[test])[:, 1]
    return [Graded(round(float(score), 4), bool(is_good)) for score, is_good in zip(chance, good, strict=True)]


def by_eye(graded: Sequence[Graded], target: float) -> float | None:
    """The trivial baseline: the lowest threshold that meets the target on the labels themselves, without a bound."""
    best, bad = None, 0
    for place, each in enumerate(sorted(graded, key=lambda one: -one.score), 1):
        bad += not each.good
        if bad <= target * place:
            best = each.score
    return best


def judge_bad(threshold: float | None, rest: Sequence[Graded], target: float) -> Seen:
    """A threshold for `max_bad_local` on answers that it was not chosen on."""
    if threshold is None:
        return Seen(None)
    kept = [each for each in rest if each.score >= threshold]
    bad = sum(not each.good for each in kept)
    return Seen(_is_exceeded(bad, len(kept), target), len(kept) / len(rest), bad / len(kept) if kept else 0.0)


def judge_share(threshold: float | None, rest: Sequence[Graded], target: float) -> Seen:
    """A threshold for `max_cloud_share` on answers that it was not chosen on."""
    if threshold is None:
        return Seen(None)
    out = sum(each.score < threshold for each in rest)
    return Seen(_is_exceeded(out, len(rest), target), 1 - out / len(rest), out / len(rest))


def _is_exceeded(count: int, total: int, target: float) -> bool:
    return total > 0 and 1.0 - tail(count - 1, total, target) < DELTA


def halves(graded: Sequence[Graded], labels: int | None) -> Iterator[tuple[list[Graded], list[Graded]]]:
    """Random splits: `labels` answers (None: half of them) to choose on, the others to look at."""
    draw = np.random.default_rng(SEED)
    size = len(graded) // 2 if labels is None else labels
    for _ in range(SPLITS):
        order = draw.permutation(len(graded))
        yield [graded[place] for place in order[:size]], [graded[place] for place in order[size:]]


def row(name: str, target: float, labels: int, seen: Sequence[Seen]) -> str:
    """One line of a table, with the interval of the share that was exceeded."""
    made = [each for each in seen if each.exceeded is not None]
    if not made:
        return f"| {name} | {target:g} | {labels} | 0 % | – | – | – |"
    exceeded = sum(bool(each.exceeded) for each in made)
    kept, bad = (float(np.mean([getattr(each, word) for each in made])) for word in ("kept", "bad"))
    most = upper_bound(exceeded, len(seen))
    return (
        f"| {name} | {target:g} | {labels} | {len(made) / len(seen):.0%} | {kept:.1%} | {bad:.1%} | "
        f"{exceeded / len(seen):.1%} (at most {most:.1%}) |"
    )


def _head(title: str, column: str) -> str:
    return (
        f"\n{title}\n\n| answers | target | labels | splits with a threshold | kept at home | {column} | "
        f"exceeded, of all {SPLITS} splits |\n| --- | --- | --- | --- | --- | --- | --- |"
    )


def _print(line: str) -> None:
    print(line, flush=True)


def report(populations: Sequence[tuple[str, list[Graded]]]) -> int:
    """Print the tables; the number of rows in which a promise was exceeded in more than 5 % of the splits."""
    broken = 0
    _print(_head("`max_bad_local`: half of the answers choose, the other half shows", "bad, of those kept"))
    for name, graded in populations:
        for target in BAD:
            seen = [judge_bad(at_most_bad(one, target).threshold, other, target) for one, other in halves(graded, None)]
            broken += _is_broken(seen)
            _print(row(name, target, len(graded) // 2, seen))
    _print(_head("`max_cloud_share`", "escalated"))
    for name, graded in populations:
        for target in SHARES:
            seen = [
                judge_share(at_most_escalated([each.score for each in one], target).threshold, other, target)
                for one, other in halves(graded, None)
            ]
            broken += _is_broken(seen)
            _print(row(name, target, len(graded) // 2, seen))
    return broken


def refitted(path: Path) -> int:
    """The whole way of `gatehouse calibrate` on the embedded model's answers: confidence too is fitted on one half.

    Thresholds come from out-of-fold scores of that half, the other half is scored by the fit on all of it.
    """
    with np.load(path, allow_pickle=False) as stored:
        names = [str(name) for name in stored["names"]]
        inputs = stored["whole"].astype(np.float64)[:, [names.index(name) for name in ALL_FEATURES]]
        good = stored["good"].astype(np.float64)
    seen: dict[tuple[str, float], list[Seen]] = {}
    draw = np.random.default_rng(SEED)
    for _ in range(SPLITS):
        order = draw.permutation(len(good))
        one, other = order[: len(good) // 2], order[len(good) // 2 :]
        scores = np.zeros(len(one))
        for train, test in folds(np.arange(len(one)), 10):
            scores[test] = fit_line(inputs[one[train]], good[one[train]], PENALTY).chance(inputs[one[test]])
        rest = _rows(fit_line(inputs[one], good[one], PENALTY).chance(inputs[other]), good[other])
        chosen = _rows(scores, good[one])
        for target in BAD:
            found = judge_bad(at_most_bad(chosen, target).threshold, rest, target)
            seen.setdefault(("`max_bad_local`", target), []).append(found)
        for target in SHARES:
            threshold = at_most_escalated([each.score for each in chosen], target, SHARE_DELTA).threshold
            seen.setdefault(("`max_cloud_share`", target), []).append(judge_share(threshold, rest, target))
    _print(_head(f"The embedded model, confidence fitted anew on each half ({good.mean():.1%} good)", "observed"))
    for (name, target), rows in seen.items():
        _print(row(name, target, len(good) // 2, rows))
    return sum(map(_is_broken, seen.values()))


def _rows(scores: Floats, good: Floats) -> list[Graded]:
    return [Graded(round(float(score), 4), bool(kind)) for score, kind in zip(scores, good, strict=True)]


def few_labels(populations: Sequence[tuple[str, list[Graded]]], target: float) -> None:
    """25, 100 and 400 labels, the floor of 100 lifted; beside it a threshold chosen without a bound."""
    _print(_head(f"`max_bad_local: {target:g}` with few labels (and by eye: the labels' own share, no bound)", "bad"))
    for name, graded in populations:
        for labels in LABELS:
            if labels * 2 > len(graded):
                continue
            bound, eye = [], []
            for one, other in halves(graded, labels):
                bound.append(judge_bad(at_most_bad(one, target, least=1).threshold, other, target))
                eye.append(judge_bad(by_eye(one, target), other, target))
            _print(row(name, target, labels, bound))
            _print(row(f"{name}, by eye", target, labels, eye))


def _is_broken(seen: Sequence[Seen]) -> bool:
    return sum(bool(each.exceeded) for each in seen) > 0.05 * len(seen)


def main() -> int:
    """Print the tables as Markdown. 1 when some promise is exceeded too often, 2 when there is nothing to measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="the folder with routing/")
    folder = parser.parse_args().data
    populations = [*shipped(), *(from_data(folder) if folder is not None else ())]
    if not populations:
        print("nothing was measured: no shipped card holds graded answers, and no data was given", file=sys.stderr)
        return 2
    for name, graded in populations:
        _print(f"- {name}: {len(graded)} answers, {np.mean([each.good for each in graded]):.1%} good")
    broken = report(populations) + refitted(TRACES)
    few_labels(populations, 0.2)
    _print(f"\nrows in which a promise was exceeded in more than 5 % of {SPLITS} splits: {broken}")
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main())
