"""Whether a local answer is good enough: its confidence, what that is held against, the verdict and why. One place.

It calls no model and opens no exit: a verdict of `escalate` only says that the answer shall not stand alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from router.confidence import AnswerTrace, Confidence
from router.exchange import Exchange
from router.types import Judgement, Moment, Verdict


@dataclass(frozen=True, slots=True)
class Bar:
    """What a confidence is held against. Without a `threshold` every answer goes the way of the unsure ones."""

    threshold: float | None
    keeps_unsure: bool = True  # what was not measured, or has no threshold, stands
    why: str = ""


class Bars(Protocol):
    """Where the bar of an answer comes from: the policy itself, or what its target means for this model."""

    def bar(self, exchange: Exchange, name: str) -> Bar:
        """The bar for answers of the model of that name (the policy's) to this exchange."""
        ...


class PolicyBars:
    """The threshold that the policy states. A target that nobody has made a threshold of keeps every answer."""

    def bar(self, exchange: Exchange, name: str) -> Bar:
        """The decision's threshold."""
        target = exchange.running.policy.escalation.target
        if target is None:
            return Bar(exchange.planned.threshold)
        return Bar(None, why=f"{target.kind} has no threshold yet")


class Judging:
    """Judges answers of local models."""

    def __init__(self, confidence: Confidence, bars: Bars) -> None:
        self._confidence = confidence
        self._bars = bars

    def measure(self, exchange: Exchange, name: str, trace: AnswerTrace) -> float | None:
        """The confidence of a whole answer; None where it was not measured."""
        return self._confidence.of_answer(trace, exchange.running.policy.models[name].model)

    def of_answer(self, exchange: Exchange, name: str, trace: AnswerTrace) -> Judgement:
        """The judgement of a whole answer; also noted on the outcome."""
        return self._note(exchange, name, trace, "whole", self.measure(exchange, name, trace))

    def at_commit(self, exchange: Exchange, name: str, trace: AnswerTrace) -> Judgement:
        """The judgement of the first tokens of an answer; also noted on the outcome."""
        model = exchange.running.policy.models[name].model
        confidence = self._confidence.of_answer(trace, model) if _tokens(trace) else None
        return self._note(exchange, name, trace, "commit", confidence)

    def _note(
        self, exchange: Exchange, name: str, trace: AnswerTrace, at: Moment, confidence: float | None
    ) -> Judgement:
        bar = self._bars.bar(exchange, name)
        tokens = _tokens(trace)
        judgement = _judged(bar, at, confidence, tokens)
        exchange.outcome.confidence, exchange.outcome.judgement = confidence, judgement
        return judgement


def _judged(bar: Bar, at: Moment, confidence: float | None, tokens: int) -> Judgement:
    unsure: Verdict = "unmeasured" if bar.keeps_unsure else "escalate"
    if bar.threshold is None:
        return Judgement(unsure, at, tokens, confidence, None, bar.why or "there is no threshold")
    if confidence is None:
        return Judgement(unsure, at, tokens, None, bar.threshold, "the confidence was not measured")
    if confidence < bar.threshold:
        return Judgement("escalate", at, tokens, confidence, bar.threshold, "below the threshold")
    return Judgement("keep", at, tokens, confidence, bar.threshold, "at or above the threshold")


def _tokens(trace: AnswerTrace) -> int:
    return sum(choice.count for choice in trace.choices.values())
