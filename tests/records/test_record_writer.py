"""The writer loses nothing that it said it kept, and says what it lost: killed, full, slow or closed."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from router.records.store import RecordReader, SqliteStore, StoreError, verify
from router.records.writer import RecordWriter
from router.types import JsonObject

ROOT = Path(__file__).parents[2]


def record(name: str, **more: Any) -> JsonObject:
    return {"id": name, "kind": "decision", "time": "2030-01-01T00:00:00.000+00:00", **more}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "records.sqlite"


async def until_written(writer: RecordWriter, records: int) -> None:
    async with asyncio.timeout(60):
        while writer.written < records:  # noqa: ASYNC110 - the writer tells nobody
            await asyncio.sleep(0.01)


async def started(path: Path, *, queue: int = 10_000, max_bytes: int = 1 << 30) -> RecordWriter:
    writer = RecordWriter(SqliteStore(path, max_bytes), queue=queue)
    await writer.start()
    return writer


class Slow:
    """A store whose disk waits until the test lets it go on, and can be told to fail."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.error: StoreError | None = None
        self.batches: list[tuple[int, bool]] = []

    def append(self, records: Sequence[JsonObject], *, durable: bool) -> None:
        self.go_on.wait(60)
        if self.error is not None:
            raise self.error
        self.batches.append((len(records), durable))

    def close(self) -> None:
        self.go_on.set()


async def test_what_was_submitted_is_soon_there_and_in_order(path: Path) -> None:
    writer = await started(path)
    for number in range(1200):
        assert writer.submit(record(f"r{number}"))
    await until_written(writer, 1200)
    with RecordReader(path) as reader:
        assert [found["id"] for found in reader.list_records(1200)] == [f"r{n}" for n in reversed(range(1200))]
    await writer.close()
    assert (writer.drops, writer.queued) == (0, 0)


async def test_a_single_record_does_not_wait_for_a_full_batch(path: Path) -> None:
    writer = await started(path)
    writer.submit(record("one"))
    await until_written(writer, 1)
    await writer.close()


async def test_close_writes_what_waits_and_takes_nothing_more(path: Path) -> None:
    writer = await started(path)
    for number in range(3000):
        writer.submit(record(f"r{number}"))
    await writer.close()
    await writer.close()
    assert verify(path).rows == 3000
    assert not writer.submit(record("late"))
    assert not await writer.commit_intent(record("late"))
    assert writer.drops == 2


async def test_records_and_intents_are_few_in_a_batch_only_when_somebody_waits() -> None:
    store = Slow()
    store.go_on.set()
    writer = RecordWriter(store)
    await writer.start()
    for number in range(1300):
        writer.submit(record(f"r{number}"))
    assert await writer.commit_intent(record("i", kind="intent"))
    await writer.close()
    assert store.batches == [(500, False), (500, False), (301, True)]


async def test_an_intent_is_on_the_disk_when_it_is_said_to_be_and_waits_for_no_batch(path: Path) -> None:
    writer = await started(path)
    waits = []
    with RecordReader(path) as reader:
        for number in range(5):
            began = time.monotonic()
            assert await writer.commit_intent(record(f"i{number}", kind="intent"))
            waits.append(time.monotonic() - began)
            assert (reader.get_record(f"i{number}") or {})["kind"] == "intent"
    assert min(waits) < 0.15  # a batch would have waited 0.2 s; the slowest tell of the disk
    await writer.close()


async def test_intents_that_come_together_share_one_commit(path: Path) -> None:
    writer = await started(path)
    answers = await asyncio.gather(*(writer.commit_intent(record(f"i{n}", kind="intent")) for n in range(200)))
    assert all(answers)
    await writer.close()
    assert verify(path).rows == 200


async def test_a_full_queue_drops_and_counts_and_refuses_intents() -> None:
    store = Slow()
    writer = RecordWriter(store, queue=10)
    await writer.start()
    taken = [writer.submit(record(f"r{n}")) for n in range(15)]
    assert taken == [True] * 10 + [False] * 5
    assert not await writer.commit_intent(record("i"))
    assert writer.drops == 6
    store.go_on.set()
    await writer.close()
    assert writer.written == 10


async def test_an_intent_that_the_disk_keeps_waiting_is_refused_after_two_seconds() -> None:
    store = Slow()
    writer = RecordWriter(store)
    await writer.start()
    began = time.monotonic()
    assert not await writer.commit_intent(record("i"))
    assert time.monotonic() - began > 1.9
    store.go_on.set()
    await writer.close()


async def test_a_full_disk_refuses_intents_counts_drops_and_says_so_once(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "gatehouse.records")
    writer = await started(path, max_bytes=64 * 1024)
    for number in range(100):
        await writer.commit_intent(record(f"i{number}", filler="x" * 2000))
    assert not await writer.commit_intent(record("last", filler="x" * 2000))
    assert writer.failing is not None
    kept, lost = writer.written, writer.drops
    assert 0 < kept < 101
    assert kept + lost == 101
    for number in range(600):
        writer.submit(record(f"r{number}", filler="x" * 2000))
    await writer.close()
    assert writer.drops == lost + 600
    assert verify(path).rows == kept
    assert len([line for line in caplog.records if line.name == "gatehouse.records"]) == 1


async def test_it_recovers_when_the_disk_does(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "gatehouse.records")
    store = Slow()
    store.go_on.set()
    store.error = StoreError("the disk is away")
    writer = RecordWriter(store)
    await writer.start()
    assert not await writer.commit_intent(record("a"))
    assert not await writer.commit_intent(record("b"))
    assert writer.failing == "the disk is away"
    store.error = None
    assert await writer.commit_intent(record("c"))
    assert writer.failing is None
    assert (writer.written, writer.drops) == (1, 2)
    assert [line.levelname for line in caplog.records if line.name == "gatehouse.records"] == ["ERROR", "WARNING"]
    await writer.close()


async def test_a_record_that_is_not_json_costs_its_batch_and_not_the_writer(path: Path) -> None:
    writer = await started(path)
    assert not await writer.commit_intent(record("bad", value=object()))
    assert await writer.commit_intent(record("good"))
    await writer.close()
    assert verify(path).rows == 1


async def test_the_loop_turns_while_the_disk_stands_still() -> None:
    store = Slow()
    writer = RecordWriter(store)
    await writer.start()
    for number in range(2000):
        writer.submit(record(f"r{number}"))
    began = time.monotonic()
    for _ in range(30):
        await asyncio.sleep(0.01)
    assert time.monotonic() - began < 30  # the disk stands still for a minute
    store.go_on.set()
    await writer.close()
    assert writer.written == 2000


WRITING = """
import asyncio, itertools, sys
from pathlib import Path
from router.records.writer import RecordWriter
from router.records.store import SqliteStore

async def main():
    store = SqliteStore(Path(sys.argv[1]))
    assert store.damage is None, store.damage
    writer = RecordWriter(store)
    await writer.start()
    for number in itertools.count():
        for part in range(100):
            name = f"{sys.argv[2]}-{number}-{part}"
            writer.submit({"id": name, "kind": "decision", "time": "t", "filler": "x" * 800})
        name = f"{sys.argv[2]}-intent-{number}"
        if await writer.commit_intent({"id": name, "kind": "intent", "time": "t"}):
            print(name, flush=True)

asyncio.run(main())
"""


def test_killed_in_mid_batch_the_chain_is_whole_and_no_acknowledged_intent_is_lost(path: Path) -> None:
    chance = random.Random(3)
    acknowledged: list[str] = []
    for round_number in range(6):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITING, str(path), str(round_number)], stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        assert process.stdout is not None
        acknowledged.append(process.stdout.readline().strip())  # it writes
        time.sleep(chance.uniform(0.05, 0.4))
        process.kill()
        acknowledged += [line.strip() for line in process.stdout.read().splitlines()]
        process.wait()
        process.stdout.close()
        report = verify(path)
        assert report.intact, report
    assert len(acknowledged) > 6
    with RecordReader(path) as reader:
        lost = [name for name in acknowledged if reader.get_record(name) is None]
    assert lost == []


LIMITED = """
import asyncio, resource, sys
from pathlib import Path
from router.records.writer import RecordWriter
from router.records.store import SqliteStore

async def main():
    writer = RecordWriter(SqliteStore(Path(sys.argv[1])))
    await writer.start()
    first = await writer.commit_intent({"id": "before", "kind": "intent", "time": "t"})
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
    answers = []
    for number in range(100):
        record = {"id": str(number), "kind": "intent", "time": "t", "filler": "x" * 3000}
        answers.append(await writer.commit_intent(record))
    await writer.close()
    print(first, answers[0], answers[-1], answers.count(True), writer.drops)

asyncio.run(main())
"""


def test_a_write_that_the_system_refuses_is_an_intent_refused(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(path)], capture_output=True, text=True, cwd=ROOT, timeout=60, check=True
    )
    first, begins, ends, kept, drops = done.stdout.split()
    assert (first, begins, ends) == ("True", "True", "False")
    assert int(kept) + int(drops) == 100
    report = verify(path)
    assert (report.intact, report.rows) == (True, int(kept) + 1)


@pytest.mark.skipif(sys.platform != "linux", reason="only there has each thread a priority of its own")
def test_what_writes_records_gives_way_to_what_answers_requests(tmp_path: Path):
    class Noting:
        """A store that notes the priority of whoever writes into it."""

        def append(self, records: list[JsonObject], *, durable: bool) -> None:
            self.priority = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

        def close(self) -> None:
            pass

    async def write() -> int:
        store = Noting()
        writer = RecordWriter(store)
        await writer.start()
        writer.submit({"kind": "decision"})
        await writer.close()
        return store.priority

    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert asyncio.run(write()) > own or own >= 10
    assert os.getpriority(os.PRIO_PROCESS, 0) == own  # of the loop's thread
