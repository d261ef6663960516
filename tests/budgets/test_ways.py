"""Whatever way a call outside takes, and however it ends, the ledger has what the records say it cost."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from policies.allowances import PICO
from router.admin.gate import ADMIN_KEY_FILE
from router.backends.scripted_replies import Script
from router.budgets.ledger import LEASE_SECONDS, BudgetLedger
from router.budgets.purse import Purse, cost_of, usd_of
from router.costs.cost import CallUse, used
from router.records.store import RECORDS_FILE, RecordReader
from router.types import Principal, Usage
from tests.admin.conftest import admin_root
from tests.budgets.conftest import PRICED, body, held, pico, spent
from tests.budgets.test_budgets import bound, recorded, settled
from tests.budgets.test_shared import PRICED as WITH_PRICES
from tests.cli.test_commands import gatehouse
from tests.policies.worlds import load
from tests.support.gateway import Gateway, local_server, until
from tests.support.recorder import RecorderThread, answering

ANSWER = Script(answer=" ".join(["word"] * 20), prompt_tokens=30)
STALLED = Script(answer=" ".join(["word"] * 20), fault="stall_after", after=5)
BUDGET = "budgets: {all: {usd_per_month: 1}}\n"


def asked(gateway: Gateway, **more: Any) -> httpx.Response:
    sent = {**body(1), **more}
    return httpx.post(f"{gateway.url}/chat/completions", json=sent, trust_env=False, timeout=60)


def test_the_loser_of_a_race_and_an_escalation_are_charged(tmp_path: Path) -> None:
    """Home is sure: what was asked outside is cancelled, and still may have cost. Home doubts: it is taken."""
    home_says = {"sure": Script(answer="All is well.", confidence=0.99, first_delay=0.0)}
    outside = threading.Event()

    def at_home(exchange: Any) -> Script:
        if "Say hello" in str(exchange.json):
            outside.wait(30)  # until the race has reached the other side
        return home_says["sure"]

    def cloud_says(exchange: Any) -> Script:
        outside.set()
        return Script(answer=ANSWER.answer, prompt_tokens=30, first_delay=20 if "hello 1" in str(exchange.json) else 0)

    more = "escalation: {threshold: 0.5, stream: hold, race: 0.001}\n" + BUDGET
    with RecorderThread(at_home) as home, RecorderThread(cloud_says) as cloud:
        text = PRICED.format(home=local_server(home.url), cloud=cloud.url) + more
        with Gateway(tmp_path, text) as gateway:
            answer = asked(gateway, model="auto")
            assert answer.headers["x-gatehouse-route"] == "local"
            assert len(cloud.exchanges) == 1
            lost = settled(gateway, 1)
            assert lost == recorded(gateway.state_dir)[0] > 0
            home_says["sure"] = Script(answer="Hm.", confidence=0.01)
            answer = asked(gateway, **{**body(2), "model": "auto"})
            assert answer.headers["x-gatehouse-reason"] == "escalation"
            assert settled(gateway, 2) == recorded(gateway.state_dir)[0] == lost + pico(30, 20)
            stands_everywhere_as_the_ledger_says(gateway, lost + pico(30, 20))


def stands_everywhere_as_the_ledger_says(gateway: Gateway, money: int) -> None:
    """The command, the admin API and the metrics tell the same of the budget of one dollar."""
    left = usd_of(PICO - money)
    done = gatehouse("budgets", "--json", "--state-dir", str(gateway.state_dir), folder=gateway.folder)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    (row,) = told["budgets"]
    assert (row["scope"], row["period"], row["limit_usd"], row["held_usd"]) == ("all", "month", 1.0, 0.0)
    assert (row["spent_usd"], row["left_usd"]) == (usd_of(money), left)
    key = (gateway.state_dir / ADMIN_KEY_FILE).read_text().strip()
    url = f"{admin_root(gateway)}/admin/v1/budgets"
    assert httpx.get(url, headers={"authorization": f"Bearer {key}"}, trust_env=False, timeout=60).json() == told
    gateway.wait_for("/metrics", f'gatehouse_budget_left_usd{{period="month",scope="all"}} {left}', 60)
    with RecordReader(gateway.state_dir / RECORDS_FILE) as reader:
        kept = [each["budgets"] for each in reader.decisions_since("2000")]
    assert sum(each["settled_usd"] for each in kept) == pytest.approx(usd_of(money))
    assert all(each["reserved_usd"] >= each["settled_usd"] > 0 for each in kept)


def test_a_fallback_is_charged_beside_what_failed(tmp_path: Path) -> None:
    """The first model broke off and may have billed; the second answers. Both are in the ledger and in the record."""
    says = answering({"scripted-cloud": Script(fault="close_before")}, ANSWER)
    with RecorderThread() as home, RecorderThread(says) as cloud:
        text = PRICED.format(home=local_server(home.url), cloud=cloud.url)
        other = f'  other: {{locality: cloud, backend: openai, base_url: "{cloud.url}", model: second, region: us,\n'
        other += "          price: {input_per_1m: 3.0, output_per_1m: 15.0}}\n"
        text = text.replace("defaults: {", other + "defaults: {", 1).replace("at_least: 0.7", "at_least: 0.0")
        text = text.replace("route: cloud}", "route: cloud, fallback: [other]}")
        with Gateway(tmp_path, text + BUDGET) as gateway:
            answer = asked(gateway, model="auto")
            assert answer.status_code == 200
            assert answer.headers["x-gatehouse-model"] == "other"
            money = settled(gateway, 1)
            assert money == recorded(gateway.state_dir)[0] >= pico(30, 20)
            assert [each.json["model"] for each in cloud.exchanges if each.body] == ["scripted-cloud", "second"]


def test_what_a_killed_worker_held_stays_held_and_is_charged_when_its_lease_has_run_out(tmp_path: Path) -> None:
    says = answering({}, STALLED)
    with RecorderThread() as home, RecorderThread(says) as cloud:
        text = PRICED.format(home=local_server(home.url), cloud=cloud.url) + BUDGET
        with Gateway(tmp_path, text) as gateway:
            caller = threading.Thread(target=lambda: _ignore(gateway))
            caller.start()
            until(lambda: len(cloud.exchanges) == 1)
            most = bound(body(1))
            worker = gateway.children()["router.app"]
            os.kill(worker, signal.SIGKILL)
            caller.join(60)
            assert (spent(gateway.state_dir), held(gateway.state_dir)) == (0, most)
            until(lambda: gateway.children().get("router.app", worker) != worker, 60)
            gateway.wait_for("/readyz", '"status":"ready"', 60)
            assert asked(gateway, model="local").status_code == 200
            assert (spent(gateway.state_dir), held(gateway.state_dir)) == (0, most)
        ledger = BudgetLedger(gateway.state_dir)
        ledger.run_out(time.time() + LEASE_SECONDS + 1)
        ledger.close()
        assert (spent(gateway.state_dir), held(gateway.state_dir)) == (most, 0)


def test_what_is_cut_off_when_the_gateway_stops_is_charged_as_its_record_says(tmp_path: Path) -> None:
    """The call is under way when the grace ends: what came of it is charged, not all that it could have cost."""
    with RecorderThread() as home, RecorderThread(STALLED) as cloud:
        text = PRICED.format(home=local_server(home.url), cloud=cloud.url) + BUDGET
        gateway, sent = Gateway(tmp_path, text, environment={"GATEHOUSE_GRACE_S": "1"}), body(1, stream=True)
        url = gateway.start().url
        with httpx.stream("POST", f"{url}/chat/completions", json=sent, trust_env=False, timeout=60) as answer:
            next(answer.iter_lines())
            gateway.stop()
        money, records = recorded(tmp_path / "state")
        assert records == 1
        assert (spent(tmp_path / "state"), held(tmp_path / "state")) == (money, 0)
        assert 0 < money < bound(sent)


async def test_a_call_that_has_not_ended_when_the_purse_is_closed_is_charged_with_what_came(tmp_path: Path) -> None:
    """As its record would say, and not with all that it could have cost; one that had not begun has cost nothing."""
    held_to = load(WITH_PRICES + "budgets: {all: {usd_per_month: 1}}\n")
    purse, model = Purse(tmp_path), held_to.models["eu"]
    began, idle = [await purse.reserve(held_to, Principal(), model, Usage(100, 1000), 40) for _ in range(2)]
    assert began is not None
    assert idle is not None
    call = CallUse("eu", pieces=7, size=20)
    began.under_way = lambda: call
    await purse.close()
    usage, method = used(call, 40)
    assert method == "at_least"
    assert (spent(tmp_path), held(tmp_path)) == (cost_of(model, usage), 0)


def _ignore(gateway: Gateway) -> None:
    try:
        asked(gateway)
    except httpx.HTTPError:
        return
