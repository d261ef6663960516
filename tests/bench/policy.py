"""What policies cost: deciding with 100 rules, loading 1,000, replaying recorded decisions.

    python -m tests.bench.policy

Processor time, medians of several runs; needs no data and about half a minute.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from policies.decide import decide
from policies.schema import compile_policy
from policies.simulate import simulate
from policies.types import Facts, Policy
from router.keys import Keys
from router.records import build_record
from router.store import RECORDS_FILE, RecordReader, SqliteStore
from router.types import JsonObject, Outcome, Principal, Usage
from tests.policies.worlds import BASE, scan, signals

ROUNDS = 5
RECORDS = 20_000
_EVER = "2000-01-01"


def with_rules(count: int) -> str:
    """The test policy with so many rules, every one of which is asked: none holds but the last."""
    rules = ""
    for index in range(count - BASE.count("- {name:")):
        when = f"{{all: [{{complexity: {{at_least: 0.99}}}}, {{context_length: {{at_least: {index + 1}}}}}]}}"
        rules += f"  - {{name: rule-{index}, priority: {1000 + index}, when: {when}, route: eu}}\n"
    return BASE.replace("decisions:\n", f"decisions:\n{rules}")


def median_of(run: Callable[[], object], times: int = 1) -> float:
    """Processor seconds of one call: the median of `ROUNDS` rounds of so many calls."""
    taken = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(times):
            run()
        taken.append((time.process_time() - began) / times)
    return median(taken)


def record(policy: Policy, index: int) -> JsonObject:
    """One decision record like those that the gateway writes."""
    seen = signals({"complexity": index % 100 / 100}, scan(["EMAIL_ADDRESS"] if index % 7 == 0 else []))
    facts = Facts(tenant=f"tenant-{index % 5}", input_tokens=20 + index % 900)
    decision = decide(policy, facts, seen)
    outcome = Outcome(route=decision.route, model=decision.model or "", usage={decision.model or "": Usage(100, 50)})
    return build_record(
        keys=Keys(b"k" * 32),
        request_id=f"request-{index}",
        time=datetime.now(UTC),
        principal=Principal(tenant=facts.tenant),
        policy=policy,
        facts=facts,
        signals=seen,
        decision=decision,
        outcome=outcome,
        latency_ms=100.0,
    )


def main() -> None:
    """The command."""
    out = sys.stdout.write
    hundred = compile_policy(with_rules(100), "bench")
    seen = signals({"complexity": 0.75}, scan(["LOCATION"]))
    spent = median_of(lambda: decide(hundred, Facts(input_tokens=20), seen), 2000)
    out(f"decide() with {len(hundred.rules)} rules: {spent * 1e6:.1f} us (target <= 50)\n")
    text = with_rules(1000)
    spent = median_of(lambda: compile_policy(text, "bench"))
    out(f"load and compile {text.count('- {name:'):,} rules ({len(text) / 1024:.0f} KB): {spent:.2f} s (target <= 1)\n")
    policy = compile_policy(BASE, "bench")
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder) / RECORDS_FILE)
        for start in range(0, RECORDS, 1000):
            store.append([record(policy, index) for index in range(start, start + 1000)], durable=False)
        store.close()
        with RecordReader(Path(folder) / RECORDS_FILE) as reader:
            spent = median_of(lambda: simulate(hundred, reader.decisions_since(_EVER), {}))
    out(f"simulate {RECORDS:,} records, 100 rules: {RECORDS / spent:,.0f} decisions/s (target >= 10,000)\n")


if __name__ == "__main__":
    main()
