"""A second policy beside the first: records say where it differs, and nothing else is otherwise, broken or not."""

from __future__ import annotations

import json
from pathlib import Path

import httpx

from router.backends.scripted_replies import Script
from router.records.store import RECORDS_FILE, RecordReader
from router.types import JsonObject
from tests.cli.test_commands import gatehouse
from tests.support.gateway import POLICY, Gateway, local_server, until
from tests.support.recorder import RecorderThread

CHAT = {"model": "auto", "messages": [{"role": "user", "content": "What is the capital of France?"}]}


def records(house: Gateway) -> list[JsonObject]:
    with RecordReader(house.state_dir / RECORDS_FILE) as reader:
        return list(reader.decisions_since("2000"))


def ask(house: Gateway) -> str:
    reply = httpx.post(f"{house.url}/chat/completions", json=CHAT, trust_env=False, timeout=60)
    assert reply.status_code == 200
    return reply.headers["x-gatehouse-route"]


def test_a_candidate_is_noted_and_never_acts(tmp_path: Path) -> None:
    with RecorderThread(Script()) as home, RecorderThread(Script()) as cloud:
        policy = POLICY.format(home=local_server(home.url), cloud=cloud.url)
        candidate = tmp_path / "candidate.yaml"
        candidate.write_text(policy.replace("at_least: 0.7", "at_least: 0.0"))
        with Gateway(tmp_path, policy, "--candidate", str(candidate)) as house:
            house.wait_for("/readyz", '"label":"1-')
            assert ask(house) == "local"
            until(lambda: len(records(house)) == 1)
            told = records(house)[0]["candidate"]
            assert {"route", "model", "rule"} <= set(told["differs"])
            assert (told["route"], told["rule"], told["newly_leaves"]) == ("cloud", "hard-questions", True)
            assert records(house)[0]["permits"] == []
            assert cloud.received == b"", "nothing may leave because of a candidate"
            candidate.write_text("version: nonsense\n")
            house.wait_for("/readyz", "candidate_not_loaded")
            assert ask(house) == "local"
            until(lambda: len(records(house)) == 2)
            assert "candidate" not in records(house)[1]
            command = ("policy", "differences", "--json", "--state-dir", str(house.state_dir))
            (said,) = json.loads(gatehouse(*command, folder=tmp_path).stdout)
            assert (said["requests"], said["differing"], said["newly_leaving"]) == (1, 1, 1)
