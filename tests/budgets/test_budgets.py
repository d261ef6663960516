"""Budgets: never more is spent than one allows, and none of what was spent is missing from the ledger."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from policies.allowances import PICO
from router.backends.scripted_replies import Script
from router.records.store import RECORDS_FILE, RecordReader
from tests.budgets.conftest import ask_all, body, held, ledger, pico, policy, spent, usd
from tests.support.gateway import Gateway, until
from tests.support.recorder import RecorderThread

WORDS = 20
ANSWER = Script(answer=" ".join(["word"] * WORDS), prompt_tokens=30, first_delay=0.3)
ONE = pico(30, WORDS)  # what one answer costs


def recorded(state_dir: Path) -> tuple[int, int]:
    """What the decision records say was spent, and how many there are."""
    with RecordReader(state_dir / RECORDS_FILE) as reader:
        found = [r for r in reader.decisions_since("2000") if isinstance(r.get("costs"), dict)]
    return sum(int(Decimal(repr(r["costs"]["usd"])) * PICO) for r in found), len(found)


def settled(gateway: Gateway, requests: int) -> int:
    until(lambda: held(gateway.state_dir) == 0, 60)
    until(lambda: recorded(gateway.state_dir)[1] >= requests, 60)
    return spent(gateway.state_dir)


def bound(asked: dict[str, Any]) -> int:
    """What is reserved for a request: a token for each byte that leaves, and what it asks for."""
    size = len(httpx.Request("POST", "http://x", json={**asked, "model": "scripted-cloud"}).content)
    return pico(size, 20)


@pytest.mark.parametrize("workers", [1, 2])
def test_two_hundred_at_once_against_a_budget_for_fifty(tmp_path: Path, workers: int) -> None:
    """What is refused was not sent; what was sent is in the ledger, as the upstream billed it, to 10^-12 USD."""
    import asyncio

    budget = 50 * ONE
    with RecorderThread() as home, RecorderThread(ANSWER) as cloud:
        text = policy(
            home.url, cloud.url, f"budgets: {{when_exhausted: refuse, all: {{usd_per_month: {usd(budget)}}}}}\n"
        )
        with Gateway(tmp_path, text, "--workers", str(workers)) as gateway:
            done = []
            for count in (200, 60):  # what was refused because of what was only reserved may be had later
                now = asyncio.run(ask_all([gateway.url], [body(n) for n in range(count)]))
                assert set(now) <= {200, 429}
                done += now
                money = settled(gateway, len(done))
                assert money <= budget
                assert money == len(cloud.exchanges) * ONE == done.count(200) * ONE == recorded(gateway.state_dir)[0]
            assert done[:200].count(200) > 5
            assert done[:200].count(429) >= 150


def test_callers_that_leave_and_an_upstream_that_dies_are_billed_for_what_came(tmp_path: Path) -> None:
    import asyncio

    def script(exchange: Any) -> Script:
        number = int(exchange.json["messages"][0]["content"].split()[-1].rstrip("."))
        slow = Script(answer=ANSWER.answer, prompt_tokens=30, chunk_delay=0.02)
        return Script(answer=ANSWER.answer, fault="close_after", after=5) if number % 3 == 1 else slow

    with RecorderThread() as home, RecorderThread(script) as cloud:
        budget = 50 * bound(body(199, stream=True))
        text = policy(
            home.url, cloud.url, f"budgets: {{when_exhausted: refuse, all: {{usd_per_month: {usd(budget)}}}}}\n"
        )
        with Gateway(tmp_path, text, "--workers", "2") as gateway:
            done = asyncio.run(ask_all([gateway.url], [body(n, stream=True) for n in range(200)], leave_after=0.1))
            money = settled(gateway, 200)
            assert 0 < money <= budget
            assert money == recorded(gateway.state_dir)[0]
            assert done.count(0) > 5
            assert len(cloud.exchanges) > 15  # how many fit depends on how soon what was reserved comes back


def test_a_worker_that_is_killed_in_mid_call_is_charged_what_it_could_cost(tmp_path: Path) -> None:
    """Nothing of a reservation comes back that may have been spent: at the end of its lease all of it counts."""
    from policies.allowances import Account
    from router.budgets.ledger import LEASE_SECONDS, BudgetLedger

    dead, other = BudgetLedger(tmp_path), BudgetLedger(tmp_path)
    account = Account("all/2026-05", 100)
    assert dead.reserve("a", 60, [account], 1000.0).refused == ""
    dead.close()
    assert other.reserve("b", 60, [account], 1001.0).refused == "all/2026-05"
    other.run_out(1000.0 + LEASE_SECONDS + 1)
    assert ledger(tmp_path) == {"all/2026-05": (60, 0)}
    other.settle("a", 10)  # it was not dead after all
    assert ledger(tmp_path) == {"all/2026-05": (10, 0)}
    assert other.settle("a", 10) == ()
    other.close()


def test_a_used_up_budget_keeps_auto_at_home_and_refuses_who_names_the_cloud(tmp_path: Path) -> None:
    with RecorderThread() as home, RecorderThread(ANSWER) as cloud:
        more = "decisions: [{name: out, priority: 9, route: cloud}]\n"
        more += "budgets: {refuse_with: 402, each_tenant: {usd_per_day: 0}}\n"
        text = policy(home.url, cloud.url, "")
        text = text[: text.index("decisions:")] + more
        with Gateway(tmp_path, text) as gateway:
            for _ in range(2):  # the second is decided at home already
                answer = httpx.post(
                    f"{gateway.url}/chat/completions", json=body(1, model="auto"), trust_env=False, timeout=60
                )
                assert answer.status_code == 200
                assert answer.headers["x-gatehouse-route"] == "local"
                named = httpx.post(f"{gateway.url}/chat/completions", json=body(1), trust_env=False, timeout=60)
                assert named.status_code == 402
                assert named.json()["error"]["code"] == "budget_exhausted"
                assert named.headers["x-should-retry"] == "false"
            page = httpx.get(f"{gateway.root}/metrics", trust_env=False, timeout=60).text
    assert cloud.exchanges == []
    assert 'gatehouse_budget_refusals_total{scope="tenant"}' in page


def test_a_budget_outlives_a_restart(tmp_path: Path) -> None:
    with RecorderThread() as home, RecorderThread(ANSWER) as cloud:
        budget = bound(body(1))
        text = policy(
            home.url, cloud.url, f"budgets: {{when_exhausted: refuse, all: {{usd_per_month: {usd(budget)}}}}}\n"
        )
        gateway = Gateway(tmp_path, text)
        for expected in (200, 429):
            with gateway:
                answer = httpx.post(f"{gateway.url}/chat/completions", json=body(1), trust_env=False, timeout=30)
                assert answer.status_code == expected
    assert len(cloud.exchanges) == 1


@pytest.mark.parametrize("escalates", [True, False])
def test_an_escalation_is_reserved_too(tmp_path: Path, escalates: bool) -> None:
    """Both ways out of home ask the purse: with nothing left the doubtful answer stands."""
    doubtful = Script(answer="one two three", confidence=0.05)
    limit = "1" if escalates else "0"
    with RecorderThread(doubtful) as home, RecorderThread(ANSWER) as cloud:
        more = f"escalation: {{threshold: 0.5, stream: hold}}\nbudgets: {{all: {{usd_per_month: {limit}}}}}\n"
        with Gateway(tmp_path, policy(home.url, cloud.url, more)) as gateway:
            asked = body(1, model="auto")
            answer = httpx.post(f"{gateway.url}/chat/completions", json=asked, trust_env=False, timeout=30)
            assert answer.status_code == 200
            assert answer.headers["x-gatehouse-route"] == ("cloud" if escalates else "local")
            if escalates:
                until(lambda: held(gateway.state_dir) == 0)
                assert spent(gateway.state_dir) == ONE
    assert len(cloud.exchanges) == escalates
