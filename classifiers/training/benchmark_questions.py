"""Questions of public benchmarks that can be graded by rule: what a small model mostly fails at. For training alone.

From LLMRouter (MIT), rows with a truth of their own. Left out: multiple choice (the rows lack the options), code
and coverage (no rule here), and question answering whose truth no graded model met (some are page titles).
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from classifiers.training.corpus import key, read
from router.calibration.questions import Question

SEED = 7
EACH = 250  # of a source, at most
_BOXED = re.compile(r"\\boxed\{(-?[\d,]+)\}")
_LABELS = ("natural_qa", "trivia_qa")
_SOURCES = (*_LABELS, "gsm8k", "math")


class Benchmark(NamedTuple):
    """A question, and how a strong model's answer to it was graded, in [0, 1]."""

    question: Question
    strong: float


def benchmark_questions(folder: Path) -> list[Benchmark]:
    """A seeded sample, in a mixed order, no question twice. Raises `classifiers.training.corpus.DataMissing`."""
    draw = random.Random(SEED)  # noqa: S311  # a reproducible draw, not a secret
    rows: dict[str, dict[str, Benchmark]] = {source: {} for source in _SOURCES}
    for row in read(folder, "routing/llmrouter_train"):
        for found in _usable(row):
            rows[row["domain"]].setdefault(key(found.question.prompt), found)
    chosen = [each for found in rows.values() for each in draw.sample(list(found.values()), min(EACH, len(found)))]
    draw.shuffle(chosen)
    return chosen


def _usable(row: dict[str, Any]) -> Iterator[Benchmark]:
    domain, strong, truth = row["domain"], row["strong_score"], str(row["ground_truth"]).strip()
    if domain not in _SOURCES or strong is None:
        return
    name, task = row["id"], f"llmrouter/{domain}"
    if domain in _LABELS:
        if truth and any((score or 0) > 0 for score in row["scores"].values()):
            yield Benchmark(Question(name, task, row["prompt"], truth, "label"), float(strong))
        return
    boxed = _BOXED.search(truth)
    value = truth.rpartition("####")[2].strip() if domain == "gsm8k" else boxed[1] if boxed else ""
    number = value.replace(",", "")
    if re.fullmatch(r"-?\d+(\.\d+)?", number):
        yield Benchmark(Question(name, task, row["prompt"], number, "number"), float(strong))
