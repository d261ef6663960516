"""A record made ready to be kept: its text, written once, and what it is looked up by. Pure; opens no file.

Workers file their decision records themselves, so that the parent reads no record that it only passes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson

from router.types import JsonObject


class FiledRecord(NamedTuple):
    """One record: canonical JSON (UTF-8, keys sorted), what it is looked up by, and what is read off it on its way."""

    text: bytes
    id: str = ""
    time: str = ""
    kind: str | None = None
    tenant: str | None = None
    route: str | None = None
    model: str | None = None
    rule: str | None = None
    reason: str | None = None
    sensitivity: str | None = None
    error: str | None = None
    has_costs: bool = False
    usd: float | None = None  # of `costs`; None: not known
    latency_ms: float | None = None
    is_promised: bool = False  # its answer was held against what a calibration card promises
    promised_by: str | None = None  # the rule whose target that was; None: the policy's own
    ask: str | None = None  # digest of what was asked (`router.reasks`): compared, never kept

    @property
    def columns(self) -> tuple[str | None, ...]:
        """Its id, its time, and what it is looked up by, in the order of `FILTERS`."""
        return self[1:11]

    def with_member(self, name: str, value: str) -> FiledRecord:
        """The same with one more member, in front of the others."""
        return self._replace(text=in_front(self.text, name, value))


# What a record can be looked up by, each a column of its own.
FILTERS = FiledRecord._fields[3:11]


def filed(
    record: JsonObject | FiledRecord, ask: str | None = None, decided: tuple[str, str] | None = None
) -> FiledRecord:
    """A record made ready; one that is so already, as it is. Raises `TypeError` for what is not JSON.

    `decided`: rule and sensitivity of the decision, for a record that holds it in writing
    (`router.records.record.Said`).
    """
    if isinstance(record, FiledRecord):
        return record
    principal, outcome, decision, costs = (
        _part(record, name) for name in ("principal", "outcome", "decision", "costs")
    )
    return FiledRecord(
        orjson.dumps(record, option=orjson.OPT_SORT_KEYS),
        str(record.get("id", "")),
        str(record.get("time", "")),
        _word(record.get("kind")),
        _word(principal.get("tenant")),
        _word(outcome.get("route")),
        _word(outcome.get("model")),
        _word(decision.get("rule")) if decided is None else decided[0],
        _word(outcome.get("reason")),
        _word(decision.get("sensitivity")) if decided is None else decided[1],
        _word(outcome.get("error")),
        isinstance(record.get("costs"), dict),
        costs.get("usd"),
        record.get("latency_ms"),
        record.get("promise") is not None,
        _word(_part(record, "promise").get("rule")),
        ask,
    )


def in_front(text: bytes, name: str, value: str) -> bytes:
    """The text of a JSON object that is not empty, with one more member in front of the others."""
    return b'{"%b":%b,%b' % (name.encode(), orjson.dumps(value), text[1:])


def packed(records: Sequence[FiledRecord]) -> tuple[JsonObject, bytes]:
    """Records as they go from process to process: one object for all that is not text, and the texts in a row."""
    cards = [[len(record.text), *record[1:]] for record in records]
    return {"cards": cards}, b"".join([record.text for record in records])


def unpacked(cards: Sequence[Sequence[Any]], texts: bytes) -> list[FiledRecord]:
    """The same the other way round."""
    records, at = [], 0
    for size, *rest in cards:
        records.append(FiledRecord(texts[at : at + size], *rest))
        at += size
    return records


def _part(record: JsonObject, name: str) -> JsonObject:
    part = record.get(name)
    return part if isinstance(part, dict) else {}


def _word(value: object) -> str | None:
    return value if isinstance(value, str) else None
