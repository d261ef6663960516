"""What callers say of answers: `good` or `bad` for a request id, kept as records of their own. No free text, ever.

The desk stands in the parent, where the records are written: it knows every request of every worker. What it keeps is
not trusted: nothing learns from it unless an admin says so (`labels`).
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Protocol

from router.records.store import RecordReader, StoreError
from router.types import JsonObject

Verdict = Literal["good", "bad"]
Answer = Literal["taken", "unknown", "limited", "failed"]
VERDICTS = ("good", "bad")
REASONS = ("incorrect", "incomplete", "irrelevant", "format", "language", "refused", "slow", "other")

_ID = re.compile(r"gh-[0-9a-f]{24}")
_TRIES, _PAUSE_SECONDS = 5, 0.25  # a record is on the disk about half a second after its answer
_PER_SECOND, _AT_ONCE = 5.0, 50.0  # of one key
_MOST_KEYS = 4096


class IntentWriting(Protocol):
    """What the desk needs of the records' writer."""

    async def commit_intent(self, record: JsonObject) -> bool: ...


@dataclass(frozen=True, slots=True)
class Label:
    """What is known of one answer. `features` is None where the record has none. A re-ask says `bad`, weakly."""

    request_id: str
    features: object
    verdict: Verdict
    source: Literal["feedback", "reask"]


class FeedbackDesk:
    """Takes feedback from every worker and answers once it is durable, or why not."""

    def __init__(self, path: Path, writer: IntentWriting, on_taken: Callable[[str, Verdict], None]) -> None:
        """`path`: the records. `on_taken` hears of each request id whose verdict is new or another one."""
        self._path = path
        self._writer = writer
        self._on_taken = on_taken
        self._buckets = Buckets(_PER_SECOND, _AT_ONCE)

    async def take(self, feedback: JsonObject) -> Answer:
        """`feedback`: request_id, verdict, reason (or None), tenant and key_id. The last verdict of a request counts.

        `unknown` also for what another key asked: nobody learns which ids there are.
        """
        who = (str(feedback["tenant"]), feedback["key_id"])
        if not self._buckets.take(who, time.monotonic()):
            return "limited"
        request_id = str(feedback["request_id"])
        if _ID.fullmatch(request_id) is None:
            return "unknown"
        try:
            found = await self._find(request_id)
        except StoreError:
            return "failed"
        if found is None or found[0] != who:
            return "unknown"
        said = (feedback["verdict"], feedback["reason"])
        if said == found[1]:
            return "taken"
        if not await self._writer.commit_intent(feedback_record(feedback)):
            return "failed"
        self._on_taken(request_id, feedback["verdict"])
        return "taken"

    async def _find(self, request_id: str) -> tuple[tuple[str, object], tuple[object, object]] | None:
        """Who asked, and what they have said so far. A record that is not there may still be on its way."""
        for attempt in range(_TRIES):
            found = await asyncio.to_thread(self._look, request_id)
            if found is not None:
                return found
            if attempt + 1 < _TRIES:
                await asyncio.sleep(_PAUSE_SECONDS)
        return None

    def _look(self, request_id: str) -> tuple[tuple[str, object], tuple[object, object]] | None:
        with RecordReader(self._path) as reader:
            decision = reader.get_latest(request_id, "decision")
            if decision is None:
                return None
            said = reader.get_latest(request_id, "feedback") or {}
        principal = decision.get("principal") or {}
        return (str(principal.get("tenant", "")), principal.get("key_id")), (said.get("verdict"), said.get("reason"))


class Buckets:
    """A token bucket a key. Keys beyond the most that are remembered push out all: a flood is then let in once more."""

    def __init__(self, per_second: float, at_once: float) -> None:
        self._per_second = per_second
        self._at_once = at_once
        self._left: dict[object, tuple[float, float]] = {}

    def take(self, key: object, now: float) -> bool:
        """Whether one more may come at `now`, in seconds of a clock that never goes back."""
        left, since = self._left.get(key, (self._at_once, now))
        left = min(left + (now - since) * self._per_second, self._at_once)
        if key not in self._left and len(self._left) >= _MOST_KEYS:
            self._left.clear()
        self._left[key] = (max(left - 1, 0.0), now) if left >= 1 else (left, now)
        return left >= 1


def feedback_record(feedback: JsonObject) -> JsonObject:
    """As it stands among the decision records, in the same chain."""
    return {
        "schema_version": 1,
        "kind": "feedback",
        "id": feedback["request_id"],
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "principal": {"tenant": feedback["tenant"], "key_id": feedback["key_id"]},
        "verdict": feedback["verdict"],
        "reason": feedback["reason"],
    }


def labels(records: Iterable[JsonObject]) -> Iterator[Label]:
    """The labels in `RecordReader.rows_since(…, ("decision", "feedback"))`: the last verdict of each request.

    A request that was asked again counts as bad unless somebody said otherwise. A verdict on a request that is not
    among the records is left out.
    """
    features: dict[str, object] = {}
    said: dict[str, Verdict] = {}
    asked_again: dict[str, None] = {}
    for record in records:
        if record.get("kind") == "feedback":
            if record.get("verdict") in VERDICTS:
                said[str(record["id"])] = record["verdict"]
            continue
        features[str(record.get("id"))] = (record.get("outcome") or {}).get("answer_features")
        if isinstance(record.get("reask_of"), str):
            asked_again[record["reask_of"]] = None
    for request_id, verdict in said.items():
        if request_id in features:
            yield Label(request_id, features[request_id], verdict, "feedback")
    for request_id in asked_again:
        if request_id in features and request_id not in said:
            yield Label(request_id, features[request_id], "bad", "reask")
