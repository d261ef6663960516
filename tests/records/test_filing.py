"""A record is written once, by whoever makes it: what the parent passes on and chains are the worker's own bytes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import orjson
import pytest

from router.processes.control import ControlClient, ControlServer, frame_bytes
from router.records.chain import FIRST_DIGEST, Head, check, link
from router.records.filing import FILTERS, FiledRecord, filed, packed, unpacked
from router.records.store import RecordReader, SqliteStore
from router.types import JsonObject


def record(name: str, **more: Any) -> JsonObject:
    return {
        "id": name,
        "kind": "decision",
        "time": "2030-01-01T00:00:00.000+00:00",
        "principal": {"tenant": "acme"},
        "outcome": {"route": "cloud", "model": "gpt", "reason": "pinned", "error": None},
        "decision": {"rule": "hard", "sensitivity": "public"},
        "costs": {"usd": 0.25},
        **more,
    }


def test_what_a_record_is_looked_up_by_stands_in_the_order_of_the_filters() -> None:
    one = filed(record("gh-1"))
    found = dict(zip(("id", "time", *FILTERS), one.columns, strict=True))
    assert found == {
        "id": "gh-1",
        "time": "2030-01-01T00:00:00.000+00:00",
        "kind": "decision",
        "tenant": "acme",
        "route": "cloud",
        "model": "gpt",
        "rule": "hard",
        "reason": "pinned",
        "sensitivity": "public",
        "error": None,
    }


def test_what_is_no_text_is_not_looked_up_by() -> None:
    odd = filed({"id": 7, "kind": ["decision"], "principal": "acme", "outcome": {"model": {"unknown": True}}})
    assert odd.columns == ("7", "", *[None] * len(FILTERS))
    assert not odd.has_costs


def test_a_record_that_is_no_json_cannot_be_filed() -> None:
    with pytest.raises(TypeError):
        filed({"id": "gh-1", "bad": object()})


def test_records_come_out_of_the_wire_as_they_went_in() -> None:
    sent = [filed(record("gh-1"), "digest"), filed(record("gh-ü", costs=None)), filed({"id": ""})]
    message, texts = packed(sent)
    assert unpacked(orjson.loads(orjson.dumps(message))["cards"], texts) == sent


def test_a_member_in_front_changes_nothing_else() -> None:
    before = record("gh-1")
    with_member = filed(before).with_member("reask_of", "gh-0")
    assert orjson.loads(with_member.text) == {**before, "reask_of": "gh-0"}
    text, digest = link(with_member.text, FIRST_DIGEST)
    assert orjson.loads(text) == {**before, "reask_of": "gh-0", "prev": FIRST_DIGEST}
    assert check([(1, digest, text)], Head(1, digest)).intact


class Taking:
    """A parent that keeps what it is handed, and answers intents."""

    def __init__(self, path: Path) -> None:
        self.records: list[FiledRecord] = []
        self.intents: list[JsonObject] = []
        self.server = ControlServer(path, self, lambda event: None)

    def submit(self, record: FiledRecord) -> bool:
        self.records.append(record)
        return True

    async def commit_intent(self, record: JsonObject) -> bool:
        self.intents.append(record)
        return True


async def nothing(message: JsonObject) -> None:
    """What a worker does with a message in these tests."""


async def test_a_workers_records_and_intents_share_one_wire(tmp_path: Path) -> None:
    """Two batches with an intent between them: nobody takes a record's text for a frame."""
    parent = Taking(tmp_path / "control")
    await parent.server.start()
    worker = ControlClient(tmp_path / "control", on_message=nothing, on_lost=lambda: None)
    await worker.start()
    sent = [filed(record(f"gh-{number}", filler="{}" * number)) for number in range(600)]
    for one in sent[:300]:
        worker.offer(one)
    worker.flush()
    assert await worker.intend(record("gh-intent"))
    for one in sent[300:]:
        worker.offer(one)
    worker.flush()
    assert await worker.intend(record("gh-last"))
    assert parent.records == sent
    assert [each["id"] for each in parent.intents] == ["gh-intent", "gh-last"]
    await worker.close()
    await parent.server.close()


async def test_a_frame_that_claims_too_much_ends_the_connection(tmp_path: Path) -> None:
    parent = Taking(tmp_path / "control")
    await parent.server.start()
    reader, writer = await asyncio.open_unix_connection(str(tmp_path / "control"))
    writer.write(frame_bytes({"t": "records", "cards": [[1 << 40, *filed({"id": "gh-1"})[1:]]]}))
    assert await reader.read() == b""
    assert parent.records == []
    writer.close()
    await parent.server.close()


def test_filed_and_plain_records_stand_in_one_chain(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "state" / "records.sqlite")
    store.append([record("gh-1"), filed(record("gh-2")), record("gh-3")], durable=False)
    store.close()
    with RecordReader(store.path) as reader:
        assert [each["id"] for each in reader.list_records()] == ["gh-3", "gh-2", "gh-1"]
        assert reader.verify().intact
        assert sum(each.requests for each in reader.spent("2030-01")) == 3
