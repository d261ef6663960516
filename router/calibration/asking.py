"""From questions to the bodies that a local model is asked with, and from its choices to graded traces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from classifiers.types import Signals
from router.calibration.graders import is_good
from router.calibration.questions import Question
from router.confidence.asked import Asked, asked_of
from router.confidence.confidence import AnswerTrace
from router.types import JsonObject

Measure = Callable[[JsonObject], Signals | None]


class NotMeasured(Exception):
    """The server gives no log-probabilities: there is nothing to calibrate on."""


@dataclass(frozen=True, slots=True)
class Answered:
    """One graded answer: what was known before it, how it was made, and whether it was good."""

    task: str
    asked: Asked
    trace: AnswerTrace
    good: bool


def body_for(question: Question, model: str) -> JsonObject:
    """The chat-completions body for `model` (the backend's name): greedy, with log-probabilities."""
    system = [{"role": "system", "content": question.system}] if question.system else []
    return {
        "model": model,
        "messages": [*system, {"role": "user", "content": question.prompt}],
        "temperature": 0,
        "max_tokens": question.max_tokens,
        "logprobs": True,
    }


def graded(
    questions: Sequence[Question], choices: Sequence[JsonObject], measure: Measure = lambda body: None
) -> list[Answered]:
    """Each question's answer, graded; what the model refused to take (`{"refused": …}`) is left out.

    `measure` gives the signals of a body, as they would be in serving. Raises `NotMeasured`.
    """
    found = []
    for question, choice in zip(questions, choices, strict=True):
        if "refused" in choice:
            continue
        trace = AnswerTrace()
        trace.add_choice(choice)
        if not all(each.complete for each in trace.choices.values()):
            raise NotMeasured("this server gives no log-probabilities: there is nothing to calibrate on")
        body = body_for(question, "")
        asked = asked_of(body, measure(body))
        found.append(Answered(question.task, asked, trace, is_good(question, choice)))
    return found
