"""Whose turn it is in a real lane: what is over is dropped before its prompt is read, and low urgency leaves a slot."""

from __future__ import annotations

import time
from collections.abc import Iterator

import orjson
import pytest

from router.engine.native import NativeModel
from router.engine.protocol import parse
from router.engine.types import EngineError, Failed
from tests.engine.lanes import tiny_model, workbench

LONG_AGO = 0.0  # of the monotonic clock
FAR = time.monotonic() + 1e6


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NativeModel]:
    with tiny_model(tmp_path_factory.mktemp("model")) as loaded:
        yield loaded


def test_what_is_over_while_it_waits_is_dropped_before_its_prompt_is_read(model: NativeModel) -> None:
    with workbench(model, slots=1) as bench:
        first = bench.submit("Tell me of the sea", 4, expires=FAR)
        late = bench.submit("Tell me of the wind", 4, expires=LONG_AGO)
        last = bench.submit("Tell me of the stone", 4)
        bench.run()
        assert first.finished.completion_tokens == last.finished.completion_tokens == 4
        (failed,) = late.events
        assert isinstance(failed, Failed)
        assert failed.code == "deadline_exceeded"
        assert late.sequence.fed == 0
        figures = bench.lane.figures()
        assert (figures.expired_total, figures.requests_total, figures.cancelled_total) == (1, 3, 0)
        read = len(first.sequence.generation.prompt) + len(last.sequence.generation.prompt)
        assert figures.prompt_tokens_total + figures.prefix_tokens_total == read
        bench.check_idle()


def test_a_choice_whose_leader_was_dropped_is_dropped_too(model: NativeModel) -> None:
    with workbench(model, slots=2) as bench:
        leader = bench.request("Tell me of the sea", 4, expires=LONG_AGO)
        other = bench.request("Tell me of the sea", 4, expires=LONG_AGO, leader=leader)
        for each in (leader, other):
            bench.lane.submit(each.sequence)
        bench.run()
        assert [type(each.events[0]) for each in (leader, other)] == [Failed, Failed]
        bench.check_idle()


def test_what_runs_is_not_dropped_by_the_line(model: NativeModel) -> None:
    """Giving up an answer that has begun is for whoever waits for it: it closes its connection."""
    with workbench(model, slots=1) as bench:
        begun = bench.submit("Tell me of the sea", 8, expires=time.monotonic() + 0.05)
        bench.lane.step()
        time.sleep(0.06)
        bench.run()
        assert begun.finished.completion_tokens == 8


def test_low_urgency_leaves_one_slot_to_the_others(model: NativeModel) -> None:
    with workbench(model, slots=3) as bench:
        low = [bench.submit(f"Tell me of the sea {number}", 8, is_low=True) for number in range(3)]
        bench.lane.step()
        assert bench.lane.depth == (1, 2)
        other = bench.submit("Tell me of the stone", 2)
        bench.lane.step()
        assert bench.lane.depth == (1, 3)
        assert other.sequence.slot is not None
        bench.run()
        assert all(each.finished.completion_tokens == 8 for each in low)
        bench.check_idle()


def test_a_lone_slot_is_anybodys(model: NativeModel) -> None:
    with workbench(model, slots=1) as bench:
        low = bench.submit("Tell me of the sea", 2, is_low=True)
        bench.run()
        assert low.finished.completion_tokens == 2


def body(**fields: object) -> bytes:
    return orjson.dumps({"model": "m", "messages": [{"role": "user", "content": "Hi"}], **fields})


def test_the_wire_says_how_long_and_whose_turn() -> None:
    before = time.monotonic()
    call = parse(body(deadline_ms=5000, priority="low"))
    assert call.expires is not None
    assert before + 5 <= call.expires <= time.monotonic() + 5
    assert call.is_low
    plain = parse(body(priority="normal"))
    assert (plain.expires, plain.is_low) == (None, False)


@pytest.mark.parametrize("fields", [{"deadline_ms": 0}, {"deadline_ms": 1.5}, {"priority": "high"}, {"priority": 1}])
def test_what_the_wire_does_not_know_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(EngineError) as caught:
        parse(body(**fields))
    assert (caught.value.status, caught.value.param) == (400, next(iter(fields)))
