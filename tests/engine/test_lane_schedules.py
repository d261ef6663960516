"""Whoever joins, leaves, is cancelled or stopped in whatever order: each is told its own answer or nothing more.

The schedules are random, and the same ones in each run. A rule that breaks is shown as the shortest schedule that
breaks it.
"""

from __future__ import annotations

import gc
import random
import resource
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from router.engine.native import NativeModel
from router.engine.prefix import common_prefix
from router.engine.queue import QueueFullError, QueueLimits
from tests.engine.lanes import Alone, MeddledContext, Request, Workbench, workbench

LENGTHS = (1, 5, 24)
LIMITS = QueueLimits(count=5, tokens=1_500)
ROOM = 160  # tokens of one slot: more than any request here wants

Prompt = tuple[int, ...]


@dataclass(frozen=True)
class Ask:
    """Put `choices` requests in line: the first leads the others."""

    prompt: int
    length: int
    salt: str | None
    tenant: str
    stops: bool
    choices: int


@dataclass(frozen=True)
class Steps:
    count: int


@dataclass(frozen=True)
class Cancel:
    """One of those asked so far; `inside`: while the next step is being decoded."""

    which: int
    inside: bool


Action = Ask | Steps | Cancel

ACTIONS = st.one_of(
    st.builds(
        Ask,
        prompt=st.integers(0, 11),
        length=st.sampled_from(LENGTHS),
        salt=st.sampled_from([None, "one", "two"]),
        tenant=st.sampled_from(["", "red", "blue"]),
        stops=st.booleans(),
        choices=st.sampled_from([1, 1, 1, 3]),
    ),
    st.builds(Steps, st.integers(1, 12)),
    st.builds(Cancel, which=st.integers(0, 30), inside=st.booleans()),
)


@pytest.fixture(scope="module")
def prompts(model: NativeModel, oracle: Alone) -> list[Prompt]:
    """Short ones, some that begin alike, long ones, and some that make their answer repeat itself (to be guessed)."""
    texts = oracle.sure_prompts(4, max(LENGTHS))
    found = [tuple(model.tokenize(text, special=True)) for text in texts]
    source = random.Random(7)
    for kind in range(10_000):
        start = found[kind % 4] if kind % 2 else ()
        more = tuple(source.choices(range(5, 300), k=source.choice((4, 30, 70))))
        prompt = (*start, *more * (2 if len(more) < 31 else 1))
        if oracle.lead(prompt, max(LENGTHS)) >= 0.05:
            found.append(prompt)
        if len(found) == 12:
            return found
    raise AssertionError("no prompts are sure enough")


@dataclass
class Story:
    """One schedule as it unfolds, and what must be true of it at its end."""

    bench: Workbench
    oracle: Alone
    prompts: list[Prompt]
    asked: list[tuple[Ask, Request]] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)  # when each was told to come back, in seconds
    cancelled: set[int] = field(default_factory=set)
    silenced: list[tuple[Request, int]] = field(
        default_factory=list
    )  # cancelled between steps: how much they had heard

    def act(self, action: Action) -> None:
        if isinstance(action, Ask):
            self._ask(action)
        elif isinstance(action, Steps):
            for _ in range(action.count):
                self.bench.lane.step()
        elif self.asked:
            self._cancel(action)
        figures = self.bench.lane.figures()
        assert figures.waiting + figures.running == sum(not request.sequence.is_done for _, request in self.asked)
        assert figures.running <= figures.slots

    def _ask(self, ask: Ask) -> None:
        leader: Request | None = None
        for _ in range(ask.choices):
            request = self.bench.request(self.prompts[ask.prompt], ask.length, leader=leader, **self._fields(ask))
            try:
                self.bench.lane.submit(request.sequence)
            except QueueFullError as full:
                self.refused.append(full.retry_after)
                if leader is None:
                    return
            else:
                leader = leader or request
                self.asked.append((ask, request))

    def _fields(self, ask: Ask) -> dict[str, Any]:
        return {"salt": ask.salt, "tenant": ask.tenant, "stop": self._stop(ask)}

    def _stop(self, ask: Ask) -> tuple[str, ...]:
        text = self.oracle.ask(self.prompts[ask.prompt], ask.length).text
        return (text[3:5],) if ask.stops and len(text) > 5 else ()

    def _cancel(self, action: Cancel) -> None:
        number = action.which % len(self.asked)
        _, request = self.asked[number]
        context, lane = self.bench.context, self.bench.lane
        assert isinstance(context, MeddledContext)
        if not request.sequence.is_done:
            self.cancelled.add(number)
        if action.inside:
            context.meddle = lambda _step: lane.cancel(request.sequence)
            lane.step()
            context.meddle = lambda _step: None
        else:
            lane.cancel(request.sequence)
            self.silenced.append((request, len(request.events)))

    def end(self) -> None:
        self.bench.run()
        for number, (ask, request) in enumerate(self.asked):
            self.check(ask, request, was_cancelled=number in self.cancelled)
            assert not request.ends or request.finished.cached_tokens <= self._reusable(ask, request)
        for request, heard in self.silenced:
            assert len(request.events) == heard
        self.bench.check_idle()
        figures = self.bench.lane.figures()
        ended = sum(len(request.ends) for _, request in self.asked)
        assert (figures.requests_total, figures.refused_total) == (len(self.asked), len(self.refused))
        assert all(seconds >= 1 for seconds in self.refused)
        assert figures.cancelled_total == len(self.asked) - ended
        assert figures.decoded_tokens_total == sum(len(request.sequence.said) for _, request in self.asked)

    def check(self, ask: Ask, request: Request, *, was_cancelled: bool) -> None:
        """It heard its own answer, whole and once; or, cancelled, a beginning of it."""
        expected = self.oracle.ask(self.prompts[ask.prompt], ask.length, stop=self._stop(ask))
        assert request.sequence.is_done
        if was_cancelled and not request.ends:
            assert expected.text.startswith(request.text)
            return
        assert request.answer == expected.answer

    def _reusable(self, ask: Ask, request: Request) -> int:
        """How much of its prompt another request of its own partition may have left behind."""
        if ask.salt is None:
            return 0
        prompt = self.prompts[ask.prompt]
        others = (other.sequence for its, other in self.asked if its.salt == ask.salt and other is not request)
        return max((common_prefix(prompt, [*other.generation.prompt, *other.said]) for other in others), default=0)


@pytest.mark.parametrize("slots", [1, 2, 5])
@settings(
    max_examples=150,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(actions=st.lists(ACTIONS, min_size=3, max_size=60))
def test_whatever_the_order_each_is_told_its_own_answer_once_and_nothing_is_left(
    model: NativeModel, oracle: Alone, prompts: list[Prompt], slots: int, actions: list[Action]
) -> None:
    with workbench(model, slots=slots, context=ROOM, batch=32, limits=LIMITS, kind=MeddledContext) as bench:
        story = Story(bench, oracle, prompts)
        for action in actions:
            story.act(action)
        story.end()


def random_actions(source: random.Random) -> list[Action]:
    actions: list[Action] = []
    for _ in range(source.randint(5, 60)):
        draw = source.random()
        if draw < 0.4:
            salt, tenant = source.choice([None, "one", "two"]), source.choice(["", "red", "blue"])
            length, choices = source.choice(LENGTHS), source.choice([1, 1, 1, 3])
            actions.append(Ask(source.randrange(12), length, salt, tenant, source.random() < 0.3, choices))
        elif draw < 0.8:
            actions.append(Steps(source.randint(1, 12)))
        else:
            actions.append(Cancel(source.randrange(30), source.random() < 0.5))
    return actions


def resident_kb() -> int:
    gc.collect()
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize() // 1024


def test_many_schedules_on_one_lane_leave_no_memory_behind(
    model: NativeModel, oracle: Alone, prompts: list[Prompt]
) -> None:
    """A leak of one slot's state (20 KB) in each schedule would be 2.4 MB here; allocators settle in the first ones."""
    source = random.Random(3)
    with workbench(model, slots=3, context=ROOM, batch=32, limits=LIMITS, kind=MeddledContext) as bench:
        before = 0
        for number in range(200):
            figures = bench.lane.figures()
            story = Story(bench, oracle, prompts)
            for action in random_actions(source):
                story.act(action)
            bench.run()
            bench.check_idle()
            for index, (ask, request) in enumerate(story.asked):
                story.check(ask, request, was_cancelled=index in story.cancelled)
            if number == 80:
                before = resident_kb()
        assert figures.requests_total > 1_500
        assert figures.speculated_total > 0
        assert figures.prefix_hits_total > 0
        assert figures.cancelled_total > 100
        assert figures.refused_total > 100
        assert resident_kb() - before < 1_500
