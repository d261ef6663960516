"""Fits the calibration of one local model's confidence on its own answers to the everyday questions, graded by rule.

`python -m classifiers.training.confidence --socket PATH` (or `--url URL`) asks a running server that gives
log-probabilities over the OpenAI wire, greedily, and writes the card that `router.confidence` reads. With `--answers
FILE` the answers are kept there, and are read from there, not asked for again, when the file exists.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import LeaveOneGroupOut, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from classifiers.training.fitting import DATE, SEED, Floats, calibration_error
from policies.types import Model
from router.backends.local import LocalBackend
from router.calibration.graders import is_right
from router.calibration.questions import Question
from router.calibration.questions import everyday as load
from router.confidence import FEATURES, TokenTrace
from router.settings import Settings
from router.types import JsonObject, Outgoing

MAX_TOKENS = 96
STRENGTH = 1.0
_FOLDS = 10


@dataclass(frozen=True, slots=True)
class Answered:
    """One graded answer: what its trace says, and whether it was right."""

    task: str
    features: tuple[float, ...]
    total: float  # of log-probabilities: the baselines
    mean: float
    good: bool


def grade(question: Question, choice: JsonObject) -> Answered:
    """One entry of `choices`, graded by the question's rule. One that did not end within 96 tokens is not good."""
    trace = TokenTrace()
    trace.add_choice(choice)
    if not trace.complete:
        raise SystemExit("this server gives no log-probabilities: nothing to calibrate on")
    good = choice["finish_reason"] == "stop" and is_right(question, choice["message"]["content"] or "")
    return Answered(question.task, trace.features(), trace.total, trace.mean, good)


async def ask(backend: LocalBackend, question: Question) -> JsonObject:
    """The first entry of `choices` of a greedy answer."""
    body = {
        "model": backend.model.model,
        "messages": [{"role": "user", "content": question.prompt}],
        "temperature": 0,
        "max_tokens": MAX_TOKENS,
        "logprobs": True,
    }
    completion = await backend.complete(Outgoing(json.dumps(body).encode(), stream=False))
    choice: JsonObject = completion["choices"][0]
    return choice


async def ask_all(backend: LocalBackend, questions: Sequence[Question]) -> list[JsonObject]:
    """One after the other, with the count on the terminal."""
    choices = []
    try:
        for number, question in enumerate(questions, 1):
            choices.append(await ask(backend, question))
            if number % 50 == 0:
                print(f"{number} of {len(questions)} answered")  # noqa: T201  # a command's progress
    finally:
        await backend.close()
    return choices


def answers_to(questions: Sequence[Question], backend: LocalBackend, kept: Path | None) -> list[Answered]:
    """Each question's graded answer, from `kept` where that file exists."""
    if kept is not None and kept.exists():
        choices = [json.loads(line) for line in kept.read_text("utf-8").splitlines()]
    else:
        choices = asyncio.run(ask_all(backend, questions))
        if kept is not None:
            kept.write_text("".join(json.dumps(choice) + "\n" for choice in choices), "utf-8")
    return [grade(question, choice) for question, choice in zip(questions, choices, strict=True)]


def _model() -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression(C=STRENGTH, max_iter=1000))


def _out_of_fold(inputs: Floats, good: Floats, splits: Iterator[Any]) -> Floats:
    chance = np.zeros(len(good))
    for train, test in splits:
        chance[test] = _model().fit(inputs[train], good[train]).predict_proba(inputs[test])[:, 1]
    return chance


def _interval(score: Floats, good: Floats) -> list[float]:
    draw = np.random.default_rng(SEED)
    values = []
    for _ in range(1000):
        index = draw.integers(0, len(good), len(good))
        if 0 < good[index].sum() < len(index):
            values.append(roc_auc_score(good[index], score[index]))
    return [round(float(value), 3) for value in np.percentile(values, (2.5, 97.5))]


def figures(answers: Sequence[Answered]) -> dict[str, Any]:
    """Cross-validated by question, and with each task left out in turn; the sum of log-probabilities beside them."""
    inputs = np.array([answer.features for answer in answers])
    good = np.array([float(answer.good) for answer in answers])
    tasks = np.array([answer.task for answer in answers])
    by_question = StratifiedKFold(_FOLDS, shuffle=True, random_state=SEED).split(inputs, good)
    columns = {
        "trained_by_question": _out_of_fold(inputs, good, by_question),
        "trained_task_left_out": _out_of_fold(inputs, good, LeaveOneGroupOut().split(inputs, good, tasks)),
    }
    rows: dict[str, Any] = {
        name: {
            "auroc": round(float(roc_auc_score(good, chance)), 3),
            "interval_95": _interval(chance, good),
            "calibration_error_10_bins": round(calibration_error(chance, good), 3),
        }
        for name, chance in columns.items()
    }
    baselines = {"sum_logprob": [each.total for each in answers], "mean_logprob": [each.mean for each in answers]}
    for name, column in baselines.items():
        score = np.array(column)
        rows[name] = {"auroc": round(float(roc_auc_score(good, score)), 3), "interval_95": _interval(score, good)}
    rows["right_by_task"] = {task: round(float(good[tasks == task].mean()), 3) for task in sorted(set(tasks.tolist()))}
    rows["answers"] = len(answers)
    return rows


def card(model: str, answers: Sequence[Answered]) -> dict[str, Any]:
    """The calibration: weights on raw features (the scaling folded in), and what was measured."""
    inputs = np.array([answer.features for answer in answers])
    scaler, regression = _model().fit(inputs, [answer.good for answer in answers])
    weights = regression.coef_[0] / scaler.scale_
    bias = float(regression.intercept_[0] - weights @ scaler.mean_)
    return {
        "model": model,
        "date": DATE,
        "what": "the chance that a greedy answer of this model is right, from its tokens' log-probabilities",
        "command": "python -m classifiers.training.confidence --socket PATH",
        "data": "router/calibration/everyday.jsonl (this project), graded by rule",
        "languages": ["en"],
        "metric": figures(answers),
        "method": "logistic regression; of 12 sets of features none beat the sum of log-probabilities by more than the "
        "interval, so the calibrated sum it is",
        "limits": "short everyday questions; on a task unlike them, promised and observed chance can differ much",
        "features": list(FEATURES),
        "weights": [round(float(weight), 6) for weight in weights],
        "bias": round(bias, 6),
    }


def _backend(arguments: argparse.Namespace) -> LocalBackend:
    address = f"unix://{arguments.socket.resolve()}" if arguments.socket else arguments.url
    model = Model("home", "local", "openai", arguments.model, base_url=address)
    return LocalBackend(model, Settings())


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--socket", type=Path, help="the unix socket of a running engine")
    where.add_argument("--url", help="the base URL of an OpenAI-compatible server on this host")
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--answers", type=Path, help="keep the answers in this file, or read them from it")
    parser.add_argument("--out", type=Path, default=Path(str(files("router") / "artifacts")))
    arguments = parser.parse_args()
    answers = answers_to(load(), _backend(arguments), arguments.answers)
    text = json.dumps(card(arguments.model, answers), indent=2) + "\n"
    (arguments.out / f"confidence-{arguments.model}.json").write_text(text, "utf-8")


if __name__ == "__main__":
    main()
