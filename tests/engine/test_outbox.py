"""When the text of a step leaves the decode thread: nothing is lost or turned around, and nobody waits for long."""

from __future__ import annotations

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.engine.outbox import Outbox
from router.engine.sequence import Sequence
from router.engine.types import Event, Failed, Finished, Generation, Piece, TokenLogprob
from tests.engine.lanes import GREEDY

END = Finished("stop", 3, 3)


def sequence(told: list[Event], *, is_streamed: bool = True) -> Sequence:
    generation = Generation((1, 2, 3), 8, GREEDY, is_streamed=is_streamed)
    return Sequence(generation, cast(Any, None), told.append)  # nothing is sampled here


def piece(text: str) -> Piece:
    return Piece(text, (TokenLogprob(text.encode(), -1.0),))


def text_of(told: list[Event]) -> str:
    return "".join(event.text for event in told if isinstance(event, Piece))


def test_the_first_text_of_a_stream_leaves_at_once_and_more_of_it_together_a_moment_later() -> None:
    told: list[Event] = []
    talker, outbox = sequence(told), Outbox()
    for number, now in enumerate((0.0, 0.045, 0.09, 0.135)):
        outbox.put(talker, piece(str(number)))
        outbox.flush(now, is_crowd=True)
    assert [event.text for event in told if isinstance(event, Piece)] == ["0", "12"]
    assert [len(event.logprobs) for event in told if isinstance(event, Piece)] == [1, 2]
    outbox.flush(0.16, is_crowd=True)  # a step that had nothing for it
    assert text_of(told) == "0123"


def test_the_text_of_a_lone_stream_never_waits() -> None:
    told: list[Event] = []
    talker, outbox = sequence(told), Outbox()
    for number in range(5):
        outbox.put(talker, piece(str(number)))
        outbox.flush(number / 1000, is_crowd=False)
        assert len(told) == number + 1


def test_an_answer_that_is_wanted_whole_comes_as_one_piece_before_its_end() -> None:
    told: list[Event] = []
    talker, outbox = sequence(told, is_streamed=False), Outbox()
    for number in range(5):
        outbox.put(talker, piece(str(number)))
        outbox.flush(float(number), is_crowd=number % 2 == 0)
    assert told == []
    outbox.put(talker, END)
    outbox.flush(5.0, is_crowd=False)
    assert [type(event) for event in told] == [Piece, Finished]
    assert text_of(told) == "01234"
    assert outbox.is_empty


@pytest.mark.parametrize("last", [END, Failed("engine_error", "It failed.")])
def test_what_is_held_comes_before_the_end_of_its_stream(last: Event) -> None:
    told: list[Event] = []
    talker, outbox = sequence(told), Outbox()
    for text in "ab":
        outbox.put(talker, piece(text))
        outbox.flush(0.0, is_crowd=True)
    outbox.put(talker, last)
    outbox.flush(0.01, is_crowd=True)
    assert text_of(told) == "ab"
    assert told[-1] is last
    assert outbox.is_empty


def test_nothing_is_kept_of_a_stream_whose_caller_has_gone() -> None:
    told: list[Event] = []
    talker, outbox = sequence(told), Outbox()
    for text in "ab":
        outbox.put(talker, piece(text))
        outbox.flush(0.0, is_crowd=True)
    outbox.drop(talker)
    outbox.flush(1.0, is_crowd=True)
    assert text_of(told) == "a"
    assert outbox.is_empty


@given(
    steps=st.lists(st.tuples(st.sets(st.integers(0, 3)), st.floats(0.0, 0.2), st.booleans()), max_size=30),
    streamed=st.lists(st.booleans(), min_size=4, max_size=4),
)
def test_each_answer_is_handed_on_whole_and_in_order(
    steps: list[tuple[set[int], float, bool]], streamed: list[bool]
) -> None:
    told: list[list[Event]] = [[] for _ in streamed]
    talkers = [sequence(mine, is_streamed=is_streamed) for mine, is_streamed in zip(told, streamed, strict=True)]
    outbox, now, said = Outbox(), 0.0, [""] * len(streamed)
    for number, (who, seconds, is_crowd) in enumerate(steps):
        now += seconds
        for index in who:
            said[index] += f"{number} "
            outbox.put(talkers[index], piece(f"{number} "))
        outbox.flush(now, is_crowd=is_crowd)
    for talker in talkers:
        outbox.put(talker, END)
    outbox.flush(now, is_crowd=False)
    assert [text_of(mine) for mine in told] == said
    assert all(mine[-1] is END and mine.count(END) == 1 for mine in told)
    assert outbox.is_empty
