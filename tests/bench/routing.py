"""How well complexity ranks prompts: APGR beside random and prompt length; AUROC and calibration error; serving time.

    python tests/bench/routing.py DATA_FOLDER

Everything is seeded and cross-validated: no row is scored by a model that was trained on it. Needs scikit-learn and a
minute or two. APGR is RouteLLM's (arXiv 2406.18665): the area under the share of the gap between a weak and a
strong model that is recovered, over the share of prompts sent to the strong one.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score

from classifiers.complexity import ComplexitySignal
from classifiers.injection import InjectionSignal
from classifiers.training import complexity, corpus, fitting

Floats = npt.NDArray[np.float64]
BENCHMARKS = ("mmlu_2000", "gsm8k_200")
# Left out, with their relatives, for "no question of the benchmark seen".
RELATIVES = frozenset({*BENCHMARKS, "llmrouter/mmlu", "llmrouter/gsm8k", "llmrouter/math", "big_math/gsm8k"})
RESAMPLES = 2000
LENGTHS = (150, 1024, 4096, 65536)


def apgr(score: Floats, gap: Floats, jitter: Floats) -> float:
    """Average performance gap recovered, by the trapezoid rule; ties are broken by `jitter`."""
    order = np.lexsort((jitter, -score))
    recovered = np.concatenate(([0.0], np.cumsum(gap[order]))) / gap.sum()
    return float(np.trapezoid(recovered, dx=1 / len(gap)))


def _edges(values: Floats, form: str = ".3f") -> str:
    low, high = np.percentile(values, (2.5, 97.5))
    return f"{low:{form}} to {high:{form}}"


def table(questions: Sequence[corpus.Graded], scores: dict[str, Floats]) -> list[str]:
    """One line a router: APGR, its 95 % interval, and the interval of its difference to prompt length."""
    gap = np.array([question.strong - question.weak for question in questions])
    draw = np.random.default_rng(fitting.SEED)
    jitter = draw.random(len(gap))
    samples = [draw.integers(0, len(gap), len(gap)) for _ in range(RESAMPLES)]
    samples = [index for index in samples if gap[index].sum() > 0]

    def resampled(score: Floats) -> Floats:
        return np.array([apgr(score[index], gap[index], jitter[index]) for index in samples])

    baseline = resampled(scores["prompt length"])
    # Random routing is the mean over orders, so its interval is that of one random order on a resample.
    random = np.array([apgr(np.zeros(len(index)), gap[index], draw.random(len(index))) for index in samples])
    lines = [f"| random | {random.mean():.3f} | {_edges(random)} | |"]
    for name, score in scores.items():
        values = resampled(score)
        against = "" if name == "prompt length" else _edges(values - baseline, "+.3f")
        lines.append(f"| {name} | {apgr(score, gap, jitter):.3f} | {_edges(values)} | {against} |")
    return lines


def routing(rows: list[corpus.Row], features: fitting.Table, folder: Path, seen: Floats) -> None:
    """The APGR tables."""
    sources = np.array([row.source for row in rows])
    unseen = fitting.cross_validate(features, complexity.STRENGTH, np.isin(sources, sorted(RELATIVES)))
    for name in BENCHMARKS:
        graded = {corpus.key(question.text): question for question in corpus.graded(folder, name)}
        places = [place for place, row in enumerate(rows) if row.source == name]
        questions = [graded[corpus.key(rows[place].text)] for place in places]
        print(f"\n{name}: {len(questions)} questions\n\n| router | APGR | 95 % | minus prompt length, 95 % |")
        print("| --- | --- | --- | --- |")
        scores = {
            "prompt length": np.array([float(len(question.text)) for question in questions]),
            "complexity, in-domain (5 folds)": seen[places],
            "complexity, no question of the benchmark seen": unseen[places],
        }
        print("\n".join(table(questions, scores)))


def held_out(rows: list[corpus.Row], features: fitting.Table, values: Floats) -> None:
    """AUROC of "a small model fails" and the calibration error, on graded rows that the fold's model had not seen."""
    _, _, figures = complexity.measure(rows, features, values)
    draw = np.random.default_rng(fitting.SEED)
    graded = np.array([row.measured for row in rows])
    failed = features.target[graded] >= 0.5
    print(f"\nHeld out of the training mix: {figures['rows']} graded prompts\n\n| | AUROC | 95 % | ECE, 10 bins |")
    print("| --- | --- | --- | --- |")
    columns = {"prompt length": np.array([float(len(row.text)) for row in rows]), "complexity": values}
    samples = [draw.integers(0, len(failed), len(failed)) for _ in range(200)]
    for name, column in columns.items():
        score = column[graded]
        resampled = np.array([roc_auc_score(failed[index], score[index]) for index in samples])
        error = figures["calibration_error_10_bins"] if name == "complexity" else ""
        print(f"| {name} | {roc_auc_score(failed, score):.3f} | {_edges(resampled)} | {error} |")


def median_ms(call: Callable[[], object], times: int = 400) -> float:
    """The median wall time of one call, in milliseconds."""
    spent = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        spent.append(time.perf_counter() - start)
    return float(np.median(spent)) * 1000


def speed(rows: list[corpus.Row]) -> None:
    """Serving time of both signals on text of the mix, joined to length."""
    text = " ".join(row.text for row in rows[:400])
    print("\n| characters | complexity, p50 ms | injection, p50 ms |\n| --- | --- | --- |")
    measured, suspicious = ComplexitySignal(), InjectionSignal()
    for length in LENGTHS:
        body = {"messages": [{"role": "user", "content": text[:length]}]}
        first, second = median_ms(lambda: measured.measure(body)), median_ms(lambda: suspicious.measure(body))  # noqa: B023
        print(f"| {length} | {first:.3f} | {second:.3f} |")


def main() -> int:
    """Print the tables as Markdown. 2 when the data is not there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the folder with routing/ and traffic/")
    folder = parser.parse_args().data
    try:
        rows = corpus.complexity_rows(folder)
    except corpus.DataMissing as missing:
        print(f"nothing was measured: {missing}", file=sys.stderr)
        return 2
    features = fitting.Table(rows)
    values = fitting.cross_validate(features, complexity.STRENGTH)
    routing(rows, features, folder, values)
    held_out(rows, features, values)
    speed(rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
