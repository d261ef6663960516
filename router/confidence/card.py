"""Calibration cards as serving reads them: what was fitted on one model's graded answers. Data in, numbers out."""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources.abc import Traversable
from typing import Any
from urllib.parse import unquote

from router.confidence.answer_features import NAMES

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
class Look:
    """What a second look makes of the first confidence: `sigmoid(bias + first * log-odds + second * value)`."""

    bias: float
    first: float
    second: float

    def chance(self, confidence: float, value: float) -> float:
        """The calibrated chance in [0, 1], from the first confidence and the look's number."""
        return _sigmoid(self.bias + self.first * log_odds(confidence) + self.second * value)


@dataclass(frozen=True, slots=True)
class Calibration:
    """One model's card."""

    answer: Scorer
    commit: Scorer | None  # of the first tokens; None: this card was not fitted on them
    digest: str  # SHA-256 of the card, hex: for records and cache keys
    looks: Mapping[str, Look] = field(default_factory=dict)  # second looks that were shown to help, by their kind


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
        looks = {kind: _look(name, look) for kind, look in card.get("looks", {}).items() if look["helps"] is True}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CalibrationError(f"{name} is not a readable calibration") from error
    if not isinstance(model, str):
        raise CalibrationError(f"{name} names no model")
    return model, Calibration(answer, early, hashlib.sha256(data).hexdigest(), looks)


def _look(name: str, section: Mapping[str, Any]) -> Look:
    numbers = [float(section[key]) for key in ("bias", "first", "second")]
    if not all(map(math.isfinite, numbers)):
        raise CalibrationError(f"{name} holds a number that is not finite")
    return Look(*numbers)


def log_odds(chance: float) -> float:
    """Of a chance in [0, 1], bounded as if it were within a thousandth of its ends."""
    bounded = min(max(chance, 0.001), 0.999)
    return math.log(bounded / (1.0 - bounded))


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
