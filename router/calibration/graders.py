"""Grades an answer by the question's rule: never by a model, never by a person."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from router.calibration.questions import Grader, Question
from router.types import JsonObject

_WORD = re.compile(r"\w+", re.UNICODE)
_SENTENCE_END = re.compile(r"[.!?]\s|\n")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_ITEM = re.compile(r"[^,;\n]+")
_ITEM_MARKS = re.compile(r"^(?:\d+[.)]|[-*•])\s+|\band\b")
_AROUND = " \t\r\n\"'`.*"


def is_right(question: Question, answer: str) -> bool:
    """Whether the answer meets the question's rule.

    `mention`: the truth stands as whole words in its first sentence, and none of `wrong` does. `label`: the same of
    the whole answer. `number`: the last number in it is the truth. `exact`: equal but for surrounding space, quotes,
    asterisks and full stops. `json`: the first JSON value in it equals the truth. `items`: the words of the truth,
    comma-separated, are its list, in this order, whatever marks the items. `words`: every one of the truth's terms
    (comma-separated) stands in it, in any order, and none of `wrong` does.
    """
    return _GRADERS[question.grader](question, answer)


def is_good(question: Question, choice: JsonObject) -> bool:
    """The same of one entry of `choices`. An answer that was cut short is not good: the user has not got it."""
    message = choice.get("message")
    content = message.get("content") if isinstance(message, dict) else None
    return choice.get("finish_reason") == "stop" and isinstance(content, str) and is_right(question, content)


def _words(text: str) -> str:
    return " " + " ".join(_WORD.findall(text.lower())) + " "


def _mentions(answer: str, term: str) -> bool:
    words = _words(answer)
    return any(_words(spelling) in words for spelling in term.split("|"))


def _grade_mention(question: Question, answer: str) -> bool:
    return _grade_label(question, _SENTENCE_END.split(answer.strip(), maxsplit=1)[0])


def _grade_label(question: Question, answer: str) -> bool:
    return _mentions(answer, question.truth) and not any(_mentions(answer, other) for other in question.wrong)


def _grade_number(question: Question, answer: str) -> bool:
    numbers = _NUMBER.findall(answer.replace(",", ""))
    return bool(numbers) and float(numbers[-1]) == float(question.truth)


def _grade_exact(question: Question, answer: str) -> bool:
    return answer.strip(_AROUND) in question.truth.split("|")


def _grade_json(question: Question, answer: str) -> bool:
    start = re.search(r"[{\[]", answer)
    if start is None:
        return False
    try:
        value, _ = json.JSONDecoder().raw_decode(answer, start.start())
    except ValueError:
        return False
    return _equal(value, json.loads(question.truth))


def _equal(value: Any, truth: Any) -> bool:
    return type(value) is type(truth) and bool(value == truth)


def _grade_items(question: Question, answer: str) -> bool:
    said = answer.strip().rsplit(":", maxsplit=1)[-1].lower()
    items = [_ITEM_MARKS.sub("", each.strip()).strip(_AROUND) for each in _ITEM.findall(said)]
    return [each for each in items if each] == [each.strip().lower() for each in question.truth.split(",")]


def _grade_words(question: Question, answer: str) -> bool:
    wanted = question.truth.split(",")
    return all(_mentions(answer, each) for each in wanted) and not any(_mentions(answer, w) for w in question.wrong)


_GRADERS: dict[Grader, Callable[[Question, str], bool]] = {
    "mention": _grade_mention,
    "label": _grade_label,
    "number": _grade_number,
    "exact": _grade_exact,
    "json": _grade_json,
    "items": _grade_items,
    "words": _grade_words,
}
