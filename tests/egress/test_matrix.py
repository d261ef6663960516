"""The zero-egress matrix: every position of a body, every kind of value, plain and streamed, in every trouble.

Without the value each request would leave, and does; with it not one byte does. A failure names its cell.
"""

from __future__ import annotations

from typing import Any

import pytest

from router.backends.scripted import Exchange
from tests.egress.asking import Answer, ask
from tests.egress.houses import Fault, House, cell_of
from tests.egress.positions import NOT_AT_HOME, POSITIONS, PUBLIC, filled
from tests.egress.values import ENTITIES, value_of

WAYS_OF_ANSWERING = (False, True)  # plain, streamed


def canonical(body: dict[str, Any]) -> str:
    """A body without the two fields that the gateway may change, written out: 1 is not 1.0, and order counts."""
    return repr([(name, value) for name, value in body.items() if name not in ("model", "stream_options")])


@pytest.mark.parametrize("position", POSITIONS)
async def test_a_public_request_leaves_unchanged_in_every_trouble(
    troubled_house: House, fault: Fault, position: str
) -> None:
    cloud = troubled_house.cloud
    before = len(cloud.exchanges)
    # The words differ by cell, so that no answer comes from the cache of another one.
    bodies = [
        filled(position, f"{PUBLIC} {fault.name} {word}", stream=stream, model=fault.model)
        for stream, word in zip(WAYS_OF_ANSWERING, ("once", "again"), strict=True)
    ]
    answers = await ask(troubled_house.gateway.url, bodies)
    arrived = cloud.exchanges[before:]
    if not fault.public_leaves:
        assert not arrived, "what could not be checked has left"
        assert [answer.route for answer in answers] == ["refused" if position in NOT_AT_HOME else "local"] * 2
        return
    assert [answer.status for answer in answers] == [200, 200], [str(answer) for answer in answers]
    # A local model takes no unknown field, so such a request needs no rule, doubt or trouble to leave.
    by_ability = position in NOT_AT_HOME and fault.reason in ("escalation", "fallback")
    reason = "capability" if by_ability else fault.reason
    assert [answer.headers["x-gatehouse-reason"] for answer in answers] == [reason] * 2
    assert len(arrived) == len(bodies)
    for body in bodies:
        assert _is_among(body, arrived), f"changed on its way: {body}"


def _is_among(body: dict[str, Any], arrived: list[Exchange]) -> bool:
    for exchange in arrived:
        if canonical(exchange.json) == canonical(body):
            options = {"include_usage": True} if body.get("stream") else None
            return exchange.json["model"] == "scripted-cloud" and exchange.json.get("stream_options") == options
    return False


@pytest.mark.parametrize("position", POSITIONS)
async def test_nothing_sensitive_leaves_in_any_trouble(troubled_house: House, fault: Fault, position: str) -> None:
    cloud = troubled_house.cloud
    cells = [(entity, stream) for entity in ENTITIES for stream in WAYS_OF_ANSWERING]
    values = [value_of(entity, cell_of(fault.name, position, stream)) for entity, stream in cells]
    bodies = [
        filled(position, value.text, stream=stream, model=fault.model)
        for value, (_, stream) in zip(values, cells, strict=True)
    ]
    before, bytes_before = len(cloud.exchanges), len(cloud.received)
    answers = await ask(troubled_house.gateway.url, bodies)
    wrong = [
        f"{entity} ({'stream' if stream else 'plain'}): {answer}"
        for (entity, stream), answer in zip(cells, answers, strict=True)
        if not _is_as_it_should_be(answer, fault, position)
    ]
    left = [exchange.body.decode("utf-8", "replace") for exchange in cloud.exchanges[before:]]
    leaked = [cell for cell, value in zip(cells, values, strict=True) if any(value.needle in body for body in left)]
    assert not left, f"left the house from {cell_of(fault.name, position, False)}: {leaked or left}"
    assert len(cloud.received) == bytes_before, "bytes left the house"
    assert not wrong, wrong


def _is_as_it_should_be(answer: Answer, fault: Fault, position: str) -> bool:
    status, code = fault.sensitive
    if position in NOT_AT_HOME and status != 403:
        status, code = 400, answer.code  # a local model does not take unknown fields
    held = fault.held if status == 200 else answer.headers.get("x-gatehouse-held")
    route = "local" if status == 200 else "refused"
    return (answer.status, answer.code, answer.route, answer.headers.get("x-gatehouse-held")) == (
        status,
        code,
        route,
        held,
    )


def test_no_view_of_what_left_shows_any_value_of_the_matrix(troubled_house: House, fault: Fault) -> None:
    """Runs after the cells of its fault: all that the cloud ever got is searched, decoded in every way."""
    values = [
        value_of(entity, cell_of(fault.name, position, stream)).needle
        for position in POSITIONS
        for entity in ENTITIES
        for stream in WAYS_OF_ANSWERING
    ]
    assert len(set(values)) == len(values)
    assert bool(troubled_house.cloud.exchanges) is fault.public_leaves
    assert troubled_house.cloud.saw_which(values) == []
