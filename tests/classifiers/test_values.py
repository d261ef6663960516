"""Values are compared in a form in which their spelling does not count, and only their spelling."""

from __future__ import annotations

import hashlib

import pytest

from classifiers.detectors.base import WALL, Piece
from classifiers.detectors.hashed_terms import HashedTermDetector
from classifiers.types import Dictionary
from classifiers.values import comparable, salted_hash

SALT = "WcQ9sPzE"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ada Lovelace", "ADA   lovelace"),
        ("Ada Lovelace", "ada-lovelace"),
        ("Ada Lovelace", "ada_lovelace"),
        ("4111 1111 1111 1111", "4111-1111-1111-1111"),
        ("4111 1111 1111 1111", "4111111111111111"),
        ("GB82 WEST 1234 5698 7654 32", "gb82west12345698765432"),
        ("(212) 555-2368", "212 555 2368"),
        ("café", "cafe\u0301"),
        ("ＡＢＣ", "abc"),
        ("Straße", "STRASSE"),
        ("info@example.com", "Info@Example.com"),
    ],
)
def test_these_are_the_same_value(one: str, other: str) -> None:
    assert comparable(one) == comparable(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("10.1.2.3", "101.2.3"),
        ("1.2.34.5", "1.23.4.5"),
        ("ab cd", "abcd"),
        ("a@b.c", "a b.c"),
        ("AT&T", "AT T"),
        ("Ada Lovelace", "Ada Lovelac"),
        ("ann\x00lee", "ann lee"),
    ],
)
def test_these_are_not(one: str, other: str) -> None:
    assert comparable(one) != comparable(other)


def test_the_hash_can_be_made_with_common_tools() -> None:
    assert salted_hash(SALT, "  Ada Lovelace") == hashlib.sha256(b"WcQ9sPzE:ada lovelace").hexdigest()


def found(text: bytes, *terms: str, words: int = 4) -> list[bytes]:
    hashes = tuple(salted_hash(SALT, term) for term in terms)
    detector = HashedTermDetector(Dictionary("names", hashes=hashes, salt=SALT, words=words))
    matches = detector.detect(Piece(text, 0, len(text)), ())
    assert all((match.entity_type, match.score) == ("names", 1.0) for match in matches)
    return [text[match.start : match.end] for match in matches]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ask Ada Lovelace.", "Ada Lovelace"),
        ("ada  LOVELACE", "ada  LOVELACE"),
        ("é – Ada Lovelace – é", "Ada Lovelace"),
        ("row;Ada-Lovelace;1815", "Ada-Lovelace"),
        ("account 12 34 56-78 of", "12 34 56-78"),
        ("account 12345678.", "12345678"),
        ("Mary Ada Lovelace Byron", "Ada Lovelace"),
        ("Ada Love lace", None),
        ("Lovelace Ada", None),
        ("Ada, Lovelace", "Ada, Lovelace"),
        ("Ada Lovelaces", None),
        ("12.34.56.78", None),
        ("Ada" + WALL.decode() + "Lovelace", None),
    ],
)
def test_hashed_terms_are_found_as_whole_words(text: str, expected: str | None) -> None:
    assert found(text.encode(), "Ada Lovelace", "12345678") == ([expected.encode()] if expected else [])


def test_a_term_has_at_most_the_words_that_the_dictionary_says_and_the_longest_one_counts() -> None:
    assert found(b"one two three", "one two three", words=2) == []
    assert found(b"one two three", "one two three", "one two", words=3) == [b"one two three"]


def test_a_dictionary_shows_neither_terms_nor_hashes_of_what_it_read() -> None:
    piece = Piece(b"Ada Lovelace", 0, 12)
    assert "Ada" not in repr(piece)
