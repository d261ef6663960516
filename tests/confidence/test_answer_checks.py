"""What can be checked of an answer without its truth: what passes a check, what breaks it, what it leaves alone."""

from __future__ import annotations

import time

import pytest

from router.confidence.answer_checks import NAMES, checks, listed
from router.confidence.asked import asked_of


def of(question: str, answer: str, *, is_over: bool = True) -> dict[str, float]:
    asked = asked_of({"messages": [{"role": "user", "content": question}]})
    return dict(zip(NAMES, checks(answer, asked, is_over=is_over), strict=True))


@pytest.mark.parametrize(
    ("question", "answer", "proved", "breaks"),
    [
        ("What is 8 + 4?", "To add them: 8 + 4 = 12.", 1, 0),
        ("What is 8 + 4?", "8 + 4 = 13.", 0, 2),  # the wrong result, in an equation that is false
        ("Calculate 41 plus 18.", "It is 59.", 1, 0),
        ("What is 30 divided by 10?", "The result is 4.", 0, 1),
        ("What is 7 - 3?", "4", 1, 0),
        ("Call 555-0123 before 2026-05-01.", "I did on 2026-05-01.", 0, 0),  # no sum
        ("Explain 9 divided by 0.", "There is no such number.", 0, 0),
        ("Tom has 3 apples and gets 4. How many?", "3 apples + 4 apples = 8 apples.", 0, 1),
        ("How many legs has a spider?", "A few.", 0, 1),  # a number was asked for
        ('Rewrite in upper case: "a cat"', "A CAT", 1, 0),
        ('Rewrite in upper case: "a cat"', "A cat", 0, 1),
        ("Sort these words alphabetically: dog, bear, ant", "ant, bear, dog", 1, 0),
        ("Sort these words alphabetically: dog, bear, ant", "dog, bear, ant", 0, 1),
        ("Sort these numbers from smallest to largest: 9, 100, 20", "9, 20, 100", 1, 0),
        ("Sort these numbers in ascending order: 2, ²", "2, ²", 1, 0),  # a digit that is no number
        ("Write this list in reverse order: fig, pear", "Pear, fig", 1, 0),
        ('Give me JSON with "name" and "city". Tom lives in Lyon.', '{"name": "Tom", "city": "Lyon"}', 1, 0),
        ('Give me JSON with "name" and "city". Tom lives in Lyon.', '{"person": "Tom"}', 0, 1),
        ("Turn these numbers into a JSON array: 1, 2", '{"a": [1, 2]}', 0, 1),
        ("Turn these numbers into a JSON array: 1, 2", "[1, 2", 0, 1),
        ("Is this positive or negative? Good.", "Positive.", 0, 0),
        ("Is this positive or negative? Good.", "It is positive and negative.", 0, 1),
        ("Is this positive or negative? Good.", "It is a review.", 0, 1),
        ("Which is a tool?\nA) saw\nB) pear", "B) pear", 0, 0),
        ("Which is a tool?\nA) saw\nB) pear", "A) saw\n\nThe correct answer is B) pear.", 0, 1),
        ("Say hello.", "I'm sorry, as an AI I cannot.", 0, 1),
        ("Say hello.", "Hello!", 0, 0),
        ("", "", 0, 0),
    ],
)
def test_what_is_asked_is_found_met_or_broken(question: str, answer: str, proved: int, breaks: int) -> None:
    found = of(question, answer)
    assert (found["proved"], found["breaks"]) == (proved, breaks)


@pytest.mark.parametrize(
    ("question", "beginning"),
    [
        ("What is 8 + 4?", "To add 8 and 4,"),
        ('Rewrite in upper case: "a cat"', "The"),
        ("Sort these words alphabetically: dog, bear, ant", "The order is"),
        ("Turn these numbers into a JSON array: 1, 2", "[1,"),
        ("Is this positive or negative? Good.", "This review"),
    ],
)
def test_what_has_not_come_yet_is_not_held_against_a_beginning(question: str, beginning: str) -> None:
    assert of(question, beginning)["breaks"] > 0
    assert of(question, beginning, is_over=False)["breaks"] == 0


@pytest.mark.parametrize(
    ("question", "options"),
    [
        ("Which is it?\nA) a sofa\nB) grey", [" a sofa ", " grey "]),
        ('Which fits: "red", "blue" or "green"?', [" red ", " blue ", " green "]),
        ("Topic (one of: sports, cooking, weather) of this:", [" sports ", " cooking ", " weather "]),
        ("What is the capital of France?", []),
        ("A) only one", []),
    ],
)
def test_options_are_read_from_the_question(question: str, options: list[str]) -> None:
    assert listed(question) == options


def test_words_and_numbers_are_compared_with_those_of_the_question() -> None:
    found = of("What is the capital of France?", "The capital of France is Paris. It has 2 rivers.")
    assert found["restates"] == pytest.approx(2 / 3)  # capital, france; not what
    assert found["copies"] == pytest.approx(4 / 10)  # the capital of france
    assert found["invented"] > 0
    assert found["strange"] > 0
    assert found["closed"] == 1
    echoed = of("What is the capital of France?", "What is the capital of France?")
    assert (echoed["copies"], echoed["invented"], echoed["strange"]) == (1, 0, 0)


def test_the_kind_of_request_is_told() -> None:
    assert of("Translate 'dog' to Spanish.", "perro")["translates"] == 1
    assert of("What does this Python code print?", "1")["code"] == 1
    assert of("Write a poem.", "A poem.")["orders"] == 1
    assert of("Is it late?", "No.")["asks"] == 1
    assert of("Summarise: a long text that is given.", "Text.")["given"] > 0.5


@pytest.mark.parametrize("part", ["a, ", "1 + ", "a", "1", '"', "(", "one or ", "labels ", "A) a\n", "12 apples "])
def test_a_hostile_text_takes_no_time(part: str) -> None:
    """Ten times as much of it takes no longer than what is read of it: each pattern's work is bounded."""
    text = (part * 8000)[:8000]
    asked = asked_of({"messages": [{"role": "user", "content": text}]})
    started = time.process_time()
    for _ in range(3):
        checks(text, asked)
    assert time.process_time() - started < 0.6  # it was seconds where a pattern began anew at each letter
