"""Calibration cards as serving reads them: what was fitted on one model's graded answers. Data in, numbers out."""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from typing import Any
from urllib.parse import unquote

from router.answer_features import NAMES

log = logging.getLogger("gatehouse.confidence")

_PREFIX, _SUFFIX = "confidence-", ".json"


class CalibrationError(Exception):
    """A calibration is there but cannot be read or used; the message names the file."""


@dataclass(frozen=True, slots=True)
class Scorer:
    """`sigmoid(bias + weights . features)`, each feature by its place in `answer_features.NAMES`."""

    bias: float
    places: tuple[int, ...]
    weights: tuple[float, ...]

    def chance(self, values: Sequence[float]) -> float:
        """The calibrated chance in [0, 1] of an answer with these features."""
        pairs = zip(self.weights, self.places, strict=True)
        return _sigmoid(self.bias + sum(weight * values[place] for weight, place in pairs))


@dataclass(frozen=True, slots=True)
class Calibration:
    """One model's card."""

    answer: Scorer
    commit: Scorer | None  # of the first tokens; None: this card was not fitted on them
    digest: str  # SHA-256 of the card, hex: for records and cache keys


def read_cards(shipped: Traversable, made: Traversable | None = None) -> dict[str, Calibration]:
    """The cards by model: those shipped, and in their place those made here.

    Raises `CalibrationError` for a shipped one that was altered. A model whose own card cannot be read is uncalibrated.
    """
    found = dict(_parse(name, data) for name, data in _files(shipped))
    for name, data in _files(made) if made is not None else ():
        found.pop(unquote(name.removeprefix(_PREFIX).removesuffix(_SUFFIX)), None)
        try:
            model, calibration = _parse(name, data)
        except CalibrationError as error:
            log.warning("%s: answers of its model count as uncalibrated", error)
        else:
            found[model] = calibration
    return found


def _files(folder: Traversable) -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir() if folder.is_dir() else ():
        if entry.name.startswith(_PREFIX) and entry.name.endswith(_SUFFIX):
            yield entry.name, entry.read_bytes()


def _parse(name: str, data: bytes) -> tuple[str, Calibration]:
    try:
        card = json.loads(data)
        model, commit = card["model"], card.get("commit")
        answer = read_scorer(name, card)
        early = None if commit is None else read_scorer(name, commit)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CalibrationError(f"{name} is not a readable calibration") from error
    if not isinstance(model, str):
        raise CalibrationError(f"{name} names no model")
    return model, Calibration(answer, early, hashlib.sha256(data).hexdigest())


def read_scorer(name: str, section: Mapping[str, Any]) -> Scorer:
    """The fit of a card, or of its `commit`; `name` is the file's. Raises `CalibrationError` and what lookups raise."""
    names, bias = section["features"], float(section["bias"])
    weights = tuple(float(weight) for weight in section["weights"])
    if not isinstance(names, list) or not set(names) <= set(NAMES) or len(names) != len(weights):
        raise CalibrationError(f"{name} was made for other features; fit it again")
    if not all(map(math.isfinite, (*weights, bias))):
        raise CalibrationError(f"{name} holds a number that is not finite")
    return Scorer(bias, tuple(NAMES.index(each) for each in names), weights)


def _sigmoid(logit: float) -> float:
    if logit >= 0:
        return 1.0 / (1.0 + math.exp(-logit))
    power = math.exp(logit)
    return power / (1.0 + power)
