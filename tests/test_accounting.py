"""Records are made soon after their requests, a few at a time, and no faster load leaves them behind."""

from __future__ import annotations

import asyncio
import time

import orjson

from classifiers.types import Scan, Signal, Signals
from policies.decide import decide
from policies.schema import compile_policy
from policies.types import Facts
from router.accounting import Accounts
from router.exchange import Exchange
from router.keys import Keys
from router.planning import Plan
from router.records.filing import FiledRecord
from router.running import Running
from router.telemetry.metrics import MetricStore
from router.telemetry.telemetry import Telemetry
from router.types import ChatRequest, JsonObject, Principal

POLICY = """\
version: 1
models: {home: {locality: local, backend: openai, base_url: "http://127.0.0.1:1/v1", model: small}}
defaults: {local: home}
"""


class Kept:
    """Takes every record."""

    def __init__(self) -> None:
        self.records: list[FiledRecord] = []

    def offer(self, record: FiledRecord) -> None:
        self.records.append(record)

    async def intend(self, record: JsonObject) -> bool:
        return True


class Served:
    """Requests that end, one account for all."""

    def __init__(self) -> None:
        self.sink = Kept()
        self.accounts = Accounts(
            sink=self.sink, keys=Keys(b"k" * 32), telemetry=Telemetry(store=MetricStore()), artifacts={}
        )
        self._running = Running(compile_policy(POLICY, "policy.yaml"), {})
        self.ended = 0

    def end(self, count: int) -> None:
        for _ in range(count):
            body = {"messages": [{"role": "user", "content": "Is it far?"}]}
            request = ChatRequest(
                *(f"gh-{self.ended}", body, "auto", Principal(), False, False, False, False, time.perf_counter())
            )
            Exchange(request, self._running.acquire(), self.accounts.settle).finish(None, 200)
            self.ended += 1

    def decided(self, requested: str, complexity: float, unknown: frozenset[str] = frozenset()) -> JsonObject:
        """What the record says of the decision about such a request."""
        body = {"messages": [{"role": "user", "content": "Is it far?"}]}
        request = ChatRequest("gh-0", body, requested, Principal(), False, False, False, False, time.perf_counter())
        exchange = Exchange(request, self._running.acquire(), self.accounts.settle)
        signals = Signals({"complexity": Signal("complexity", complexity)}, Scan())
        facts = Facts(tenant="default", requested=requested, messages=1, unknown_fields=unknown)
        policy = self._running.policy
        exchange.note(Plan(request, signals, facts, decide(policy, facts, signals)))
        exchange.finish(None, 200)
        self.accounts._settle_some()
        found: JsonObject = orjson.loads(self.sink.records[-1].text)["decision"]
        return found


async def test_of_few_that_end_together_some_are_made_at_a_time() -> None:
    served = Served()
    served.end(20)
    made = 0
    while made < 20:
        await asyncio.sleep(0)
        assert len(served.sink.records) - made <= 10
        made = len(served.sink.records)
    assert [record.id for record in served.sink.records] == [f"gh-{number}" for number in range(20)]


async def test_what_waits_is_bounded_by_what_ends_in_a_turn() -> None:
    """64 in each turn of the loop, for as long as you like: the records keep up."""
    served = Served()
    until = asyncio.get_running_loop().time() + 0.03
    while asyncio.get_running_loop().time() < until:  # until the first are made
        served.end(1)
        await asyncio.sleep(0.001)
    for _ in range(60):
        served.end(64)
        await asyncio.sleep(0)
    assert served.ended - len(served.sink.records) <= 64 * 4


async def test_at_the_end_nothing_is_left() -> None:
    served = Served()
    served.end(100)
    served.accounts.close()
    assert len(served.sink.records) == 100


async def test_a_decision_is_written_as_it_is_whatever_was_decided_before_it() -> None:
    served = Served()
    asked = [
        ("auto", 0.2, frozenset()),
        ("auto", 0.2, frozenset()),
        ("home", 0.2, frozenset()),
        ("auto", 0.9, frozenset()),
        ("nobody", 0.2, frozenset()),
        ("auto", 0.2, frozenset({"secret_field"})),
        ("auto", 0.2, frozenset()),
    ]
    for requested, complexity, unknown in asked:
        alone = Served().decided(requested, complexity, unknown)
        assert served.decided(requested, complexity, unknown) == alone
        assert "secret_field" not in str(alone)
    served.accounts.close()
