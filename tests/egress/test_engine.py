"""Cells of the matrix on the real engine: what may not leave is answered by the embedded model."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import pytest

from router.versions.versions import VERSIONS_FILE
from tests.egress import cells as matrix
from tests.egress.asking import ask
from tests.egress.covering import stratified
from tests.egress.dialects import PLACES
from tests.egress.disguises import marks, planted
from tests.egress.houses import BY_RULE, PATIENT, policy_text
from tests.egress.positions import PUBLIC, Body, filled
from tests.egress.values import ENTITIES, TERM, value_of
from tests.support.gateway import ENGINE, Gateway
from tests.support.recorder import Recorder, RecorderThread

# The embedded model has no tools and no prediction: with them such a request has nowhere to go.
ANSWERED = (
    *("user content", "user content part", "split over two parts", "system", "developer", "assistant history"),
    *("message name", "metadata value", "metadata key", "user", "stop", "JSON in a string"),
)
NOWHERE = ("tool result", "tool call arguments", "tool description", "prediction")
EXPECTED = {
    **dict.fromkeys(ANSWERED, (200, None)),
    **dict.fromkeys(NOWHERE, (400, "no_able_lawful_model")),
}


_QUIET = [cell for cell in matrix.array() if cell.fault == "normal"]
CELLS = stratified(_QUIET, 200 if matrix.is_whole() else 24)


@pytest.fixture(scope="module")
def real(guard: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, Recorder]]:
    terms = [value_of(TERM, f"engine / {position}").needle for position in PLACES] + matrix.terms_of(CELLS)
    with RecorderThread() as cloud:
        text = policy_text(ENGINE, cloud.url, BY_RULE, terms)
        folder = tmp_path_factory.mktemp("engine")
        with Gateway(
            folder, text, environment={**PATIENT, "GATEHOUSE_LOG_LEVEL": "debug"}, start_seconds=180
        ) as gateway:
            yield gateway, cloud


@pytest.mark.parametrize("position", EXPECTED)
async def test_nothing_sensitive_leaves_from_beside_the_engine(real: tuple[Gateway, Recorder], position: str) -> None:
    gateway, cloud = real
    entities = cycle(ENTITIES)
    for _ in range(2 * list(EXPECTED).index(position)):
        next(entities)
    values = [value_of(next(entities), f"engine / {position}") for _ in range(2)]
    bodies = [
        filled(position, value.text, stream=stream) | {"max_tokens": 2}
        for value, stream in zip(values, (False, True), strict=True)
    ]
    received = len(cloud.received)
    answers = await ask(gateway.url, bodies)
    assert [(answer.status, answer.code) for answer in answers] == [EXPECTED[position]] * 2, [*map(str, answers)]
    assert len(cloud.received) == received
    assert not cloud.saw_which(value.needle for value in values)
    kept = [gateway.log_file, *gateway.state_dir.rglob("*"), *(gateway.folder / "run").rglob("*")]
    # The versions of the policy are left out: its own dictionary names some of the values.
    for path in (path for path in kept if path.is_file() and not path.name.startswith(VERSIONS_FILE)):
        assert not [value for value in values if value.needle.encode() in path.read_bytes()], path


def _short(body: Body) -> Body:
    """The same, for an answer of two tokens."""
    return body | {"max_output_tokens" if "max_output_tokens" in body else "max_tokens": 2}


async def test_no_cell_of_the_matrix_leaves_from_beside_the_engine(real: tuple[Gateway, Recorder]) -> None:
    """Two hundred of its cells in a full run, two dozen in every other."""
    gateway, cloud = real
    received = len(cloud.received)
    answers = await ask(gateway.url, [_short(matrix.body_of(cell)) for cell in CELLS], matrix.paths_of(CELLS))
    routes = {cell.position: answer.route for cell, answer in zip(CELLS, answers, strict=True)}
    assert set(routes.values()) <= {"local", "refused", "pending"}, (
        routes
    )  # pending: its headers went before its answer
    assert len(cloud.received) == received
    assert not cloud.saw_which(mark for cell in CELLS for mark in marks(cell, planted(cell)))


async def test_the_same_requests_leave_when_they_are_public(real: tuple[Gateway, Recorder]) -> None:
    gateway, cloud = real
    bodies = [filled(position, PUBLIC, stream=False) for position in EXPECTED]
    before = len(cloud.exchanges)
    answers = await ask(gateway.url, bodies)
    assert {answer.route for answer in answers} == {"cloud"}
    assert len(cloud.exchanges) - before == len(bodies)
