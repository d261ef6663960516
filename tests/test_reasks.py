"""A question asked again in the same conversation is noticed by its keyed digest; look-alikes are not."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from router.keys import Keys
from router.reasks import Reasks, ask_digest
from router.records.filing import FiledRecord, filed
from router.types import Principal

KEYS = Keys(b"k" * 32)
ACME = Principal("acme", "k1")


def body(*turns: str, **fields: Any) -> dict[str, Any]:
    roles = ("user", "assistant")
    return {"messages": [{"role": roles[at % 2], "content": text} for at, text in enumerate(turns)], **fields}


FIRST = body("Name the capital of Peru.")


@pytest.mark.parametrize(
    ("other", "principal", "same"),
    [
        (FIRST, ACME, True),
        (body("  name the CAPITAL\nof peru. "), ACME, True),
        (body("Name the capital of Peru.", "Quito.", "name the capital of Peru."), ACME, True),
        (body("Name the capital of Peru.", temperature=1), ACME, True),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "Name the capital of Peru."}]}]},
            ACME,
            True,
        ),
        (body("Name the capital of Chile."), ACME, False),
        (body("Hello.", "Hi.", "Name the capital of Peru."), ACME, False),
        (body("Name the capital of Peru.", user="u2"), ACME, False),
        (FIRST, Principal("acme", "k2"), False),
        (FIRST, Principal("other", "k1"), False),
    ],
)
def test_what_counts_as_the_same_question(other: dict[str, Any], principal: Principal, same: bool) -> None:
    assert (ask_digest(KEYS, principal, other) == ask_digest(KEYS, ACME, FIRST)) is same


@pytest.mark.parametrize(
    "strange",
    [{}, {"messages": None}, body(), {"messages": ["x", {"role": "user"}, {"role": "system", "content": "a"}]}],
)
def test_a_request_without_a_users_text_is_no_ask(strange: dict[str, Any]) -> None:
    assert ask_digest(KEYS, ACME, strange) is None


def test_long_texts_are_told_apart_by_both_ends_and_their_length() -> None:
    long = "x " * 50_000
    digests = {ask_digest(KEYS, ACME, body(text)) for text in (long, long + "y", "y" + long, long + "x x ")}
    assert len(digests) == 4


class Unread(dict[str, Any]):
    """A message that nobody may look into."""

    def get(self, *_: object) -> Any:
        raise AssertionError("read")


def test_of_a_long_conversation_only_the_ends_are_read() -> None:
    conversation = body("Hello.", "Hi.", "Where is Peru?", "There.", "And Chile?")
    longer = [*conversation["messages"][:1], *[Unread()] * 1000, *conversation["messages"][-2:]]
    assert ask_digest(KEYS, ACME, {"messages": longer}) == ask_digest(KEYS, ACME, conversation)


class Kept:
    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []

    def submit(self, record: FiledRecord) -> bool:
        self.records.append(orjson.loads(record.text))
        return True

    async def commit_intent(self, record: dict[str, Any]) -> bool:
        raise NotImplementedError


def asked(
    request_id: str, at: str, latency_ms: float = 100.0, ask: str | None = "dd", error: str | None = None
) -> FiledRecord:
    time = f"2026-05-01T{at}.000+00:00"
    return filed({"id": request_id, "time": time, "latency_ms": latency_ms, "outcome": {"error": error}}, ask)


def test_only_what_was_answered_before_and_not_long_ago_is_asked_again() -> None:
    kept, heard = Kept(), []
    reasks = Reasks(kept, heard.append)
    for record in (
        asked("a", "10:00:00"),
        asked("other", "10:01:00", ask="ee"),
        asked("b", "10:02:00"),  # a again
        asked("failed", "10:03:00", error="upstream_error"),  # b again, and has no answer itself
        asked("c", "10:04:00"),  # b again
        asked("beside", "10:04:01", latency_ms=20_000),  # had begun before c ended
        asked("late", "10:30:00"),
        asked("none", "10:30:01", ask=None),
    ):
        assert reasks.submit(record)
    assert {each["id"]: each["reask_of"] for each in kept.records if "reask_of" in each} == {
        "b": "a",
        "failed": "b",
        "c": "b",
    }
    assert heard == ["a", "b", "b"]
    assert not any("ask" in each for each in kept.records), "the digest is never written"
