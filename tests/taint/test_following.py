"""An answer under watch: each segment is marked with the chunk that completes it, and what broke off is marked too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from policies.types import Level
from router.following import Following, Trail
from router.keys import Keys
from router.taint.ledger import TaintLedger
from router.taint.marks import MARKS_FILE, MarkTable
from router.telemetry.telemetry import Telemetry

FIRST = "The quarterly plan of the northern branch closes in the month of May"
SECOND = "Nobody else in the whole of the company may know of it as yet"


@pytest.fixture
def ledger(tmp_path: Path) -> TaintLedger:
    table = MarkTable(tmp_path / "state" / MARKS_FILE, 1 << 20)
    return TaintLedger(Keys(b"k" * 32), table, ttl=60.0, telemetry=Telemetry())


async def level_of(ledger: TaintLedger, text: str) -> Level:
    return (await ledger.look("t", {"messages": [{"role": "user", "content": text}]})).level


def chunk(finish: str | None = None, index: int = 0, **delta: Any) -> dict[str, Any]:
    return {"id": "c", "choices": [{"index": index, "delta": delta, "finish_reason": finish}]}


def trail(ledger: TaintLedger, known: frozenset[str] = frozenset(), values: list[str] | None = None) -> Trail:
    digests = frozenset(ledger.digest("t", segment) for segment in known)
    return Trail(Following(ledger), "t", Level.CONFIDENTIAL, digests, values)


async def test_a_segment_is_marked_with_the_chunk_that_completes_it(ledger: TaintLedger) -> None:
    watch = trail(ledger)
    assert not watch.take_chunk(chunk(role="assistant", content=""))
    assert not watch.take_chunk(chunk(content=FIRST + "."))
    assert await level_of(ledger, FIRST) is Level.PUBLIC
    assert not watch.take_chunk(chunk(content=" " + SECOND))
    assert await level_of(ledger, FIRST) is Level.CONFIDENTIAL
    assert await level_of(ledger, SECOND) is Level.PUBLIC
    assert watch.take_chunk(chunk("stop"))
    assert await level_of(ledger, SECOND) is Level.CONFIDENTIAL


async def test_what_broke_off_is_marked_as_far_as_it_came(ledger: TaintLedger) -> None:
    watch = trail(ledger)
    watch.take_chunk(chunk(content=FIRST[:50]))
    watch.end()
    assert await level_of(ledger, FIRST[:50]) is Level.CONFIDENTIAL


async def test_choices_and_fields_do_not_run_into_each_other(ledger: TaintLedger) -> None:
    watch = trail(ledger)
    for at in range(0, 70, 10):
        watch.take_chunk(chunk(content=FIRST[at : at + 10]))
        watch.take_chunk(chunk(index=1, content=SECOND[at : at + 10]))
        watch.take_chunk(chunk(reasoning_content="It is a rather long thought in itself"[at : at + 10]))
    watch.end()
    for text in (FIRST, SECOND, "It is a rather long thought in itself"):
        assert await level_of(ledger, text) is Level.CONFIDENTIAL


@pytest.mark.parametrize("size", [1, 7, 500])
async def test_arguments_of_tool_calls_are_read_as_what_they_mean(ledger: TaintLedger, size: int) -> None:
    watch = trail(ledger)
    arguments = orjson.dumps({"note": f"Yes:\n{FIRST}", "list": [SECOND.replace(" ", "\n")]}).decode()
    for at in range(0, len(arguments), size):
        call = {"index": 2, "function": {"arguments": arguments[at : at + size]}}
        watch.take_chunk(chunk(tool_calls=[call]))
    watch.take_chunk(chunk("tool_calls"))
    assert await level_of(ledger, FIRST) is Level.CONFIDENTIAL
    assert await level_of(ledger, "another sentence that nobody has said here") is Level.PUBLIC


async def test_a_whole_answer_is_marked_in_all_its_parts(ledger: TaintLedger) -> None:
    arguments = orjson.dumps({"note": SECOND}).decode()
    message = {"role": "assistant", "content": FIRST, "tool_calls": [{"function": {"arguments": arguments}}]}
    trail(ledger).take_whole({"id": "c", "choices": [{"message": message}, {"message": None}]})
    assert await level_of(ledger, FIRST) is Level.CONFIDENTIAL
    assert await level_of(ledger, SECOND) is Level.CONFIDENTIAL
    assert (await ledger.taint_of("t", ["c"])).level is Level.CONFIDENTIAL


async def test_what_the_request_held_in_its_clean_parts_is_not_marked(ledger: TaintLedger) -> None:
    trail(ledger, known=frozenset({FIRST.casefold()})).take_whole(
        {"choices": [{"message": {"content": f"{FIRST}. {SECOND}."}}]}
    )
    assert await level_of(ledger, FIRST) is Level.PUBLIC
    assert await level_of(ledger, SECOND) is Level.CONFIDENTIAL


async def test_of_an_answer_made_of_placeholders_only_what_holds_a_value_must_stay(ledger: TaintLedger) -> None:
    trail(ledger, values=["northern branch"]).take_whole({"choices": [{"message": {"content": f"{FIRST}. {SECOND}."}}]})
    for text, kept in ((FIRST, Level.CONFIDENTIAL), (SECOND, Level.PUBLIC)):
        taint = await ledger.look("t", {"messages": [{"role": "user", "content": text}]})
        assert (taint.level, taint.kept) == (Level.CONFIDENTIAL, kept)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"choices": None},
        {"choices": [{}]},
        {"choices": [{"delta": None, "message": None}]},
        {"id": 3, "choices": [{"delta": {"content": 3, "tool_calls": [None, "x", {"index": "y"}]}}]},
    ],
)
def test_an_answer_of_any_shape_is_taken(ledger: TaintLedger, answer: dict[str, Any]) -> None:
    watch = trail(ledger)
    assert watch.take_chunk(answer) is False
    watch.take_whole(answer)
    watch.end()
