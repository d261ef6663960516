"""The matrix once more under a policy that lets confidential values leave as placeholders: no value ever does itself.

Every value in every position, plain and streamed: it leaves as a placeholder and comes back, or the request stays.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from classifiers.vocabulary import MEANINGS
from router.backends.scripted import Exchange
from router.backends.scripted_replies import Script
from tests.egress.asking import Answer, ask
from tests.egress.houses import BY_RULE, House, house
from tests.egress.positions import POSITIONS, filled
from tests.egress.values import ENTITIES, TERM, value_of

RESTRICTED = frozenset(
    {"card", "iban", "us_ssn", "aws_key", "github_token", "password", "connection_string", "dictionary_term"}
)
# What may go either way: the first part of an address that is cut near its end is an address by itself and leaves as a
# placeholder; a text of nothing but escapes may be in no language that the detectors know, and then stays.
EITHER = frozenset({"split over two parts", "split over two messages", "tool call arguments, escaped"})
WAYS = {"cloud pinned": "cloud", "normal": "auto"}
# Where a value is a verbatim span of free text, so that a placeholder can stand for it.
FREE = frozenset(
    {
        *("user content", "user content part", "system", "developer", "assistant history", "assistant refusal"),
        *("tool result", "tool result in JSON", "tool call arguments"),
        *("custom tool input", "older function call", "prediction", "JSON in a string"),
    }
)


# Values are what this matrix is about: what the sentences around them mean may leave.
MAY_LEAVE = ", ".join(f"{{entity: {meaning}, reason: only values count here}}" for meaning in sorted(MEANINGS))
EGRESS = f"  confidential: {{payload: pseudonymized, meaning_may_leave: [{MAY_LEAVE}]}}\n"


def cell_of(way: str, position: str, stream: bool) -> str:
    """The name of a cell, without its entity."""
    return f"{way} / {position} / {'stream' if stream else 'plain'}"


TERMS = [
    value_of(TERM, cell_of(way, position, stream)).needle
    for way in WAYS
    for position in POSITIONS
    for stream in (False, True)
]


def echo(exchange: Exchange) -> Script:
    """Says everything back that it was told, in pieces of four characters."""
    told = [exchange.json.get(name) for name in ("messages", "prediction")]
    return Script(answer=json.dumps(told), chunk_size=4)


@pytest.fixture(scope="module")
def hiding_house(guard: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A gateway whose cloud may have placeholders for what is confidential, and repeats all that it gets."""
    with house(tmp_path_factory.mktemp("hiding"), BY_RULE, terms=TERMS, egress=EGRESS) as hiding:
        hiding.cloud.script = echo
        yield hiding


def said(answer: Answer) -> str:
    """The text of a whole answer or of all chunks of a streamed one."""
    if not answer.body.startswith(b"data:"):
        return str(orjson.loads(answer.body)["choices"][0]["message"]["content"])
    events = [line[6:] for line in answer.body.splitlines() if line.startswith(b"data: {")]
    deltas = [choice["delta"] for event in events for choice in orjson.loads(event)["choices"]]
    return "".join(delta.get("content") or "" for delta in deltas)


@pytest.mark.parametrize("position", POSITIONS)
async def test_a_value_leaves_as_a_placeholder_and_comes_back_or_stays(hiding_house: House, position: str) -> None:
    cloud = hiding_house.cloud
    before = len(cloud.exchanges)
    cells = [(entity, way, stream) for entity in ENTITIES for way in WAYS for stream in (False, True)]
    values = [value_of(entity, cell_of(way, position, stream)) for entity, way, stream in cells]
    bodies: list[dict[str, Any]] = [
        filled(position, value.text, stream=stream, model=WAYS[way])
        for value, (_, way, stream) in zip(values, cells, strict=True)
    ]
    answers = await ask(hiding_house.gateway.url, bodies)
    for (entity, way, stream), value, answer in zip(cells, values, answers, strict=True):
        cell = f"{entity} in {position}, {way}, {'stream' if stream else 'plain'}: {answer}"
        if position in EITHER and entity not in RESTRICTED:
            assert answer.status == 200 or way != "normal", cell
        elif position in FREE and entity not in RESTRICTED:
            assert (answer.status, answer.route) == (200, "cloud"), cell
            assert value.needle in _plain(said(answer)), cell
        else:
            assert answer.route in ("local", "refused"), cell
    left = [exchange.body.decode("utf-8", "replace") for exchange in cloud.exchanges[before:]]
    assert not [value.needle for value in values if any(value.needle in body for body in left)]
    assert bool(left) is (position in FREE) or position in EITHER


def _plain(text: str) -> str:
    return text.replace('\\\\\\"', '"').replace('\\"', '"')


def test_no_view_of_what_left_shows_any_value(hiding_house: House) -> None:
    """Runs last: all that the cloud ever got is searched, decoded in every way."""
    values = [
        value_of(entity, cell_of(way, position, stream)).needle
        for position in POSITIONS
        for entity in ENTITIES
        for way in WAYS
        for stream in (False, True)
    ]
    assert hiding_house.cloud.saw_which(values) == []
    assert len(hiding_house.cloud.exchanges) >= 4 * len(FREE) * len(ENTITIES.keys() - RESTRICTED)
