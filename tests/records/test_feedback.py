"""Verdicts on answers: of one's own requests, durable, the last one counts, never more than a word of a list."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import httpx
import pytest

from router.backends.scripted_replies import Script
from router.records.feedback import Buckets, FeedbackDesk, Label, feedback_record, labels
from router.records.store import RECORDS_FILE, RecordReader, SqliteStore
from router.records.writer import RecordWriter
from tests.support.gateway import POLICY, Gateway, local_server, until
from tests.support.recorder import RecorderThread

CANARY = "canary-text-77"


def said(number: int, verdict: str, reason: str | None = None, key: str | None = "k1") -> dict[str, Any]:
    who = {"tenant": "acme", "key_id": key}
    return {"request_id": f"gh-{number:024x}", "verdict": verdict, "reason": reason, **who}


def decision(number: int, **outcome: Any) -> dict[str, Any]:
    return {
        "id": f"gh-{number:024x}",
        "kind": "decision",
        "time": "2026-05-01T10:00:00.000+00:00",
        "principal": {"tenant": "acme", "key_id": "k1"},
        "outcome": outcome,
    }


async def test_the_desk_keeps_what_changes_and_refuses_what_is_not_ones_own(tmp_path: Path) -> None:
    writer = RecordWriter(SqliteStore(tmp_path / RECORDS_FILE))
    await writer.start()
    heard: list[tuple[str, str]] = []
    desk = FeedbackDesk(tmp_path / RECORDS_FILE, writer, lambda name, verdict: heard.append((name[-1], verdict)))
    writer.submit(decision(1))
    assert await desk.take(said(1, "bad", "incorrect")) == "taken"  # though it is not on the disk yet
    assert await desk.take(said(1, "bad", "incorrect")) == "taken"
    assert await desk.take(said(1, "good")) == "taken"
    assert await desk.take(said(1, "bad", key="k2")) == "unknown"
    assert await desk.take(said(2, "bad")) == "unknown"
    assert await desk.take({**said(1, "bad"), "request_id": "' OR 1=1"}) == "unknown"
    await writer.close()
    assert await desk.take(said(1, "bad")) == "failed"
    assert heard == [("1", "bad"), ("1", "good")]
    with RecordReader(tmp_path / RECORDS_FILE) as reader:
        kept = [(each["verdict"], each["reason"]) for each in reader.rows_since("2020", ("feedback",))]
        assert kept == [("bad", "incorrect"), ("good", None)]
        assert reader.verify().intact
        assert [each["kind"] for each in reader.list_records(9)] == ["decision"]


def test_a_key_may_speak_often_and_not_without_end() -> None:
    buckets = Buckets(per_second=2.0, at_once=3.0)
    assert [buckets.take("a", 0.0) for _ in range(4)] == [True, True, True, False]
    assert buckets.take("b", 0.0)
    assert [buckets.take("a", 0.6), buckets.take("a", 0.6)] == [True, False]
    for number in range(10_000):
        buckets.take(number, 1.0)
    assert len(buckets._left) <= 4096


def test_labels_are_the_last_verdicts_and_reasks_where_nobody_spoke() -> None:
    records = [
        decision(1, answer_features=[0.5]),
        decision(2),
        {**decision(3, answer_features=[0.7]), "reask_of": f"gh-{2:024x}"},
        {**decision(4), "reask_of": f"gh-{1:024x}"},
        feedback_record(said(1, "bad")),
        feedback_record(said(1, "good")),
        feedback_record(said(9, "bad")),
    ]
    assert list(labels(records)) == [
        Label(f"gh-{1:024x}", [0.5], "good", "feedback"),
        Label(f"gh-{2:024x}", None, "bad", "reask"),
    ]
    assert list(labels([])) == []


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("feedback")
    with RecorderThread(Script(answer="No idea.")) as home:
        policy = POLICY.format(home=local_server(home.url), cloud="http://127.0.0.1:9")
        with Gateway(folder, policy, "--workers", "2", environment={"GATEHOUSE_API_KEY": "secret-key"}) as gateway:
            yield gateway


HEADERS = {"authorization": "Bearer secret-key"}


def post(house: Gateway, path: str, body: Any, headers: dict[str, str] = HEADERS) -> httpx.Response:
    return httpx.post(f"{house.url}{path}", json=body, headers=headers, trust_env=False, timeout=20)


def ask(house: Gateway, text: str) -> str:
    answer = post(house, "/chat/completions", {"messages": [{"role": "user", "content": text}]})
    assert answer.status_code == 200
    return answer.headers["x-gatehouse-request-id"]


def test_a_verdict_right_after_the_answer_is_kept_whatever_worker_hears_it(house: Gateway) -> None:
    for number in range(4):  # new connections, two workers
        request_id = ask(house, f"Say {number}.")
        answer = post(house, "/feedback", {"request_id": request_id, "verdict": "bad", "reason": "incomplete"})
        assert answer.status_code == 200, answer.text
        expected = {"request_id": request_id, "verdict": "bad", "reason": "incomplete"}
        assert answer.json() == {"object": "gatehouse.feedback", **expected}
        with RecordReader(house.state_dir / RECORDS_FILE) as reader:
            kept = reader.get_latest(request_id, "feedback")
        assert kept is not None
        assert (kept["verdict"], kept["reason"]) == ("bad", "incomplete")
    page = httpx.get(f"{house.root}/metrics", headers=HEADERS, trust_env=False, timeout=60).text
    assert 'gatehouse_feedback_total{source="feedback",verdict="bad"} 4.0' in page


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"request_id": "gh-" + "0" * 24, "verdict": "good"}, 404, "unknown_request"),
        ({"request_id": CANARY, "verdict": "good"}, 404, "unknown_request"),
        ({"verdict": "good"}, 400, "invalid_request"),
        ({"request_id": "gh-1", "verdict": CANARY}, 400, "invalid_value"),
        ({"request_id": "gh-1", "verdict": ["good"]}, 400, "invalid_value"),
        ({"request_id": "gh-1", "verdict": "bad", "reason": CANARY}, 400, "invalid_value"),
        ({"request_id": "gh-1", "verdict": "bad", "comment": CANARY}, 400, "invalid_request"),
        ([CANARY], 400, "invalid_json"),
        ({"request_id": CANARY * 1000, "verdict": "bad"}, 413, "body_too_large"),
    ],
)
def test_what_is_no_verdict_is_refused_without_repeating_it(house: Gateway, body: Any, status: int, code: str) -> None:
    answer = post(house, "/feedback", body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert CANARY not in answer.text


def test_it_wants_the_key_and_the_method_of_the_data_path(house: Gateway) -> None:
    body = {"request_id": "gh-" + "0" * 24, "verdict": "good"}
    assert post(house, "/feedback", body, headers={}).status_code == 401
    assert post(house, "/feedback", body, headers={**HEADERS, "origin": "http://evil.example"}).status_code == 403
    got = httpx.get(f"{house.url}/feedback", headers=HEADERS, trust_env=False, timeout=60)
    assert (got.status_code, got.headers["allow"]) == (405, "POST")


def test_a_question_asked_again_is_recorded_without_content(house: Gateway) -> None:
    first = ask(house, f"Where is {CANARY}?")
    again = ask(house, f"where  is {CANARY}?")
    found: list[Any] = []

    def is_there() -> bool:
        with RecordReader(house.state_dir / RECORDS_FILE) as reader:
            found[:] = [reader.get_record(again)]
        return found[0] is not None

    until(is_there)
    assert found[0]["reask_of"] == first
    assert "ask" not in found[0]
    with sqlite3.connect(house.state_dir / RECORDS_FILE) as database:
        stored = b"".join(bytes(row[0]) for row in database.execute("SELECT body FROM records"))
    assert CANARY.encode() not in stored


def test_a_flood_is_turned_away_with_a_time_to_come_back(house: Gateway) -> None:
    with httpx.Client(headers=HEADERS, trust_env=False, timeout=60) as client:
        for _ in range(2000):
            answer = client.post(f"{house.url}/feedback", json={"request_id": "nobody's", "verdict": "bad"})
            if answer.status_code != 404:
                break
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "rate_limited")
    assert answer.headers["retry-after"] == "1"
