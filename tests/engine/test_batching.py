"""A lane's sequences join, are stepped together and leave: each is told exactly what it would be told alone.

The model is tiny and the test steps the lane itself.
"""

from __future__ import annotations

import pytest

from router.engine.native import NativeContext, NativeError, NativeModel, Step
from router.engine.queue import QueueFullError, QueueLimits
from router.engine.types import Failed
from tests.engine.lanes import Alone, MeddledContext, Request, workbench

LENGTH = 16


@pytest.fixture(scope="module")
def prompts(oracle: Alone) -> list[str]:
    return oracle.sure_prompts(40, LENGTH)


@pytest.mark.parametrize("slots", [1, 3, 8])
def test_forty_answers_are_those_given_alone_however_many_slots_there_are(
    model: NativeModel, oracle: Alone, prompts: list[str], slots: int
) -> None:
    with workbench(model, slots=slots) as bench:
        asked = [bench.submit(prompt, LENGTH) for prompt in prompts]
        bench.run()
        assert [request.answer for request in asked] == [oracle.ask(prompt, LENGTH).answer for prompt in prompts]
        bench.check_idle()


def test_one_that_waits_is_served_when_the_last_one_running_leaves(model: NativeModel) -> None:
    """Nothing else happens then that could wake the loop: `step` itself must say that there is more to do."""
    with workbench(model, slots=1) as bench:
        first, second = bench.submit("first", 2), bench.submit("second", 2)
        while not first.ends:
            assert bench.lane.step(), "the lane went to sleep"
        assert not second.ends
        bench.run()
        assert second.finished.completion_tokens == 2


def test_who_joins_in_the_middle_of_others_answers_changes_none(
    model: NativeModel, oracle: Alone, prompts: list[str]
) -> None:
    with workbench(model, slots=4) as bench:
        asked: list[Request] = []
        for prompt in prompts[:12]:
            asked.append(bench.submit(prompt, LENGTH))
            for _ in range(5):
                bench.lane.step()
        bench.run()
        assert [request.answer for request in asked] == [oracle.ask(prompt, LENGTH).answer for prompt in prompts[:12]]


def test_log_probabilities_in_a_batch_are_those_given_alone(
    model: NativeModel, oracle: Alone, prompts: list[str]
) -> None:
    """The bound is test_architectures' measure for tiny models: 0.009 at most, over all families."""
    with workbench(model, slots=8) as bench:
        asked = [bench.submit(prompt, LENGTH, top_logprobs=2) for prompt in prompts[:8]]
        bench.run()
    for prompt, request in zip(prompts, asked, strict=False):
        expected = [entry.logprob for entry in oracle.ask(prompt, LENGTH, top_logprobs=2).logprobs]
        assert [entry.logprob for entry in request.logprobs] == pytest.approx(expected, abs=0.02)


def test_a_long_prompt_is_read_while_others_talk(model: NativeModel, prompts: list[str]) -> None:
    """Nobody who talks waits for the whole of somebody's prompt: every step gives each of them a token."""
    with workbench(model, slots=3, batch=32) as bench:
        talkers = [bench.submit(prompt, 100) for prompt in prompts[:2]]
        bench.until_talking(*talkers)
        long = bench.submit([5] * 300, 1)
        said = [len(talker.sequence.said) for talker in talkers]
        steps = 0
        while not long.sequence.said:
            bench.lane.step()
            steps += 1
            assert [len(talker.sequence.said) for talker in talkers] == [count + steps for count in said]
        assert steps >= 300 / 32


def test_prompts_that_come_together_are_read_together_and_a_short_one_first(model: NativeModel) -> None:
    with workbench(model, slots=2, batch=32) as bench:
        long, short = bench.submit([5] * 300, 1), bench.submit([6] * 20, 1)
        while not short.ends:
            bench.lane.step()
        assert not long.ends
        assert 20 <= long.sequence.fed < 200
        bench.run()
        assert long.finished.prompt_tokens == 300


def test_a_token_a_step_is_what_no_more_than_a_full_context_costs(model: NativeModel) -> None:
    """A request may fill its part of the cache to the last position, while a neighbour fills its own."""
    with workbench(model, slots=2, context=256) as bench:
        asked = [bench.submit([7 + index] * 200, bench.context.length - 200) for index in range(2)]
        bench.run()
        for request in asked:
            assert (request.finished.reason, request.finished.completion_tokens) == (
                "length",
                bench.context.length - 200,
            )
        bench.check_idle()


def test_a_stop_string_ends_one_answer_and_no_other(model: NativeModel, oracle: Alone, prompts: list[str]) -> None:
    whole = oracle.ask(prompts[0], LENGTH).text
    stop = whole[4:7]
    with workbench(model, slots=2) as bench:
        stopped, other = bench.submit(prompts[0], LENGTH, stop=(stop,)), bench.submit(prompts[1], LENGTH)
        bench.run()
    assert stopped.text == whole[: whole.index(stop)]
    assert stopped.finished.reason == "stop"
    assert stopped.finished.completion_tokens < LENGTH
    assert other.answer == oracle.ask(prompts[1], LENGTH).answer


def test_who_is_left_stands_close_again_and_says_what_it_says_alone(
    model: NativeModel, oracle: Alone, prompts: list[str]
) -> None:
    """A gap between those who talk would cost a pass over the weights in every step."""
    with workbench(model, slots=4) as bench:
        brief = bench.submit(prompts[0], LENGTH), bench.submit(prompts[1], 2)
        long = [bench.submit(prompt, LENGTH) for prompt in prompts[2:4]]
        while not brief[1].ends:
            bench.lane.step()
        bench.lane.step()
        talking = sorted(request.sequence.slot.index for request in (brief[0], *long) if request.sequence.slot)
        assert talking in ([0, 1, 2], [1, 2, 3])
        bench.check_memory()
        bench.run()
        for prompt, request in zip((prompts[0], *prompts[2:4]), (brief[0], *long), strict=True):
            assert request.answer == oracle.ask(prompt, LENGTH).answer
        bench.check_idle()


def test_what_a_slot_keeps_moves_with_it(model: NativeModel, prompts: list[str]) -> None:
    with workbench(model, slots=4) as bench:
        asked = [
            bench.submit(prompt, 2 if index == 1 else LENGTH, salt="red") for index, prompt in enumerate(prompts[:4])
        ]
        bench.run()
        assert all(request.ends for request in asked)
        bench.check_idle()
        again = bench.ask(prompts[1], 2, salt="red")
        assert again.finished.cached_tokens == len(again.sequence.generation.prompt) - 1
        assert again.answer == asked[1].answer


# Cancellation.


def test_one_that_waits_is_cancelled_at_once_and_told_nothing(model: NativeModel, prompts: list[str]) -> None:
    with workbench(model, slots=1) as bench:
        first, second, third = (bench.submit(prompt, 4) for prompt in prompts[:3])
        bench.lane.step()
        bench.lane.cancel(second.sequence)
        assert bench.lane.depth == (1, 1)
        bench.run()
        assert second.events == []
        assert [request.finished.completion_tokens for request in (first, third)] == [4, 4]
        assert bench.lane.figures().cancelled_total == 1
        bench.check_idle()


@pytest.mark.parametrize("state", ["reading", "talking"])
def test_one_that_runs_is_gone_after_the_next_step_and_told_nothing_more(
    model: NativeModel, oracle: Alone, prompts: list[str], state: str
) -> None:
    with workbench(model, slots=2, batch=32) as bench:
        going = bench.submit([5] * 100 if state == "reading" else prompts[0], 100)
        staying = bench.submit(prompts[1], LENGTH)
        if state == "talking":
            bench.until_talking(going)
        else:
            bench.lane.step()
            assert going.sequence.fed > 0
            assert going.sequence.is_prefilling
        told = list(going.events)
        bench.lane.cancel(going.sequence)
        bench.lane.cancel(going.sequence)  # twice is once
        bench.lane.step()
        assert bench.lane.depth == (0, 1)
        bench.run()
        assert going.events == told
        assert staying.answer == oracle.ask(prompts[1], LENGTH).answer
        assert bench.lane.figures().cancelled_total == 1
        bench.check_idle()


def test_a_lone_prompt_is_cancelled_in_the_middle_of_its_step(
    model: NativeModel, oracle: Alone, prompts: list[str]
) -> None:
    """llama.cpp gives the step up; what it had written of it is not taken for the prompt's later."""
    with workbench(model, slots=2, batch=256, kind=MeddledContext) as bench:
        assert isinstance(bench.context, MeddledContext)
        going = bench.submit([5] * 200, 4, salt="a")
        bench.lane.step()  # a first piece, whole
        fed = going.sequence.fed
        assert 0 < fed < 200
        bench.context.meddle = lambda _step: bench.lane.cancel(going.sequence)
        bench.lane.step()
        assert going.sequence.fed == fed, "the step was not given up"
        bench.context.meddle = lambda _step: None
        bench.run()
        assert going.events == []
        bench.check_idle()
        again = bench.ask([5] * 200, 4, salt="a")
        assert again.finished.cached_tokens == fed
        assert again.answer == oracle.ask([5] * 200, 4).answer


def test_one_that_talks_is_cancelled_in_the_middle_of_a_step_of_others(
    model: NativeModel, oracle: Alone, prompts: list[str]
) -> None:
    """Their step is not given up."""
    with workbench(model, slots=2, kind=MeddledContext) as bench:
        assert isinstance(bench.context, MeddledContext)
        going, staying = bench.submit(prompts[0], 100), bench.submit(prompts[1], LENGTH)
        bench.until_talking(going, staying)
        said = len(staying.sequence.said)
        bench.context.meddle = lambda _step: bench.lane.cancel(going.sequence)
        bench.lane.step()
        assert len(staying.sequence.said) == said + 1
        bench.context.meddle = lambda _step: None
        bench.run()
        assert not going.ends
        assert staying.answer == oracle.ask(prompts[1], LENGTH).answer
        bench.check_idle()


def test_who_is_cancelled_after_the_end_changes_nothing(model: NativeModel, prompts: list[str]) -> None:
    with workbench(model) as bench:
        request = bench.ask(prompts[0], 4)
        bench.lane.cancel(request.sequence)
        bench.run()
        assert bench.lane.figures().cancelled_total == 0
        assert request.finished.completion_tokens == 4


# Several choices of one request.


def test_choices_read_their_prompt_once_and_each_answers_whole(model: NativeModel, oracle: Alone) -> None:
    prompt = list(range(10, 90))
    with workbench(model, slots=4) as bench:
        leader = bench.submit(prompt, LENGTH, salt="own")
        others = [bench.submit(prompt, LENGTH, salt="own", leader=leader) for _ in range(3)]
        bench.run()
        expected = oracle.ask(prompt, LENGTH).answer
        assert [request.answer for request in (leader, *others)] == [expected] * 4
        assert [request.finished.cached_tokens for request in others] == [len(prompt) - 1] * 3
        assert bench.lane.figures().prompt_tokens_total == len(prompt) + 3
        bench.check_idle()


@pytest.mark.parametrize("steps", [0, 1, 4], ids=["waiting", "reading", "talking"])
def test_choices_are_answered_though_their_leader_is_cancelled(model: NativeModel, oracle: Alone, steps: int) -> None:
    prompt = list(range(10, 90))
    with workbench(model, slots=4, batch=32) as bench:
        leader = bench.submit(prompt, LENGTH, salt="own")
        others = [bench.submit(prompt, LENGTH, salt="own", leader=leader) for _ in range(2)]
        for _ in range(steps):
            bench.lane.step()
        bench.lane.cancel(leader.sequence)
        bench.run()
        assert not leader.ends
        assert [request.answer for request in others] == [oracle.ask(prompt, LENGTH).answer] * 2
        bench.check_idle()


# Limits and failures.


def test_a_full_line_refuses_and_takes_again_when_there_is_room(model: NativeModel) -> None:
    with workbench(model, slots=2, limits=QueueLimits(count=3)) as bench:
        asked = [bench.submit("one more", 4) for _ in range(5)]  # two slots, three who wait
        with pytest.raises(QueueFullError) as full:
            bench.submit("too many", 4)
        assert full.value.scope == "system"
        assert full.value.retry_after >= 1
        bench.run()
        assert all(request.finished for request in asked)
        assert bench.ask("now there is room", 4).finished
        figures = bench.lane.figures()
        assert (figures.requests_total, figures.refused_total) == (6, 1)
        bench.check_idle()


class FailingContext(NativeContext):
    """Its decode fails when a token of the step says so, as llama.cpp does when it finds no room."""

    poison = 6

    def decode(self, step: Step) -> bool:
        if self.poison in step.tokens:
            raise NativeError("llama_decode returned 1")
        return super().decode(step)


def test_a_step_that_fails_fails_who_was_in_it_and_nobody_later(model: NativeModel, oracle: Alone) -> None:
    with workbench(model, slots=2, kind=FailingContext) as bench:
        assert isinstance(bench.context, FailingContext)
        bad, beside, later = bench.submit([5, 6, 5], 4), bench.submit([5, 5], 4), bench.submit([7, 8, 9], LENGTH)
        bench.run()
        for request in (bad, beside):
            assert request.ends == [Failed("engine_error", "The local engine could not decode this request.")]
        assert later.answer == oracle.ask([7, 8, 9], LENGTH).answer
        bench.check_idle()


def test_when_the_lane_ends_everybody_is_told_once(model: NativeModel, prompts: list[str]) -> None:
    with workbench(model, slots=2) as bench:
        asked = [bench.submit(prompt, 50) for prompt in prompts[:5]]
        for _ in range(3):
            bench.lane.step()
        bench.lane.end()
        for request in asked:
            (last,) = request.ends
            assert isinstance(last, Failed)
            assert last.code == "local_unavailable"
        bench.check_idle()
