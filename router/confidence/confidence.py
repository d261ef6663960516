"""Confidence: the calibrated chance that this local answer is good enough, from the log-probabilities of its tokens.

It holds no text beyond the answer that it is judging, and never calls a model nor decides where a request goes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Final

from router.confidence.answer_features import NAMES as FEATURES
from router.confidence.answer_features import features, is_constant, is_degenerate
from router.confidence.asked import Asked
from router.confidence.card import Calibration, CalibrationError, read_cards
from router.confidence.trace import HEAD, TokenTrace

__all__ = ["FEATURES", "HEAD", "AnswerTrace", "Calibration", "CalibrationError", "Confidence", "TokenTrace", "guarded"]

_UNKNOWN: Final = Asked()


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
        return features(self.choices[min(self.choices)], asked) if self.choices else ()

    def head_features(self, asked: Asked = _UNKNOWN) -> tuple[float, ...]:
        """The same of its first `HEAD` tokens, as they were known then."""
        return features(self.choices[min(self.choices)].head(), asked) if self.choices else ()


class Confidence:
    """Scores answers by the calibration of the model that gave them, or by a conservative default."""

    def __init__(self, shipped: Traversable | None = None, made: Traversable | None = None) -> None:
        """Read every card in `shipped` (default: the artifacts), and in their place those in `made`.

        Raises `CalibrationError` for a shipped one that was altered.
        """
        self._folders = files("router") / "artifacts" if shipped is None else shipped, made
        self._calibrations = read_cards(*self._folders)

    def reload(self) -> None:
        """Read them anew. Raises `CalibrationError`, and then those in force stay."""
        self._calibrations = read_cards(*self._folders)

    def calibration(self, model: str) -> Calibration | None:
        """The calibration of a backend's model name (`smollm2-135m-instruct`); None: its scores are uncalibrated."""
        return self._calibrations.get(model)

    def is_calibrated(self, model: str) -> bool:
        """Whether scores for this model mean what they say."""
        return model in self._calibrations

    def at_commit(self, trace: AnswerTrace, model: str = "", asked: Asked = _UNKNOWN) -> float | None:
        """As `of_answer`, of the first `HEAD` tokens, or of all where the answer has ended before."""
        return _least([self.score_head(choice, model, asked) for choice in trace.choices.values()])

    def of_answer(self, trace: AnswerTrace, model: str = "", asked: Asked = _UNKNOWN) -> float | None:
        """The score of the choice that is the least likely to be good enough; None if any was not measured."""
        return _least([self.score(choice, model, asked) for choice in trace.choices.values()])

    def score(self, trace: TokenTrace, model: str = "", asked: Asked = _UNKNOWN) -> float | None:
        """The chance in [0, 1] that the answer is good enough, to four digits; None where it was not measured.

        Not measured: content that came without log-probabilities. 0.0 for an empty answer. Without a calibration of
        `model`: the least of e^(sum) and e^(2 mean) of the log-probabilities, halved when cut short and for an answer
        that may be a constant one. Halved in any case for what is degenerate (`answer_features.is_degenerate`).
        """
        if not trace.complete:
            return None
        if trace.count == 0:
            return 0.0
        card, values = self._calibrations.get(model), features(trace, asked)
        return guarded(_uncalibrated(trace, values) if card is None else card.answer.chance(values), values)

    def second(self, kind: str, model: str, confidence: float, value: float) -> float | None:
        """What a second look of this kind makes of a whole answer's confidence; None: it was not shown to help."""
        card = self._calibrations.get(model)
        look = card.looks.get(kind) if card is not None else None
        return None if look is None else round(look.chance(confidence, value), 4)

    def score_head(self, trace: TokenTrace, model: str = "", asked: Asked = _UNKNOWN) -> float | None:
        """The same of the first `HEAD` tokens; a card of whole answers alone does not count."""
        if not trace.complete:
            return None
        if trace.count == 0:
            return 0.0
        head = trace.head()
        card, values = self._calibrations.get(model), features(head, asked)
        scorer = card.commit if card is not None else None
        return guarded(_uncalibrated(head, values) if scorer is None else scorer.chance(values), values)


def guarded(chance: float, values: Sequence[float]) -> float:
    """What a chance comes to: to four digits, and half for an answer whose features say that it is degenerate."""
    return round(chance / 2 if is_degenerate(values) else chance, 4)


def _least(scores: Sequence[float | None]) -> float | None:
    """The least; None if any is, and 0.0 of none."""
    found = [score for score in scores if score is not None]
    return None if len(found) < len(scores) else min(found, default=0.0)


def _uncalibrated(trace: TokenTrace, values: Sequence[float]) -> float:
    chance = min(math.exp(trace.total), math.exp(2 * trace.mean))
    return chance / 2 if trace.finish_reason == "length" or is_constant(values) else chance
