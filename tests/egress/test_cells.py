"""The zero-egress matrix: a covering array over positions, disguises, troubles and kinds of value. Pass means zero.

Nothing sensitive leaves from any cell, and nothing of it stays in log, metrics, spans, Redis or on the disk; what is
public leaves from every position, unchanged, so that a gateway which blocks everything fails too. A failure names its
cells.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.egress import cells as matrix
from tests.egress.asking import ask
from tests.egress.conftest import Houses
from tests.egress.covering import Cell
from tests.egress.dialects import PLACES, asked, path_of
from tests.egress.disguises import DISGUISES, ENTITIES, PLAIN
from tests.egress.houses import BROKEN, FAULTS, SIMILAR, Fault, House
from tests.egress.positions import NOT_AT_HOME, PUBLIC

_SHOWN = 12  # failing cells named one by one
_PATHS = [path_of(position) for position in PLACES]


@pytest.fixture(scope="module", params=list(matrix.ALL_FAULTS))
def trouble(request: pytest.FixtureRequest) -> Fault:
    return matrix.ALL_FAULTS[request.param]


@pytest.fixture(scope="module")
def house(houses: Houses, trouble: Fault) -> House:
    troubled = houses(trouble.ways, trouble.detectors)
    troubled.become(trouble)
    return troubled


@asynccontextmanager
async def reloading(house: House, trouble: Fault) -> AsyncIterator[None]:
    """The policy is replaced four times a second, where the trouble says so."""
    done = asyncio.Event()

    async def again() -> None:
        number = 0
        while not done.is_set():
            number += 1
            house.reload(number)
            await asyncio.sleep(0.25)

    task = asyncio.ensure_future(again()) if trouble.reloads else None
    try:
        yield
    finally:
        done.set()
        if task is not None:
            await task


def public_bodies(trouble: Fault) -> list[dict[str, object]]:
    return [
        asked(position, f"{PUBLIC} beside {trouble.name}", stream=False, model=trouble.model) for position in PLACES
    ]


def chat(text: str) -> dict[str, object]:
    return {"model": "auto", "messages": [{"role": "user", "content": text}]}


async def test_nothing_sensitive_leaves_from_any_cell(house: House, trouble: Fault) -> None:
    chosen = matrix.cells_of(trouble.name)
    if trouble.is_warm:
        answers = await ask(house.gateway.url, public_bodies(trouble) * 2, _PATHS * 2)
        assert "cache" in {answer.route for answer in answers}, "the cache is not warm"
    if trouble.ways == SIMILAR:
        question = chat("In which textbooks of analysis does this theorem stand?")
        for _ in range(100):  # an answer is kept after it was given
            [answer] = await ask(house.gateway.url, [question])
            if answer.route == "cache":
                break
            await asyncio.sleep(0.05)
        [answer] = await ask(house.gateway.url, [chat("In the which textbooks of analysis does this theorem stand?")])
        assert "x-gatehouse-similarity" in answer.headers, f"nothing is answered by another's question: {answer}"
    before = len(house.cloud.exchanges)
    bytes_before = len(house.cloud.received)
    async with reloading(house, trouble):
        answers = await ask(house.gateway.url, [matrix.body_of(cell) for cell in chosen], matrix.paths_of(chosen))
    left = matrix.leaks(chosen, house.cloud.exchanges[before:])
    assert not left, told(left, chosen)
    assert len(house.cloud.received) == bytes_before, "bytes left the house"
    wrong = [
        f"{cell}: {answer}"
        for cell, answer in zip(chosen, answers, strict=True)
        if not matrix.is_as_it_should_be(answer, trouble, cell.position)
    ]
    assert not wrong, told(wrong, chosen)


async def test_what_is_public_leaves_from_every_position(house: House, trouble: Fault) -> None:
    before = len(house.cloud.exchanges)
    await ask(house.gateway.url, public_bodies(trouble), _PATHS)
    models = Counter(exchange.json["model"] for exchange in house.cloud.exchanges[before:])
    assert BROKEN in models or trouble.name != "hopping", "the first model outside was not asked first"
    arrived = models.total() - models[BROKEN]
    if trouble.cloud_fails:  # after five failures its breaker is open
        assert arrived >= 5
        return
    assert arrived == (0 if trouble.is_warm or not trouble.public_leaves else len(PLACES))


async def test_no_value_is_to_be_seen_anywhere_afterwards(house: House, trouble: Fault) -> None:
    """Runs after the cells of its trouble: outside, in the log, the metrics, the spans, Redis and on the disk."""
    seen = list(matrix.shown(matrix.cells_of(trouble.name), house))
    assert not seen, told(seen, [])


def told(failures: list[str], asked: list[Cell]) -> str:
    """How many, which, and what they have in common."""
    names = Counter(part for failure in failures for part in failure.split(": ")[0].split(" / "))
    common = ", ".join(f"{name} ({count})" for name, count in names.most_common(6))
    listed = "\n".join(failures[:_SHOWN])
    return f"{len(failures)} of {len(asked)} cells; most often: {common}\n{listed}"


def test_the_array_covers_what_it_says() -> None:
    """Every possible pair of position, disguise and trouble, every single value often, no cell twice."""
    cells = matrix.array()
    assert len(cells) >= matrix.LEAST
    assert len(set(cells)) == len(cells)
    possible = {
        (position, disguise)
        for position in PLACES
        for disguise in DISGUISES
        if matrix.TABLES.entities_for(position, disguise)
    }
    assert {(cell.position, cell.disguise) for cell in cells} == possible
    assert len({(cell.position, cell.fault) for cell in cells}) == len(PLACES) * len(matrix.ALL_FAULTS)
    assert len({(cell.disguise, cell.fault) for cell in cells}) == len(DISGUISES) * len(matrix.ALL_FAULTS)
    for name in ("position", "disguise", "fault", "entity"):
        assert min(Counter(getattr(cell, name) for cell in cells).values()) >= matrix.EACH, name
    assert len(ENTITIES) >= 20
    assert len(PLACES) >= 24
    assert len(DISGUISES) >= 13
    assert len(matrix.ALL_FAULTS) >= 11


def test_a_run_asks_about_every_trouble_position_and_disguise() -> None:
    cells = matrix.all_cells()
    assert {cell.fault for cell in cells} == set(matrix.ALL_FAULTS)
    assert {cell.position for cell in cells} == set(PLACES)
    assert {cell.disguise for cell in cells} == set(DISGUISES)
    assert {cell.entity for cell in cells} == set(ENTITIES)
    assert PLAIN in {cell.disguise for cell in cells}
    assert set(NOT_AT_HOME) < set(PLACES)
    assert set(FAULTS) < set(matrix.ALL_FAULTS)
