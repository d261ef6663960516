"""Bodies are read strictly: what two parsers could read differently is refused, and no error repeats what was sent."""

from __future__ import annotations

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.api.parse import parse_json_object
from router.errors import InvalidRequest

TEXT = st.text(alphabet=st.characters(codec="utf-8"), max_size=8) | st.sampled_from(['\\"', "\\\\", '"', "\\u0022"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


def has_duplicates(raw: bytes) -> bool:
    found = False

    def look(pairs: list[tuple[str, object]]) -> dict[str, object]:
        nonlocal found
        found = found or len(pairs) != len(dict(pairs))
        return dict(pairs)

    json.loads(raw, object_pairs_hook=look)
    return found


@given(st.dictionaries(TEXT, JSON, max_size=5), st.booleans())
def test_a_body_without_duplicates_is_read_as_it_is(body: dict[str, object], ascii_only: bool) -> None:
    raw = json.dumps(body, ensure_ascii=ascii_only, indent=1).encode()
    assert parse_json_object(raw, 64) == body


@given(st.dictionaries(TEXT, JSON, min_size=1, max_size=4), JSON, st.integers(0, 3), st.booleans())
def test_a_key_that_stands_twice_is_refused_wherever_it_stands(
    body: dict[str, object], value: object, depth: int, ascii_only: bool
) -> None:
    key = next(iter(body))
    inner = json.dumps(body, ensure_ascii=ascii_only)
    twice = "{" + json.dumps(key, ensure_ascii=ascii_only) + ":" + json.dumps(value) + "," + inner[1:]
    raw = ('{"a":[' * depth + twice + "]}" * depth).encode()
    assert has_duplicates(raw)
    with pytest.raises(InvalidRequest, match="duplicate key"):
        parse_json_object(raw, 64)


def test_an_escaped_spelling_of_the_same_key_is_a_duplicate() -> None:
    with pytest.raises(InvalidRequest, match="duplicate key"):
        parse_json_object(rb'{"model":"a","\u006dodel":"b"}', 64)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b"null",
        b'{"canary-7c1":',
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": "\xff\xfe canary-7c1"}',
        b'{"a": "\\ud800 canary-7c1"}',
        b'{"a": 1} canary-7c1',
        b'{"a": ' + b"[" * 5000 + b"]" * 5000 + b"}",
        orjson.dumps({"a": [[[[["canary-7c1"]]]]]}),
    ],
)
def test_what_is_no_plain_json_object_is_refused_without_an_echo(raw: bytes) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_json_object(raw, 5)
    assert refused.value.status == 400
    assert refused.value.code == "invalid_json"
    assert "canary" not in refused.value.message


def test_depth_counts_nesting_not_brackets() -> None:
    assert parse_json_object(orjson.dumps({"a": [[]] * 100}), 5) == {"a": [[]] * 100}
