"""Reloads under load, a third of them of broken files: no request fails, and none sees two versions.

`GATEHOUSE_TEST_RELOADS=1000` makes it the thousand of the promise; here it is fewer, to keep to seconds.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import aiohttp

from router.backends.scripted_replies import Script
from router.records.store import RECORDS_FILE, RecordReader
from router.versions.versions import VersionStore
from tests.support.gateway import Gateway
from tests.support.recorder import RecorderThread
from tests.support.reloading import Seen, ask_until, broken_text, named_model, save_and_wait, version_text

COUNT = int(os.environ.get("GATEHOUSE_TEST_RELOADS", "30"))
CALLERS = 4


async def _reload_under_load(house: Gateway, home: str, cloud: str) -> tuple[Seen, int, int]:
    """What callers saw; good and bad files."""
    seen, stop, good, bad = Seen(), asyncio.Event(), 1, 0
    callers = [asyncio.create_task(ask_until(stop, house, seen)) for _ in range(CALLERS)]
    async with aiohttp.ClientSession() as session:
        for number in range(2, COUNT + 2):
            text = version_text(number, home, cloud)
            if number % 10 in (3, 6, 9):
                policy = await save_and_wait(session, house, broken_text(number, text))
                assert policy["last_error"] is not None
                bad += 1
            else:
                policy = await save_and_wait(session, house, text)
                assert policy["version"] == number
                good += 1
            assert all(not caller.done() for caller in callers), [each.exception() for each in callers if each.done()]
    stop.set()
    await asyncio.gather(*callers)
    return seen, good, bad


async def test_reloads_under_load_fail_no_request_and_show_no_request_two_versions(tmp_path: Path) -> None:
    with RecorderThread(named_model) as home, RecorderThread(Script()) as cloud:
        with Gateway(tmp_path, version_text(1, home.url, cloud.url)) as house:
            seen, good, bad = await _reload_under_load(house, home.url, cloud.url)
        print(f"{COUNT} reloads ({bad} broken), {len(seen.milliseconds)} requests, {len(seen.versions)} versions seen")
        assert (seen.failed, seen.mixed) == ([], [])
        assert bad == sum(number % 10 in (3, 6, 9) for number in range(2, COUNT + 2))
        assert len(seen.milliseconds) > COUNT / 4
        assert len(seen.versions) > min(good, 10) / 2, "the load must have met many of the versions"
        with RecordReader(tmp_path / "state" / RECORDS_FILE) as reader:
            records = list(reader.decisions_since("2000"))
        assert len(records) >= len(seen.milliseconds)
        for record in records:
            number = record["policy"]["version"]
            assert record["decision"]["rule"] == f"rule-{number}"
            assert record["decision"]["target"]["backend_model"] == f"scripted-{number}"
        with VersionStore(tmp_path / "state") as versions:
            kept = versions.list()
        assert [each.label.partition("-")[0] for each in reversed(kept)] == [
            str(number) for number in range(1, COUNT + 2) if number == 1 or number % 10 not in (3, 6, 9)
        ]
