"""What is public leaves from every position, plain and streamed, in every trouble, and arrives as it was sent."""

from __future__ import annotations

from typing import Any

import pytest

from router.backends.scripted import Exchange
from tests.egress.asking import ask
from tests.egress.cells import canonical
from tests.egress.dialects import CHAT, PLACES, asked, path_of, strings
from tests.egress.houses import Fault, House
from tests.egress.positions import NOT_AT_HOME, PUBLIC

WAYS_OF_ANSWERING = (False, True)  # plain, streamed


@pytest.mark.parametrize("position", PLACES)
async def test_a_public_request_leaves_unchanged_in_every_trouble(
    troubled_house: House, fault: Fault, position: str
) -> None:
    cloud = troubled_house.cloud
    before = len(cloud.exchanges)
    # The words differ by cell, so that no answer comes from the cache of another one.
    bodies = [
        asked(position, f"{PUBLIC} {fault.name} {word}", stream=stream, model=fault.model)
        for stream, word in zip(WAYS_OF_ANSWERING, ("once", "again"), strict=True)
    ]
    answers = await ask(troubled_house.gateway.url, bodies, [path_of(position)] * 2)
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
    is_there = _is_among if path_of(position) == CHAT else _says_the_same
    for body in bodies:
        assert is_there(body, arrived), f"changed on its way: {body}"


def _is_among(body: dict[str, Any], arrived: list[Exchange]) -> bool:
    for exchange in arrived:
        if canonical(exchange.json) == canonical(body):
            options = {"include_usage": True} if body.get("stream") else None
            return exchange.json["model"] == "scripted-cloud" and exchange.json.get("stream_options") == options
    return False


def _says_the_same(body: dict[str, Any], arrived: list[Exchange]) -> bool:
    """Another dialect's request, mapped: each text of more than a word stands in it, whole."""
    texts = {text for text in strings(body) if " " in text}
    return any(texts <= set(strings(exchange.json)) for exchange in arrived)
