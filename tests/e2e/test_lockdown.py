"""The kill switch on real gateways: what is in flight ends, nothing follows by any way, a restart keeps it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from router.backends.scripted_replies import Script
from router.lockdown.lockdown import lock, read_locks, unlock
from router.records.store import RECORDS_FILE, RecordReader, verify
from tests.support.forked import run_command
from tests.support.gateway import GUARD, POLICY, ROOT, Gateway, local_server, until
from tests.support.recorder import Recorder, RecorderThread
from tests.support.redis_server import RedisServer

HOME = Script(answer="one two three four five six seven eight", confidence=0.05)  # doubtful: it would escalate
SLOW = Script(answer="word " * 3000, chunk_delay=0.05)
PUBLIC = "Say hello."
HARD = (
    "Prove that there are infinitely many primes congruent to 3 modulo 4, then explain with full rigour why the same "
    "elementary argument fails for primes congruent to 1 modulo 4, and give a proof that works there."
)
EVERY_WAY_OUT = """\
escalation: {threshold: 0.5, stream: commit, hold_tokens: 4, hold_ms: 5000, race: 0.0}
fallback: {local_unavailable: cloud}
cache: {mode: "off"}
"""
# A patient gateway: a busy machine is not what these tests are about.
PATIENT = {"GATEHOUSE_SCAN_BUDGET_MS": "5000", "GATEHOUSE_RECORDS_QUEUE": "10000"}


def policy(home: Recorder, cloud: Recorder, extra: str = EVERY_WAY_OUT) -> str:
    lan = f'  near: {{locality: lan, backend: openai, base_url: "{cloud.url}", model: scripted-lan}}\n'
    text = POLICY.format(home=local_server(home.url), cloud=cloud.url)
    text = text.replace("defaults:", lan + "defaults:")
    text = text.replace("public: {payload: full}", "public: {payload: full, localities: [cloud, lan]}")
    return text + "networks: {lan: [127.0.0.0/8]}\n" + extra


@pytest.fixture
def home() -> Iterator[Recorder]:
    with RecorderThread(HOME) as recorder:
        yield recorder


@pytest.fixture
def cloud() -> Iterator[Recorder]:
    with RecorderThread(SLOW) as recorder:
        yield recorder


def body(text: str = PUBLIC, model: str = "auto", **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}


def ask(gateway: Gateway, text: str = PUBLIC, model: str = "auto", **more: Any) -> httpx.Response:
    return httpx.post(f"{gateway.url}/chat/completions", json=body(text, model, **more), timeout=60, trust_env=False)


def command(gateway: Gateway, *words: str, **environment: str) -> str:
    typed = {**os.environ, "PYTHONPATH": f"{GUARD}{os.pathsep}{ROOT}", **environment}
    done = run_command(*words, "--state-dir", str(gateway.state_dir), env=typed, cwd=gateway.folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


def last_error(text: str) -> dict[str, Any]:
    """The error event that a stream ended with."""
    events = [orjson.loads(line[5:]) for line in text.splitlines() if line.startswith("data:") and "[DONE]" not in line]
    error: dict[str, Any] = events[-1].get("error", {})
    return error


def stream_to_its_end(gateway: Gateway) -> str:
    """One stream from outside, and all that its caller saw of it."""
    request = body(model="cloud", stream=True)
    url = f"{gateway.url}/chat/completions"
    with httpx.stream("POST", url, json=request, timeout=120, trust_env=False) as response:
        text = "".join(response.iter_text())
        # 503: the lock came between the request and the first chunk.
        assert response.status_code in (200, 503)
        return text if response.status_code == 200 else f"data: {text}"


def test_twenty_streams_on_two_workers_end_and_nothing_leaves_by_any_way_until_it_is_unlocked(
    home: Recorder, cloud: Recorder, tmp_path: Path
) -> None:
    gateway = Gateway(tmp_path, policy(home, cloud), "--workers", "2", environment=PATIENT)
    gateway.start()
    try:
        with ThreadPoolExecutor(20) as pool:
            running = [pool.submit(stream_to_its_end, gateway) for _ in range(20)]
            until(lambda: cloud.in_flight == 20, 60)
            lock(gateway.state_dir, reason="a drill", by="test")
            took = until(lambda: cloud.open_connections == 0)
            print(f"20 connections closed {took:.3f} s after the lock")
            ends = [last_error(stream.result(60)) for stream in running]
        assert [end["code"] for end in ends] == ["lockdown"] * 20
        _nothing_leaves(gateway, home, cloud)
        gateway.stop()
        gateway.start()  # a restart keeps it
        _nothing_leaves(gateway, home, cloud)
        assert "unlocked" in command(gateway, "unlock")
        cloud.script = Script(answer="The cloud answers.")
        pinned = ask(gateway, PUBLIC, "cloud")
        assert (pinned.status_code, pinned.headers["x-gatehouse-route"]) == (200, "cloud")
        assert "lockdown" not in httpx.get(f"{gateway.root}/readyz", trust_env=False, timeout=60).json()["degraded"]
        until(lambda: _count(gateway, "lockdown") >= 20)
    finally:
        gateway.stop()
    assert verify(gateway.state_dir / RECORDS_FILE).intact


def _count(gateway: Gateway, error: str) -> int:
    with RecordReader(gateway.state_dir / RECORDS_FILE) as reader:
        return len(reader.list_records(100, {"error": error}))


def _nothing_leaves(gateway: Gateway, home: Recorder, cloud: Recorder) -> None:
    """Rule, escalation, race, retry, fallback, pinned, lan: each ends at home or in a refusal, and no byte goes out."""
    cloud.forget()
    before = cloud.connections
    gateway.wait_for("/readyz", '"lockdown"')
    for stream in (False, True):
        ruled = ask(gateway, HARD, stream=stream)  # a rule leads out; the doubtful answer would escalate, and race
        assert ruled.status_code == 200
        assert {name: ruled.headers[f"x-gatehouse-{name}"] for name in ("route", "reason", "held")} == {
            "route": "local",
            "reason": "lockdown",
            "held": "hard-questions",
        }
        assert ask(gateway, PUBLIC, stream=stream).headers["x-gatehouse-route"] == "local"
        for model in ("cloud", "near"):
            pinned = ask(gateway, PUBLIC, model, stream=stream)
            assert (pinned.status_code, pinned.json()["error"]["code"]) == (403, "lockdown")
    kept, home.script = home.script, Script(status=503)
    fallen = ask(gateway, PUBLIC)
    assert fallen.status_code in (502, 503)
    home.script = kept
    assert (cloud.connections, cloud.exchanges) == (before, [])
    page = httpx.get(f"{gateway.root}/metrics", trust_env=False, timeout=60).text
    assert 'gatehouse_lockdown{scope="all"} 1.0' in page


def test_the_commands_lock_one_tenant_or_all_and_the_records_tell(
    home: Recorder, cloud: Recorder, tmp_path: Path
) -> None:
    cloud.script = Script(answer="The cloud answers.")
    with Gateway(tmp_path, policy(home, cloud, 'cache: {mode: "off"}\n'), environment=PATIENT) as gateway:
        command(gateway, "lockdown", "--tenant", "somebody-else", "--reason", "their key has leaked")
        assert ask(gateway, PUBLIC, "cloud").status_code == 200
        command(gateway, "lockdown", "--tenant", "default", "--reason", "ours too")
        assert ask(gateway, PUBLIC, "cloud").json()["error"]["code"] == "lockdown"
        assert "somebody-else" not in gateway.wait_for("/readyz", "lockdown_tenants")
        shown = command(gateway, "unlock", "--tenant", "default")
        assert "somebody-else" in shown
        assert ask(gateway, PUBLIC, "cloud").status_code == 200
    with RecordReader(gateway.state_dir / RECORDS_FILE) as reader:
        events = list(reader.rows_since("", ["lockdown"]))
    assert [event["lockdown"]["action"] for event in events] == ["lock", "lock", "unlock"]
    assert events[0]["lockdown"]["locks"][0]["reason"] == "their key has leaked"
    assert verify(gateway.state_dir / RECORDS_FILE).intact


def test_a_lock_on_one_host_holds_on_the_other_and_whoever_ends_it_ends_it_for_both(
    home: Recorder, cloud: Recorder, tmp_path: Path
) -> None:
    """Through a real Redis; a host that loses it stays as it last knew, also over a restart."""
    cloud.script = Script(answer="The cloud answers.")
    server = RedisServer(tmp_path)
    server.start()
    environment = {
        **PATIENT,
        "GATEHOUSE_REDIS_URL": server.url,
        "GATEHOUSE_REDIS_TIMEOUT_MS": "1000",
        "GATEHOUSE_LOCKDOWN_KEY": "the same on both hosts",
    }
    text = policy(home, cloud, 'cache: {mode: "off"}\n')
    one = Gateway(tmp_path / "one", text, environment=environment)
    two = Gateway(tmp_path / "two", text, environment=environment)
    try:
        with one, two:
            assert ask(two, PUBLIC, "cloud").status_code == 200
            lock(one.state_dir, reason="a drill")
            took = until(lambda: read_locks(two.state_dir).holds_all)
            print(f"the other host was locked {took:.3f} s later")
            assert ask(two, PUBLIC, "cloud").json()["error"]["code"] == "lockdown"
            server.kill()
            assert ask(two, PUBLIC, "cloud").json()["error"]["code"] == "lockdown"
            two.wait_for("/readyz", "lockdown_shared_unreachable")
            two.stop()
            two.start()
            assert ask(two, PUBLIC, "cloud").json()["error"]["code"] == "lockdown"
            server.start()
            until(lambda: b"reason" in server.command("HVALS", "gatehouse:lockdown"))  # told again after its loss
            (forged,) = (each.id for each in read_locks(one.state_dir).in_force)
            server.command("HSET", "gatehouse:lockdown-ended", forged, "2026-01-01T00:00:00.000+00:00")
            server.command("HDEL", "gatehouse:lockdown", forged)
            until(lambda: b"reason" in server.command("HVALS", "gatehouse:lockdown"))  # and after a theft
            assert ask(one, PUBLIC, "cloud").json()["error"]["code"] == "lockdown"
            unlock(two.state_dir)
            until(lambda: not read_locks(one.state_dir).holds_all)
            until(lambda: ask(one, PUBLIC, "cloud").status_code == 200)
            assert ask(two, PUBLIC, "cloud").status_code == 200
            with RecordReader(two.state_dir / RECORDS_FILE) as reader:
                until(lambda: bool(list(reader.rows_since("", ["lockdown"]))))
    finally:
        server.stop()


def test_a_backup_is_made_beside_a_gateway_and_not_restored_over_it(
    home: Recorder, cloud: Recorder, tmp_path: Path
) -> None:
    cloud.script = Script(answer="The cloud answers.")
    file = tmp_path / "backup.tar.gz"
    with Gateway(tmp_path / "house", policy(home, cloud, 'cache: {mode: "off"}\n'), environment=PATIENT) as gateway:
        assert ask(gateway).status_code == 200
        assert "their chain whole" in command(gateway, "backup", str(file))
        with pytest.raises(AssertionError, match="a gateway runs"):
            command(gateway, "restore", str(file))
    assert "restored" in command(gateway, "restore", str(file))
    assert verify(gateway.state_dir / RECORDS_FILE).intact
