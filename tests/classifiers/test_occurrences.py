"""A value is known again in other spellings, and a word that merely looks like it is not."""

from __future__ import annotations

import pytest

from classifiers.occurrences import Flat, needle_of


@pytest.mark.parametrize(
    ("value", "text", "mentions"),
    [
        ("Anna Berg", "ANNA  BERG, anna\nberg and Anna-Berg-Weg", ["ANNA  BERG", "anna\nberg", "Anna-Berg"]),
        ("Anna Berg", "Johanna Berg, Anna Berger, anna_berg", ["anna_berg"]),
        ("Will", "Will will go. WILL!", ["Will", "WILL"]),
        ("Schmidt", "schmidt and Schmidts", ["schmidt"]),
        ("+49 30 901820", "+49-30-901820 or 4930901820, not 49309018201", ["+49-30-901820", "4930901820"]),
        ("(212) 555-2368", "(212) 555 2368 / 212.555.2368", ["(212) 555 2368", "212.555.2368"]),
        ("Weißmann", "WEISSMANN", ["WEISSMANN"]),
        ("İpek Şen", "i̇pek şen", ["i̇pek şen"]),
        ("a@b.de", "A@B.DE, a@b.dem", ["A@B.DE"]),
        ("42", "42 years", []),
        ("4711", "no. 4711, 47112", ["4711"]),
        ("X", "X and x", []),
        ("--", "--", []),
        ("Jo", "Jo, JO, jo, Joe", ["Jo", "JO"]),
    ],
)
def test_mentions(value: str, text: str, mentions: list[str]) -> None:
    needle = needle_of(value)
    spans = Flat(text).spans(needle) if needle is not None else []
    assert [text[start:end] for start, end in spans] == mentions
