"""Questions with truth: the set that ships, and the same format for an admin's own. `graders.py` grades."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final, Literal, get_args

Grader = Literal["mention", "label", "verbatim", "number", "exact", "json", "items", "words"]
GRADERS: Final[tuple[Grader, ...]] = get_args(Grader)
MOST_TOKENS: Final = 96  # of an answer, where the question does not say: the shipped questions need few
SHIPPED: Final = "everyday.jsonl"


class QuestionError(Exception):
    """A line of a set is no question; the message names file and line, never what stands there."""


@dataclass(frozen=True, slots=True)
class Question:
    """One question: `truth` is what a right answer holds (spellings parted by `|`), `wrong` what it must not mention.

    `wrong` are the other labels, or what else stands in the text that was given: to repeat all of it is no answer.
    """

    id: str
    task: str
    prompt: str
    truth: str
    grader: Grader
    wrong: tuple[str, ...] = ()
    system: str = ""  # what the application says before the question
    max_tokens: int = MOST_TOKENS


def everyday() -> list[Question]:
    """The set that ships, in file order (`classifiers/training/everyday.py` makes it)."""
    return read_questions(files("router.calibration") / SHIPPED)


def read_questions(path: Path | Traversable) -> list[Question]:
    """A file of JSON lines, one question each: `prompt`, `truth` and `grader`, and what else `Question` has.

    Without `id` a question is called by its line, without `task` its task is "" (not told). Raises `QuestionError` for
    what is no question and for an id that comes twice, `OSError` for a file that cannot be read.
    """
    questions: dict[str, Question] = {}
    for number, line in enumerate(path.read_text("utf-8").split("\n"), 1):
        if line.strip():
            where = f"{path.name}, line {number}"
            question = _question(line, number, where)
            if question.id in questions:
                raise QuestionError(f"{where}: its id stands on an earlier line too")
            questions[question.id] = question
    return list(questions.values())


def render(questions: Iterable[Question]) -> str:
    """The text of such a file; what has its usual value is left out."""
    return "".join(json.dumps(_row(question), ensure_ascii=False) + "\n" for question in questions)


def tasks(questions: Sequence[Question]) -> dict[str, int]:
    """How many questions each task has, by name."""
    names = sorted({question.task for question in questions})
    return {name: sum(question.task == name for question in questions) for name in names}


def _row(question: Question) -> dict[str, Any]:
    row = asdict(question)
    usual = {"wrong": (), "system": "", "max_tokens": MOST_TOKENS}
    return {name: value for name, value in row.items() if name not in usual or value != usual[name]}


def _question(line: str, number: int, where: str) -> Question:
    try:
        row = json.loads(line)
    except ValueError:
        raise QuestionError(f"{where}: not JSON") from None
    if not isinstance(row, dict) or not isinstance(row.get("prompt"), str) or not row["prompt"].strip():
        raise QuestionError(f"{where}: an object with a `prompt` is needed")
    unknown = row.keys() - {field.name for field in fields(Question)}
    if unknown:
        raise QuestionError(f"{where}: a question has no such member as one that stands here")
    if not isinstance(row.get("truth"), str) or row.get("grader") not in GRADERS:
        raise QuestionError(f"{where}: `truth` is a string, `grader` one of {', '.join(GRADERS)}")
    wrong, most = row.get("wrong", []), row.get("max_tokens", MOST_TOKENS)
    texts = (row.get("id", f"{number}"), row.get("task", ""), row.get("system", ""))
    if not isinstance(wrong, list) or not all(isinstance(each, str) for each in (*wrong, *texts)):
        raise QuestionError(f"{where}: `wrong` is a list of strings; `id`, `task` and `system` are strings")
    if not isinstance(most, int) or isinstance(most, bool) or not 1 <= most <= 4096:
        raise QuestionError(f"{where}: `max_tokens` is a whole number from 1 to 4096")
    _check_truth(row["truth"], row["grader"], where)
    return Question(texts[0], texts[1], row["prompt"], row["truth"], row["grader"], tuple(wrong), texts[2], most)


def _check_truth(truth: str, grader: Grader, where: str) -> None:
    try:
        if grader == "number":
            float(truth)
        elif grader == "json":
            json.loads(truth)
    except ValueError:
        raise QuestionError(f"{where}: `truth` is not what the grader `{grader}` compares with") from None
