"""From graded answers to the card of a model: what was fitted, and what thresholds are made of. Numbers only."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

from policies.types import Model, Policy
from router.calibration.asking import Answered
from router.calibration.card import card_text, sections, table_of
from router.calibration.targets import GradedAnswers, Volume, read_graded
from router.calibration.thresholds import Graded
from router.calibration.volume import MONTH_DAYS, measure
from router.settings import Settings
from router.store import RECORDS_FILE, RecordReader, StoreError
from router.types import JsonObject


@dataclass(frozen=True, slots=True)
class Made:
    """A card, and what it was made of."""

    text: bytes
    graded: GradedAnswers  # by the task that the gateway measures
    by_question: Mapping[str, Sequence[Graded]]  # by the task that the question names


def make(model: str, answers: Sequence[Answered], volume: Volume | None) -> Made:
    """Fit the confidence of `model` (the backend's name) on its graded answers, and write the card's text.

    Raises `ValueError` where there is nothing to fit.
    """
    found, rows = sections(table_of(answers))
    card: JsonObject = {
        "model": model,
        "date": datetime.now(UTC).date().isoformat(),
        "what": "the chance that an answer of this model is good, from its tokens' log-probabilities",
        "command": "gatehouse calibrate",
        **found,
    }
    if volume is not None:
        card["volume"] = asdict(volume)
    text = card_text(card)
    digest = hashlib.sha256(text).hexdigest()
    graded = read_graded(model, digest, card["graded"], card.get("volume"))
    by_question: dict[str, list[Graded]] = {}
    for each, row in zip(answers, rows, strict=True):
        by_question.setdefault(each.task, []).append(row)
    return Made(text, graded, by_question)


def month(
    policy: Policy, model: Model, settings: Settings, requests: float | None, usd_each: float | None
) -> Volume | None:
    """A month's volume: as declared, or as the decision records of the last 30 days show it; None: not known."""
    if requests is not None and usd_each is not None:
        return Volume(requests, usd_each, "declared")
    cloud = policy.models.get(policy.default_cloud or "")
    since = (datetime.now(UTC) - timedelta(days=MONTH_DAYS)).isoformat(timespec="milliseconds")
    try:
        with RecordReader(settings.state_dir / RECORDS_FILE) as reader:
            seen = measure(reader.decisions_since(since), model.name, cloud.price if cloud is not None else None)
    except StoreError:
        return None
    if seen is None:
        return None
    return Volume(requests if requests is not None else seen.requests, usd_each or seen.usd_each, seen.source)
