"""The question sets: the shipped one is what its generator makes; an admin's own is read or refused by its line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from classifiers.training.everyday import TASKS, generate
from router.calibration.graders import is_right
from router.calibration.questions import MOST_TOKENS, Question, QuestionError, everyday, read_questions, render, tasks


def test_the_shipped_set_is_what_the_generator_makes() -> None:
    assert everyday() == generate()


def test_it_has_questions_enough_of_each_of_its_tasks_and_none_twice() -> None:
    questions = everyday()
    counted = tasks(questions)
    assert counted.keys() == TASKS.keys()
    assert len(counted) == 26
    assert min(counted.values()) >= 30
    assert len({question.prompt for question in questions}) == len(questions)


def _best_answer(question: Question) -> str:
    if question.grader == "words":
        return " ".join(term.partition("|")[0] for term in question.truth.split(","))
    truth = question.truth.partition("|")[0]
    return truth.upper() if question.grader == "label" and truth.isupper() else truth


def test_every_truth_is_graded_right_and_repeating_the_question_is_not_for_nearly_all() -> None:
    """A task where the prompt itself holds the answer in the asked form (repeat this sentence) is the exception."""
    questions = everyday()
    assert [each.id for each in questions if not is_right(each, _best_answer(each))] == []
    echoed = [each.id for each in questions if is_right(each, each.prompt)]
    assert len(echoed) < 0.1 * len(questions)


def test_a_set_of_ones_own_needs_only_prompt_truth_and_grader(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text('{"prompt": "2 + 2?", "truth": "4", "grader": "number"}\n\n')
    assert read_questions(path) == [Question("1", "", "2 + 2?", "4", "number")]


def test_what_is_written_is_read_back_whatever_its_characters(tmp_path: Path) -> None:
    """U+2028 ends a line for `str.splitlines`, but not in JSON lines."""
    given = [
        Question("a", "facts", "one\u2028two\x85three", "x|y", "mention", ("z",), "You are terse.", 12),
        Question("b", "", "plain", "[1]", "json"),
    ]
    path = tmp_path / "own.jsonl"
    path.write_text(render(given), "utf-8")
    assert read_questions(path) == given
    assert given[1].max_tokens == MOST_TOKENS


GOOD = {"prompt": "SECRET?", "truth": "1", "grader": "number"}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "not JSON"),
        ("[]", "prompt"),
        (json.dumps(GOOD | {"prompt": " "}), "prompt"),
        (json.dumps(GOOD | {"grader": "feeling"}), "grader"),
        (json.dumps(GOOD | {"truth": 1}), "truth"),
        (json.dumps(GOOD | {"truth": "one"}), "number"),
        (json.dumps(GOOD | {"truth": "{", "grader": "json"}), "json"),
        (json.dumps(GOOD | {"wrong": "no"}), "wrong"),
        (json.dumps(GOOD | {"task": 3}), "task"),
        (json.dumps(GOOD | {"max_tokens": 0}), "max_tokens"),
        (json.dumps(GOOD | {"max_tokens": True}), "max_tokens"),
        (json.dumps(GOOD | {"SECRET": 1}), "member"),
    ],
)
def test_what_is_no_question_is_refused_by_its_line_and_without_its_content(
    tmp_path: Path, line: str, says: str
) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text(json.dumps(GOOD) + "\n" + line + "\n")
    with pytest.raises(QuestionError, match=rf"own\.jsonl, line 2.*{says}") as caught:
        read_questions(path)
    assert "SECRET" not in str(caught.value)


def test_an_id_that_comes_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text((json.dumps(GOOD | {"id": "a"}) + "\n") * 2)
    with pytest.raises(QuestionError, match="line 2"):
        read_questions(path)
