"""An answer's level comes back with its segments: for its tenant alone, until it expires, and without content."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from policies.types import Inherited, Level
from router.keys import Keys
from router.taint.ledger import CLEAN, Grade, Taint, TaintLedger, has_history, parts_of
from router.taint.marks import LEAST_BYTES, MARKS_FILE, MarkTable
from router.taint.segments import segments
from router.telemetry.telemetry import Telemetry

ANSWER = (
    "The quarterly plan of the northern branch closes in the month of May. Nobody else knows of it as yet, it seems."
)
OTHER = "A quite different sentence which nobody has ever marked as anything stands here."


class Elsewhere:
    """`SharedMarks` of another host, in memory."""

    def __init__(self) -> None:
        self.marks: dict[bytes, int] = {}
        self.answers = True
        self.is_alone = False

    async def beat(self) -> None:
        """Nobody counts."""

    @property
    def state(self) -> str:
        return "ok" if self.answers else "unreachable"

    async def find(self, digests: Sequence[bytes]) -> list[int] | None:
        return [self.marks.get(digest, 0) for digest in digests] if self.answers else None

    async def put(self, digests: Sequence[bytes], level: int, ttl: float) -> bool:
        self.marks |= dict.fromkeys(digests, level)
        return self.answers

    async def close(self) -> None:
        """Nothing to close."""


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def ledger(folder: Path, clock: Clock, shared: Elsewhere | None = None, size: int = 1 << 20) -> TaintLedger:
    table = MarkTable(folder / "state" / MARKS_FILE, size, clock)
    return TaintLedger(Keys(b"k" * 32), table, ttl=60.0, telemetry=Telemetry(), shared=shared)


def chat(*contents: str) -> dict[str, Any]:
    """A conversation that begins with the user."""
    roles = ("user", "assistant")
    return {"messages": [{"role": roles[at % 2], "content": each} for at, each in enumerate(contents)]}


POSITIONS: dict[str, dict[str, Any]] = {
    "an assistant's turn": chat("Hello", ANSWER, "And?"),
    "a quotation": chat(f"You said: '{ANSWER}' Why?"),
    "a system prompt": {"messages": [{"role": "system", "content": f"Summary:\n{ANSWER}"}]},
    "a content part": {"messages": [{"role": "user", "content": [{"type": "text", "text": ANSWER}]}]},
    "a tool's result": {"messages": [{"role": "tool", "tool_call_id": "c", "content": '{"plan": "' + ANSWER + '"}'}]},
    "arguments of a call": {
        "messages": [{"role": "assistant", "tool_calls": [{"function": {"arguments": '{"a": ["' + ANSWER + '"]}'}}]}]
    },
    "a tool's description": {"messages": [], "tools": [{"function": {"description": ANSWER}}]},
    "a schema": {"messages": [], "response_format": {"json_schema": {"schema": {"description": ANSWER}}}},
    "a prediction": {"messages": [], "prediction": {"content": ANSWER}},
    "a key": {"messages": [], "metadata": {ANSWER: 1}},
    "one sentence of it": chat("Hello", ANSWER.partition(".")[0], "And?"),
    "a long body": chat("Hello", "Some more text, and more. " * 5000 + ANSWER, "And?"),
}


@pytest.mark.parametrize("position", POSITIONS)
async def test_a_body_that_holds_a_marked_answer_inherits_its_level(
    tmp_path: Path, clock: Clock, position: str
) -> None:
    marks = ledger(tmp_path, clock)
    assert await marks.look("t", POSITIONS[position]) == CLEAN
    marks.put("t", Grade(Level.CONFIDENTIAL), segments(ANSWER))
    taint = await marks.look("t", POSITIONS[position])
    assert (taint.level, taint.source) == (Level.CONFIDENTIAL, "answer")
    assert await marks.look("t", chat("Hello", OTHER, "And?")) == CLEAN


async def test_the_place_of_what_was_inherited_is_named(tmp_path: Path, clock: Clock) -> None:
    marks = ledger(tmp_path, clock)
    marks.put("t", Grade(Level.RESTRICTED), segments(ANSWER))
    taint = await marks.look("t", chat("Hello", ANSWER, OTHER, "Well, no.", f'"{ANSWER}"?'))
    assert taint.at == tuple(Inherited(at, Level.RESTRICTED, Level.RESTRICTED) for at in (1, 4))
    assert taint.pointers == ("/messages/1", "/messages/4")


async def test_tenants_inherit_nothing_from_each_other(tmp_path: Path, clock: Clock) -> None:
    marks = ledger(tmp_path, clock)
    marks.put("t", Grade(Level.RESTRICTED), segments(ANSWER))
    marks.put("other", Grade(Level.RESTRICTED), segments(OTHER))
    assert await marks.look("other", chat("Hello", ANSWER, "And?")) == CLEAN


async def test_a_mark_expires(tmp_path: Path, clock: Clock) -> None:
    marks = ledger(tmp_path, clock)
    marks.put("t", Grade(Level.RESTRICTED), segments(ANSWER))
    clock.now += 62
    assert await marks.look("t", chat("Hello", ANSWER, "And?")) == CLEAN


async def test_public_leaves_no_mark(tmp_path: Path, clock: Clock) -> None:
    marks = ledger(tmp_path, clock)
    marks.put("t", Grade(Level.PUBLIC), segments(ANSWER))
    assert await marks.look("t", chat("Hello", ANSWER, "And?")) == CLEAN


async def test_nothing_of_the_text_is_on_the_disk(tmp_path: Path, clock: Clock) -> None:
    marks = ledger(tmp_path, clock)
    marks.put("tenant-name", Grade(Level.RESTRICTED), segments(ANSWER))
    raw = (tmp_path / "state" / MARKS_FILE).read_bytes().lower()
    assert raw.strip(b"\0") != b""
    for word in (b"quarterly", b"branch", b"plan", b"tenant-name"):
        assert word not in raw


async def test_marks_under_another_root_secret_say_nothing(tmp_path: Path, clock: Clock) -> None:
    ledger(tmp_path, clock).put("t", Grade(Level.RESTRICTED), segments(ANSWER))
    table = MarkTable(tmp_path / "state" / MARKS_FILE, 1 << 20, clock)
    stranger = TaintLedger(Keys(b"x" * 32), table, ttl=60.0, telemetry=Telemetry())
    assert await stranger.look("t", chat("Hello", ANSWER, "And?")) == CLEAN


async def test_what_was_forgotten_counts_for_every_body_with_turns_of_a_model(tmp_path: Path, clock: Clock) -> None:
    marks = ledger(tmp_path, clock, size=LEAST_BYTES)
    for number in range(300):
        marks.put("t", Grade(Level.CONFIDENTIAL), (f"{number} of many a long segment {part}" for part in range(10)))
    assert marks.state == "forgetting"
    assert await marks.look("t", chat("Hello", OTHER, "And?")) == Taint(
        Level.CONFIDENTIAL, Level.CONFIDENTIAL, "forgotten"
    )
    assert await marks.look("t", chat(OTHER)) == CLEAN
    assert await marks.look("someone-else", chat("Hello", OTHER, "And?")) == CLEAN
    clock.now += 62
    assert await marks.look("t", chat("Hello", OTHER, "And?")) == CLEAN
    assert marks.state == "ok"


async def test_what_another_host_has_marked_is_inherited(tmp_path: Path, clock: Clock) -> None:
    there = Elsewhere()
    one, two = ledger(tmp_path / "one", clock, there), ledger(tmp_path / "two", clock, there)
    await one.share(one.put("t", Grade(Level.RESTRICTED), segments(ANSWER)), Grade(Level.RESTRICTED))
    taint = await two.look("t", chat("Hello", ANSWER, "And?"))
    assert (taint.level, taint.source, taint.pointers) == (Level.RESTRICTED, "answer", ("/messages/1",))


async def test_while_nobody_answers_every_body_with_turns_of_a_model_is_restricted(
    tmp_path: Path, clock: Clock
) -> None:
    there = Elsewhere()
    there.answers = False
    marks = ledger(tmp_path, clock, there)
    assert await marks.look("t", chat("Hello", OTHER, "And?")) == Taint(
        Level.RESTRICTED, Level.RESTRICTED, "unavailable"
    )
    assert marks.state == "unreachable"
    assert await marks.look("t", chat(OTHER)) == CLEAN
    marks.put("t", Grade(Level.CONFIDENTIAL), segments(ANSWER))
    taint = await marks.look("t", chat(ANSWER))
    there.is_alone = True
    assert await marks.look("t", chat("Hello", OTHER, "And?")) == CLEAN, "where there is one host, its table knows all"
    assert (taint.level, taint.source) == (Level.CONFIDENTIAL, "answer"), "this host's own marks are still known"


async def test_what_was_made_outside_of_placeholders_is_as_sensitive_but_need_not_stay(
    tmp_path: Path, clock: Clock
) -> None:
    marks = ledger(tmp_path, clock)
    marks.put("t", Grade(Level.CONFIDENTIAL, is_kept=False), segments(ANSWER))
    taint = await marks.look("t", chat("Hello", ANSWER, "And?"))
    assert (taint.level, taint.kept) == (Level.CONFIDENTIAL, Level.PUBLIC)
    marks.put("t", Grade(Level.INTERNAL), segments(OTHER))
    taint = await marks.look("t", chat("Hello", ANSWER + " " + OTHER, "And?"))
    assert (taint.level, taint.kept) == (Level.CONFIDENTIAL, Level.INTERNAL)


@pytest.mark.parametrize("level", list(Level)[1:])
@pytest.mark.parametrize("is_kept", [False, True])
def test_a_grade_comes_back_from_its_number(level: Level, is_kept: bool) -> None:
    assert Grade.of(Grade(level, is_kept).number) == (level, is_kept)


async def test_an_answer_is_known_by_its_id_too(tmp_path: Path, clock: Clock) -> None:
    there = Elsewhere()
    marks = ledger(tmp_path, clock, there)
    marks.put_response("t", Grade(Level.RESTRICTED), "resp_1")
    assert (await marks.taint_of("t", ["resp_0", "resp_1"])).level is Level.RESTRICTED
    assert await marks.taint_of("t", ["resp_0"]) == CLEAN
    assert await marks.taint_of("other", ["resp_1"]) == CLEAN
    there.answers = False
    assert (await marks.taint_of("t", ["resp_0"])).source == "unavailable"
    assert await marks.taint_of("t", []) == CLEAN


@pytest.mark.parametrize(
    ("body", "is_one"),
    [
        (chat("Hello"), False),
        (chat("Hello", "Hi", "And?"), True),
        ({"messages": [{"role": "tool", "content": "x"}]}, True),
        ({"messages": [{"role": "system", "content": "x"}, {"role": "user", "content": "x"}]}, False),
        ({"messages": "what is this"}, True),
        ({}, True),
        ({"messages": ["what is this"]}, True),
    ],
)
def test_whether_a_body_brings_in_what_a_model_said(body: dict[str, Any], is_one: bool) -> None:
    assert has_history(body) is is_one


def test_the_parts_of_a_body_are_all_its_strings() -> None:
    body = {"messages": [{"role": "user", "name": "a" * 20, "content": "b" * 20}, "c" * 20], "stop": ["d" * 20], "n": 1}
    assert sorted(parts_of(body)) == [(-1, "d" * 20), (0, "a" * 20), (0, "b" * 20), (1, "c" * 20)]
