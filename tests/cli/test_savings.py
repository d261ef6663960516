"""`gatehouse savings` against real traffic: what was spent, what it is compared with, and what is not known."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from router.backends.scripted_replies import Script
from router.costs.saving import parse_since, tally
from router.records.store import RECORDS_FILE, RecordReader, StoreError
from tests.cli.test_commands import gatehouse
from tests.support.gateway import ENGINE, POLICY, Gateway, local_server, until
from tests.support.recorder import RecorderThread

ESCALATES = "escalation: {threshold: 0.5, max_hops: 1, stream: hold}\n"


def priced(home: str, cloud: str) -> str:
    policy = POLICY.format(home=local_server(home), cloud=cloud)
    return policy.replace("region: us,", "region: us, price: {input_per_1m: 100, output_per_1m: 1000},")


def decisions(folder: Path, count: int) -> list[dict[str, Any]]:
    """The decision records, once so many are there."""
    found: list[dict[str, Any]] = []

    def are_there() -> bool:
        try:
            with RecordReader(folder / "state" / RECORDS_FILE) as reader:
                found[:] = reversed(reader.list_records(50))
        except StoreError:
            return False
        return len(found) >= count

    until(are_there)
    return found


def ask(house: Gateway, **fields: object) -> httpx.Response:
    body = {"messages": [{"role": "user", "content": "Say hello."}], **fields}
    return httpx.post(f"{house.url}/chat/completions", json=body, trust_env=False, timeout=60)


def leave(house: Gateway, after: int) -> None:
    """Read a few chunks of a stream, and go away."""
    body = {"model": "cloud", "messages": [{"role": "user", "content": "Say hello."}], "stream": True}
    with httpx.stream("POST", f"{house.url}/chat/completions", json=body, trust_env=False, timeout=20) as answer:
        lines = (line for line in answer.iter_lines() if line)
        for _ in range(after):
            next(lines)


def test_every_way_of_spending_is_counted_streams_and_those_who_leave_included(tmp_path: Path) -> None:
    answers = "one two three four five six seven eight nine ten"
    slow = Script(answer=answers, chunk_delay=0.3, prompt_tokens=10)
    quick = Script(answer="one two", prompt_tokens=10)
    chosen = [quick]
    with (
        RecorderThread(Script(answer="at home", confidence=0.99, prompt_tokens=10)) as home,
        RecorderThread(lambda exchange: chosen[0]) as cloud,
        Gateway(tmp_path, priced(home.url, cloud.url)) as house,
    ):
        ask(house)
        ask(house, model="cloud")
        assert '"usage"' not in ask(house, model="cloud", stream=True).text
        chosen[0] = slow
        leave(house, 4)
        records = decisions(tmp_path, 4)
        assert cloud.bodies[1]["stream_options"] == {"include_usage": True}
    local, whole, streamed, left = (record["costs"] for record in records)
    cloud_price = 10 * 0.0001 + 2 * 0.001
    assert local["usd"] == 0
    assert local["saved_usd"] == pytest.approx(cloud_price, abs=0)
    for costs in (whole, streamed):
        paid = {"model": "cloud", "input": 10, "output": 2, "method": "reported", "use": "answer", "usd": cloud_price}
        assert costs["calls"] == [{**paid, "joules": None}]
        assert costs["saved_usd"] == 0
    (call,) = left["calls"]
    assert (call["method"], call["use"]) == ("at_least", "answer")
    assert 2 <= call["output"] < 10
    assert records[3]["outcome"]["error"] == "client_closed"
    report = json.loads(gatehouse("savings", "--json", "--by", "model", folder=tmp_path).stdout)
    assert report["total"]["requests"] == report["total"]["compared"] == 4
    assert float(report["groups"]["cloud"]["cost_usd"]) == pytest.approx(2 * cloud_price + call["usd"])
    assert float(report["total"]["saved_usd"]) == pytest.approx(cloud_price)
    shown = gatehouse("savings", folder=tmp_path)
    assert "the default cloud model would have cost" in shown.stdout
    assert gatehouse("savings", "--since", "yesterday", folder=tmp_path).returncode == 2


def test_both_models_of_an_escalation_are_paid_for_and_a_usage_said_twice_counts_once(tmp_path: Path) -> None:
    usage = b'"usage":{"prompt_tokens":10,"completion_tokens":%d,"total_tokens":99}}'
    head = b'{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":'
    events = [
        head + b'[{"index":0,"delta":{"content":"a"},"finish_reason":null}],' + usage % 1,
        head + b'[{"index":0,"delta":{"content":"b"},"finish_reason":"stop"}],' + usage % 2,
        head + b"[]," + usage % 2,
        b"[DONE]",
    ]
    script = Script(raw_events=tuple(b"data: " + event + b"\n\n" for event in events))
    with (
        RecorderThread(Script(answer="maybe", confidence=0.05, prompt_tokens=5)) as home,
        RecorderThread(script) as cloud,
        Gateway(tmp_path, priced(home.url, cloud.url) + ESCALATES) as house,
    ):
        assert ask(house, stream=True).headers["x-gatehouse-reason"] == "escalation"
        (record,) = decisions(tmp_path, 1)
    calls = [(call["model"], call["input"], call["output"]) for call in record["costs"]["calls"]]
    assert calls == [("home", 5, 1), ("cloud", 10, 2)]
    assert record["outcome"]["tokens"]["cloud"] == {"input": 10, "output": 2}
    assert record["costs"]["usd"] == record["outcome"]["cost_usd"] == 0.003


def test_metrics_have_the_money_by_rule_and_model(tmp_path: Path) -> None:
    with (
        RecorderThread(Script(prompt_tokens=10, answer="a b")) as home,
        RecorderThread(Script(prompt_tokens=10, answer="a b")) as cloud,
        Gateway(tmp_path, priced(home.url, cloud.url)) as house,
    ):
        ask(house)
        ask(house, model="cloud")
        time.sleep(0.1)
        page = house.wait_for("/metrics", 'gatehouse_cost_usd_total{model="cloud",rule="pinned"} 0.003')
        assert 'gatehouse_saved_usd_total{rule="default"} 0.003' in page
        assert 'gatehouse_baseline_usd_total{rule="pinned"} 0.003' in page
        assert "gatehouse_overspent_usd_total{" not in page


def test_energy_of_the_real_engine_is_measured_and_priced(tmp_path: Path) -> None:
    """The first answers may come before the first measurement: theirs is unknown."""
    policy = POLICY.format(home=ENGINE, cloud="http://127.0.0.1:9") + "energy: {price_per_kwh: 1000}\n"
    seen: list[dict[str, Any]] = []
    with Gateway(tmp_path, policy, environment={"GATEHOUSE_LOCAL_WATTS": "10"}) as house:

        def is_measured() -> bool:
            ask(house, model="local", max_tokens=12)
            seen[:] = decisions(tmp_path, 1)
            return seen[-1]["costs"]["energy"] is not None

        until(is_measured, 60)
    energy, (call,) = seen[-1]["costs"]["energy"], seen[-1]["costs"]["calls"]
    assert energy["method"] == "stated_watts"
    assert 0 < energy["joules"] == call["joules"] < 1000
    assert energy["usd"] == pytest.approx(energy["joules"] * 1000 / 3.6e6)
    assert call["usd"] == 0
    total = json.loads(gatehouse("savings", "--json", folder=tmp_path).stdout)["total"]
    assert total["energy_joules"] > 0
    assert total["energy_unknown"] < total["at_home"]


def line(saved: float | None, cost: float | None = 0.5, **changed: Any) -> dict[str, Any]:
    baseline = {"usd": None if saved is None else 2.0, "method": "reported", "lawful": True, **changed}
    return {
        "time": "2026-05-01T10:00:00.000+00:00",
        "principal": {"tenant": "acme", "key_id": "k1"},
        "outcome": {"route": "local", "model": "home"},
        "decision": {"rule": "", "reason": "default"},
        "costs": {
            "usd": cost, "wasted_usd": cost, "saved_usd": saved, "calls": [], "baseline": baseline, "energy": None,
        },
    }  # fmt: skip


def test_what_is_not_known_is_counted_apart_and_not_as_nothing() -> None:
    old = {"outcome": {"route": "cloud"}, "time": "2026-05-02"}
    records = [line(1.5), line(0.1, lawful=False), line(0.2, method="estimated"), line(None, None), old]
    total = tally(iter(records), "key")[""]
    assert (total.requests, total.compared, total.unknown, total.estimated) == (5, 3, 2, 1)
    assert str(total.saved) == "1.8"
    assert str(total.saved_unlawful) == "0.1"
    assert total.unmeasured == 4
    assert [*tally(iter(records), "key")] == ["acme/k1", "-/-", ""]
    assert [*tally(iter(records), "day")] == ["2026-05-01", "2026-05-02", ""]


def test_since_takes_a_day_or_a_number_of_days() -> None:
    now = datetime(2026, 5, 31, 12, tzinfo=UTC)
    assert parse_since("30d", now) == "2026-05-01T12:00:00.000+00:00"
    assert parse_since("2026-05-01", now) == "2026-05-01T00:00:00.000+00:00"
    assert parse_since("last week", now) is None
