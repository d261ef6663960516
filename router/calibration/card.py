"""From graded answers to a calibration card: the fits for whole answers and for their first tokens, and their worth.

A card holds numbers only. Where training does not clearly beat the plain sum of log-probabilities on tasks that it has
not seen, the calibrated sum is what the card gives.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from router.calibration.asking import Answered
from router.calibration.figures import area, auroc, auroc_interval, calibration_error, gain_interval
from router.calibration.fit import Floats, NothingToFit, Places, fit, groups_of, out_of_fold
from router.calibration.targets import ALL, write_graded
from router.calibration.thresholds import Graded
from router.confidence.answer_features import NAMES
from router.confidence.confidence import guarded
from router.confidence.trace import HEAD
from router.types import JsonObject

SUM: Final = ("log_of_sum",)
# Left out: complexity (0.004 of AUROC with tasks left out), so that a new artifact of that signal makes no card stale.
ALL_FEATURES: Final = tuple(name for name in NAMES if name != "complexity")
_LEAST_TASKS: Final = 5  # to leave one out; with fewer, questions are left out
_DIGITS: Final = 6


@dataclass(frozen=True, slots=True)
class Table:
    """Graded answers as numbers, a row each: what fits need, and all that may be kept of them."""

    tasks: tuple[str, ...]  # as the questions name them
    told: tuple[str, ...]  # as the gateway tells them apart; `ALL` where it does not
    whole: Floats  # (answers, len(NAMES)): features of whole answers
    head: Floats  # the same of their first tokens
    good: Floats  # 0.0 or 1.0


def table_of(answers: Sequence[Answered]) -> Table:
    """The numbers of graded answers."""
    return Table(
        tasks=tuple(answer.task for answer in answers),
        told=tuple(answer.asked.task or ALL for answer in answers),
        whole=np.array([answer.trace.features(answer.asked) for answer in answers]),
        head=np.array([answer.trace.head_features(answer.asked) for answer in answers]),
        good=np.array([float(answer.good) for answer in answers]),
    )


def sections(table: Table) -> tuple[JsonObject, tuple[Graded, ...]]:
    """What a card says of graded answers: its sections, and each whole answer's score, in the table's order.

    The scores are by fits that had not seen the question. Raises `NothingToFit`.
    """
    if not len(table.good):
        raise NothingToFit("there is nothing to fit: no answer was graded")
    whole, graded = _fitted(table.whole, table)
    first, early = _fitted(table.head, table)
    card = {
        "answers": len(graded),
        "good": round(float(table.good.mean()), 4),
        "by_task": _by_task(table),
        **whole,
        "commit": {"tokens": HEAD, **first, "graded": write_graded(zip(table.told, early, strict=True))},
        "graded": write_graded(zip(table.told, graded, strict=True)),
    }
    return card, graded


def card_text(card: JsonObject) -> bytes:
    """A card as its file holds it: a line for each section."""
    lines = (f"{json.dumps(name)}: {json.dumps(value)}" for name, value in card.items())
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode()


def _fitted(inputs: Floats, table: Table) -> tuple[JsonObject, tuple[Graded, ...]]:
    good, tasks, questions = table.good, groups_of(table.tasks), np.arange(len(table.good))
    names, why = chosen(inputs, good, tasks)
    columns = inputs[:, [NAMES.index(name) for name in names]]
    line = fit(columns, good, tasks if tells_tasks(tasks) else questions)
    scores = zip(out_of_fold(columns, good, questions), inputs, good, strict=True)
    graded = tuple(Graded(guarded(float(chance), values), bool(kind)) for chance, values, kind in scores)
    section: JsonObject = {
        "features": list(names),
        "weights": [round(float(weight), _DIGITS) for weight in line.weights],
        "bias": round(line.bias, _DIGITS),
        "metric": {"question_left_out": _figures(graded), **why},
    }
    return section, graded


def chosen(inputs: Floats, good: Floats, tasks: Places) -> tuple[tuple[str, ...], JsonObject]:
    """All features, or the sum alone, with what was measured: AUROC where whole tasks are left out.

    With fewer than five tasks, questions are left out instead. Rows of `inputs` are in the order of `NAMES`.
    """
    groups = tasks if tells_tasks(tasks) else np.arange(len(good))
    columns = inputs[:, [NAMES.index(name) for name in ALL_FEATURES]]
    trained = out_of_fold(columns, good, groups, count=len(np.unique(groups)) if groups is tasks else 10)
    plain = -inputs[:, NAMES.index(SUM[0])]
    kinds = good.astype(bool)
    low, high = gain_interval(trained, plain, kinds)
    said = {
        "left_out": "task" if groups is tasks else "question",
        "auroc_trained": _round(area(trained, kinds)),
        "auroc_sum": _round(area(plain, kinds)),
        "gain_95": [round(low, 4), round(high, 4)],
    }
    return (ALL_FEATURES if low > 0 else SUM), {"all_features_against_sum": said}


def tells_tasks(tasks: npt.NDArray[np.intp]) -> bool:
    """Whether there are tasks enough to leave one out at a time."""
    return len(np.unique(tasks)) >= _LEAST_TASKS


def _figures(graded: Sequence[Graded]) -> JsonObject:
    interval = auroc_interval(graded)
    return {
        "auroc": _round(auroc(graded)),
        "interval_95": None if interval is None else [round(edge, 4) for edge in interval],
        "calibration_error_10_bins": round(calibration_error(graded), 4),
    }


def _by_task(table: Table) -> JsonObject:
    found: JsonObject = {}
    for name in sorted(set(table.tasks)):
        good = [kind for kind, task in zip(table.good, table.tasks, strict=True) if task == name]
        found[name] = {"answers": len(good), "good": round(float(np.mean(good)), 4)}
    return found


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
