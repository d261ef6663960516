"""Fits the shipped calibration of one local model's confidence on its own answers, graded by rule.

`python -m classifiers.training.confidence --socket PATH --answers FILE --data FOLDER` asks a running engine, greedily,
eight questions at once; what FILE holds already is not asked again, and without a server only that is used. It writes
the card that `router.confidence.confidence` reads, and with `--table FILE.npz` the numbers behind it, which
`tests/bench/routing_after.py` reads. `--from FILE.npz` fits those anew, without any answer.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from classifiers.complexity import ComplexitySignal
from classifiers.task import TaskSignal
from classifiers.training.benchmark_questions import benchmark_questions
from classifiers.types import Scan, Signals
from policies.types import Model
from router.backends.local import LocalBackend
from router.calibration.asking import Answered, body_for, graded
from router.calibration.card import Table, card_text, sections, table_of
from router.calibration.collect import collect
from router.calibration.fit import Floats
from router.calibration.kept import KeptAnswers, digest_of
from router.calibration.questions import Question, everyday
from router.calibration.standing import card_name
from router.confidence.answer_features import NAMES
from router.settings import Settings
from router.types import JsonObject

DATE = "2026-11-28"
STRONG = 1.0  # of everyday questions: a strong model is assumed to answer them all
_PATIENCE_SECONDS = 1800.0


class Numbers(NamedTuple):
    """A table with what a strong model would have made of each question, in [0, 1]."""

    table: Table
    strong: Floats


def ask(questions: Sequence[Question], backend: LocalBackend, kept: KeptAnswers) -> None:
    """Ask what was not answered yet, with the count on the terminal."""
    answered = 0

    def show(more: int) -> None:
        nonlocal answered
        answered += more
        if answered % 50 == 0:
            print(f"{answered} of {len(questions)} answered")  # noqa: T201  # a command's progress

    async def run() -> None:
        try:
            bodies = [body_for(question, backend.model.model) for question in questions]
            await collect(backend, bodies, kept, on_answer=show)
        finally:
            await backend.close()

    asyncio.run(run())


def numbers(asked: Sequence[tuple[Question, float]], model: str, kept: KeptAnswers) -> Numbers:
    """The graded answers among those kept; `asked` are questions with a strong model's grade."""
    found = [
        (question, kept.choices[of], strong)
        for question, strong in asked
        if (of := digest_of(model, body_for(question, model))) in kept.choices
    ]
    signals = (ComplexitySignal(), TaskSignal())

    def measure(body: JsonObject) -> Signals:
        return Signals({signal.name: signal.measure(body) for signal in signals}, Scan())

    answers: list[Answered] = graded([each[0] for each in found], [each[1] for each in found], measure)
    strong = [grade for _, choice, grade in found if "refused" not in choice]
    return Numbers(table_of(answers), np.array(strong))


def save(made: Numbers, path: Path) -> None:
    """The numbers as an npz: no text but the tasks' names."""
    table = made.table
    np.savez_compressed(
        path,
        names=np.array(NAMES),
        tasks=np.array(table.tasks),
        told=np.array(table.told),
        whole=table.whole.astype(np.float32),
        head=table.head.astype(np.float32),
        good=table.good.astype(np.uint8),
        strong=made.strong.astype(np.float32),
    )


def load(path: Path) -> Numbers:
    """What `save` wrote. Raises `ValueError` for one of other features."""
    with np.load(path, allow_pickle=False) as stored:
        if tuple(stored["names"]) != NAMES:
            raise ValueError(f"{path.name} was made for other features: make it anew")
        table = Table(
            tasks=tuple(map(str, stored["tasks"])),
            told=tuple(map(str, stored["told"])),
            whole=stored["whole"].astype(np.float64),
            head=stored["head"].astype(np.float64),
            good=stored["good"].astype(np.float64),
        )
        return Numbers(table, stored["strong"].astype(np.float64))


def card(model: str, made: Numbers) -> dict[str, Any]:
    """The shipped card: what was fitted, and on what."""
    found, _ = sections(made.table)
    return {
        "model": model,
        "date": DATE,
        "what": "the chance that an answer of this model is good, from its tokens' log-probabilities",
        "command": "python -m classifiers.training.confidence --socket PATH --answers FILE --data FOLDER",
        "data": {
            "router/calibration/everyday.jsonl, graded by rule": "this project",
            "LLMRouter (ulab): natural_qa, trivia_qa, gsm8k, math; graded by rule": "MIT",
        },
        "languages": ["en"],
        "method": "ridge logistic regression; all features only where they beat the sum of log-probabilities on tasks "
        "left out, by more than the interval",
        "limits": "short questions, greedy answers of at most 96 tokens; on a task unlike these, promised and observed "
        "chance can differ much",
        **found,
    }


def _made(arguments: argparse.Namespace) -> Numbers:
    if arguments.source is not None:
        return load(arguments.source)
    asked = [(question, STRONG) for question in everyday()]
    if arguments.data is not None:
        asked += [(each.question, each.strong) for each in benchmark_questions(arguments.data)]
    with KeptAnswers(arguments.answers) as kept:
        if arguments.socket or arguments.url:
            ask([question for question, _ in asked], _backend(arguments), kept)
        return numbers(asked, arguments.model, kept)


def _backend(arguments: argparse.Namespace) -> LocalBackend:
    address = f"unix://{arguments.socket.resolve()}" if arguments.socket else arguments.url
    model = Model("home", "local", "openai", arguments.model, base_url=address, timeout_seconds=_PATIENCE_SECONDS)
    patience = ("local_timeout_s", "first_chunk_timeout_s", "idle_chunk_timeout_s")
    return LocalBackend(model, Settings(**dict.fromkeys(patience, _PATIENCE_SECONDS)))


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--socket", type=Path, help="the unix socket of a running engine")
    where.add_argument("--url", help="the base URL of an OpenAI-compatible server on this host")
    parser.add_argument("--model", default="smollm2-135m-instruct")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--answers", type=Path, help="the answers' file (content), in a folder of your own")
    source.add_argument("--from", dest="source", type=Path, help="a table that was kept, in place of answers")
    parser.add_argument("--data", type=Path, help="the folder with routing/, for questions of benchmarks too")
    parser.add_argument("--table", type=Path, help="keep the numbers in this .npz")
    parser.add_argument("--out", type=Path, default=Path(str(files("router") / "artifacts")))
    arguments = parser.parse_args()
    made = _made(arguments)
    if arguments.table is not None:
        save(made, arguments.table)
    (arguments.out / card_name(arguments.model)).write_bytes(card_text(card(arguments.model, made)))


if __name__ == "__main__":
    main()
