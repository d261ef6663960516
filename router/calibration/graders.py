"""Grades an answer by the question's rule: never by a model, never by a person."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from router.calibration.questions import Grader, Question
from router.types import JsonObject

_WORD = re.compile(r"\w+", re.UNICODE)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s|\n")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_DENIED = re.compile(r"\b(?:not|than|instead of|unlike)\b[^,;.!?\n]*")
_UNTRUE = re.compile(r"\b(?:not|isn't|is n't) (?:true|correct)\b", re.IGNORECASE)
_CONCLUDES = re.compile(r"\banswer(?: is\b|:)", re.IGNORECASE)
_LEAD = re.compile(r"^.*(?::|\b(?:is|are)\b)")
_ITEM = re.compile(r"[^,;\n]+")
_ITEM_MARKS = re.compile(r"^(?:\d+[.)]|[-*•])\s+|\band\b")
_AROUND = " \t\r\n\"'`.*"


def is_right(question: Question, answer: str) -> bool:
    """Whether the answer meets the question's rule.

    `mention`: the truth stands as whole words in the sentence that decides, and none of `wrong` does. That is the first
    that names any of them and asks nothing (without `wrong`: the first of all); a later one that says what the answer
    is must not name a wrong one. `label`: the truth stands in it and none of `wrong` does, anywhere. In both, what is
    denied (`Athens, not Nairobi`; `smaller than 5`) is not named, and `not true` says `false`. `verbatim`: the truth
    stands in it, capitals and signs included. `number`: the last number in it is the truth. `exact`: equal but for
    surrounding space, quotes, asterisks and full stops. `json`: the first JSON value in it equals the truth. `items`:
    the first paragraph that lists the truth's words (comma-separated), whatever marks and leads in the items, has them
    in its order. `words`: all of the truth's terms (comma-separated) stand in it, in any order; none of `wrong` does.
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
    first, *others = _SENTENCE_END.split(answer.strip())
    if question.wrong:
        said = (each for each in (first, *others) if not each.endswith("?"))
        first = next((each for each in said if _names(each, question) or _names_wrong(each, question)), "")
    concludes = (each for each in others if _CONCLUDES.search(each))
    return (
        _names(first, question)
        and not _names_wrong(first, question)
        and not any(_names_wrong(each, question) and not _names(each, question) for each in concludes)
    )


def _grade_label(question: Question, answer: str) -> bool:
    return _names(answer, question) and not _names_wrong(answer, question)


def _names(answer: str, question: Question) -> bool:
    """Whether it names the truth. A truth that is a denial itself is looked for in the answer as it stands."""
    return _mentions(answer if " not " in question.truth else _said(answer), question.truth)


def _names_wrong(answer: str, question: Question) -> bool:
    said = _said(answer)
    return any(_mentions(said, other) for other in question.wrong)


def _said(answer: str) -> str:
    """Without what it denies."""
    return _DENIED.sub("", _UNTRUE.sub("false", answer))


def _grade_verbatim(question: Question, answer: str) -> bool:
    return any(spelling in answer for spelling in question.truth.split("|"))


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
    truth = [each.strip().lower() for each in question.truth.split(",")]
    lists = (_items(block) for block in answer.strip().split("\n\n"))
    return next((found for found in lists if sorted(found) == sorted(truth)), None) == truth


def _items(block: str) -> list[str]:
    said = _LEAD.sub("", block.lower(), count=1)
    found = [_ITEM_MARKS.sub("", each.strip()).strip(_AROUND) for each in _ITEM.findall(said)]
    return [each for each in found if each]


def _grade_words(question: Question, answer: str) -> bool:
    wanted = question.truth.split(",")
    return all(_mentions(answer, each) for each in wanted) and not any(_mentions(answer, w) for w in question.wrong)


_GRADERS: dict[Grader, Callable[[Question, str], bool]] = {
    "mention": _grade_mention,
    "label": _grade_label,
    "verbatim": _grade_verbatim,
    "number": _grade_number,
    "exact": _grade_exact,
    "json": _grade_json,
    "items": _grade_items,
    "words": _grade_words,
}
