"""How well confidence tells good local answers from bad ones: whole answers, first tokens, baselines, a cascade.

    python tests/bench/routing_after.py [--table FILE.npz] [--picture FILE.svg] [--curves FILE.svg]

Reads numbers of graded answers of the embedded model (`classifiers/training/confidence.py` makes them); needs no engine
and no data. Everything is seeded, penalties are chosen in inner folds, and unless a row says otherwise whole tasks are
left out: no answer is scored by a fit that has seen one of its task.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

from classifiers.training.confidence import Numbers, load
from router.calibration.card import ALL_FEATURES, SUM
from router.calibration.figures import area, calibration_error
from router.calibration.fit import SEED, Floats, groups_of, out_of_fold
from router.calibration.thresholds import Graded
from router.confidence.answer_checks import ASKED
from router.confidence.answer_features import NAMES
from router.confidence.confidence import guarded
from tests.bench import routing_pictures

TABLE = Path(__file__).with_name("confidence_table.npz")
BEFORE = ("complexity", "prompt", "wants_number", "wants_json", "wants_brief", *ASKED)
RESAMPLES = 1000
KEPT = 0.5  # an answer with at least this confidence stays, for the gap of the region that is kept


class After:
    """The scores of every row, each by fits that left the answer's task (or its question) out."""

    def __init__(self, numbers: Numbers) -> None:
        self.good, self.strong = numbers.table.good, numbers.strong
        self.tasks = numbers.table.tasks
        self.everyday = np.array([not task.startswith("llmrouter/") for task in self.tasks])
        groups, table = groups_of(self.tasks), numbers.table
        count = len(set(self.tasks))

        def left_out(inputs: Floats, names: Sequence[str], target: Floats) -> Floats:
            return out_of_fold(columns(inputs, names), target, groups, count=count)

        self.before = left_out(table.whole, BEFORE, self.good)
        self.strong_chance = left_out(table.whole, BEFORE, self.strong)
        self.sum_calibrated = left_out(table.whole, SUM, self.good)
        self.whole = served(table.whole, left_out(table.whole, ALL_FEATURES, self.good))
        self.head = served(table.head, left_out(table.head, ALL_FEATURES, self.good))
        questions = np.arange(len(self.good))
        self.by_question, self.head_by_question = (
            served(inputs, out_of_fold(columns(inputs, ALL_FEATURES), self.good, questions))
            for inputs in (table.whole, table.head)
        )
        self.sum, self.head_sum = -column(table.whole, "log_of_sum"), -column(table.head, "log_of_sum")
        self.mean, self.short = column(table.whole, "mean"), -column(table.whole, "prompt")


def served(inputs: Floats, chances: Floats) -> Floats:
    """The chances as serving gives them: less for what is degenerate."""
    return np.array([guarded(float(chance), values) for chance, values in zip(chances, inputs, strict=True)])


def column(inputs: Floats, name: str) -> Floats:
    return inputs[:, NAMES.index(name)]


def columns(inputs: Floats, names: Sequence[str]) -> Floats:
    return inputs[:, [NAMES.index(name) for name in names]]


def edges(values: Sequence[float], form: str = ".3f") -> str:
    low, high = np.percentile(values, (2.5, 97.5))
    return f"{low:{form}} to {high:{form}}"


def auroc_table(after: After, inside: np.ndarray, title: str) -> None:
    """AUROC of "this answer is good", and paired differences to the raw sum and to the scores before the answer."""
    good = after.good[inside].astype(bool)
    rows = {
        "random": np.random.default_rng(SEED).random(len(after.good)),
        "prompt length (short is good)": after.short,
        "before the answer, trained": after.before,
        "mean log-probability": after.mean,
        "sum of log-probabilities, first 16 tokens": after.head_sum,
        "sum of log-probabilities": after.sum,
        "confidence, first 16 tokens": after.head,
        "confidence, whole answer": after.whole,
        "confidence, first 16 tokens, question left out": after.head_by_question,
        "confidence, whole answer, question left out": after.by_question,
    }
    draw = np.random.default_rng(SEED)
    samples = [draw.integers(0, len(good), len(good)) for _ in range(RESAMPLES)]
    resampled = {
        name: np.array([area(score[inside][index], good[index]) or 0.5 for index in samples])
        for name, score in rows.items()
    }
    print(f"\n{title}: {len(good)} answers, {good.mean():.1%} good\n")
    print("| score | AUROC | 95 % | minus raw sum, 95 % | minus before the answer, 95 % |")
    print("| --- | --- | --- | --- | --- |")
    for name, score in rows.items():
        raw = "sum of log-probabilities" + (", first 16 tokens" if "first 16" in name else "")
        against = [edges(resampled[name] - resampled[other], "+.3f") for other in (raw, "before the answer, trained")]
        if not name.startswith("confidence"):
            against = ["", ""]
        print(f"| {name} | {area(score[inside], good):.3f} | {edges(resampled[name])} | {' | '.join(against)} |")


def promise_table(after: After, inside: np.ndarray, title: str) -> None:
    """What calibrated scores promise and what was observed."""
    good = after.good[inside]
    print(f"\n{title}\n\n| score | good among the surest 10 %, 95 % | at >= {KEPT}: promised / observed / gap | ECE |")
    print("| --- | --- | --- | --- |")
    for name, scores in {
        "before the answer": after.before,
        "sum, calibrated": after.sum_calibrated,
        "confidence, first 16 tokens": after.head,
        "confidence, whole answer": after.whole,
        "confidence, first 16 tokens, question left out": after.head_by_question,
        "confidence, whole answer, question left out": after.by_question,
    }.items():
        chance = scores[inside]
        surest = good[np.argsort(-chance, kind="stable")[: max(len(good) // 10, 1)]]
        draw = np.random.default_rng(SEED)
        again = [surest[draw.integers(0, len(surest), len(surest))].mean() for _ in range(RESAMPLES)]
        kept = chance >= KEPT
        region = "nothing is kept"
        if kept.any():
            promised, observed = float(chance[kept].mean()), float(good[kept].mean())
            region = f"{promised:.3f} / {observed:.3f} / {abs(promised - observed):.3f} ({kept.mean():.0%} kept)"
        error = calibration_error([Graded(float(each), bool(kind)) for each, kind in zip(chance, good, strict=True)])
        print(f"| {name} | {surest.mean():.3f} ({edges(again)}) | {region} | {error:.3f} |")


def lift(order: Floats, good: Floats, strong: Floats) -> float:
    """Mean quality over all cloud shares, where what `order` ranks highest goes out first."""
    gain = (strong - good)[np.argsort(-order, kind="stable")]
    return float(good.mean() + np.concatenate(([0.0], np.cumsum(gain))).mean() / len(good))


def cascade_table(after: After, inside: np.ndarray, title: str) -> None:
    """The share of the oracle's lift over random that each router gets; the strong model is right as recorded."""
    good, strong = after.good[inside], after.strong[inside]
    rows = {
        "prompt length (long goes out)": -after.short,
        "before the answer": after.strong_chance - after.before,
        "raw sum": -after.sum,
        "1 - confidence, first 16 tokens": -after.head,
        "1 - confidence": -after.whole,
        "P(strong good) - confidence, first 16 tokens": after.strong_chance - after.head,
        "P(strong good) - confidence": after.strong_chance - after.whole,
        "P(strong good) - confidence, question left out": after.strong_chance - after.by_question,
    }
    draw = np.random.default_rng(SEED)
    samples = [draw.integers(0, len(good), len(good)) for _ in range(RESAMPLES // 2)]

    def share(order: Floats, index: np.ndarray) -> float:
        best = lift(strong[index] - good[index], good[index], strong[index])
        chance = (good[index].mean() + strong[index].mean()) / 2
        return (lift(order[inside][index], good[index], strong[index]) - chance) / (best - chance)

    print(f"\n{title}: local {good.mean():.3f}, strong {strong.mean():.3f}\n")
    print("| router | share of the oracle's lift | 95 % |")
    print("| --- | --- | --- |")
    for name, order in rows.items():
        whole = share(order, np.arange(len(good)))
        print(f"| {name} | {whole:.3f} | {edges([share(order, index) for index in samples])} |")


def picture(after: After, path: Path) -> None:
    """A reliability diagram as SVG: promised across, observed up, a dot for each tenth of the answers."""
    dots = []
    for scores, colour in ((after.whole, "#c33"), (after.by_question, "#36c")):
        for part in np.array_split(np.argsort(scores), 10):
            x, y = 40 + 300 * float(scores[part].mean()), 320 - 300 * float(after.good[part].mean())
            dots.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>')
    words = (
        (40, 14, "#36c", "question left out"),
        (200, 14, "#c33", "whole task left out"),
        (130, 342, "#333", "promised chance, 0 to 1"),
    )
    style = 'font-family="sans-serif" font-size="12"'
    texts = [f'<text x="{x}" y="{y}" fill="{colour}" {style}>{said}</text>' for x, y, colour, said in words]
    frame = '<rect x="40" y="20" width="300" height="300" fill="none" stroke="#999"/>'
    line = '<line x1="40" y1="320" x2="340" y2="20" stroke="#bbb"/>'
    side = '<text transform="translate(28,230) rotate(-90)">observed share</text>'
    body = "\n".join((frame, line, *dots, *texts, side))
    path.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 360 350">\n{body}\n</svg>\n', "utf-8")


def curves(after: After, path: Path) -> None:
    """Quality against the share that escalates, for the mix and for everyday tasks alone, as SVG."""
    panels = {}
    for title, inside in (("everyday tasks", after.everyday), ("mixed", np.ones(len(after.good), dtype=bool))):
        routers = {
            "raw sum of log-probabilities": -after.sum,
            "confidence, whole task left out": -after.whole,
            "P(strong good) - confidence, whole task left out": after.strong_chance - after.whole,
            "perfect foresight": after.strong - after.good,
            "prompt length": -after.short,
        }
        good, strong = after.good[inside], after.strong[inside]
        panels[title] = {name: (order[inside], good, strong) for name, order in routers.items()}
    routing_pictures.cascade(panels, path)


def tables(path: Path = TABLE, drawn: Path | None = None, drawn_curves: Path | None = None) -> None:
    """Print everything as Markdown."""
    after = After(load(path))
    whole = np.ones(len(after.good), dtype=bool)
    auroc_table(after, whole, "Mixed (everyday tasks and benchmarks), tasks left out")
    auroc_table(after, after.everyday, "Everyday tasks alone, tasks left out")
    promise_table(after, whole, "Promised and observed, mixed")
    promise_table(after, after.everyday, "Promised and observed, everyday tasks")
    cascade_table(after, after.everyday, "Cascade, everyday tasks (a strong model is assumed to be right always)")
    cascade_table(after, whole, "Cascade, mixed")
    if drawn is not None:
        picture(after, drawn)
    if drawn_curves is not None:
        curves(after, drawn_curves)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--picture", type=Path, help="the reliability diagram")
    parser.add_argument("--curves", type=Path, help="quality against the share that escalates")
    arguments = parser.parse_args()
    tables(arguments.table, arguments.picture, arguments.curves)


if __name__ == "__main__":
    main()
