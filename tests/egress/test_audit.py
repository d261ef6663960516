"""`audit: required`: what cannot be written down beforehand does not leave."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from router.backends.scripted_replies import Script
from router.records.store import RECORDS_FILE
from tests.egress.asking import Answer, ask
from tests.egress.houses import BY_RULE, LATER_WAYS, PATIENT, home_server, policy_text
from tests.egress.positions import PUBLIC, filled
from tests.support.gateway import Gateway
from tests.support.recorder import Recorder, RecorderThread

ONE_PAGE = "1"  # bytes; the store takes its least size, which some dozens of records fill


@contextmanager
def audited(folder: Path, ways: str, **environment: str) -> Iterator[tuple[Gateway, Recorder]]:
    """A gateway under `audit: required`, and its cloud."""
    with (
        RecorderThread(Script(answer="At home.", confidence=0.2)) as home,
        RecorderThread() as cloud,
        Gateway(
            folder,
            policy_text(home_server(home.url), cloud.url, ways + "audit: required\n"),
            environment={**PATIENT, **environment},
        ) as gateway,
    ):
        yield gateway, cloud


async def one(gateway: Gateway, word: str, *, model: str = "auto", stream: bool = False) -> Answer:
    (answer,) = await ask(gateway.url, [filled("user", f"{PUBLIC} {word}", stream=stream, model=model)])
    return answer


async def fill(gateway: Gateway, cloud: Recorder) -> int:
    """Ask until nothing leaves any more (near the limit a small record may still fit); how many requests left."""
    stayed = 0
    for number in range(200):
        arrived = len(cloud.exchanges)
        answer = await one(gateway, f"number {number}")
        if len(cloud.exchanges) > arrived:
            stayed = 0
            continue
        assert (answer.status, answer.route, answer.headers["x-gatehouse-reason"]) == (200, "local", "audit")
        stayed += 1
        if stayed == 8:
            return len(cloud.exchanges)
    raise AssertionError("the store never became full")


async def test_with_a_full_store_requests_stay_at_home(tmp_path: Path) -> None:
    with audited(tmp_path, BY_RULE, GATEHOUSE_RECORDS_MAX_BYTES=ONE_PAGE) as (gateway, cloud):
        left = await fill(gateway, cloud)
        assert left > 0, "nothing left while there was room"
        received = len(cloud.received)
        for stream in (False, True):
            held = await one(gateway, f"held {stream}", stream=stream)
            assert (held.status, held.route, held.headers["x-gatehouse-reason"]) == (200, "local", "audit")
            pinned = await one(gateway, f"pinned {stream}", model="cloud", stream=stream)
            assert (pinned.status, pinned.code) == (503, "audit_unavailable")
            assert "retry-after" in pinned.headers
        assert len(cloud.received) == received, "something left without a record"
        gateway.wait_for("/readyz", "records_not_written")


async def test_with_a_store_that_cannot_be_written_requests_stay_and_leave_again_afterwards(tmp_path: Path) -> None:
    with audited(tmp_path, BY_RULE) as (gateway, cloud):
        answer = await one(gateway, "before")
        assert answer.route == "cloud"
        assert _kinds(gateway, answer)[0] == "intent", "what left was not written down before"
        received = len(cloud.received)
        blocker = sqlite3.connect(gateway.state_dir / RECORDS_FILE, isolation_level=None)
        try:
            blocker.execute("BEGIN IMMEDIATE")
            held = await one(gateway, "held")
            pinned = await one(gateway, "pinned", model="cloud")
        finally:
            blocker.close()
        assert (held.route, held.headers["x-gatehouse-reason"]) == ("local", "audit")
        assert (pinned.status, pinned.code) == (503, "audit_unavailable")
        assert len(cloud.received) == received
        assert (await one(gateway, "after")).route == "cloud"


async def test_an_escalation_that_cannot_be_recorded_does_not_happen(tmp_path: Path) -> None:
    with audited(tmp_path, LATER_WAYS) as (gateway, cloud):
        assert (await one(gateway, "before")).headers["x-gatehouse-reason"] == "escalation"
        received = len(cloud.received)
        blocker = sqlite3.connect(gateway.state_dir / RECORDS_FILE, isolation_level=None)
        try:
            blocker.execute("BEGIN IMMEDIATE")
            answers = [await one(gateway, f"held {stream}", stream=stream) for stream in (False, True)]
        finally:
            blocker.close()
        assert [(answer.status, answer.route) for answer in answers] == [(200, "local")] * 2
        assert len(cloud.received) == received


def _kinds(gateway: Gateway, answer: Answer) -> list[str]:
    """The records of a request, in the order in which they were written."""
    reader = sqlite3.connect(gateway.state_dir / RECORDS_FILE)
    try:
        query = "SELECT kind FROM records WHERE id = ? ORDER BY seq"
        return [kind for (kind,) in reader.execute(query, (answer.headers["x-gatehouse-request-id"],))]
    finally:
        reader.close()
