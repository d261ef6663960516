"""Nationality, religion and politics: found where somebody is said to be of a group, not where a group is spoken of."""

from __future__ import annotations

import pytest

from classifiers.detectors.base import WALL, Piece
from classifiers.detectors.groups import GroupDetector
from tests.bench.sensitivity_groups import sentences


@pytest.fixture(scope="module")
def detector() -> GroupDetector:
    return GroupDetector()


def found(detector: GroupDetector, text: str) -> list[str]:
    data = text.encode()
    return [data[each.start : each.end].decode() for each in detector.detect(Piece(data, 0, len(data)), ())]


@pytest.mark.parametrize(("language", "text", "start", "end"), list(sentences()))
def test_what_is_said_of_somebody_is_found(
    detector: GroupDetector, language: str, text: str, start: int, end: int
) -> None:
    assert text.encode()[start:end].decode() in found(detector, text)


@pytest.mark.parametrize(
    "text",
    [
        "Translate this into French.",
        "Turkish coffee is strong.",
        "The Catholics and the Protestants fought for thirty years.",
        "Who are famous Polish composers?",
        "Polish this text please, I was pole dancing.",
        "Is this in English? He speaks Italian.",
        "Write about socialist realism.",
        "The dish is Italian.",
        "What is the Republican party's platform?",
        "How many Muslims live in France?",
        "You are a French teacher. Act as an Italian chef.",
        "A romantic evening, germane to the question, in the chineseness of it.",
        "Welche deutschen Städte liegen am Rhein?",
        "Traduis ce texte en espagnol.",
        "Le café turc est fort.",
        "Receta de tortilla española.",
        "Chi ha scritto poesie siciliane e russe?",
        "Wat zijn Griekse zuilen?",
    ],
)
def test_a_group_that_is_only_spoken_of_is_not(detector: GroupDetector, text: str) -> None:
    assert found(detector, text) == []


def test_a_members_name_says_whose_its_value_is(detector: GroupDetector) -> None:
    data = b"nationality\n:\nSyrian" + WALL + b"dish\n:\nSyrian"
    assert [(each.start, each.entity_type) for each in detector.detect(Piece(data, 0, len(data)), ())] == [(14, "NRP")]


def test_what_stands_behind_a_wall_says_nothing_of_it(detector: GroupDetector) -> None:
    data = b"she is " + WALL + b"Turkish"
    assert detector.detect(Piece(data, 0, len(data)), ()) == []
