"""Cutting a text into pieces: the quick way and BERT's own, written out letter by letter, agree on any text."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifiers.wordpiece import WordPiece, parted, plain

VOCABULARY = (
    "the", "cat", "sat", "un", "##believ", "##able", "##s", "cafe", "1", "12", "##3", "##34", ".", ",", "'", "-", "_",
    "$", "a", "b", "##b", "##a", "##c", "中", "文", "é", "ß", "straße", "n", "##ai", "##ve", "#", "–", "\u0660", "λ",
)  # fmt: skip


def reference(text: str) -> list[int]:
    """BasicTokenizer and WordpieceTokenizer of BERT (arXiv 1810.04805), slowly; unknown words give nothing."""
    letters: list[str] = []
    for letter in unicodedata.normalize("NFD", text.lower()):
        kind = unicodedata.category(letter)
        if kind == "Mn" or (kind[0] == "C" and letter not in "\t\n\r"):
            continue
        alone = not letter.isalnum() and not letter.isspace() and unicodedata.category(letter)[0] != "M"
        chinese = 0x4E00 <= ord(letter) <= 0x9FFF or 0x3400 <= ord(letter) <= 0x4DBF
        letters.append(f" {letter} " if alone or chinese else letter)
    found: list[int] = []
    for word in "".join(letters).split():
        pieces: list[int] = []
        start = 0
        while start < len(word) <= 100:
            for end in range(len(word), start, -1):
                piece = ("##" if start else "") + word[start:end]
                if piece in VOCABULARY:
                    pieces.append(VOCABULARY.index(piece))
                    start = end
                    break
            else:
                pieces = []
                break
        found.extend(pieces)
    return found


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("The cat sat.", ["the", "cat", "sat", "."]),
        ("unbelievables", ["un", "##believ", "##able", "##s"]),
        ("UNBELIEVABLE-cats", ["un", "##believ", "##able", "-", "cat", "##s"]),
        ("Café naïve", ["cafe", "n", "##ai", "##ve"]),
        ("1234 123", ["12", "##34", "12", "##3"]),
        ("cat'a_a", ["cat", "'", "a", "_", "a"]),
        ("the 中文 cat", ["the", "中", "文", "cat"]),
        ("xyz the", ["the"]),
        ("unbelievablex", []),
        ("a" * 101, []),
        ("", []),
        ("c\u200bat", ["cat"]),
    ],
)
def test_a_text_is_cut_into_the_longest_known_pieces(text: str, pieces: list[str]) -> None:
    assert [VOCABULARY[row] for row in WordPiece(VOCABULARY).rows(text)] == pieces


@settings(max_examples=400, deadline=None)
@given(st.text(alphabet=st.sampled_from("abcnsTHE123 .,'-_$#é中文ßλ\n\t\u200b\u0301–cat"), max_size=60))
def test_the_quick_way_and_the_slow_reference_agree(text: str) -> None:
    assert WordPiece(VOCABULARY).rows(text) == reference(text)


def test_a_word_of_letters_is_remembered_and_gives_the_same_again_and_a_number_is_not() -> None:
    pieces = WordPiece(VOCABULARY)
    assert pieces.rows("unbelievable 1234") == pieces.rows("unbelievable 1234") == reference("unbelievable 1234")
    assert list(pieces._cut) == ["unbelievable"]


def test_what_is_remembered_is_bounded() -> None:
    pieces = WordPiece(VOCABULARY)
    letters = "abcdefghij"
    for number in range(9000):
        pieces.rows("x" + "".join(letters[int(digit)] for digit in str(number)))
    assert len(pieces._cut) <= 1 << 13


@given(st.text(st.characters(exclude_categories=())))
def test_a_text_that_is_parted_has_the_words_of_one_that_is_not(text: str) -> None:
    """`parted` is for the kernel, whose words are runs of ASCII letters, digits and bytes of other characters."""
    cut = re.compile(rb"[0-9A-Za-z\x80-\xff]+|[^\s\x1c-\x1f0-9A-Za-z\x80-\xff]").findall
    words = re.findall(r"[^\W_]+|[^\w\s]|_", text.lower() if text.isascii() else plain(text))
    assert cut(parted(text).lower()) == [word.encode("utf-8", "replace") for word in words]
