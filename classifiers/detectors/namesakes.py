"""What looks like somebody's name and is none: things named after people, identifiers, acronyms, small words, phrases.

By form and place alone, never by a list of people; a first name with a family name is always somebody.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from classifiers.tagger_features import FIRST, LAST, Listed, slot

SURE: Final = 0.95  # from here on an acronym is a name all the same
_NEAR: Final = 30  # tokens to each side that show whether a text has capitals where they belong
_FEWEST: Final = 2  # words with a capital among them
_ACRONYM: Final = re.compile(r"[A-Z]{2,5}s?")
_MEMBER: Final = ["\n", ":", "\n"]  # between a member's name and its value, as a haystack has it
_HUMP: Final = re.compile(r"[a-z][A-Z]")
_PREFIXES: Final = ("Mc", "Mac", "De", "Di", "Du", "La", "Le", "Van", "Von", "Fitz")  # of family names: McDonald
_APOSTROPHES: Final = frozenset({"'", "\u2019"})
# What science names after those who found it: "Nash equilibrium", "Ohm's law", "Parkinson's disease".
_FOUND: Final = frozenset(
    """
    theorem theorems lemma equation equations inequality inequalities principle paradox conjecture equilibrium doctrine
    demon razor constant criterion syndrome disease postulates axioms
    """.split()  # noqa: SIM905  # a list of words reads better as words
)
_WITH_S: Final = _FOUND | {"law", "laws"}  # a "Smith law firm" is somebody's
_WITHOUT: Final = _FOUND | frozenset(
    """
    algorithm coding machine machines transform transforms distribution series polynomial polynomials integral integrals
    matrix cycle radiation sequence numbers
    """.split()  # noqa: SIM905  # as above
)
# What is named in somebody's honour, with a capital of its own: "Nobel Prize", "Marshall Plan".
_HONOURS: Final = frozenset(
    """
    Prize Award Medal Cup Act Doctrine Plan Accord Treaty Bridge Tower Airport Stadium Museum University Memorial Bay
    River Lake Glacier Canal Telescope Observatory Reaction Effect Scale
    """.split()  # noqa: SIM905  # as above
)


def is_namesake(tokens: Sequence[str], first: int, last: int, score: float, listed: Listed) -> bool:
    """Whether these tokens, found as a person, name a thing or nobody; `listed` is the tagger's table of names."""
    if any(tokens[at][0].isspace() for at in range(first + 1, last + 1)):
        return False
    if _names_a_thing(tokens, last):
        return True
    word = tokens[last].strip()
    if first < last:
        return tokens[last - 1] == "-" and word.islower() and not listed[slot(word)] & (FIRST | LAST)
    if (hump := _HUMP.search(word)) is not None:
        return not word.startswith(_PREFIXES) and not listed[slot(word[: hump.start() + 1])] & FIRST
    return not listed[slot(word)] & (FIRST | LAST) and (
        (word.islower() and _has_capitals(tokens, first))
        or _begins_a_phrase(tokens, first)
        or (score < SURE and _ACRONYM.fullmatch(word) is not None and _has_capitals(tokens, first, small=True))
    )


def _names_a_thing(tokens: Sequence[str], last: int) -> bool:
    at, named = last + 1, _WITHOUT
    if tokens[at : at + 1] and tokens[at] in _APOSTROPHES:
        at, named = at + (2 if list(tokens[at + 1 : at + 2]) == ["s"] else 1), _WITH_S
    behind = list(tokens[at : at + 1])
    if not behind or behind[0][0] != " ":
        return False
    word = behind[0][1:]
    return word.lower() in named or (named is _WITHOUT and word in _HONOURS)


def _begins_a_phrase(tokens: Sequence[str], place: int) -> bool:
    """Whether a member's value begins with the word and goes on in small letters: its capital says nothing."""
    if list(tokens[max(0, place - 3) : place]) != _MEMBER:
        return False
    behind = next((token.strip() for token in tokens[place + 1 : place + 3] if token.strip() != ","), "")
    return behind.isalpha() and behind.islower()


def _has_capitals(tokens: Sequence[str], place: int, small: bool = False) -> bool:
    """Whether the words around begin with capitals where they should; or, with `small`, go on in small letters."""
    around = [*tokens[max(0, place - _NEAR) : place], *tokens[place + 1 : place + 1 + _NEAR]]
    words = [word for token in around if len(word := token.strip()) > 1 and word.isalpha()]
    if small:
        return 2 * sum(word[1:].islower() for word in words) > len(words)
    return sum(word[0].isupper() and word[1:].islower() for word in words) >= _FEWEST
