"""What callers said of local answers, as grades for the next calibration: only where an admin asks for it. Pure.

Callers are not trusted and no random sample: who is content says nothing, and anybody may call an answer bad.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from router.confidence.answer_features import NAMES
from router.records.feedback import labels
from router.types import JsonObject


@dataclass(frozen=True, slots=True)
class Heard:
    """One local answer that somebody got and judged. `features` in the order of `answer_features.NAMES`."""

    task: str  # as the gateway measured it; "" where it did not
    features: tuple[float, ...]
    good: bool
    is_reask: bool  # nobody said so: the same was asked again, which counts as bad


def heard(rows: Iterable[JsonObject], model: str) -> list[Heard]:
    """Verdicts in rows of decisions and feedback, on answers of `model` (the policy's name) that stayed at home."""
    kept = list(rows)
    told: dict[str, str] = {}
    for row in kept:
        outcome = row.get("outcome") or {}
        if row.get("kind") == "decision" and (outcome.get("route"), outcome.get("model")) == ("local", model):
            task = ((row.get("signals") or {}).get("task") or {}).get("value")
            told[str(row.get("id"))] = task if isinstance(task, str) else ""
    return [
        Heard(told[label.request_id], features, label.verdict == "good", label.source == "reask")
        for label in labels(kept)
        if label.request_id in told and (features := _features(label.features)) is not None
    ]


def _features(value: Any) -> tuple[float, ...] | None:
    """Those of this version's features; None for others, and where nothing was measured."""
    if not isinstance(value, Sequence) or len(value) != len(NAMES):
        return None
    found = tuple(float(each) for each in value if isinstance(each, int | float) and math.isfinite(each))
    return found if len(found) == len(NAMES) else None
