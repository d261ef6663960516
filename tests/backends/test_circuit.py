"""A circuit breaker: it opens after failures in a row, lets one call try, and never closes for an old success."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from router.backends.circuit import FAILURES, FIRST_PAUSE_S, Circuit, State, verdict_of
from router.backends.circuited import CircuitedBackend
from router.errors import (
    DeadlineExceeded,
    Denied,
    GatehouseError,
    Locked,
    Unavailable,
    UpstreamError,
    UpstreamTimeout,
)
from router.types import JsonObject, Outgoing
from router.upstreams import BREAKER_OPEN, Upstreams
from tests.backends.conftest import MakeModel, outgoing


class Bench:
    """A breaker, its clock and the states that it has come to."""

    def __init__(self, longest: float = 30.0) -> None:
        self.now = 100.0
        self.states: list[State] = []
        self.circuit = Circuit(longest, self.states.append, lambda: self.now)

    def call(self, *verdicts: Any, retry_after: float | None = None) -> None:
        for verdict in verdicts:
            ticket = self.circuit.enter()
            assert ticket is not None
            self.circuit.give_back(ticket, verdict, retry_after)

    def pass_by(self, seconds: float) -> None:
        self.now += seconds


def opened() -> Bench:
    bench = Bench()
    bench.call(*["failed"] * FAILURES)
    assert bench.states == ["open"]
    return bench


def test_failures_in_a_row_open_it_and_an_answer_between_them_does_not() -> None:
    bench = Bench()
    for _ in range(5):
        bench.call(*["failed"] * (FAILURES - 1), "answered")
    assert bench.states == []
    bench.call(*["failed", "neither"] * (FAILURES - 1))
    assert bench.states == []
    bench.call("failed")
    assert bench.states == ["open"]
    assert bench.circuit.enter() is None


def test_after_its_pause_one_call_is_let_through_alone_and_closes_it() -> None:
    bench = opened()
    bench.pass_by(FIRST_PAUSE_S - 0.01)
    assert bench.circuit.enter() is None
    bench.pass_by(0.01)
    ticket = bench.circuit.enter()
    assert ticket is not None
    assert bench.circuit.state == "half_open"
    assert bench.circuit.enter() is None
    bench.circuit.give_back(ticket, "answered")
    assert bench.states == ["open", "half_open", "closed"]
    bench.call("answered", "answered")


def test_a_failed_try_opens_it_for_twice_as_long_up_to_a_bound() -> None:
    bench = opened()
    for pause in (4.0, 8.0, 16.0, 30.0, 30.0):
        bench.pass_by(bench.circuit.wait)
        bench.call("failed")
        assert bench.circuit.wait == pytest.approx(pause)
    bench.pass_by(30.0)
    bench.call("answered", *["failed"] * FAILURES)
    assert bench.circuit.wait == pytest.approx(FIRST_PAUSE_S)  # it begins anew


def test_a_try_that_says_nothing_leaves_the_next_one_to_be_tried() -> None:
    bench = opened()
    bench.pass_by(FIRST_PAUSE_S)
    bench.call("neither")
    assert bench.circuit.wait == 0.0
    bench.call("answered")
    assert bench.circuit.state == "closed"


def test_it_stays_open_for_as_long_as_the_upstream_asks_for_up_to_a_bound() -> None:
    bench = Bench()
    bench.call(*["failed"] * FAILURES, retry_after=11.0)
    assert bench.circuit.wait == pytest.approx(11.0)
    bench = Bench()
    bench.call(*["failed"] * FAILURES, retry_after=3600.0)
    assert bench.circuit.wait == pytest.approx(30.0)


def test_what_began_before_it_opened_says_nothing_any_more() -> None:
    bench = Bench()
    early = [bench.circuit.enter() for _ in range(3)]
    bench.call(*["failed"] * FAILURES)
    for ticket, verdict in zip(early, ("answered", "failed", "neither"), strict=True):
        assert ticket is not None
        bench.circuit.give_back(ticket, verdict)  # type: ignore[arg-type]
    assert bench.states == ["open"]
    assert bench.circuit.wait == pytest.approx(FIRST_PAUSE_S)


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (UpstreamError("refused connection", unsent=True), "failed"),
        (UpstreamError("broke off"), "failed"),
        (UpstreamTimeout("stalled"), "failed"),
        (UpstreamError("500", upstream_status=500), "failed"),
        (UpstreamError("503", upstream_status=503), "failed"),
        (UpstreamError("408", upstream_status=408), "failed"),
        (UpstreamError("429", upstream_status=429), "neither"),
        (UpstreamError("401", upstream_status=401), "neither"),
        (UpstreamError("403", upstream_status=403), "neither"),
        (UpstreamError("404", upstream_status=404), "neither"),
        (UpstreamError("307", upstream_status=307), "neither"),
        (UpstreamError("400", upstream_status=400), "answered"),
        (UpstreamError("422", upstream_status=422), "answered"),
        (Unavailable("no local server"), "failed"),
        (Unavailable("full", code="local_overloaded"), "neither"),
        (Locked(), "neither"),
        (Denied("no permit"), "neither"),
        (DeadlineExceeded(3.0), "neither"),
        (KeyboardInterrupt(), "neither"),
    ],
)
def test_only_an_upstreams_own_faults_count(error: BaseException, verdict: str) -> None:
    assert verdict_of(error) == verdict


class Told:
    """A backend that does as it is told: an error to raise, or chunks with an error behind them."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.error: GatehouseError | None = None
        self.late: GatehouseError | None = None
        self.asked = 0

    async def complete(self, request: Outgoing) -> JsonObject:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return {"choices": []}

    async def open_stream(self, request: Outgoing) -> AsyncIterator[JsonObject]:
        await self.complete(request)
        return self._chunks()

    async def _chunks(self) -> AsyncIterator[JsonObject]:
        yield {"choices": []}
        if self.late is not None:
            raise self.late

    async def self_test(self) -> None:
        raise AssertionError("not here")

    async def close(self) -> None:
        raise AssertionError("not here")


async def test_an_open_breaker_refuses_at_once_without_asking(cloud_model: MakeModel, local_model: MakeModel) -> None:
    for model, kind in ((cloud_model(), UpstreamError), (local_model(), Unavailable)):
        bench, inner = opened(), Told(model)
        backend = CircuitedBackend(inner, bench.circuit)
        for ask in (backend.complete, backend.open_stream):
            with pytest.raises(kind) as caught:
                await ask(outgoing())
            assert type(caught.value) is kind
            assert (caught.value.status, caught.value.retry_after) == (503, FIRST_PAUSE_S)
        assert inner.asked == 0


async def test_a_stream_counts_when_it_has_ended_and_tries_count_with_their_first_chunk(cloud_model: MakeModel) -> None:
    bench, inner = Bench(), Told(cloud_model())
    backend = CircuitedBackend(inner, bench.circuit)
    inner.late = UpstreamError("broke off")
    for _ in range(FAILURES):
        with pytest.raises(UpstreamError):
            [chunk async for chunk in await backend.open_stream(outgoing())]
    assert bench.states == ["open"]  # although each of them began well
    bench.pass_by(FIRST_PAUSE_S)
    inner.late = None
    stream = await backend.open_stream(outgoing())
    assert bench.states == ["open", "half_open", "closed"]
    assert len([chunk async for chunk in stream]) == 1


async def test_a_breaker_outlives_a_reload_unless_its_model_is_another_one(cloud_model: MakeModel) -> None:
    heard: list[tuple[str, State]] = []
    upstreams = Upstreams(lambda name, state: heard.append((name, state)))
    model = cloud_model()
    circuit = upstreams.of(model).circuit
    for _ in range(FAILURES):
        ticket = circuit.enter()
        assert ticket is not None
        circuit.give_back(ticket, "failed")
    assert heard == [("cloud", "open")]
    assert upstreams.of(cloud_model()).circuit is circuit
    assert upstreams.unavailable() == {"cloud": BREAKER_OPEN}
    assert upstreams.states(["cloud", "home"]) == {"cloud": "open"}
    other = upstreams.of(cloud_model(model="another"))
    assert other.circuit is not circuit
    assert (upstreams.unavailable(), upstreams.states(["cloud"])) == ({}, {})
