"""Things named after people, identifiers and small words are nobody; who is named beside them still is somebody."""

from __future__ import annotations

import pytest

from classifiers.detectors.base import Piece
from classifiers.detectors.names import NameDetector
from classifiers.detectors.namesakes import Lists, is_namesake
from classifiers.tagger import load
from classifiers.tagger_features import tokenize


@pytest.fixture(scope="module")
def detector() -> NameDetector:
    return NameDetector()


@pytest.fixture(scope="module")
def lists() -> Lists:
    model = load()
    return Lists(model.listed, model.known)


def named(text: str, name: str, lists: Lists, score: float = 0.8) -> bool:
    """Whether the name, which stands in the text, is found to be nobody's."""
    tokens = tokenize(text)
    at = text.index(name)
    ends, end = [], 0
    for token in tokens:
        end += len(token)
        ends.append(end)
    first = next(place for place, stop in enumerate(ends) if stop > at)
    last = next(place for place, stop in enumerate(ends) if stop >= at + len(name))
    return is_namesake(tokens, first, last, score, lists)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Define the Nash equilibrium.", "Nash"),
        ("What does Hardy-Weinberg equilibrium mean?", "Hardy-Weinberg"),
        ("State Ohm's law.", "Ohm"),
        ("Use Stokes\u2019 theorem here.", "Stokes"),
        ("She lives with Parkinson's disease.", "Parkinson"),
        ("Who won the Nobel Prize last year?", "Nobel"),
        ("A Turing machine halts or does not.", "Turing"),
        ("Translate this loop to PowerShell.", "PowerShell"),
        ("The Dutch say that this evening, vanavond, It will rain in Utrecht.", "vanavond"),
        ("we switched on MFA for every account of the team", "MFA"),
        ("texture\n:\nSilky, healthy shine", "Silky"),
        ("look\n:\nFresh-faced, youthful", "Fresh-faced"),
        ("Ottoman-style arches", "Ottoman-style"),
        ("Explain Python's GIL to somebody who knows threads.", "GIL"),
        ("Ask the Kitchen team about it.", "Kitchen"),
        ("the MAX is what the machine can lift", "MAX"),
    ],
)
def test_what_is_named_after_somebody_is_nobody(text: str, name: str, lists: Lists) -> None:
    assert named(text, name, lists)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("John Nash equilibrium notes", "John Nash"),  # a first name with a family name
        ("We met Weber's daughter.", "Weber"),
        ("Ask the Smith law firm.", "Smith"),
        ("Weber prize money is here", "Weber"),  # an honour has a capital of its own
        ("Call McDonald today.", "McDonald"),
        ("Please write to JohnSmith about it.", "JohnSmith"),
        ("my sister is called mireille and lives here", "mireille"),  # no capitals anywhere
        ("Tell Anna and Peter that tom is late, Thanks", "tom"),  # a listed name
        ("passenger\n:\nJaylee", "Jaylee"),  # all of a value
        ("guest\n:\nAnna and two children", "Anna"),  # a listed name
        ("Ask Jean-paul about it.", "Jean-paul"),
        ("CALL MRS OKORO AND SAY THAT SHE IS LATE", "OKORO"),
    ],
)
def test_who_may_be_somebody_stays_one(text: str, name: str, lists: Lists) -> None:
    assert not named(text, name, lists)


def test_a_word_by_which_nobody_is_called_is_a_name_where_the_tagger_is_very_sure(lists: Lists) -> None:
    assert not named("My name is Kitchen.", "Kitchen", lists, score=0.97)
    assert named("Choose a Kitchen, please.", "Kitchen", lists, score=0.9)


def test_a_very_sure_acronym_stays_a_name(lists: Lists) -> None:
    assert not named("we switched on MFA for every account of the team", "MFA", lists, score=0.97)


def test_the_detector_asks(detector: NameDetector) -> None:
    def found(text: str) -> set[str]:
        data = text.encode()
        people = [each for each in detector.detect(Piece(data, 0, len(data)), ()) if each.entity_type == "PERSON"]
        return {data[each.start : each.end].decode() for each in people}

    assert "Nash" not in found("Define Nash equilibrium.")
    assert "Margaret Nash" in found("My name is Margaret Nash.")
