"""The houses of the matrix: one gateway for each policy, brought into each state in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.egress.cells import all_cells, terms_of
from tests.egress.houses import BY_RULE, FAULTS, Fault, House, house

Houses = Callable[[str, str], House]


@pytest.fixture(scope="session")
def houses(guard: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Houses]:
    """Gateways by policy and by what takes the place of their detectors, started when first asked for."""
    terms = terms_of(all_cells())
    with ExitStack() as stack:
        running: dict[tuple[str, str], House] = {}

        def get(ways: str, detectors: str) -> House:
            if (ways, detectors) not in running:
                folder = tmp_path_factory.mktemp("house")
                running[ways, detectors] = stack.enter_context(house(folder, ways, detectors=detectors, terms=terms))
            return running[ways, detectors]

        yield get


@pytest.fixture
def quiet_house(houses: Houses) -> House:
    """A gateway with nothing wrong, from which public requests leave by rule."""
    quiet = houses(BY_RULE, "")
    quiet.become(FAULTS["normal"])
    return quiet


@pytest.fixture(scope="module")
def hasty_house(guard: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A gateway that gives its detectors no time."""
    no_time = {"GATEHOUSE_SCAN_BUDGET_MS": "0.001", "GATEHOUSE_SCAN_BUDGET_MS_PER_KB": "0"}
    with house(tmp_path_factory.mktemp("hasty"), settings=no_time) as hasty:
        yield hasty


@pytest.fixture(scope="module", params=list(FAULTS))
def fault(request: pytest.FixtureRequest) -> Fault:
    """Each state in turn."""
    return FAULTS[request.param]


@pytest.fixture(scope="module")
def troubled_house(houses: Houses, fault: Fault) -> House:
    """The gateway in that state."""
    troubled = houses(fault.ways, fault.detectors)
    troubled.become(fault)
    return troubled
