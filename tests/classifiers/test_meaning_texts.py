"""The texts that meaning is learned from: filled completely, the same for a seed, apart from what measures them."""

from __future__ import annotations

import random
import re

import pytest

from classifiers.training.meaning import free_texts
from classifiers.training.meaning_corpus import BENIGN, EASY, LABELS, Row, grammar
from classifiers.training.meaning_grammar import Grammar, expand
from classifiers.training.meaning_odd import VARIED, odd_texts
from classifiers.vocabulary import MEANINGS

SEEN = ("en-first", "en-second")  # read again while templates were written: their figures flatter
UNFILLED = re.compile(
    r"\{(?:first|last|company|money|person|project|\w+_obj|ask|polite)\}|\[[^\]\n\"']*\|[^\]\n\"']*\]"
)


@pytest.fixture(scope="module")
def texts() -> list[tuple[str, str]]:
    return [(template.label, text) for template, text in expand(grammar(), 2, 7)]


def test_every_meaning_has_templates_and_every_template_a_known_label(texts: list[tuple[str, str]]) -> None:
    assert {label for label, _ in texts} == {BENIGN, *MEANINGS} == set(LABELS)


def test_no_slot_and_no_choice_is_left_in_a_text(texts: list[tuple[str, str]]) -> None:
    assert [text for _, text in texts if UNFILLED.search(text)] == []


def test_the_same_seed_gives_the_same_texts_and_another_gives_others(texts: list[tuple[str, str]]) -> None:
    assert [(template.label, text) for template, text in expand(grammar(), 2, 7)] == texts
    assert [(template.label, text) for template, text in expand(grammar(), 2, 8)] != texts
    assert list(odd_texts(7)) == list(odd_texts(7))


def test_odd_texts_of_the_varied_families_are_many_and_mostly_differ() -> None:
    made = [text for family, text in odd_texts(7) if family in VARIED]
    assert len(set(made)) > 0.8 * len(made) > 1000
    assert not [text for text in made if re.search(r"(?i)password|ssn|token", text)]


@pytest.mark.parametrize("source", sorted(EASY))
def test_easy_rows_of_our_own_are_trained_on_and_flatter_no_figure(source: str) -> None:
    row = Row("Our cat sleeps all day.", BENIGN, 0.6, source, "")
    assert row.is_own
    assert not row.is_judged
    assert Row("x", BENIGN, 0.6, "frames", "").is_judged


def test_no_free_text_is_one_that_was_trained_on(texts: list[tuple[str, str]]) -> None:
    free = [row for name, rows in free_texts().items() for row in rows if name not in SEEN]
    assert len(free) > 200
    assert {row.label for row in free} == set(LABELS)
    assert not {row.text.lower() for row in free} & {text.lower() for _, text in texts}


def test_what_a_choice_and_a_slot_mean() -> None:
    made = Grammar({"stem": ["Acme"], "fruit": ["pears"]})
    draw = random.Random(1)
    assert made.fill("[red|red] {fruit}\\nof v[1], {unknown}", draw) == "red pears\nof v[1], {unknown}"
