"""What looks like somebody's name and is none: things named after people, identifiers, acronyms, small words, phrases.

By form and place alone, never by a list of people; a first name with a family name is always somebody.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from typing import Final, NamedTuple

from classifiers.tagger_features import FIRST, LAST, Listed, slot

SURE: Final = 0.95  # from here on an acronym, or a word by which nobody is called, is a name all the same
_NEAR: Final = 30  # tokens to each side that show whether a text has capitals where they belong
_FEWEST: Final = 2  # words with a capital among them
_ACRONYM: Final = re.compile(r"[A-Z]{2,5}s?")
_MEMBER: Final = ["\n", ":", "\n"]  # between a member's name and its value, as a haystack has it
_HUMP: Final = re.compile(r"[a-z][A-Z]")
_PREFIXES: Final = ("Mc", "Mac", "De", "Di", "Du", "La", "Le", "Van", "Von", "Fitz")  # of family names: McDonald
_ARTICLES: Final = frozenset({"the", "a", "an"})
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


class Lists(NamedTuple):
    """What the tagger knows of words: its table of names, and the slots of known words in it, in order."""

    listed: Listed
    known: Sequence[int] = ()

    def is_called_so(self, word: str, bits: int = FIRST | LAST) -> bool:
        """Whether people are called by this word."""
        return self.listed[slot(word)] & bits > 0

    def is_known(self, word: str) -> bool:
        """Whether the word is a usual one of the language, or a usual name."""
        place = slot(word)
        row = bisect_left(self.known, place)
        return row < len(self.known) and self.known[row] == place


def is_namesake(tokens: Sequence[str], first: int, last: int, score: float, lists: Lists) -> bool:
    """Whether these tokens, found as a person, name a thing or nobody."""
    if any(tokens[at][0].isspace() for at in range(first + 1, last + 1)):
        return False
    if _names_a_thing(tokens, last):
        return True
    word = tokens[last].strip()
    if first < last:
        return tokens[last - 1] == "-" and word.islower() and not lists.is_called_so(word)
    if (hump := _HUMP.search(word)) is not None:
        return not word.startswith(_PREFIXES) and not lists.is_called_so(word[: hump.start() + 1], FIRST)
    if _is_the_acronym(tokens, first, word) and score < SURE:
        return True
    return not lists.is_called_so(word) and (
        (word.islower() and _has_capitals(tokens, first))
        or _begins_a_phrase(tokens, first)
        or (score < SURE and word.istitle() and lists.is_known(word))
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


def _is_the_acronym(tokens: Sequence[str], place: int, word: str) -> bool:
    """Whether capitals stand behind an article, or are something's: "Python's GIL", "the MAX"; nobody is called so."""
    before = tokens[place - 1] if place else ""
    owned = place > 2 and before == "s" and tokens[place - 2] in _APOSTROPHES
    return (
        (owned or before.strip().lower() in _ARTICLES)
        and _ACRONYM.fullmatch(word) is not None
        and _has_capitals(tokens, place, small=True)
    )


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
