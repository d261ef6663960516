"""Bodies that nobody would write: whatever comes is answered, never with a fault of the gateway's own."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from router.fields import FIELDS
from tests.egress.positions import base
from tests.hostile.places import CANARY, Place

# The same examples at every run: a failure is one that everybody sees.
fuzzed = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
WORDS = (
    "",
    "text",
    "user",
    "assistant",
    "tool",
    "function",
    "auto",
    "cloud",
    "local",
    "image_url",
    CANARY,
    "\u0000",
    "💡",
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(WORDS),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20).map(lambda text: text + CANARY),
)
KEYS = (
    "type",
    "text",
    "role",
    "content",
    "name",
    "function",
    "arguments",
    "tool_calls",
    "url",
    "image_url",
    "data",
    "id",
)
keys = st.one_of(st.sampled_from(KEYS), st.text(st.characters(exclude_categories=["Cs"]), max_size=8))
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4), max_leaves=12
)
messages = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "system", "assistant", "tool", "developer", "function"]), "content": values},
        optional={
            "name": values,
            "tool_calls": values,
            "tool_call_id": values,
            "function_call": values,
            "audio": values,
        },
    ),
    min_size=1,
    max_size=3,
)
bodies = st.dictionaries(st.one_of(st.sampled_from(sorted(FIELDS)), keys), values, max_size=6)


class Line:
    """One kept-alive connection, opened again where the gateway closes it."""

    def __init__(self, place: Place) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(place.gateway.root).netloc, timeout=30)

    def ask(self, raw: bytes, path: str) -> tuple[int, bytes]:
        self._connection.request("POST", path, raw)
        response = self._connection.getresponse()
        return response.status, response.read()

    def close(self) -> None:
        self._connection.close()


@pytest.fixture(scope="module")
def line(hostile: Place) -> Iterator[Line]:
    line = Line(hostile)
    yield line
    line.close()


def answered(line: Line, raw: bytes) -> None:
    for path in ("/v1/chat/completions", "/v1/route"):
        status, body = line.ask(raw, path)
        assert status < 500, (path, status, body, raw)
        if status != 200:
            error = orjson.loads(body)["error"]
            assert set(error) == {"message", "type", "param", "code"}
            assert CANARY.encode() not in body


@fuzzed
@given(raw=st.binary(max_size=200))
def test_any_bytes(line: Line, raw: bytes) -> None:
    answered(line, raw)


@fuzzed
@given(body=bodies)
def test_any_object_of_known_fields(line: Line, body: dict[str, Any]) -> None:
    answered(line, orjson.dumps(body))


@fuzzed
@given(messages=messages)
def test_any_messages(line: Line, messages: list[Any]) -> None:
    answered(line, orjson.dumps({"messages": messages}))


@fuzzed
@given(body=bodies, stream=st.booleans())
def test_any_fields_on_a_good_request(line: Line, body: dict[str, Any], stream: bool) -> None:
    good = base(stream)
    body = {name: value for name, value in body.items() if name not in ("messages", "model", "stream")}
    answered(line, orjson.dumps({**good, **body}))


@fuzzed
@given(data=st.data(), stream=st.booleans())
def test_a_good_request_with_one_value_replaced(line: Line, data: st.DataObject, stream: bool) -> None:
    body = base(stream)
    path = data.draw(st.sampled_from(sorted(_paths(body), key=str)))
    target: Any = body
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = data.draw(values)
    answered(line, orjson.dumps(body))


@fuzzed
@given(data=st.data())
def test_a_good_request_with_damaged_bytes(line: Line, data: st.DataObject) -> None:
    raw = bytearray(orjson.dumps(base(False)))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    answered(line, bytes(raw))


def _paths(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    children: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, child in children:
        yield (*above, step)
        yield from _paths(child, (*above, step))
