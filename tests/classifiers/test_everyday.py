"""The everyday questions: made by their generator, and graded as a person would."""

from __future__ import annotations

import pytest

from classifiers.training.everyday import Grader, Question, generate, is_right, load


def test_the_committed_set_is_what_the_generator_makes() -> None:
    assert load() == generate()


def test_it_has_about_400_questions_of_five_tasks_and_none_twice() -> None:
    questions = load()
    assert len(questions) >= 300
    assert {question.task for question in questions} == {"facts", "sums", "extraction", "classification", "formatting"}
    assert len({question.prompt for question in questions}) == len(questions)


@pytest.mark.parametrize(
    ("grader", "truth", "wrong", "answer", "right"),
    [
        ("mention", "Paris", (), "The capital of France is Paris.", True),
        ("mention", "Paris", (), "It is a comparison.", False),
        ("mention", "Paris", (), "It is Lyon.\nOr Paris.", False),
        ("mention", "Kyiv|Kiev", (), "Kiev", True),
        ("mention", "carbon dioxide", (), "They take in Carbon  Dioxide (CO2).", True),
        ("label", "positive", ("negative",), "Positive.", True),
        ("label", "positive", ("negative",), "Positive, not negative.", False),
        ("label", "positive", ("negative",), "", False),
        ("number", "12", (), "7 + 5 = 12.", True),
        ("number", "1200", (), "1,200", True),
        ("number", "12", (), "12 is 7 + 5", False),
        ("number", "12", (), "twelve", False),
        ("exact", "TABLE", (), ' "TABLE". ', True),
        ("exact", "TABLE", (), "The word is TABLE", False),
        ("json", '["a", "b"]', (), 'Here: ["a","b"] done', True),
        ("json", '["a", "b"]', (), '["b","a"]', False),
        ("json", '["a", "b"]', (), "[a, b]", False),
    ],
)
def test_an_answer_is_graded_by_its_rule(
    grader: Grader, truth: str, wrong: tuple[str, ...], answer: str, right: bool
) -> None:
    assert is_right(Question("x", "facts", "?", truth, grader, wrong), answer) is right
