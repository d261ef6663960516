"""Labelled rows and the rates made of them: what counts as missed, as held back wrongly, and how sure that is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from classifiers.labelled import LEVELS, BadRow, read_labelled
from classifiers.rates import Rate, Tally, covered_share
from classifiers.types import Finding, Scan, Unknown

TEXT = "Call Jo Doe in Bonn."
NAME = {"type": "PERSON", "start": 5, "end": 11}


def finding(entity: str, start: int, end: int, pointer: str = "/messages/0/content") -> Finding:
    return Finding(entity, pointer, "value", start, end, 1.0, "test", 0)


def rows(*given: Any) -> list[Any]:
    return list(read_labelled(json.dumps(row) for row in given))


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("{", "line 2: not JSON"),
        ("[]", "line 2: not a JSON object"),
        ('{"text": "a"}', "give `spans`"),
        ('{"text": "a", "body": {}, "level": "public"}', "either `text` or `body`"),
        ('{"level": "public"}', "either `text` or `body`"),
        ('{"text": 3, "level": "public"}', "`text` must be a string"),
        ('{"body": [], "level": "public"}', "`body` must be an object"),
        ('{"text": "a", "level": "secret"}', "`level` must be one of public, internal"),
        ('{"text": "a", "level": "public", "lang": "en"}', "unknown member 'lang'"),
        ('{"text": "a", "level": "public", "language": 3}', "`language` must be a string"),
        ('{"text": "a", "spans": {}}', "`spans` must be a list"),
        ('{"text": "a", "spans": [{"type": "PERSON"}]}', "needs whole numbers"),
        ('{"text": "a", "spans": [{"start": 0, "end": 1}]}', "must be an object with `type`"),
        ('{"text": "abc", "spans": [{"type": "PERSON", "start": 2, "end": 2}]}', "0 <= start < end"),
        ('{"text": "abc", "spans": [{"type": "PERSON", "start": 0, "end": 4}]}', "beyond the end of the text (3"),
        ('{"body": {"a": "x"}, "spans": [{"type": "A", "start": 0, "end": 1}]}', "pointer is missing"),
        ('{"body": {"a": 3}, "spans": [{"type": "A", "start": 0, "end": 1, "pointer": "/a"}]}', "leads to no string"),
    ],
)
def test_a_bad_row_is_named_by_its_line_and_its_fault(row: str, why: str) -> None:
    with pytest.raises(BadRow) as error:
        list(read_labelled(['{"text": "fine", "spans": []}', row]))
    assert str(error.value).startswith("line 2: ")
    assert why in str(error.value)


def test_a_row_of_a_body_points_into_it_and_blank_lines_are_left_out() -> None:
    body = {"messages": [{"role": "user", "content": [{"type": "text", "text": TEXT}]}]}
    span = {**NAME, "pointer": "/messages/0/content/0/text"}
    (row,) = read_labelled(["\n", json.dumps({"body": body, "spans": [span]}), ""])
    assert row.id == "line 2"
    assert row.spans[0].pointer == "/messages/0/content/0/text"
    assert TEXT not in repr(row)


@pytest.mark.parametrize(
    ("found", "share"),
    [
        ((), 0.0),
        ((("PERSON", 5, 11),), 1.0),
        ((("ORGANIZATION", 5, 11),), 1.0),  # of whatever type: it is held back all the same
        ((("PERSON", 5, 8),), 0.5),
        ((("PERSON", 5, 8), ("PERSON", 7, 11)), 1.0),
        ((("PERSON", 11, 20),), 0.0),
        ((("MEDICAL", 0, 20),), 0.0),  # says nothing about the name in it
    ],
)
def test_a_span_is_found_where_findings_cover_it(found: tuple[tuple[str, int, int], ...], share: float) -> None:
    (row,) = rows({"text": TEXT, "spans": [NAME]})
    scan = Scan(tuple(finding(*each) for each in found))
    assert covered_share(row.spans[0], scan) == share


def test_a_tally_tells_what_was_missed_from_what_was_held_back_wrongly() -> None:
    tally = Tally()
    missed, wrong, right = rows(
        {"id": "missed", "text": TEXT, "spans": [NAME], "language": "en"},
        {"id": "wrong", "text": TEXT, "spans": [], "language": "en"},
        {"id": "right", "text": TEXT, "spans": [NAME], "language": "de"},
    )
    tally.add(missed, Scan(), 2, 0, LEVELS)
    tally.add(wrong, Scan((finding("PERSON", 5, 11), finding("LOCATION", 15, 19))), 0, 2, LEVELS)
    tally.add(right, Scan((finding("PERSON", 5, 11),)), 2, 2, LEVELS)
    assert tally.missed == {("PERSON", "en"): 1, ("PERSON", "de"): 0}
    assert tally.labelled == {("PERSON", "en"): 1, ("PERSON", "de"): 1}
    assert tally.over == {("PERSON", "en"): 1, ("LOCATION", "en"): 1}
    assert tally.rows == {"en": 2, "de": 1}
    assert (tally.too_low["en"], tally.sensitive["en"]) == (1, 1)
    assert (tally.too_high["en"], tally.too_high["de"]) == (1, 0)
    assert [name for _, name in tally.worst_missed] == ["missed"]
    assert [name for _, name in tally.worst_over] == ["wrong"]


def test_what_could_not_be_read_in_a_text_that_is_labelled_harmless_is_held_back_wrongly() -> None:
    tally = Tally()
    (row,) = rows({"text": TEXT, "spans": []})
    tally.add(row, Scan((), (Unknown("unsupported_language", "/messages/0/content", "language"),)), 0, 3, LEVELS)
    assert tally.over == {("unsupported_language", ""): 1}


def test_an_interval_narrows_with_the_count_and_never_leaves_0_to_1() -> None:
    assert Rate(0, 0).interval == (0.0, 1.0)
    low, high = Rate(0, 100).interval
    assert low == 0.0
    assert high == pytest.approx(0.0370, abs=1e-4)
    low, high = Rate(50, 100).interval
    assert (low, high) == (pytest.approx(0.4038, abs=1e-4), pytest.approx(0.5962, abs=1e-4))
    assert Rate(1000, 1000).interval[1] == 1.0
