"""Graders: an answer is graded as a person would grade it by the rule, near misses included."""

from __future__ import annotations

from typing import Any

import pytest

from router.calibration.graders import is_good, is_right
from router.calibration.questions import Grader, Question


@pytest.mark.parametrize(
    ("grader", "truth", "wrong", "answer", "right"),
    [
        ("mention", "Paris", (), "The capital of France is Paris.", True),
        ("mention", "Paris", (), "It is a comparison.", False),
        ("mention", "Paris", (), "It is Lyon.\nOr Paris.", False),
        ("mention", "Kyiv|Kiev", (), "Kiev", True),
        ("mention", "carbon dioxide", (), "They take in Carbon  Dioxide (CO2).", True),
        ("mention", "no|false", ("yes|true",), "True, it is false.", False),
        ("label", "positive", ("negative",), "Positive.", True),
        ("mention", "Athens", ("Nairobi",), "The capital of Greece is Athens, not Nairobi.", True),
        ("mention", "Baghdad", ("Quito",), "The capital of Iraq is indeed Quito, not Baghdad.", False),
        ("mention", "2", ("5",), "2 is smaller than 5.", True),
        ("mention", "no|false", ("yes|true",), 'No, "Snakes have legs" is not true. They have none.', True),
        ("mention", "no|false", ("yes|true",), "The statement is not true.", True),
        ("mention", "yes|true", ("no|false",), "False. While it is true that cows give milk, goats do too.", False),
        ("mention", "forest", ("silver",), "It is the first element. That is `forest`.", True),
        ("mention", "Yuki has a cat", ("Tom",), 'Yuki has a cat.\n\nHere "Tom" is another name.', True),
        ("mention", "grey", ("piano",), "A) grey\n\nThe correct answer is C) piano.", False),
        ("mention", "grey", ("piano",), "A) piano\n\nThe correct answer is C) grey.", False),
        ("label", "positive", ("negative",), "Positive, not negative.", True),
        ("label", "positive", ("negative",), "It is positive. It is also negative.", False),
        ("label", "The door is not open", (), "The door is not open.", True),
        ("label", "The door is not open", (), "The door is open.", False),
        ("verbatim", "FOREST", (), 'It prints "FOREST".', True),
        ("verbatim", "FOREST", (), 'It prints "forest".', False),
        ("verbatim", "goat-lion|Goat-Lion", (), "Join these words with hyphens, like a-b: goat, lion", False),
        ("label", "positive", ("negative",), "", False),
        ("number", "12", (), "7 + 5 = 12.", True),
        ("number", "1200", (), "1,200", True),
        ("number", "12", (), "12 is 7 + 5", False),
        ("number", "12", (), "twelve", False),
        ("exact", "TABLE", (), ' "TABLE". ', True),
        ("exact", "TABLE", (), "**TABLE**", True),
        ("exact", "TABLE", (), "The word is TABLE", False),
        ("exact", "a b|a  b", (), "a  b", True),
        ("json", '["a", "b"]', (), 'Here: ["a","b"] done', True),
        ("json", '["a", "b"]', (), '["b","a"]', False),
        ("json", '["a", "b"]', (), "[a, b]", False),
        ("json", '{"a": 1}', (), '```json\n{"a": 1}\n```', True),
        ("json", "[1]", (), "[1.5]", False),
        ("items", "ant, bee, cat", (), "ant, bee, cat", True),
        ("items", "ant, bee, cat", (), "Sorted: Ant, Bee, and Cat.", True),
        ("items", "ant, bee, cat", (), "1. ant\n2. bee\n3. cat", True),
        ("items", "ant, bee, cat", (), "ant, cat, bee", False),
        ("items", "ant, bee, cat", (), "ant, bee, cat, dog", False),
        ("items", "ant, bee", (), "The ant, bee", False),
        ("items", "ant, bee", (), "1. ant\n2. bee\n\nThe words are numbered, for they are a list.", True),
        ("items", "ant, bee", (), "bee, ant\n\nSorted: ant, bee", False),
        ("items", "12, 20", (), "The numbers are 12, 20.", True),
        ("words", "run|ran, dog", (), "The dog ran.", True),
        ("words", "run, dog", (), "The dogs are here.", False),
        ("words", "runs", ("dog",), "The dog runs.", False),
    ],
)
def test_an_answer_is_graded_by_its_rule(
    grader: Grader, truth: str, wrong: tuple[str, ...], answer: str, right: bool
) -> None:
    assert is_right(Question("x", "facts", "?", truth, grader, wrong), answer) is right


@pytest.mark.parametrize(
    ("choice", "good"),
    [
        ({"message": {"content": "Paris"}, "finish_reason": "stop"}, True),
        ({"message": {"content": "Paris"}, "finish_reason": "length"}, False),
        ({"message": {"content": None}, "finish_reason": "stop"}, False),
        ({"finish_reason": "stop"}, False),
    ],
)
def test_an_answer_that_was_cut_short_or_has_no_text_is_not_good(choice: dict[str, Any], good: bool) -> None:
    assert is_good(Question("x", "facts", "?", "Paris", "mention"), choice) is good
