"""JSON in a string: what any reader of it would keep is read."""

from __future__ import annotations

from typing import Any

import pytest

from classifiers.nested import TooDeeply, json_in


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1}', {"a": 1}),
        (' [1, "x"]\n', [1, "x"]),
        ('{"a": "first", "a": "second"}', {"a": ["first", "second"]}),
        ('{"a": "first", "\\u0061": "second", "a": 3}', {"a": ["first", "second", 3]}),
        ('[{"b": {"a": 1, "c": "\\"", "a": 2}}]', [{"b": {"a": [1, 2], "c": '"'}}]),
        ('{"a": "\\\\", "b": "\\\\\\""}', {"a": "\\", "b": '\\"'}),
        ('{"a": "\\u0034", "b": -Infinity}', {"a": "4", "b": float("-inf")}),
        ('{"a": "\\u0034", "b": "\\ud800"}', {"a": "4", "b": "\ud800"}),
        ('{"a": "\\u0034\n"}', {"a": "4\n"}),
        ('"\\u0034\\u0032"', "42"),
    ],
)
def test_what_stands_in_the_string_is_read(text: str, value: Any) -> None:
    assert json_in(text) == value


@pytest.mark.parametrize("text", ["", " ", "plain", "{not json}", "[1, 2", '"quoted"', '"', "{", "12", "null", "{} {}"])
def test_what_is_no_json_is_none(text: str) -> None:
    assert json_in(text) is None


@pytest.mark.parametrize("depth", [1500, 100_000])
def test_what_is_too_deep_to_read_says_so(depth: int) -> None:
    with pytest.raises(TooDeeply):
        json_in("[" * depth + "]" * depth)
