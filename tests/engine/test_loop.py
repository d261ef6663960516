"""The decode thread: it steps every lane while there is work, sleeps when there is none, and never misses a call."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field

import pytest

from router.engine.loop import DecodeLoop, StoppedError
from router.engine.native import NativeError
from router.engine.types import EngineError

SOON_S = 10.0


@dataclass
class Lane:
    """Has `work` steps to do."""

    work: int = 0
    steps: int = 0
    ends: int = 0
    interrupts: int = 0
    threads: set[int] = field(default_factory=set)

    @property
    def is_busy(self) -> bool:
        return self.work > 0

    def step(self, others_wait: Callable[[], bool]) -> bool:
        self.steps += 1
        self.threads.add(threading.get_ident())
        self.work = max(0, self.work - 1)
        return self.work > 0

    def interrupt(self) -> None:
        self.interrupts += 1

    def end(self) -> None:
        self.ends += 1


class Running:
    """A loop and its thread."""

    def __init__(self) -> None:
        self.loop = DecodeLoop()
        self.thread = threading.Thread(target=self.loop.run, daemon=True)

    def stop(self) -> None:
        self.loop.stop()
        self.thread.join(SOON_S)
        assert not self.thread.is_alive()

    def settle(self) -> None:
        """Until everything asked before this has been done."""
        self.loop.call(lambda: None).result(SOON_S)


@pytest.fixture
def running() -> Iterator[Running]:
    started = Running()
    started.thread.start()
    yield started
    started.stop()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SOON_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_a_lane_is_stepped_until_it_says_that_there_is_nothing_to_do(running: Running) -> None:
    lane = Lane(work=25)
    running.loop.attach(lane)
    until(lambda: lane.work == 0)
    running.settle()
    steps = lane.steps
    assert steps >= 25
    time.sleep(0.05)
    assert lane.steps == steps, "a loop without work must sleep"


def test_a_sleeping_loop_is_woken_by_new_work(running: Running) -> None:
    lane = Lane()
    running.loop.attach(lane)
    running.settle()
    lane.work = 5
    running.loop.wake()
    until(lambda: lane.work == 0)


def test_lanes_are_stepped_in_turn(running: Running) -> None:
    first, second = Lane(work=200), Lane(work=200)

    def attach() -> None:
        running.loop.attach(first)
        running.loop.attach(second)

    running.loop.call(attach).result(SOON_S)
    until(lambda: first.work == second.work == 0)
    running.settle()
    assert abs(first.steps - second.steps) <= 1


def test_a_call_runs_on_the_decode_thread_and_between_two_steps(running: Running) -> None:
    lane = Lane(work=1_000_000)
    running.loop.attach(lane)
    assert running.loop.call(threading.get_ident).result(SOON_S) == running.thread.ident
    assert lane.threads == {running.thread.ident}


def test_calls_are_run_in_order_and_steps_go_on_between_them(running: Running) -> None:
    lane = Lane(work=1_000_000)
    running.loop.attach(lane)
    calls = [running.loop.call(lambda: lane.steps) for _ in range(20)]
    steps = [call.result(SOON_S) for call in calls]
    assert steps == sorted(set(steps))


@pytest.mark.parametrize("error", [NativeError("no room"), EngineError(400, "bad", "This is bad.")])
def test_what_a_call_raises_comes_back_and_the_loop_goes_on(running: Running, error: Exception) -> None:
    def fail() -> None:
        raise error

    assert running.loop.call(fail).exception(SOON_S) is error
    assert running.loop.call(lambda: 7).result(SOON_S) == 7


def test_a_call_that_is_cancelled_before_its_turn_is_not_run(running: Running) -> None:
    gate = threading.Event()
    first = running.loop.call(lambda: gate.wait(SOON_S))
    ran: list[None] = []
    second = running.loop.call(lambda: ran.append(None))
    assert second.cancel()
    gate.set()
    assert first.result(SOON_S)
    running.settle()
    assert ran == []
    with pytest.raises(CancelledError):
        second.result(SOON_S)


def test_a_detached_lane_is_not_stepped_again(running: Running) -> None:
    lane, other = Lane(work=1_000_000), Lane(work=1_000_000)
    running.loop.attach(lane)
    running.loop.attach(other)
    running.loop.detach(lane).result(SOON_S)
    steps, others = lane.steps, other.steps
    until(lambda: other.steps > others + 10)
    assert lane.steps == steps
    assert lane.ends == 0


def test_the_clock_runs_while_a_call_does(running: Running) -> None:
    gate = threading.Event()
    before = time.monotonic()
    call = running.loop.call(lambda: gate.wait(SOON_S))
    until(lambda: running.loop.step_started is not None)
    started = running.loop.step_started
    assert started is not None
    assert before <= started <= time.monotonic()
    gate.set()
    call.result(SOON_S)
    until(lambda: running.loop.step_started is None)


def test_the_clock_stops_when_a_call_fails(running: Running) -> None:
    def fail() -> None:
        raise NativeError("no room")

    running.loop.call(fail).exception(SOON_S)
    assert running.loop.step_started is None


def test_stop_ends_every_lane_once_and_answers_every_call(running: Running) -> None:
    lanes = [Lane(work=1_000_000), Lane()]
    for lane in lanes:
        running.loop.attach(lane)
    gate = threading.Event()
    running.loop.call(lambda: gate.wait(SOON_S))
    late = [running.loop.call(lambda number=number: number) for number in range(5)]  # type: ignore[misc]
    running.loop.stop()
    gate.set()
    assert [call.result(SOON_S) for call in late] == list(range(5))
    running.thread.join(SOON_S)
    assert [lane.ends for lane in lanes] == [1, 1]


def test_a_stopped_loop_takes_nothing_more() -> None:
    running = Running()
    running.thread.start()
    running.stop()
    lane = Lane()
    with pytest.raises(StoppedError):
        running.loop.attach(lane)
    with pytest.raises(StoppedError):
        running.loop.detach(lane)
    with pytest.raises(StoppedError):
        running.loop.call(lambda: None)
    running.loop.wake()  # is no error
    assert lane.steps == 0


def test_a_loop_that_is_stopped_before_it_runs_ends_its_lanes() -> None:
    running = Running()
    lane = Lane(work=5)
    running.loop.attach(lane)
    call = running.loop.call(lambda: 7)
    running.loop.stop()
    running.thread.start()
    running.stop()
    assert (lane.steps, lane.ends) == (0, 1)
    assert call.result(SOON_S) == 7


@pytest.fixture
def eager_threads() -> Iterator[None]:
    """Threads take turns as often as Python can let them."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def test_news_reaches_the_lane_that_is_at_its_step_and_no_other(running: Running) -> None:
    """A wake, a call: whatever comes while it steps. Whether others wait is asked anew each time."""
    inside, gate = threading.Event(), threading.Event()
    asked: list[bool] = []

    class Slow(Lane):
        def step(self, others_wait: Callable[[], bool]) -> bool:
            asked.append(others_wait())
            inside.set()
            assert gate.wait(SOON_S)
            asked.append(others_wait())
            return False

    slow, other = Slow(), Lane()
    running.loop.attach(slow)
    assert inside.wait(SOON_S)
    before = slow.interrupts
    other.work = 1
    running.loop.attach(other)
    running.loop.wake()
    call = running.loop.call(lambda: None)
    assert slow.interrupts == before + 3
    gate.set()
    call.result(SOON_S)
    assert asked[:2] == [False, True]
    assert other.interrupts == 0


@pytest.mark.usefixtures("eager_threads")
def test_a_wake_at_any_moment_is_a_step_that_sees_what_came_before_it(running: Running) -> None:
    """Two threads bring work and wake the loop; none is left lying when they stop."""
    done: list[int] = []
    inbox: list[int] = []

    class Inbox(Lane):
        def step(self, others_wait: Callable[[], bool]) -> bool:
            while inbox:
                done.append(inbox.pop())
            return False

    lane = Inbox()
    running.loop.attach(lane)

    def bring(numbers: range) -> None:
        for number in numbers:
            inbox.append(number)
            running.loop.wake()
            if number % 3 == 0:
                until(lambda: not inbox)  # nothing but the wake before can have emptied it

    bringers = [threading.Thread(target=bring, args=(range(start, 1_500, 2),)) for start in (0, 1)]
    for bringer in bringers:
        bringer.start()
    for bringer in bringers:
        bringer.join(60)
    until(lambda: len(done) == 1_500)
    assert sorted(done) == list(range(1_500))


@pytest.mark.usefixtures("eager_threads")
def test_lanes_may_be_attached_and_detached_from_several_threads_at_once(running: Running) -> None:
    """Loading and unloading meet: whoever was attached is stepped, whoever was detached is not."""
    kept = [Lane() for _ in range(300)]  # many, so that taking one out takes long enough to be interrupted
    for lane in kept:
        running.loop.attach(lane)

    def churn() -> None:
        pending: list[Future[None]] = []
        for number in range(500):
            lane = Lane()
            running.loop.attach(lane)
            if number % 10 == 0:
                kept.append(lane)
            else:
                pending.append(running.loop.detach(lane))
        for future in pending:
            future.result(SOON_S)

    threads = [threading.Thread(target=churn) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for lane in kept:
        lane.work = 1
    running.loop.wake()
    until(lambda: all(lane.work == 0 for lane in kept))
    assert len(kept) == 450
    assert set(map(id, running.loop._lanes)) == set(map(id, kept))
