"""Confidence: the calibrated chance that this local answer is good enough, from the log-probabilities of its tokens.

It holds no text beyond the answer that it is judging, and never calls a model nor decides where a request goes.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Final

from router.asked import Asked

HEAD: Final = 16  # tokens after which an answer may be judged before it is whole
FEATURES: Final = ("log_of_sum",)
_LEAST_LOGPROB: Final = -20.0  # servers send -inf or -9999 for a token that their sampler had cut off
_GRAM: Final = 4  # tokens in a row that count as repeated
_LOOP: Final = 0.5  # a share of repeated runs above this is a loop
_CARD_PREFIX: Final = "confidence-"
_UNKNOWN: Final = Asked()


class CalibrationError(Exception):
    """A calibration is there but cannot be read or used; the message names the file."""


@dataclass(slots=True)
class TokenTrace:
    """What is kept of an answer while it comes in: sums over its tokens, never a decision.

    `count` is tokens with a log-probability; `total`, `least` and `mean` are in nats.
    """

    count: int = 0
    total: float = 0.0
    least: float = 0.0
    finish_reason: str | None = None
    complete: bool = True  # False: some content came without log-probabilities
    _grams: set[tuple[str, ...]] = field(default_factory=set, repr=False)
    _recent: tuple[str, ...] = field(default=(), repr=False)
    _repeated: int = field(default=0, repr=False)
    _runs: int = field(default=0, repr=False)

    def add(self, entries: Sequence[Any]) -> None:
        """Take OpenAI `logprobs.content` entries: `{"token", "logprob", …}`. A broken one: incomplete."""
        for entry in entries:
            token, logprob = (entry.get("token"), entry.get("logprob")) if isinstance(entry, Mapping) else (None, None)
            if isinstance(logprob, bool) or not isinstance(logprob, int | float) or math.isnan(logprob):
                self.complete = False
                continue
            value = max(min(float(logprob), 0.0), _LEAST_LOGPROB)
            self.count += 1
            self.total += value
            self.least = min(self.least, value)
            self._repeat(token if isinstance(token, str) else "")

    def add_choice(self, choice: Mapping[str, Any]) -> None:
        """Take one entry of `choices`, of a whole `chat.completion` or of a chunk: its tokens and finish reason."""
        logprobs = choice.get("logprobs")
        entries = logprobs.get("content") if isinstance(logprobs, Mapping) else None
        if isinstance(entries, list) and entries:
            self.add(entries)
        else:
            part = choice.get("delta") or choice.get("message")
            if isinstance(part, Mapping) and (part.get("content") or part.get("tool_calls")):
                self.complete = False
        reason = choice.get("finish_reason")
        if isinstance(reason, str):
            self.finish_reason = reason

    @property
    def mean(self) -> float:
        """The mean log-probability; 0.0 of no tokens."""
        return self.total / self.count if self.count else 0.0

    @property
    def repetition(self) -> float:
        """The share of runs of four tokens that had come before: near 1 for a loop, which looks confident."""
        return self._repeated / self._runs if self._runs else 0.0

    def features(self, asked: Asked = _UNKNOWN) -> tuple[float, ...]:
        """Values in the order of `FEATURES`: log(1 - sum of log-probabilities)."""
        return (math.log1p(-self.total),)

    def _repeat(self, token: str) -> None:
        self._recent = (*self._recent, token)[-_GRAM:]
        if len(self._recent) == _GRAM:
            self._runs += 1
            if self._recent in self._grams:
                self._repeated += 1
            else:
                self._grams.add(self._recent)


class AnswerTrace:
    """The traces of one answer's choices, each by its index: with `n` above 1 their tokens come interleaved."""

    __slots__ = ("choices",)

    def __init__(self) -> None:
        self.choices: dict[int, TokenTrace] = {}

    def add_choice(self, choice: Mapping[str, Any]) -> None:
        """Take one entry of `choices`, of a whole `chat.completion` or of a chunk."""
        index = choice.get("index")
        key = index if isinstance(index, int) else 0
        trace = self.choices.get(key)
        if trace is None:
            trace = self.choices[key] = TokenTrace()
        trace.add_choice(choice)

    def features(self, asked: Asked = _UNKNOWN) -> tuple[float, ...]:
        """Numbers that say how the first choice was made, in the order of `FEATURES`; () of no choice. No content."""
        return self.choices[min(self.choices)].features(asked) if self.choices else ()


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was fitted on graded answers of one model: `sigmoid(bias + weights . features)`."""

    bias: float
    weights: tuple[float, ...]
    digest: str  # SHA-256 of the card, hex: for records and cache keys

    def chance(self, trace: TokenTrace) -> float:
        """The calibrated chance in [0, 1]."""
        return _sigmoid(self.bias + sum(w * x for w, x in zip(self.weights, trace.features(), strict=True)))


class Confidence:
    """Scores answers by the calibration of the model that gave them, or by a conservative default."""

    def __init__(self, *folders: Traversable) -> None:
        """Read every card in `folders` (default: those shipped); a later folder's takes an earlier one's place.

        Raises `CalibrationError` for an altered one.
        """
        self._folders = folders or (files("router") / "artifacts",)
        self.reload()

    def reload(self) -> None:
        """Read them anew. Raises `CalibrationError`, and then those in force stay."""
        found: dict[str, Calibration] = {}
        for folder in self._folders:
            found |= _read_all(folder)
        self._calibrations = found

    def calibration(self, model: str) -> Calibration | None:
        """The calibration of a backend's model name (`smollm2-135m-instruct`); None: its scores are uncalibrated."""
        return self._calibrations.get(model)

    def is_calibrated(self, model: str) -> bool:
        """Whether `score` for this model means what it says."""
        return model in self._calibrations

    def at_commit(self, trace: AnswerTrace, model: str = "", asked: Asked = _UNKNOWN) -> float | None:
        """As `of_answer`, of the first `HEAD` tokens, or of all where the answer has ended before."""
        return self.of_answer(trace, model, asked)

    def of_answer(self, trace: AnswerTrace, model: str = "", asked: Asked = _UNKNOWN) -> float | None:
        """The score of the choice that is the least likely to be good enough; None if any was not measured."""
        least: float | None = 0.0 if not trace.choices else 1.0
        for choice in trace.choices.values():
            score = self.score(choice, model)
            least = None if score is None or least is None else min(least, score)
        return least

    def score(self, trace: TokenTrace, model: str = "") -> float | None:
        """The chance in [0, 1] that the answer is good enough, to four digits; None where it was not measured.

        Not measured: content that came without log-probabilities. 0.0 for an empty answer. Without a calibration of
        `model`: the least of e^(sum) and e^(2 mean) of the log-probabilities, halved when cut short. Halved for a loop.
        """
        if not trace.complete:
            return None
        if trace.count == 0:
            return 0.0
        calibration = self._calibrations.get(model)
        chance = _uncalibrated(trace) if calibration is None else calibration.chance(trace)
        return round(chance / 2 if trace.repetition > _LOOP else chance, 4)


def _read_all(folder: Traversable) -> dict[str, Calibration]:
    found = {}
    for entry in folder.iterdir() if folder.is_dir() else ():
        if entry.name.startswith(_CARD_PREFIX) and entry.name.endswith(".json"):
            model, calibration = _parse(entry.name, entry.read_bytes())
            found[model] = calibration
    return found


def _parse(name: str, data: bytes) -> tuple[str, Calibration]:
    try:
        card = json.loads(data)
        model, names = card["model"], card["features"]
        bias, weights = float(card["bias"]), tuple(float(weight) for weight in card["weights"])
    except (ValueError, KeyError, TypeError) as error:
        raise CalibrationError(f"{name} is not a readable calibration") from error
    if names != list(FEATURES) or len(weights) != len(FEATURES):
        raise CalibrationError(f"{name} was made for other features; fit it again")
    if not isinstance(model, str) or not all(map(math.isfinite, (*weights, bias))):
        raise CalibrationError(f"{name} names no model, or holds a number that is not finite")
    return model, Calibration(bias, weights, hashlib.sha256(data).hexdigest())


def _uncalibrated(trace: TokenTrace) -> float:
    chance = min(math.exp(trace.total), math.exp(2 * trace.mean))
    return chance / 2 if trace.finish_reason == "length" else chance


def _sigmoid(logit: float) -> float:
    if logit >= 0:
        return 1.0 / (1.0 + math.exp(-logit))
    power = math.exp(logit)
    return power / (1.0 + power)
