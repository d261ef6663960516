"""Where strings stand in a JSON text, and that one can be rewritten without a change to anything else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from classifiers.written import rewrite, span_in, strings_in

SLOWLY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # on a busy machine

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


def leaves(value: Any, pointer: str = "") -> dict[str, str]:
    if isinstance(value, str):
        return {pointer: value}
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = {}
    for key, child in items:
        found |= leaves(child, f"{pointer}/{str(key).replace('~', '~0').replace('/', '~1')}")
    return found


@SLOWLY
@given(VALUES, st.booleans(), st.sampled_from([None, 1]))
def test_every_string_value_is_found_with_its_pointer_and_its_place(
    value: Any, is_escaped: bool, indent: int | None
) -> None:
    text = json.dumps(value, ensure_ascii=is_escaped, indent=indent)
    found = strings_in(text)
    assert found is not None
    assert {pointer: each.value for pointer, each in found.items()} == leaves(value)
    assert all(json.loads(text[each.start : each.end]) == each.value for each in found.values())


@SLOWLY
@given(VALUES, st.booleans(), st.text(max_size=8))
def test_a_rewritten_string_is_the_only_change(value: Any, is_escaped: bool, new: str) -> None:
    text = json.dumps(value, ensure_ascii=is_escaped)
    for pointer in leaves(value):
        changed = leaves(json.loads(rewrite(text, {pointer: new})))
        assert changed == {**leaves(value), pointer: new}


def test_numbers_blanks_and_escapes_stay_as_they_are_written() -> None:
    text = '{ "a": "x",\n "n": 1.50e3, "u": "\\u00fc", "b": "\\u00fc" }'
    assert rewrite(text, {"/a": 'q"', "/b": "ö"}) == text.replace('"x"', '"q\\""').replace(
        '"b": "\\u00fc"', '"b": "\\u00f6"'
    )


@pytest.mark.parametrize("text", ["", "{", '{"a": 1, "a": 2}', '{"a": 1, "\\u0061": 2}', '{"a": NaN}', '["\\ud800"]'])
def test_what_its_readers_could_read_differently_has_no_places(text: str) -> None:
    assert strings_in(text) is None


@pytest.mark.parametrize(
    ("literal", "span", "expected"),
    [
        ('"plain"', (1, 6), (0, 5)),
        ('"plain"', (0, 7), (0, 5)),
        ('"\\u00fcber \\"x\\""', (7, 10), (1, 4)),
        ('"\\ud83d\\ude00 ok"', (1, 13), (0, 1)),
        ('"\\ud83d\\ude00 ok"', (9, 15), (0, 3)),
    ],
)
def test_a_span_as_written_is_a_span_of_what_is_said(
    literal: str, span: tuple[int, int], expected: tuple[int, int]
) -> None:
    text = f"[{literal}, 1]"
    found = strings_in(text)
    assert found is not None
    assert span_in(text, found["/0"], span[0] + 1, span[1] + 1) == expected
    assert span_in(text, found["/0"], 0, 3) is None
