"""Prompt lookup guesses what was said before; the model decides, so no greedy answer changes."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from router.engine.native import NativeModel
from router.engine.speculate import PromptLookup
from router.engine.template import ChatTemplate
from router.engine.types import Sampling
from router.models.catalogue import embedded_model
from tests.engine.lanes import Alone, MeddledContext, workbench

LENGTH = 48
PASSAGE = (
    "The harbour of the small town lies below the old church. In spring the fishing boats are painted red and white, "
    "and the children carry the pots of paint. When the work is done, all of them eat soup at the long table outside."
)

# What has been said, how many tokens there is room for, and the first token of the guess.
GUESSES = [
    ("nothing has been said", [], 9, []),
    ("too little", [1, 2], 9, []),
    ("nothing like it has occurred", [1, 2, 3, 4, 5, 6], 9, []),
    ("only the end itself", [1, 2, 3], 9, []),
    ("the last time counts", [1, 2, 3, 4, 1, 2, 3, 5, 1, 2, 3], 9, [5]),
    ("two tokens are no reason", [9, 2, 3, 4, 1, 2, 3], 9, []),
    ("there is no room", [1, 2, 3, 4, 1, 2, 3], 0, []),
    ("a repetition of one token", [7, 7, 7, 7], 9, [7]),
]


@pytest.mark.parametrize(("said", "most", "guess"), [case[1:] for case in GUESSES], ids=[case[0] for case in GUESSES])
def test_a_guess_is_what_followed_the_same_three_tokens(said: list[int], most: int, guess: list[int]) -> None:
    assert PromptLookup(said).guess(most)[:1] == guess


@pytest.mark.parametrize("said", [case[1] for case in GUESSES], ids=[case[0] for case in GUESSES])
def test_it_makes_no_difference_whether_tokens_come_at_once_or_one_by_one(said: list[int]) -> None:
    grown = PromptLookup([])
    for token in said:
        grown.push(token)
    assert grown.guess(9) == PromptLookup(said).guess(9)


def test_a_guess_is_never_longer_than_there_is_room_for() -> None:
    text = list(range(100))
    for most in range(6):
        assert PromptLookup([*text, *text[:50]]).guess(most) == text[50 : 50 + min(most, len(text))][:most]


def copy(lookup: PromptLookup, text: Sequence[int], chance: float, source: random.Random) -> list[int]:
    """Say `text` with guesses being right as often as `chance` says; the lengths of the guesses."""
    lengths: list[int] = []
    for _ in range(60):
        guess = lookup.guess(100)
        lengths.append(len(guess))
        right = 0
        while right < len(guess) and source.random() < chance:
            right += 1
        if guess:
            lookup.learn(len(guess), right)
    return lengths


@pytest.mark.parametrize(("chance", "least", "most"), [(1.0, 8, 16), (0.0, 1, 1), (0.3, 1, 2)])
def test_guesses_grow_with_success_and_shrink_without(chance: float, least: int, most: int) -> None:
    text = list(range(100))
    lengths = copy(PromptLookup([*text, *text[:40]]), text, chance, random.Random(1))
    assert least <= sum(lengths[-20:]) / 20 <= most


def test_more_agreement_makes_the_first_guess_longer() -> None:
    text = list(range(100))
    lengths = [len(PromptLookup([*text, 500, *text[40 - count : 40]]).guess(100)) for count in (3, 6, 12)]
    assert lengths == sorted(lengths)
    assert lengths[0] < lengths[2]


# A text that is copied, in which one token is left out, put in, or replaced; how soon it is guessed again.
@pytest.mark.parametrize(
    "changed",
    [[40, 41, 42, 44, 45], [40, 41, 42, 500, 43, 44, 45], [40, 41, 42, 500, 44, 45], [40, 41, 42, 45]],
    ids=["left out", "put in", "replaced", "two left out"],
)
def test_a_copy_goes_on_after_one_token_that_fits(changed: list[int]) -> None:
    lookup = PromptLookup([*range(100), 600, *changed[:3]])
    assert lookup.guess(1) == [43]
    for token in changed[3:]:
        lookup.push(token)
        guess = lookup.guess(1)
    assert guess == [46]


def test_one_token_is_reason_enough_if_it_stands_once_in_the_prompt() -> None:
    lookup = PromptLookup([*range(100), 80, 600])
    for token, guess in ((500, []), (80, []), (70, [71]), (999, [])):
        lookup.push(token)
        assert lookup.guess(1) == guess


def test_nothing_is_guessed_behind_the_end_of_an_answer() -> None:
    text = list(range(100))
    assert PromptLookup([*text, *text[:50]], ends={53, 57}).guess(100) == [50, 51, 52, 53]
    assert PromptLookup([*text, *text[:50]], ends={57}).guess(2) == [50, 51]


# In a lane, with a real model.


@pytest.fixture(scope="module")
def copied(oracle: Alone) -> list[tuple[int, ...]]:
    """Prompts that hold what the model will say: some twenty tokens of it are guessed, and a wrong end follows."""
    source = random.Random(11)
    found: list[tuple[int, ...]] = []
    while len(found) < 12:
        start = tuple(source.choices(range(5, 300), k=6))
        answer = tuple(oracle.ask(start, LENGTH).sequence.said)
        prompt = (*start, *answer[:20], 17, 18, *start, *answer[:8])
        if oracle.lead(prompt, LENGTH) > 0.05:
            found.append(prompt)
    return found


def test_greedy_answers_are_the_same_with_and_without_guesses(
    model: NativeModel, oracle: Alone, copied: list[tuple[int, ...]]
) -> None:
    with workbench(model, slots=2) as bench:
        for prompt in copied:
            assert bench.ask(prompt, LENGTH).answer == oracle.ask(prompt, LENGTH).answer
            bench.check_idle()
        figures = bench.lane.figures()
        assert figures.speculated_total > figures.accepted_total > 0
        assert figures.decoded_tokens_total == len(copied) * LENGTH


def test_a_copy_of_a_text_is_guessed_for_the_greater_part_and_stays_the_same() -> None:
    """The real model, asked to repeat a text, far beyond 256 tokens, from where on llama.cpp has ways of adding up that
    differ between one token and several: most of them come without a step of their own."""
    request = "Repeat this text word for word:\n" + " ".join([PASSAGE] * 6)
    model = NativeModel(str(embedded_model()))
    try:
        assert model.template is not None
        prompt = ChatTemplate(model, model.template).encode(({"role": "user", "content": request},))
        with workbench(model, slots=1, batch=256, speculates=False) as bench:
            plain = bench.ask(prompt, 128)
        with workbench(model, slots=1, batch=256) as bench:
            guessed = bench.ask(prompt, 128)
            figures = bench.lane.figures()
    finally:
        model.close()
    assert guessed.answer == plain.answer
    assert len(prompt) > 256
    assert plain.finished.completion_tokens > 100
    assert figures.accepted_total > 0.5 * figures.decoded_tokens_total


def test_a_model_that_rounds_several_tokens_otherwise_guesses_for_sampled_answers_only(
    model: NativeModel, copied: list[tuple[int, ...]]
) -> None:
    with workbench(model, rounds_alike=False) as bench:
        bench.ask(copied[0], LENGTH)
        assert bench.lane.figures().speculated_total == 0
        bench.ask(copied[0], LENGTH, sampling=Sampling(temperature=0.3, top_p=1.0, seed=5))
        assert bench.lane.figures().speculated_total > 0


def test_log_probabilities_of_guessed_tokens_are_the_models(
    model: NativeModel, oracle: Alone, copied: list[tuple[int, ...]]
) -> None:
    with workbench(model) as bench:
        for prompt in copied[:4]:
            ours = bench.ask(prompt, LENGTH, top_logprobs=2).logprobs
            theirs = oracle.ask(prompt, LENGTH, top_logprobs=2).logprobs
            assert [entry.token for entry in ours] == [entry.token for entry in theirs]
            assert [entry.logprob for entry in ours] == pytest.approx([entry.logprob for entry in theirs], abs=0.02)
        assert bench.lane.figures().accepted_total > 0


def test_sampled_answers_do_not_depend_on_guesses_either(model: NativeModel, copied: list[tuple[int, ...]]) -> None:
    """Each token is drawn once, in order, from the same seed. Another batch size moves a probability by some 1e-3,
    so a draw may fall on the other side of a border: nearly all answers are the same, not all."""
    sampling = Sampling(temperature=0.3, top_p=1.0, seed=5)
    answers = []
    for speculates in (False, True):
        with workbench(model, speculates=speculates) as bench:
            answers.append([bench.ask(prompt, LENGTH, sampling=sampling).text for prompt in copied])
            assert (bench.lane.figures().accepted_total > 0) is speculates
    same = sum(plain == guessed for plain, guessed in zip(*answers, strict=True))
    assert same >= len(copied) - 3


def test_an_answer_ends_at_its_limit_in_the_middle_of_a_good_guess(
    model: NativeModel, oracle: Alone, copied: list[tuple[int, ...]]
) -> None:
    with workbench(model) as bench:
        for most in range(1, 20):
            request = bench.ask(copied[0], most)
            assert request.answer == oracle.ask(copied[0], most).answer
            assert request.finished.completion_tokens == most
            bench.check_memory()


def test_a_stop_string_inside_a_good_guess_ends_the_answer_there(
    model: NativeModel, oracle: Alone, copied: list[tuple[int, ...]]
) -> None:
    whole = oracle.ask(copied[0], LENGTH).text
    with workbench(model) as bench:
        for at in range(2, 24, 3):
            stop = whole[at : at + 3]
            request = bench.ask(copied[0], LENGTH, stop=(stop,))
            assert request.text == whole[: whole.index(stop)]
            assert request.answer == oracle.ask(copied[0], LENGTH, stop=(stop,)).answer
            bench.check_memory()


def test_one_that_is_cancelled_while_its_guess_is_decoded_leaves_nothing_wrong_behind(
    model: NativeModel, oracle: Alone, copied: list[tuple[int, ...]]
) -> None:
    with workbench(model, kind=MeddledContext) as bench:
        assert isinstance(bench.context, MeddledContext)
        going = bench.submit(copied[0], LENGTH, salt="own")
        while not bench.lane.figures().speculated_total:
            bench.lane.step()
        widths: list[int] = []

        def cancel(step: object) -> None:
            widths.append(len(step))  # type: ignore[arg-type]
            if widths[-1] > 1:
                bench.lane.cancel(going.sequence)

        bench.context.meddle = cancel
        bench.run()
        assert widths[-1] > 1
        assert not going.ends
        bench.check_idle()
        again = bench.ask(copied[0], LENGTH, salt="own")
        assert again.finished.cached_tokens == len(copied[0]) - 1
        assert again.answer == oracle.ask(copied[0], LENGTH).answer


def test_nobody_guesses_while_others_are_there(model: NativeModel, copied: list[tuple[int, ...]]) -> None:
    """A full batch has no room to spare, and one who waits needs the slot soon."""
    with workbench(model, slots=2) as bench:
        for prompt in copied[:2]:
            bench.submit(prompt, LENGTH)
        bench.run()
        assert bench.lane.figures().speculated_total == 0
    with workbench(model, slots=1) as bench:
        first = bench.submit(copied[0], LENGTH)
        bench.submit(copied[1], 1)
        while not first.ends:
            bench.lane.step()
        assert bench.lane.figures().speculated_total == 0
