"""A policy with a target through a real gateway: what is not calibrated goes the safe way; a new card counts soon."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from router.backends.scripted_replies import Script
from router.calibration.standing import FOLDER, card_name
from router.calibration.targets import write_graded
from router.calibration.thresholds import Graded
from router.keys import ensure_private_folder, replace_whole
from router.records.store import RECORDS_FILE, RecordReader
from tests.support.gateway import POLICY, Gateway, local_server
from tests.support.recorder import Recorder, RecorderThread

MODEL = "scripted-local"
SURE = Script(answer="Home answers.", confidence=0.9)


@pytest.fixture(scope="module")
def home() -> Iterator[Recorder]:
    with RecorderThread(SURE) as recorder:
        yield recorder


def gateway(folder: Path, home: Recorder, cloud: Recorder, target: str) -> Gateway:
    policy = POLICY.format(home=local_server(home.url), cloud=cloud.url)
    return Gateway(folder, policy + f"escalation: {{target: {{{target}}}, max_hops: 1, stream: hold}}\n")


def ask(house: Gateway, text: str = "What is the capital of France?") -> httpx.Response:
    body = {"messages": [{"role": "user", "content": text}]}
    answer = httpx.post(f"{house.url}/chat/completions", json=body, trust_env=False, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer


def reason(house: Gateway) -> dict[str, Any]:
    body = {"messages": [{"role": "user", "content": "What is the capital of France?"}]}
    plan = httpx.post(f"{house.url}/route", json=body, trust_env=False, timeout=60).json()
    return next(each for each in plan["reasons"] if each["rule"] == "escalation")


def calibrate(house: Gateway, good_from: float) -> None:
    """Put a card in its place: 400 graded answers, good from a score on."""
    graded = write_graded(("", Graded(place / 400, place / 400 >= good_from)) for place in range(400))
    folder = ensure_private_folder(house.state_dir / FOLDER)
    replace_whole(folder / card_name(MODEL), json.dumps({"model": MODEL, "graded": graded}).encode())


def test_a_promise_about_quality_escalates_what_cannot_be_judged_until_a_card_says_how(
    tmp_path: Path, home: Recorder, cloud: Recorder
) -> None:
    with gateway(tmp_path, home, cloud, "max_bad_local: 0.1") as house:
        assert "uncalibrated" in httpx.get(f"{house.root}/readyz", trust_env=False, timeout=60).json()["degraded"]
        first = ask(house)
        assert (first.headers["x-gatehouse-route"], first.headers["x-gatehouse-reason"]) == ("cloud", "escalation")
        told = reason(house)
        assert told["matched"] is None
        assert "scripted-local has no graded answers" in told["why"]
        sensitive = ask(house, "My card is 4111 1111 1111 1111.")
        assert sensitive.headers["x-gatehouse-route"] == "local"

        calibrate(house, good_from=0.5)  # an answer of 0.81 is above it
        house.wait_for("/readyz", '"degraded":[]')
        assert ask(house).headers["x-gatehouse-route"] == "local"
        assert reason(house)["matched"] is True
        calibrate(house, good_from=0.95)
        house.wait_for("/readyz", '"uncalibrated":["')  # 20 good ones carry no promise
        assert ask(house).headers["x-gatehouse-route"] == "cloud"
        home.script = Script(answer="Home answers, unmeasured.")
        assert ask(house).headers["x-gatehouse-route"] == "cloud"
        home.script = SURE
    with RecordReader(tmp_path / "state" / RECORDS_FILE) as reader:
        records = [each for each in reversed(reader.list_records()) if "promise" in each]
    assert [each["outcome"]["judgement"]["verdict"] for each in records] == ["escalate", "keep", "escalate", "escalate"]
    assert [each["promise"]["threshold"] is None for each in records] == [True, False, True, True]
    assert records[0]["promise"]["card"] is None
    assert len({each["promise"]["card"] for each in records[1:3]}) == 2
    assert "France" not in json.dumps(records)


def test_a_promise_about_the_cloud_keeps_at_home_what_cannot_be_judged(
    tmp_path: Path, home: Recorder, cloud: Recorder
) -> None:
    with gateway(tmp_path, home, cloud, "max_cloud_share: 0.5") as house:
        assert "uncalibrated" in httpx.get(f"{house.root}/readyz", trust_env=False, timeout=60).json()["degraded"]
        assert ask(house).headers["x-gatehouse-route"] == "local"
        calibrate(house, good_from=0.5)
        house.wait_for("/readyz", '"degraded":[]')
        home.script = Script(answer="Home answers.", confidence=0.4)
        assert ask(house).headers["x-gatehouse-route"] == "cloud"
        for _ in range(30):  # every one of them is below the threshold, more than were promised: 31 of 31
            ask(house)
        page = house.wait_for("/metrics", 'gatehouse_promise_answers{kind="max_cloud_share",model="home"} 31.0')
        assert 'gatehouse_promise_observed{kind="max_cloud_share",model="home"} 1.0' in page
        assert 'gatehouse_promise_promised{kind="max_cloud_share",model="home"} 0.5' in page
        house.wait_for("/readyz", '"degraded":["promise_broken_home_max_cloud_share"]')
