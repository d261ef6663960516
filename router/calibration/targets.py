"""What an answer's confidence is held against: a policy's target, made a threshold by the model's graded answers. Pure.

Where nothing can be promised the answer goes the way that keeps the target: escalated for `max_bad_local` (when that is
granted), kept at home for a share or a budget.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from router.calibration.thresholds import (
    DELTA,
    LEAST_LABELS,
    Graded,
    Kind,
    Promise,
    at_most_bad,
    at_most_escalated,
    budget_share,
)

# A card's scores are by fits on nine tenths of its answers, a little less spread than by the fit that serves. At 0.05
# that alone exceeded a share in 6.6 % of 500 halves of the embedded model's answers (tests/bench/routing_promises.py).
SHARE_DELTA: Final = 0.01
ALL: Final = ""  # the task of answers whose task is not told apart


@dataclass(frozen=True, slots=True)
class Volume:
    """What a month brings, for a budget."""

    requests: float  # local answers a month that may escalate
    usd_each: float  # mean cost of one escalated request, USD
    source: str = ""  # `declared`, or the records that it was counted in


@dataclass(frozen=True, slots=True)
class GradedAnswers:
    """One model's graded answers by task, as its card holds them: scores out of fold, and never a text."""

    model: str  # the backend's name
    digest: str  # SHA-256 of the card, hex
    by_task: Mapping[str, tuple[Graded, ...]]
    volume: Volume | None = None


@dataclass(frozen=True, slots=True)
class Standard:
    """What one answer's confidence is held against; `promise.threshold` None: it cannot be told good from bad."""

    promise: Promise
    task: str  # the task that the promise is for; `ALL`: for all that have none of their own
    digest: str  # of the card; "" where there is none


@dataclass(frozen=True, slots=True)
class Standards:
    """All standards of one model under one target."""

    model: str
    own: Mapping[str, Standard] = field(default_factory=dict)  # tasks with labels enough of their own
    others: Standard | None = None  # tasks with fewer, together
    seen: frozenset[str] = frozenset()  # the tasks that were graded at all
    uncalibrated: Standard = Standard(Promise("max_bad_local", 0.0, None, 0), ALL, "")


def standards(kind: Kind, target: float, model: str, graded: GradedAnswers | None) -> Standards:
    """The standards of `model` (the backend's name) under a target; None: it has no card. Milliseconds: not a request.

    `max_bad_local` is promised task by task where a task has 100 labels, so that no mix of tasks breaks it, and for
    those with fewer together. A share or a budget is one promise over all: it is spent on the least sure answers.
    """
    if graded is None or not any(graded.by_task.values()):
        return Standards(model, uncalibrated=_nothing(kind, target, f"{model} has no graded answers", graded))
    seen = frozenset(graded.by_task)
    unseen = _nothing(kind, target, f"no answer of {model} to this kind of task was graded", graded)
    if kind != "max_bad_local":
        together = Standard(_share(kind, target, graded), ALL, graded.digest)
        return Standards(model, {}, together, seen, unseen)
    own = {
        task: Standard(at_most_bad(answers, target), task, graded.digest)
        for task, answers in graded.by_task.items()
        if task != ALL and len(answers) >= LEAST_LABELS
    }
    rest = [each for task, answers in graded.by_task.items() if task not in own for each in answers]
    others = Standard(at_most_bad(rest, target), ALL, graded.digest)
    return Standards(model, own, others, seen, unseen)


def standard_for(standards: Standards, task: str | None) -> Standard:
    """The standard for a request of this task; None: its task was not measured.

    A task that was never graded is uncalibrated under `max_bad_local`, unless the graded set tells no tasks apart.
    """
    others = standards.others or standards.uncalibrated
    own = standards.own.get(task) if task is not None else None
    if own is not None:
        return own
    if others.promise.kind != "max_bad_local" or standards.seen <= {ALL}:
        return others
    return others if task in standards.seen else standards.uncalibrated


def is_good_enough(promise: Promise, confidence: float | None) -> bool:
    """Whether an answer may stay. Not measured, or without a threshold, it goes the way that keeps the target."""
    if promise.threshold is None or confidence is None:
        return promise.kind != "max_bad_local"
    return confidence >= promise.threshold


def threshold_of(promise: Promise) -> float:
    """The threshold as a number: where there is none, what every measured answer is below, or none is."""
    if promise.threshold is not None:
        return promise.threshold
    return math.nextafter(1.0, 2.0) if promise.kind == "max_bad_local" else 0.0


def explain(standard: Standard) -> str:
    """One line for the reasons of a decision, `/readyz` and the command line. Never holds content."""
    promise = standard.promise
    what = describe_target(promise.kind, promise.target)
    if promise.threshold is None:
        way = "not sure is not good enough" if promise.kind == "max_bad_local" else "nothing escalates"
        return f"uncalibrated for {what}: {promise.why}; {way}"
    whose = f" of task {standard.task}" if standard.task else ""
    return f"{what}: confidence at least {promise.threshold:.4f}, from {promise.labels} graded answers{whose}"


def describe_target(kind: Kind, target: float) -> str:
    """The target as it stands in the policy."""
    return f"{kind} {target:g}"


def complaints(standards: Standards) -> list[str]:
    """What an operator should know: each standard under which nothing can be promised."""
    if standards.others is None:
        return [explain(standards.uncalibrated)]
    found = [explain(each) for each in (*standards.own.values(), standards.others) if each.promise.threshold is None]
    return sorted(set(found))


def read_graded(model: str, digest: str, section: Mapping[str, Any], volume: Mapping[str, Any] | None) -> GradedAnswers:
    """A card's `graded` and `volume`. Raises `ValueError`, `KeyError` or `TypeError` for what is no such thing."""
    by_task = {}
    for task, columns in section.items():
        scores, good = columns["score"], columns["good"]
        if len(scores) != len(good) or set(good) - {"0", "1"}:
            raise ValueError("scores and grades do not go together")
        by_task[str(task)] = tuple(Graded(_unit(score), mark == "1") for score, mark in zip(scores, good, strict=True))
    if volume is None:
        return GradedAnswers(model, digest, by_task)
    month = Volume(float(volume["requests"]), float(volume["usd_each"]), str(volume.get("source", "")))
    if not (0 <= month.requests < float("inf") and 0 <= month.usd_each < float("inf")):
        raise ValueError("a month's volume is a number of at least 0")
    return GradedAnswers(model, digest, by_task, month)


def write_graded(answers: Iterable[tuple[str, Graded]]) -> dict[str, Any]:
    """The `graded` section of a card: by task the scores to four digits and the grades as 0 and 1, in a mixed order.

    Sorted by score, so that nothing of the order in which somebody's questions were asked is left.
    """
    by_task: dict[str, list[Graded]] = {}
    for task, graded in answers:
        by_task.setdefault(task, []).append(graded)
    return {
        task: {
            "score": [round(each.score, 4) for each in sorted(rows)],
            "good": "".join("1" if each.good else "0" for each in sorted(rows)),
        }
        for task, rows in sorted(by_task.items())
    }


def _unit(score: Any) -> float:
    value = float(score)
    if not 0.0 <= value <= 1.0:
        raise ValueError("a confidence lies between 0 and 1")
    return value


def _nothing(kind: Kind, target: float, why: str, graded: GradedAnswers | None) -> Standard:
    return Standard(Promise(kind, target, None, 0, why=why), ALL, graded.digest if graded else "")


def _share(kind: Kind, target: float, graded: GradedAnswers) -> Promise:
    scores = [each.score for answers in graded.by_task.values() for each in answers]
    if kind == "max_cloud_share":
        return replace(at_most_escalated(scores, target, SHARE_DELTA), delta=DELTA)
    if graded.volume is None:
        why = "how many requests a month may escalate, and what one costs, is not known (gatehouse calibrate says how)"
        return Promise(kind, target, None, len(scores), why=why)
    share = budget_share(target, graded.volume.requests, graded.volume.usd_each)
    return replace(at_most_escalated(scores, share, SHARE_DELTA, kind), target=target, delta=DELTA)
