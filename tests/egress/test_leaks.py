"""The matrix itself is tested: a gateway that leaks at one exit after the other, and each time it must be found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.egress import cells as matrix
from tests.egress.asking import ask
from tests.egress.covering import Cell
from tests.egress.disguises import PLAIN
from tests.egress.houses import BY_RULE, FAULTS, PATIENT, House, house
from tests.egress.leaking.sitecustomize import LEAKS
from tests.egress.positions import NOT_AT_HOME, POSITIONS, PUBLIC, filled
from tests.support.gateway import until

_POSITIONS = 4  # of each leak, and others for each: no value is planted twice
PLACES = {"header": "outside", "retry": "outside", "fallback": "outside", "log": "the log", "span": "the spans"}
PLACES |= {"metric": "the metrics", "redis": "redis", "disk": "the disk"}


@pytest.fixture(scope="module")
def leaking(guard: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[House, Path]]:
    folder = tmp_path_factory.mktemp("leaking")
    switch = folder / "leak"
    switch.write_text("none", "utf-8")
    settings = {**PATIENT, "GATEHOUSE_TEST_LEAK_FILE": str(switch)}
    with house(folder, BY_RULE, detectors="leaking", settings=settings) as leaking:
        yield leaking, switch


@pytest.mark.parametrize("leak", ["none", *LEAKS])
async def test_a_leak_at_any_exit_is_found_and_its_place_named(leaking: tuple[House, Path], leak: str) -> None:
    house, switch = leaking
    fault = FAULTS["local down" if leak == "fallback" else "normal"]
    number = ["none", *LEAKS].index(leak)
    positions = [name for name in POSITIONS if name not in NOT_AT_HOME][number * _POSITIONS :][:_POSITIONS]
    chosen = [
        Cell(position, PLAIN, "normal", entity, stream)
        for position, stream in zip(positions, (False, True) * _POSITIONS, strict=False)
        for entity in ("card", "email")
    ]
    assert len(chosen) == 2 * _POSITIONS
    house.become(fault)
    switch.write_text(leak, "utf-8")
    before = len(house.cloud.exchanges)
    await ask(house.gateway.url, [matrix.body_of(cell) for cell in chosen])
    await ask(house.gateway.url, [filled("user", f"{PUBLIC} behind {leak}", stream=False)])

    def seen() -> list[str]:
        return [place.split(":")[0] for place in matrix.shown(chosen, house)]

    if leak == "none":
        assert not seen()
        assert len(house.cloud.exchanges) == before + 1
        return
    until(lambda: PLACES[leak] in seen(), 20.0)
    if PLACES[leak] == "outside" and leak != "header":
        found = matrix.leaks(chosen, house.cloud.exchanges[before:-1])
        assert set(found) <= {str(cell) for cell in chosen}, "the cell is not named"
        assert found
    switch.write_text("none", "utf-8")
