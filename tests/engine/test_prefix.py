"""What a prompt may reuse of the cache: all of its own partition's, nothing of another's but the template's opening."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from router.engine.adapters import Adapters
from router.engine.native import NativeModel
from router.engine.prefix import Partition, SlotTable, common_prefix
from tests.engine.lanes import LEAD, Alone, MeddledContext, Workbench, alone, tiny_model, workbench
from tests.support.tiny_gguf import make_adapter

LENGTH = 12
RED: Partition = ("red", None)
BLUE: Partition = ("blue", None)

# The table of slots.

COMMON = [([], [], 0), ([1], [], 0), ([1, 2], [1, 2], 2), ([1, 2, 3], [1, 2], 2), ([1, 2], [1, 3], 1), ([1], [2], 0)]


@pytest.mark.parametrize(("left", "right", "length"), COMMON)
def test_the_common_prefix(left: list[int], right: list[int], length: int) -> None:
    assert common_prefix(left, right) == common_prefix(right, left) == length


def table(*held: tuple[Partition | None, list[int], bool]) -> SlotTable:
    """A slot for each: partition, tokens, whether it is busy; freed in this order."""
    slots = SlotTable(len(held))
    for slot, (partition, tokens, is_busy) in zip(slots.slots, held, strict=True):
        if partition is not None or is_busy:
            slots.occupy(slot, partition, None)
            slot.tokens = list(tokens)
            if not is_busy:
                slots.free(slot)
    return slots


TEXT = list(range(100))
EMPTY: tuple[Partition | None, list[int], bool] = (None, [], False)
# What the slots hold, whose prompt TEXT is, and where it goes: slot, how much is kept, the slot it is copied from.
PLACES = [
    ("nothing is held", [EMPTY, EMPTY], RED, (0, 0, None)),
    ("its own, all of it: the last token is read anew", [EMPTY, (RED, TEXT, False)], RED, (1, 99, None)),
    ("its own, a part", [EMPTY, (RED, [*TEXT[:40], 7], False)], RED, (1, 40, None)),
    ("the longer of two", [(RED, TEXT[:40], False), (RED, TEXT[:60], False)], RED, (1, 60, None)),
    ("another's", [(BLUE, TEXT, False), EMPTY], RED, (1, 0, None)),
    ("another adapter's", [(("red", "lora"), TEXT, False), EMPTY], RED, (1, 0, None)),
    ("no partition reuses nothing", [(RED, TEXT, False), EMPTY], None, (1, 0, None)),
    ("of no partition: reused by nobody", [(None, TEXT, False), EMPTY], None, (0, 0, None)),
    ("busy: copied", [(RED, TEXT, True), EMPTY], RED, (1, 99, 0)),
    ("busy and another's", [(BLUE, TEXT, True), EMPTY], RED, (1, 0, None)),
    ("busy and short: not worth a copy", [(RED, TEXT[:20], True), EMPTY], RED, (1, 0, None)),
    ("a copy that is little longer", [(RED, TEXT, True), (RED, TEXT[:80], False)], RED, (1, 80, None)),
    ("a copy that is much longer", [(RED, TEXT, True), (RED, TEXT[:20], False)], RED, (1, 99, 0)),
    ("an empty slot before one that somebody may come back to", [(BLUE, TEXT, False), EMPTY], RED, (1, 0, None)),
    ("the one unused for longest", [(BLUE, TEXT, False), (BLUE, [5], False)], RED, (0, 0, None)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("held", "partition", "place"), [case[1:] for case in PLACES], ids=[case[0] for case in PLACES]
)
def test_where_a_prompt_goes(
    held: list[tuple[Partition | None, list[int], bool]],
    partition: Partition | None,
    place: tuple[int, int, int | None],
) -> None:
    found = table(*held).place(TEXT, partition)
    source = found.source.index if found.source is not None else None
    assert (found.slot.index, found.kept, source) == place


def test_a_slot_that_is_used_again_is_the_last_to_be_given_away() -> None:
    slots = table((RED, [1], False), (BLUE, [2], False))
    slots.occupy(slots.slots[0], RED, None)
    slots.free(slots.slots[0])
    assert slots.place([9, 9], ("green", None)).slot.index == 1


def test_there_is_a_free_slot_until_all_are_busy() -> None:
    slots = SlotTable(2)
    for slot in slots.slots:
        assert slots.has_free
        slots.occupy(slot, RED, None)
    assert not slots.has_free


# Which slots are busy (+) and how many tokens each holds; which goes where.
GAPS = [
    ("nobody", "- -", None),
    ("one alone", "- +9 -", None),
    ("neighbours", "- +9 +9 +9", None),
    ("the last one into a gap", "+9 - +9 +3", (3, 1)),
    ("the shorter end moves", "+3 - +9 +9", (0, 1)),
    ("an empty place before one that holds something", "+9 -5 - +9 +3", (4, 2)),
    ("of two empty ones the one beside the others", "+9 +9 - - +3", (4, 2)),
    ("of two empty ones the one beside the others, from below", "+3 - - +9 +9", (0, 2)),
    ("too much to be copied", "+900 - +900", (0, 1)),
    ("far too much to be copied", "+2000 - +2000", None),
    ("too much, with what is kept in the gap", "+900 -900 +900", None),
]


@pytest.mark.parametrize(("slots", "move"), [case[1:] for case in GAPS], ids=[case[0] for case in GAPS])
def test_a_gap_between_those_who_are_decoded_together_is_filled(slots: str, move: tuple[int, int] | None) -> None:
    held = [(RED, list(range(int(word[1:] or 0))), word[0] == "+") for word in slots.split()]
    found = table(*held).gap()
    assert (found and (found[0].index, found[1].index)) == move


# A lane over a real cache.

PROMPT = tuple(range(12, 112))
OTHER = tuple(range(170, 250))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("model")


@pytest.fixture(scope="module")
def model(folder: Path) -> Iterator[NativeModel]:
    with tiny_model(folder, "llama-3.2") as loaded:
        yield loaded


@pytest.fixture
def bench(model: NativeModel) -> Iterator[Workbench]:
    with workbench(model, slots=3, kind=MeddledContext) as made:
        yield made


def reused(bench: Workbench, prompt: tuple[int, ...], salt: str | None) -> int:
    """Ask; the tokens that were reused. Counters must say the same as the answer does."""
    figures = bench.lane.figures()
    read, hits = figures.prompt_tokens_total, figures.prefix_tokens_total
    request = bench.ask(prompt, LENGTH, salt=salt)
    bench.check_idle()
    kept = request.finished.cached_tokens
    assert figures.prompt_tokens_total - read == len(prompt) - kept
    assert figures.prefix_tokens_total - hits == kept
    return kept


def test_no_answer_here_hangs_on_a_rounding(oracle: Alone) -> None:
    """What else is in a step changes the last digits, so what is compared below must not depend on them."""
    longer = (*PROMPT, *oracle.ask(PROMPT, LENGTH).sequence.said, 7, 8, 9)
    opened = [(*PROMPT[:OPENING], *OTHER, number) for number in range(6)]
    changed = (*PROMPT[:60], 7, *PROMPT[61:])
    others = [PROMPT[:OPENING], changed, changed[::-1], (*PROMPT[:50], *OTHER)]
    assert min(oracle.lead(prompt, LENGTH) for prompt in (PROMPT, longer, *opened, *others)) > LEAD


def test_the_same_partition_reuses_its_prompt_and_answers_the_same(bench: Workbench, oracle: Alone) -> None:
    cold = bench.ask(PROMPT, LENGTH, salt="red")
    warm = bench.ask(PROMPT, LENGTH, salt="red")
    assert (cold.finished.cached_tokens, warm.finished.cached_tokens) == (0, len(PROMPT) - 1)
    assert warm.answer == cold.answer == oracle.ask(PROMPT, LENGTH).answer


def test_the_counters_tell_what_was_read_and_what_was_reused(bench: Workbench) -> None:
    assert [reused(bench, PROMPT, "red") for _ in range(3)] == [0, len(PROMPT) - 1, len(PROMPT) - 1]
    assert bench.lane.figures().prefix_hits_total == 2


@pytest.mark.parametrize(
    ("first", "second"), [("red", "blue"), ("red", None), (None, "red"), (None, None), ("red", "")]
)
def test_another_partition_reuses_nothing(bench: Workbench, first: str | None, second: str | None) -> None:
    assert reused(bench, PROMPT, first) == 0
    assert reused(bench, PROMPT, second) == 0


def test_a_conversation_that_goes_on_reuses_what_was_said(bench: Workbench, oracle: Alone) -> None:
    first = bench.ask(PROMPT, LENGTH, salt="red")
    # The last token of an answer is not in the cache: nothing was decoded after it.
    longer = (*PROMPT, *first.sequence.said, 7, 8, 9)
    second = bench.ask(longer, LENGTH, salt="red")
    assert second.finished.cached_tokens == len(PROMPT) + LENGTH - 1
    assert second.answer == oracle.ask(longer, LENGTH).answer


def test_a_prompt_that_begins_alike_reuses_its_beginning_only(bench: Workbench, oracle: Alone) -> None:
    bench.ask(PROMPT, LENGTH, salt="red")
    changed = (*PROMPT[:60], 7, *PROMPT[61:])
    request = bench.ask(changed, LENGTH, salt="red")
    assert request.finished.cached_tokens == 60
    assert request.answer == oracle.ask(changed, LENGTH).answer


def test_a_prompt_of_a_running_neighbour_is_copied_and_the_neighbour_goes_on(bench: Workbench, oracle: Alone) -> None:
    first = bench.submit(PROMPT, LENGTH, salt="red")
    bench.until_talking(first)
    second, stranger = bench.submit(PROMPT, LENGTH, salt="red"), bench.submit(PROMPT, LENGTH, salt="blue")
    bench.run()
    cached = [request.finished.cached_tokens for request in (first, second, stranger)]
    assert cached == [0, len(PROMPT) - 1, 0]
    assert {request.answer for request in (first, second, stranger)} == {oracle.ask(PROMPT, LENGTH).answer}
    bench.check_idle()


def test_a_slot_that_another_partition_takes_over_holds_nothing_of_the_first(model: NativeModel, oracle: Alone) -> None:
    """The cache is looked at while the new prompt's first piece is about to be read."""
    with workbench(model, slots=1, batch=32, kind=MeddledContext) as bench:
        assert isinstance(bench.context, MeddledContext)
        bench.ask(PROMPT, LENGTH, salt="red")
        assert bench.held(0) == (0, len(PROMPT) + LENGTH - 2)
        held: list[tuple[int, int]] = []
        bench.context.meddle = lambda _step: held.append(bench.held(0))
        blue = bench.ask((*PROMPT[:50], *OTHER), LENGTH, salt="blue")
        assert held[0] == (-1, -1)
        assert blue.finished.cached_tokens == 0
        assert blue.answer == oracle.ask((*PROMPT[:50], *OTHER), LENGTH).answer
        # And what blue has left is not red's: red starts anew.
        held.clear()
        assert bench.ask(PROMPT, LENGTH, salt="red").finished.cached_tokens == 0
        assert held[0] == (-1, -1)


def test_a_slot_that_is_given_to_nobody_in_particular_loses_its_partition(bench: Workbench) -> None:
    """What a request without a partition leaves behind is reused by nobody, whoever had the slot before."""
    with_slots = [bench.ask((*PROMPT, number), LENGTH, salt="red") for number in range(3)]
    assert all(request.finished for request in with_slots)
    many = [bench.submit((*OTHER, number), LENGTH, salt=None) for number in range(3)]
    bench.run()
    assert [request.finished.cached_tokens for request in many] == [0, 0, 0]
    assert reused(bench, (*OTHER, 0), "red") == 0


def test_choices_copy_from_their_leader_and_their_partition_dies_with_them(bench: Workbench) -> None:
    leader = bench.submit(PROMPT, LENGTH, salt="of this request")
    followers = [bench.submit(PROMPT, LENGTH, salt="of this request", leader=leader) for _ in range(2)]
    bench.run()
    assert [request.finished.cached_tokens for request in followers] == [len(PROMPT) - 1] * 2
    assert reused(bench, PROMPT, "of another") == 0


@pytest.mark.parametrize("family", ["gemma-2", "gemma-3"])
def test_a_prompt_cut_behind_a_sliding_window_is_answered_as_if_it_were_new(folder: Path, family: str) -> None:
    """These attend to the last 64 tokens in some layers; the cut leaves far less of what was there."""
    source = random.Random(1)
    with tiny_model(folder, family) as model, alone(model, context=1024) as oracle, workbench(model, slots=2) as bench:
        compared = 0
        for kept in range(20, 300, 40):
            first = [source.randrange(10, 300) for _ in range(300)]
            second = first[:kept] + [source.randrange(10, 300) for _ in range(30)]
            bench.ask(first, LENGTH, salt="red")
            request = bench.ask(second, LENGTH, salt="red")
            assert request.finished.cached_tokens >= kept
            if oracle.lead(second, LENGTH) > LEAD:
                assert request.answer == oracle.ask(second, LENGTH).answer
                compared += 1
        assert compared >= 4


# The template's own opening.

OPENING = 26


def test_the_opening_is_read_once_and_shared_by_all(bench: Workbench, oracle: Alone) -> None:
    opening = PROMPT[:OPENING]
    asked = [bench.ask((*opening, *OTHER, number), LENGTH, salt=str(number), public=OPENING) for number in range(5)]
    assert [request.finished.cached_tokens for request in asked] == [0] + [OPENING] * 4
    for number, request in enumerate(asked):
        assert request.answer == oracle.ask((*opening, *OTHER, number), LENGTH).answer
    # Hits are of what callers said; the opening is no news.
    assert bench.lane.figures().prefix_hits_total == 0


def test_the_opening_is_put_where_something_else_stood(model: NativeModel, oracle: Alone) -> None:
    prompts = [(*PROMPT[:OPENING], *OTHER, number) for number in range(2)]
    with workbench(model, slots=1) as bench:
        bench.ask(prompts[0], LENGTH, salt="red", public=OPENING)
        bench.ask(OTHER, LENGTH, salt="blue")  # takes the only slot
        request = bench.ask(prompts[1], LENGTH, salt="green", public=OPENING)
        assert request.finished.cached_tokens == OPENING
        assert request.answer == oracle.ask(prompts[1], LENGTH).answer


def test_an_opening_that_is_not_the_one_saved_is_read(bench: Workbench, oracle: Alone) -> None:
    """A template may write the date."""
    bench.ask(PROMPT, LENGTH, salt="red", public=OPENING)
    changed = (*PROMPT[:60], 7, *PROMPT[61:])
    for prompt, public in ((changed[::-1], OPENING), (PROMPT, OPENING - 3)):
        request = bench.ask(prompt, LENGTH, salt="blue", public=public)
        assert request.finished.cached_tokens == 0
        assert request.answer == oracle.ask(prompt, LENGTH).answer
        bench.check_idle()


def test_beyond_the_opening_nothing_is_shared(bench: Workbench) -> None:
    first = bench.ask(PROMPT, LENGTH, salt="red", public=OPENING)
    for salt in ("blue", None):
        assert bench.ask(PROMPT, LENGTH, salt=salt, public=OPENING).finished.cached_tokens == OPENING
    assert first.finished.cached_tokens == 0


def test_what_a_caller_wrote_in_the_openings_place_is_not_shared(bench: Workbench) -> None:
    """`public` 0: the prompt does not begin with the template's own words, whatever was saved."""
    bench.ask(PROMPT, LENGTH, salt="red", public=OPENING)
    assert bench.ask(PROMPT, LENGTH, salt="blue", public=0).finished.cached_tokens == 0


def test_the_opening_alone_is_a_prompt_too(bench: Workbench, oracle: Alone) -> None:
    prompt = PROMPT[:OPENING]
    asked = [bench.ask(prompt, LENGTH, salt=salt, public=OPENING) for salt in ("red", "blue", "red")]
    assert [request.finished.cached_tokens for request in asked] == [0, OPENING - 1, OPENING - 1]
    assert {request.answer for request in asked} == {oracle.ask(prompt, LENGTH).answer}


def test_openings_are_shared_by_those_who_come_together(bench: Workbench, oracle: Alone) -> None:
    prompts = [(*PROMPT[:OPENING], *OTHER, number) for number in range(6)]
    asked = [bench.submit(prompt, LENGTH, salt=str(index), public=OPENING) for index, prompt in enumerate(prompts)]
    bench.run()
    assert [request.answer for request in asked] == [oracle.ask(prompt, LENGTH).answer for prompt in prompts]
    bench.check_idle()


# Adapters change what the cache holds.


@contextmanager
def adapted_bench(model: NativeModel, folder: Path, slots: int) -> Iterator[Workbench]:
    """A lane with the adapters "one" and "two"."""
    adapters = Adapters(model)
    benches: list[Workbench] = []
    for seed, key in enumerate(("one", "two"), 1):
        adapters.load(key, str(make_adapter(folder, seed=seed)))
    try:
        with workbench(
            model, slots=slots, use_adapter=lambda key: adapters.apply(benches[0].context.handle, key)
        ) as bench:
            benches.append(bench)
            yield bench
    finally:
        for key in adapters.keys:
            adapters.remove(key)


@pytest.fixture
def adapted(model: NativeModel, folder: Path) -> Iterator[Workbench]:
    with adapted_bench(model, folder, slots=3) as bench:
        yield bench


def test_what_was_read_with_one_adapter_is_not_reused_with_another(adapted: Workbench) -> None:
    for adapter in (None, "one", "two"):
        assert adapted.ask(PROMPT, LENGTH, salt="red", adapter=adapter).finished.cached_tokens == 0
    for adapter in (None, "one", "two"):
        assert adapted.ask(PROMPT, LENGTH, salt="red", adapter=adapter).finished.cached_tokens == len(PROMPT) - 1


def test_each_adapter_has_an_opening_of_its_own(adapted: Workbench) -> None:
    def cached(salt: str, adapter: str | None) -> int:
        return adapted.ask(PROMPT, LENGTH, salt=salt, adapter=adapter, public=OPENING).finished.cached_tokens

    assert [cached("red", adapter) for adapter in (None, "one")] == [0, 0]
    assert [cached("blue", adapter) for adapter in (None, "one")] == [OPENING, OPENING]
    adapted.lane.drop_adapter("one")
    assert cached("green", "one") == 0


def test_an_opening_read_with_another_adapter_is_not_taken_for_ones_own(
    model: NativeModel, folder: Path, oracle: Alone
) -> None:
    """In the only slot stand the same tokens, but what the cache holds of them is the other's."""
    with adapted_bench(model, folder, slots=1) as bench:
        for salt in ("red", "blue", "green"):
            for adapter in (None, "one"):
                request = bench.ask(PROMPT, LENGTH, salt=salt, adapter=adapter, public=OPENING)
                expected = oracle.ask(PROMPT, LENGTH).answer
                assert (request.answer == expected) is (adapter is None)


def test_adapters_asked_for_at_the_same_time_answer_as_they_do_alone(adapted: Workbench, oracle: Alone) -> None:
    keys = (None, "one", "two", "one", None)
    expected = {key: adapted.ask(PROMPT, LENGTH, adapter=key).answer for key in ("one", "two")}
    plain = oracle.ask(PROMPT, LENGTH).answer
    assert len({plain, *expected.values()}) == 3, "an adapter that changes nothing shows nothing"
    asked = [adapted.submit(PROMPT, LENGTH, adapter=key) for key in keys]
    adapted.run()
    assert [request.answer for request in asked] == [expected.get(key or "", plain) for key in keys]
    adapted.check_idle()
