"""The identifiers that detection is evaluated with are what they say they are."""

from __future__ import annotations

import phonenumbers
import pytest
from stdnum import iban, luhn

from tests.support.identifiers import CLEAN, ENTITIES, LANGUAGES, sentences, values


@pytest.mark.parametrize("entity", ENTITIES)
def test_identifiers_are_all_different_and_the_same_for_the_same_seed(entity: str) -> None:
    made = values(entity, 60, seed=3)
    assert len({value.text for value in made}) == 60
    assert made == values(entity, 60, seed=3)
    assert made != values(entity, 60, seed=4)


@pytest.mark.parametrize("entity", ENTITIES)
def test_a_sentence_holds_its_identifier_where_it_says_so(entity: str) -> None:
    made = sentences(entity, 60)
    assert [sentence.value for sentence in made if sentence.language not in LANGUAGES] == []
    assert [sentence.value for sentence in made] == [value.text for value in values(entity, 60)]


def test_sentences_can_be_had_in_one_language() -> None:
    for entity in CLEAN:
        assert {sentence.language for sentence in sentences(entity, 20, languages=("de",))} == {"de"}


def test_numbers_are_valid() -> None:
    assert all(luhn.is_valid("".join(filter(str.isdigit, value.text))) for value in values("CREDIT_CARD", 200))
    accounts = [value.text.translate({ord(gap): None for gap in " -.\u00a0"}) for value in values("IBAN_CODE", 200)]
    assert all(iban.is_valid(account, check_country=False) for account in accounts)
    numbers = [
        value.text for value in values("PHONE_NUMBER", 200) if value.text.startswith("+") and "(" not in value.text
    ]
    assert all(phonenumbers.is_valid_number(phonenumbers.parse(number, None)) for number in numbers)
    assert len(numbers) > 40


def test_there_are_many_kinds_of_secrets() -> None:
    assert len({value.kind for value in values("SECRET", 200)}) >= 25
