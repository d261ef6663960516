"""While nobody talks, prompts are read in long steps, which are given up for whoever comes or goes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import pytest

from router.engine.native import NativeModel
from router.engine.pace import SPARE_S
from tests.engine.lanes import Alone, MeddledContext, Request, Workbench, alone, tiny_model, workbench
from tests.engine.test_pace import taught

PROMPTS = ([5] * 120, [9, 7] * 60, [11] * 120)
SHORT = 40  # tokens; with the costs below a short step reads 17 of them, a long one 190


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NativeModel]:
    with tiny_model(tmp_path_factory.mktemp("models")) as model:
        yield model


@pytest.fixture(scope="module")
def oracle(model: NativeModel) -> Iterator[Alone]:
    with alone(model) as oracle:
        yield oracle


@pytest.fixture
def bench(model: NativeModel) -> Iterator[Workbench]:
    """A lane that believes to be on a slow machine, and learns nothing else in a few quick steps."""
    with workbench(model, slots=4, batch=512, kind=MeddledContext) as bench:
        pace = taught(0.005, 0.005, 0.005)
        pace.learn = lambda passes, said, read, seconds: None  # type: ignore[method-assign]
        bench.lane._pace = pace
        yield bench


def meddle(bench: Workbench, once: object) -> list[None]:
    """Do something in the middle of the next decode; the list grows when it has been done."""
    context, did = cast(MeddledContext, bench.context), []

    def act(_step: object) -> None:
        context.meddle = lambda _step: None
        did.append(None)
        once()  # type: ignore[operator]

    context.meddle = act
    return did


def check(oracle: Alone, *requests: Request) -> None:
    for request in requests:
        assert request.answer == oracle.ask(request.sequence.generation.prompt, 8).answer


def test_prompts_are_read_whole_in_one_step_while_nobody_talks(bench: Workbench, oracle: Alone) -> None:
    first, second = bench.submit(PROMPTS[0][:90]), bench.submit(PROMPTS[1][:90])
    bench.lane.step()
    assert [len(request.sequence.said) for request in (first, second)] == [1, 1]
    bench.run()
    check(oracle, first, second)


@pytest.mark.parametrize("who", ["talks", "waits in another lane"])
def test_a_step_is_short_while_somebody(bench: Workbench, oracle: Alone, who: str) -> None:
    if who == "talks":
        talker = bench.submit([3] * 4)
        bench.until_talking(talker)
    reader = bench.submit(PROMPTS[0])
    bench.lane.step(lambda: who != "talks")
    assert 0 < reader.sequence.fed < SHORT
    bench.run()
    check(oracle, reader)


def test_a_long_step_is_given_up_for_a_newcomer_and_both_are_read_together(bench: Workbench, oracle: Alone) -> None:
    first, late = bench.submit(PROMPTS[0]), []
    did = meddle(bench, lambda: late.append(bench.submit([3] * 12)))
    bench.lane.step()
    assert did
    assert first.sequence.fed == 0, "the step was not given up"
    bench.lane.step()
    assert [len(request.sequence.said) for request in (first, *late)] == [1, 1]
    bench.run()
    check(oracle, first, *late)
    bench.check_idle()


def test_a_long_step_is_given_up_for_one_who_goes_and_the_others_say_what_they_say_alone(
    bench: Workbench, oracle: Alone
) -> None:
    going, staying = bench.submit(PROMPTS[0]), bench.submit(PROMPTS[1])
    did = meddle(bench, lambda: bench.lane.cancel(going.sequence))
    bench.lane.step()
    assert did
    assert staying.sequence.fed == 0, "the step was not given up"
    bench.run()
    assert going.events == []
    check(oracle, staying)
    bench.check_idle()


def test_news_between_plan_and_step_is_no_step_but_a_new_plan(bench: Workbench) -> None:
    """Nobody waits for a long step that was planned without him."""
    first = bench.submit(PROMPTS[0])
    plan, late = bench.lane._plan, []

    def planned(target_s: float) -> object:
        if not late:
            late.append(bench.submit([3] * 12))
        return plan(target_s)

    bench.lane._plan = planned  # type: ignore[method-assign, assignment]
    assert bench.lane.step()
    assert first.sequence.fed == 0
    bench.lane.step()
    assert [len(request.sequence.said) for request in (first, *late)] == [1, 1]


def test_giving_up_costs_a_prompt_only_so_much(bench: Workbench, oracle: Alone) -> None:
    """Who comes and goes again and again cannot keep others from being read: from then on their steps are short."""
    reader = bench.submit(PROMPTS[0])
    reader.sequence.lost_s = SPARE_S
    did = meddle(bench, lambda: bench.submit([3] * 12))
    bench.lane.step()
    assert did
    assert 0 < reader.sequence.fed < SHORT
    bench.run()
    check(oracle, reader)


def test_what_is_lost_is_counted(bench: Workbench) -> None:
    reader = bench.submit(PROMPTS[0])
    meddle(bench, lambda: bench.submit([3] * 12))
    bench.lane.step()
    assert 0 < reader.sequence.lost_s < 60


def test_a_lane_decodes_on_after_a_step_that_was_given_up_at_its_very_end(bench: Workbench, oracle: Alone) -> None:
    """What says to give up a step says nothing about the next one."""
    first = bench.submit(PROMPTS[0])
    decode = bench.context.decode

    def late(step: object) -> bool:
        is_whole = decode(step)  # type: ignore[arg-type]
        bench.lane.interrupt()
        return is_whole

    bench.context.decode = late  # type: ignore[method-assign, assignment]
    bench.lane.step()
    bench.context.decode = decode  # type: ignore[method-assign]
    assert first.sequence.said
    bench.run()
    check(oracle, first)
