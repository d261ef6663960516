"""The rule by which spans count as found."""

from __future__ import annotations

import pytest

from classifiers.training.tagger_evaluate import Found
from tests.bench.span_rules import Counts, compare

TEXT = "Jo Doe lives at 12 Elm Road, Bonn, since May."
ADDRESS = Found(16, 33, "ADDRESS")


@pytest.mark.parametrize(
    ("found", "counts"),
    [
        ([], Counts(0, 1, 0)),
        ([Found(16, 33, "ADDRESS")], Counts(1, 1, 1)),
        ([Found(16, 33, "PERSON")], Counts(1, 1, 1)),  # whatever it is called
        ([Found(16, 27, "STREET_ADDRESS"), Found(29, 33, "LOCATION")], Counts(1, 1, 1)),  # together they are it
        ([Found(16, 27, "STREET_ADDRESS")], Counts(0, 1, 1)),
        ([Found(16, 19, "A"), Found(19, 27, "A"), Found(29, 33, "A")], Counts(1, 1, 1)),  # neighbours of one type
        ([Found(0, 45, "PERSON")], Counts(0, 1, 1)),
        ([Found(16, 33, "ADDRESS"), Found(41, 44, "DATE_TIME")], Counts(1, 1, 2)),
        ([Found(16, 33, "ADDRESS"), Found(19, 27, "PERSON")], Counts(1, 1, 1)),  # one inside another is no second
    ],
)
def test_a_labelled_span_is_found_by_what_overlaps_it(found: list[Found], counts: Counts) -> None:
    assert compare(TEXT, [ADDRESS], found) == counts


def test_labelled_neighbours_of_one_type_are_one() -> None:
    assert compare(TEXT, [Found(0, 2, "PERSON"), Found(3, 6, "PERSON")], [Found(0, 6, "PERSON")]) == Counts(1, 1, 1)
    assert compare(TEXT, [Found(0, 2, "PERSON"), Found(3, 6, "TITLE")], [Found(0, 6, "PERSON")]).labelled == 2
