"""Questions that say the same in other words of courtesy are alike; what could turn an answer round never is."""

from __future__ import annotations

import pytest

from classifiers.likeness import Likener
from classifiers.likeness_words import CARRYING, SAME_WORDS

LIKENER = Likener()

ALIKE = [
    ("What is the capital of France?", "What's the capital of France?"),
    ("What is the capital of France?", "Hello, can you tell me what the capital of France is?"),
    ("How do I reset my password?", "how can I reset my password"),
    ("How to reset my password", "Please, how would one reset my password?"),
    ("Which is the best computer for programming?", "What is the best computer for programming"),
    ("What existed before the Big Bang?", "What really existed before the Big Bang?"),
    ("How do I buy a used car?", "How can I purchase a used automobile?"),
    ("I don't understand recursion, how does it work?", "I do not understand recursion: how does it work?"),
    ("What is “contract law”?", "What is contract law?"),
    ("Wie hoch ist der Eiffelturm?", "Wie hoch ist der Eiffelturm"),
]
APART = [
    # Negation and its kind.
    ("Is it safe to take aspirin?", "Is it not safe to take aspirin?"),
    ("Can I eat eggs every day?", "Can't I eat eggs every day?"),
    ("Which foods contain gluten?", "Which foods never contain gluten?"),
    ("How do I sleep with a cold?", "How do I sleep without a cold?"),
    ("Should I stop the antibiotics?", "Should I not stop the antibiotics?"),
    ("Name a country in Europe.", "Name no country in Europe."),
    # Numbers.
    ("What is 12 times 30?", "What is 12 times 31?"),
    ("How do I prepare for the exam in 20 days?", "How do I prepare for the exam in 2 days?"),
    ("What happened in 1914?", "What happened in 1941?"),
    ("Is 1.5 more than 1,5?", "Is 1.5 more than 15?"),
    ("How many people live in two rooms?", "How many people live in three rooms?"),
    # Names, and capitals that make one.
    ("What is the capital of France?", "What is the capital of Germany?"),
    ("Who is Anna Maier?", "Who is Anna Meier?"),
    ("How do I cook with Turkey?", "How do I cook with turkey?"),
    ("Does IT matter to you?", "Does it matter to you?"),
    ("How is the US doing?", "How is us doing?"),
    # Direction, order, person, time, opposites.
    ("How do I convert dollars to euros?", "How do I convert euros to dollars?"),
    ("Do dogs like cats?", "Do cats like dogs?"),
    ("Is there life after death?", "Is there death after life?"),
    ("What do I eat before a run?", "What do I eat after a run?"),
    ("How do I increase my weight?", "How do I decrease my weight?"),
    ("What is my balance today?", "What is your balance today?"),
    ("Who is the king of Spain?", "Who was the king of Spain?"),
    ("Are a few drinks harmful?", "Are few drinks harmful?"),
    # Another kind of question.
    ("What is red wine good for?", "Is red wine good for what?"),
    ("Is history a science?", "What is the history of science?"),
    ("Why do birds sing?", "How do birds sing?"),
    ("What should I do about rats?", "What do I do about rats?"),
    ("Who can love?", "Who can love me?"),
    # More is asked for.
    ("What is a monad?", "What is a monad? Answer in one sentence."),
    ("What does this sign mean?", "What does this sign mean: ➰?"),
    ("What is a+b?", "What is a-b?"),
    # Languages of which no word may be left out.
    ("Ist das sicher?", "Ist das nicht sicher?"),
    ("Was ist ein Bund?", "Was ist der Bund?"),
]


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_what_only_carries_a_question_may_differ(one: str, other: str) -> None:
    first, second = LIKENER.of(one), LIKENER.of(other)
    assert first is not None
    assert second is not None
    assert first.anchors == second.anchors
    assert float(first.vector @ second.vector) >= 0.9


@pytest.mark.parametrize(("one", "other"), APART)
def test_what_could_turn_an_answer_round_must_be_the_same(one: str, other: str) -> None:
    first, second = LIKENER.of(one), LIKENER.of(other)
    assert first is not None
    assert second is not None
    assert first.anchors != second.anchors


@pytest.mark.parametrize("text", ["", "Why?", "Please", "a\nb c d e f", "word " * 200, "?!", "\ud800"])
def test_a_text_that_says_too_little_or_is_no_question_is_compared_with_none(text: str) -> None:
    assert LIKENER.of(text) is None


def test_the_languages_of_two_questions_are_the_same_or_they_are_not_alike() -> None:
    english, german = (
        LIKENER.of("What is the gift of the moment here?"),
        LIKENER.of("Was ist die Gabe des Moments hier?"),
    )
    assert english is not None
    assert german is not None
    assert (english.anchors[0], german.anchors[0]) == ("en", "de")


def test_no_word_that_turns_a_sentence_round_is_left_out() -> None:
    turning = "no not never none without against before after to from more less my your me us this that was were should"
    assert not CARRYING & set(turning.split())
    assert not SAME_WORDS.keys() & set(turning.split())


def test_no_text_stands_in_a_representation() -> None:
    like = LIKENER.of("What is the canary of heliotrope?")
    assert like is not None
    assert "canary" not in repr(like)
