"""Whether a local answer is good enough: its confidence, what that is held against, the verdict and why. One place.

It calls no model and opens no exit: a verdict of `escalate` only says that the answer shall not stand alone.
"""

from __future__ import annotations

from router.calibration.targets import Standard, is_good_enough
from router.confidence.asked import asked_of
from router.confidence.confidence import AnswerTrace, Confidence
from router.exchange import Exchange
from router.types import Judgement, Moment, Verdict


class Judging:
    """Judges answers of local models against the decision's threshold, which a target of the policy may have made."""

    def __init__(self, confidence: Confidence) -> None:
        self._confidence = confidence

    def measure(self, exchange: Exchange, name: str, trace: AnswerTrace) -> float | None:
        """The confidence of a whole answer of the model of that name (the policy's); None where it was not measured."""
        if exchange.request.task == "embeddings":  # vectors have no words to be sure of
            return None
        asked = asked_of(exchange.request.body, exchange.measured)
        exchange.outcome.answer_features = trace.features(asked)
        return self._confidence.of_answer(trace, exchange.policy.models[name].model, asked)

    def of_answer(self, exchange: Exchange, name: str, trace: AnswerTrace) -> Judgement:
        """The judgement of a whole answer; also noted on the outcome."""
        return _note(exchange, name, trace, "whole", self.measure(exchange, name, trace))

    def wants_look(self, exchange: Exchange) -> bool:
        """Whether the answer that was judged last, whole, is to be looked at again: a doubtful one, or, under a target,
        any that was measured, for what is promised is promised of the second score."""
        plan, judged = exchange.plan, exchange.outcome.judgement
        if plan is None or plan.look is None or judged is None or judged.confidence is None or judged.at != "whole":
            return False
        return judged.verdict == "escalate" or plan.standard is not None

    def after_look(self, exchange: Exchange, name: str, trace: AnswerTrace, value: float | None) -> Judgement:
        """The judgement after a second look with this number; also noted on the outcome.

        A look that tells nothing: the first judgement stands, but under a target the answer counts as not measured.
        """
        plan, judged = exchange.plan, exchange.outcome.judgement
        assert plan is not None
        assert plan.look is not None
        assert judged is not None
        assert judged.confidence is not None
        model = exchange.policy.models[name].model
        second = None if value is None else self._confidence.second(plan.look, model, judged.confidence, value)
        if second is None and plan.standard is None:
            return judged
        return _note(exchange, name, trace, plan.look, second)

    def at_commit(self, exchange: Exchange, name: str, trace: AnswerTrace) -> Judgement:
        """The judgement of the first tokens of an answer; also noted on the outcome. No tokens yet: not measured."""
        confidence = None
        if _tokens(trace):
            model = exchange.policy.models[name].model
            confidence = self._confidence.at_commit(trace, model, asked_of(exchange.request.body, exchange.measured))
        return _note(exchange, name, trace, "commit", confidence)


def _note(exchange: Exchange, name: str, trace: AnswerTrace, at: Moment, confidence: float | None) -> Judgement:
    assert exchange.plan is not None
    threshold = exchange.plan.threshold_of(name)
    verdict, why = _verdict(exchange.plan.standard_of(name), confidence, threshold)
    judgement = Judgement(verdict, at, _tokens(trace), confidence, threshold, why)
    exchange.outcome.confidence, exchange.outcome.judgement = confidence, judgement
    return judgement


def _verdict(standard: Standard | None, confidence: float | None, threshold: float) -> tuple[Verdict, str]:
    if confidence is not None:
        is_below = confidence < threshold
        return ("escalate", "below the threshold") if is_below else ("keep", "at or above the threshold")
    if standard is not None and not is_good_enough(standard.promise, None):
        return "escalate", "not measured, and the target counts what is not sure as not good enough"
    return "unmeasured", "not measured, so it stands"


def _tokens(trace: AnswerTrace) -> int:
    return sum(choice.count for choice in trace.choices.values())
