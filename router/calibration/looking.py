"""What a second look is worth on graded answers: whether it tells more than the first confidence, and the fit of both.

Off unless it helps: where the gain on tasks that were left out may be nothing, the card says so and nobody looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from router.calibration.asking import body_for
from router.calibration.card import tells_tasks
from router.calibration.figures import area, gain_interval
from router.calibration.fit import Floats, NothingToFit, fit, groups_of, out_of_fold
from router.calibration.questions import Question
from router.calibration.targets import write_graded
from router.calibration.thresholds import Graded
from router.confidence.card import log_odds
from router.confidence.looks import LookKind, can_look, content, look_bodies, look_value
from router.types import JsonObject


@dataclass(frozen=True, slots=True)
class Looked:
    """A second look at each graded answer, in their order; None: it did not tell."""

    kind: LookKind
    samples: int
    values: tuple[float | None, ...]


def bodies_of(
    kind: LookKind, samples: int, question: Question, choice: JsonObject, model: str
) -> tuple[JsonObject, ...]:
    """What the model is asked for one graded answer; nothing for an answer that cannot be looked at."""
    body, answer = body_for(question, model), content(choice)
    if not can_look(body, answer):
        return ()
    return tuple({"model": model} | each for each in look_bodies(kind, body, answer, samples))


def value_of(kind: LookKind, choice: JsonObject, said: Sequence[JsonObject]) -> float | None:
    """The number of one look; what the model refused to say tells nothing."""
    return look_value(kind, content(choice), [each for each in said if "refused" not in each])


def section(looked: Looked, tasks: Sequence[str], told: Sequence[str], first: Sequence[Graded]) -> JsonObject:
    """The card's section of a look. `first`: the confidence without it, scored by fits that had not seen the question.

    `helps` where on tasks that were left out it adds to the first confidence by more than its interval. Raises
    `NothingToFit`.
    """
    rows = [place for place, value in enumerate(looked.values) if value is not None]
    if not rows:
        raise NothingToFit(f"there is nothing to fit: no second look ({looked.kind}) told anything")
    before = np.array([first[place].score for place in rows])
    good = np.array([float(first[place].good) for place in rows])
    inputs: Floats = np.array([[log_odds(first[place].score), looked.values[place]] for place in rows], dtype=float)
    groups, questions = groups_of([tasks[place] for place in rows]), np.arange(len(rows))
    left_out = groups if tells_tasks(groups) else questions
    both = out_of_fold(inputs, good, left_out)
    # Against the first confidence as it is, and as fitted in the same folds: those alone may seem to add something.
    alone = out_of_fold(inputs[:, :1], good, left_out)
    low, high = min(gain_interval(both, other, good.astype(bool)) for other in (before, alone))
    line = fit(inputs, good, left_out)
    scored = out_of_fold(inputs, good, questions)
    graded = [(told[place], Graded(round(float(score), 4), bool(kind)))
              for place, score, kind in zip(rows, scored, good, strict=True)]  # fmt: skip
    return {
        "helps": low > 0,
        "samples": looked.samples,
        "bias": round(line.bias, 6),
        "first": round(float(line.weights[0]), 6),
        "second": round(float(line.weights[1]), 6),
        "metric": {
            "answers": len(rows),
            "auroc_alone": _round(area(inputs[:, 1], good.astype(bool))),
            "auroc_first": _round(area(before, good.astype(bool))),
            "auroc_both": _round(area(both, good.astype(bool))),
            "gain_95": [round(low, 4), round(high, 4)],
        },
        "graded": write_graded(graded),
    }


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
