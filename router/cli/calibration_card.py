"""From graded answers to the card of a model, and what a run puts beside them: a month's volume, what callers said."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta

from policies.types import Model, Policy
from router.calibration.asking import Answered
from router.calibration.card import card_text, sections, table_of
from router.calibration.heard import Heard, heard
from router.calibration.looking import Looked, section
from router.calibration.standing import read_card
from router.calibration.targets import GradedAnswers, Volume, write_graded
from router.calibration.thresholds import Graded
from router.calibration.volume import MONTH_DAYS, measure
from router.confidence.card import read_scorer
from router.confidence.confidence import guarded
from router.records.store import RECORDS_FILE, RecordReader, StoreError
from router.settings import Settings
from router.types import JsonObject, Moment


@dataclass(frozen=True, slots=True)
class Beside:
    """What a card takes in beside graded answers."""

    volume: Volume | None = None
    heard: tuple[Heard, ...] = ()
    looked: Looked | None = None  # a second look at each answer


@dataclass(frozen=True, slots=True)
class Made:
    """A card, and what it was made of."""

    text: bytes
    digest: str
    graded: Mapping[Moment, GradedAnswers]  # as serving reads it
    by_question: Mapping[str, Sequence[Graded]]  # by the task that the question names
    looks: JsonObject = field(default_factory=dict)  # the card's section of second looks, by their kind


def make(model: str, answers: Sequence[Answered], beside: Beside) -> Made:
    """Fit the confidence of `model` (the backend's name) on its graded answers, and write the card's text.

    What callers said enters the grades that thresholds are made of, scored by the fit, which has not seen it. Raises
    `NothingToFit`.
    """
    table = table_of(answers)
    found, graded = sections(table)
    told = [*zip(table.told, graded, strict=True), *_scored(found, beside.heard)]
    card: JsonObject = {
        "model": model,
        "date": datetime.now(UTC).date().isoformat(),
        "what": "the chance that an answer of this model is good, from its tokens' log-probabilities",
        "command": "gatehouse calibrate",
        **found,
        "graded": write_graded(told),
        "feedback": len(beside.heard),
    }
    if beside.volume is not None:
        card["volume"] = asdict(beside.volume)
    if beside.looked is not None:
        card["looks"] = {beside.looked.kind: section(beside.looked, table.tasks, table.told, graded)}
    text = card_text(card)
    digest = hashlib.sha256(text).hexdigest()
    by_question: dict[str, list[Graded]] = {}
    for task, row in zip(table.tasks, graded, strict=True):
        by_question.setdefault(task, []).append(row)
    return Made(text, digest, read_card(model, digest, card), by_question, card.get("looks", {}))


def month(
    policy: Policy, model: Model, settings: Settings, requests: float | None, usd_each: float | None
) -> Volume | None:
    """A month's volume: as declared, or as the decision records of the last 30 days show it; None: not known."""
    if requests is not None and usd_each is not None:
        return Volume(requests, usd_each, "declared")
    cloud = policy.models.get(policy.default_cloud or "")
    try:
        with RecordReader(settings.state_dir / RECORDS_FILE) as reader:
            price = cloud.price if cloud is not None else None
            seen = measure(reader.decisions_since(_since(MONTH_DAYS)), model.name, price)
    except StoreError:
        return None
    if seen is None:
        return None
    seen = seen if requests is None else replace(seen, requests=requests)
    return seen if usd_each is None else replace(seen, usd_each=usd_each)


def listen(settings: Settings, model: Model, days: float) -> tuple[Heard, ...]:
    """What callers said of local answers of the last days. Raises `StoreError` where no records can be read."""
    with RecordReader(settings.state_dir / RECORDS_FILE) as reader:
        return tuple(heard(reader.rows_since(_since(days), ("decision", "feedback")), model.name))


def _since(days: float) -> str:
    return (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="milliseconds")


def _scored(found: JsonObject, said: Sequence[Heard]) -> list[tuple[str, Graded]]:
    scorer = read_scorer("the new card", found)
    return [(each.task, Graded(guarded(scorer.chance(each.features), each.features), each.good)) for each in said]
