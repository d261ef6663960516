"""Earlier turns are taken out whole or not at all: nothing of them stays, roles alternate, no result loses its call."""

from __future__ import annotations

import itertools
import random
from typing import Any

import orjson
import pytest

from router.history import MARKER, earlier_turns, without_turns

Message = dict[str, Any]


def user(text: str = "clean") -> Message:
    return {"role": "user", "content": text}


def assistant(text: str = "clean answer") -> Message:
    return {"role": "assistant", "content": text}


def call(number: int) -> Message:
    function = {"name": "look", "arguments": "{}"}
    return {"role": "assistant", "content": None, "tool_calls": [{"id": f"c{number}", "function": function}]}


def result(number: int, text: str = "found") -> Message:
    return {"role": "tool", "tool_call_id": f"c{number}", "content": text}


SYSTEM: Message = {"role": "system", "content": "Be brief."}


def body(*messages: Message) -> dict[str, Any]:
    return {"model": "auto", "temperature": 0.5, "messages": list(messages)}


def test_a_turn_goes_with_the_answers_that_followed_it_and_a_marker_stands_in_its_place() -> None:
    before = body(SYSTEM, user(), assistant(), user("secret"), call(1), result(1), assistant("derived"), user("last"))
    made = without_turns(before, {3})
    assert made is not None
    after, dropped = made
    assert after == body(SYSTEM, user(), assistant(), *MARKER, user("last"))
    assert dropped == 4
    assert len(before["messages"]) == 8, "the caller's body is left as it was"


def test_turns_in_a_row_have_one_marker_and_those_apart_one_each() -> None:
    turns = [user("secret 1"), assistant(), user("secret 2"), assistant(), user(), assistant(), user("secret 3")]
    made = without_turns(body(*turns, assistant(), user("last")), {0, 2, 6})
    assert made == (body(*MARKER, user(), assistant(), *MARKER, user("last")), 6)


def test_a_tainted_answer_takes_its_question_with_it() -> None:
    made = without_turns(body(user(), assistant("tainted"), user("last")), {1})
    assert made == (body(*MARKER, user("last")), 2)


def test_system_messages_stay_where_they_are() -> None:
    standing = {"role": "developer", "content": "Be kind."}
    made = without_turns(body(SYSTEM, user("secret"), standing, assistant(), user("last")), {1})
    assert made == (body(SYSTEM, *MARKER, standing, user("last")), 2)


@pytest.mark.parametrize(
    ("messages", "sensitive"),
    [
        ([user("secret"), assistant(), user("last"), call(1), result(1)], {0}),
        ([user("secret"), assistant(), user("last"), call(1)], {0}),
        ([user("secret"), assistant(), user("last"), assistant("prefill")], {0}),
        ([user("secret"), call(1), user("go on"), result(1), assistant(), user("last")], {0}),
        ([call(1), user("secret"), result(1), assistant(), user("last")], {1}),
        ([user("secret"), assistant(), user("last")], {2}),
        ([user(), assistant(), user("last")], set()),
        ([SYSTEM, user(), assistant(), user("last")], {0}),
        ([user("secret")], {0}),
        ([SYSTEM], {0}),
        ([], {0}),
        ([{"content": "no role"}, user("last")], {0}),
    ],
)
def test_where_turns_may_not_be_taken_out_nothing_is(messages: list[Message], sensitive: set[int]) -> None:
    assert without_turns(body(*messages), sensitive) is None


@pytest.mark.parametrize("messages", [None, "text", 3, {"role": "user"}, ["text"]])
def test_what_is_no_conversation_has_no_history(messages: object) -> None:
    assert earlier_turns({"messages": messages}) == frozenset()
    assert without_turns({"messages": messages}, {0}) is None


def test_history_is_what_stands_before_the_last_run_of_user_messages() -> None:
    assert earlier_turns(body(SYSTEM, user(), assistant(), user("last"), user("of all"))) == {1, 2}
    assert earlier_turns(body(user(), assistant(), user("last"), call(1), result(1))) == {0, 1}
    assert earlier_turns(body(SYSTEM, user())) == frozenset()


def conversation(chance: random.Random) -> tuple[list[Message], set[int]]:
    """A valid conversation and the messages that hold the canary."""
    messages, number = [SYSTEM] if chance.random() < 0.5 else [], 0
    if chance.random() < 0.2:
        messages.append(assistant("greeting"))
    for turn in range(chance.randint(1, 6)):
        messages.append(user(f"question {turn}"))
        while chance.random() < 0.4:
            number += 1
            messages += [call(number), result(number, f"result {number}")]
        messages.append(assistant(f"answer {turn}"))
        if chance.random() < 0.2:
            messages.append({"role": "developer", "content": f"Go on, {turn}."})
    sensitive = {index for index, each in enumerate(messages) if each["role"] in ("user", "assistant", "tool")}
    sensitive = {index for index in sensitive if chance.random() < 0.25}
    for index in sensitive:
        messages[index] = {**messages[index], "content": f"canary-{index}"}
    return [*messages, user("last")], sensitive


@pytest.mark.parametrize("seed", range(300))
def test_nothing_of_a_dropped_turn_remains_and_the_rest_is_a_valid_conversation(seed: int) -> None:
    messages, sensitive = conversation(random.Random(seed))
    made = without_turns(body(*messages), sensitive)
    if made is None:
        assert not sensitive
        return
    after, dropped = made
    left = after["messages"]
    ours = [each for each in left if each in MARKER]
    theirs = [each for each in left if each not in MARKER]
    assert b"canary" not in orjson.dumps(after)
    assert theirs == [each for each in messages if each in theirs], "in order, unchanged"
    assert dropped == len(messages) - len(theirs)
    assert ours == list(MARKER) * (len(ours) // 2)
    speakers = [each["role"] for each in left if each["role"] in ("user", "assistant") and "tool_calls" not in each]
    assert all(speaker != before for before, speaker in itertools.pairwise(speakers))
    assert left[-1] == user("last")
    called = [each["tool_calls"][0]["id"] for each in left if "tool_calls" in each]
    assert called == [each["tool_call_id"] for each in left if each["role"] == "tool"]
    assert {key: value for key, value in after.items() if key != "messages"} == {"model": "auto", "temperature": 0.5}
