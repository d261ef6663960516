"""What policies cost: deciding with 100 rules, loading 1,000, replaying recorded decisions, checking keys, reloading.

    python -m tests.bench.policy [--only decide|load|simulate|simulate-cli|keys|reload]

Processor time, medians of several runs with the least and the most of them. `reload` times whole requests to a real
gateway and takes two minutes, `simulate-cli` the command over 100,000 records and takes one, the others seconds. Needs
no data.
"""

from __future__ import annotations

import argparse
import functools
import os
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import NamedTuple

from policies.decide import decide
from policies.schema import compile_parsed, compile_policy
from policies.simulate import simulate
from policies.types import Facts, Policy
from router.keys import Keys
from router.records.record import build_record
from router.records.store import RECORDS_FILE, RecordReader, SqliteStore
from router.types import JsonObject, Outcome, Principal, Usage
from tests.bench import policy_keys, policy_reload, policy_simulate
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


class Spent(NamedTuple):
    """Processor seconds of one call: the median, the least and the most of `ROUNDS` rounds."""

    usual: float
    least: float
    most: float

    def each(self, scale: float, digits: int = 1) -> str:
        """In words, times `scale`."""
        return f"{self.usual * scale:.{digits}f} ({self.least * scale:.{digits}f} to {self.most * scale:.{digits}f})"


def spent_on(run: Callable[[], object], times: int = 1) -> Spent:
    """What one of so many calls takes."""
    taken = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(times):
            run()
        taken.append((time.process_time() - began) / times)
    return Spent(median(taken), min(taken), max(taken))


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


def measure_decide(out: Callable[[str], object]) -> None:
    """One decision with no rule but the file's own, and with 100: what the rules add is the difference."""
    seen, facts = signals({"complexity": 0.75}, scan(["LOCATION"])), Facts(input_tokens=20)
    for policy in (compile_policy(BASE, "bench"), compile_policy(with_rules(100), "bench")):
        spent = spent_on(functools.partial(decide, policy, facts, seen), 2000)
        out(f"decide() with {len(policy.rules)} rules: {spent.each(1e6)} us (target with 100: <= 50)\n")


def measure_load(out: Callable[[str], object]) -> None:
    """From the text, as the parent does it, and from what the parent hands on, as workers do it."""
    text = with_rules(1000)
    spent = spent_on(lambda: compile_policy(text, "bench"))
    rules = f"{text.count('- {name:'):,} rules ({len(text) / 1024:.0f} KB)"
    out(f"load and compile {rules}: {spent.each(1, 2)} s (target <= 1)\n")
    parsed = compile_policy(text, "bench").parsed
    spent = spent_on(lambda: compile_parsed(parsed, "bench"))
    out(f"the same in a worker, from the parent's parsed form: {spent.each(1, 3)} s\n")


def measure_simulate(out: Callable[[str], object]) -> None:
    """Records of the size that the gateway writes, read from SQLite, through 100 rules."""
    policy, hundred = compile_policy(BASE, "bench"), compile_policy(with_rules(100), "bench")
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder) / RECORDS_FILE)
        for start in range(0, RECORDS, 1000):
            store.append([record(policy, index) for index in range(start, start + 1000)], durable=False)
        store.close()
        with RecordReader(Path(folder) / RECORDS_FILE) as reader:
            spent = spent_on(lambda: simulate(hundred, reader.decisions_since(_EVER), {}))
    least, most = RECORDS / spent.most, RECORDS / spent.least
    speed = f"{RECORDS / spent.usual:,.0f} ({least:,.0f} to {most:,.0f}) decisions/s"
    out(f"simulate {RECORDS:,} records, 100 rules: {speed} (target >= 10,000)\n")


def measure_simulate_command(out: Callable[[str], object]) -> None:
    """By the wall: see `tests.bench.policy_simulate`."""
    policy = compile_policy(BASE, "bench")
    policy_simulate.measure(out, lambda index: record(policy, index), with_rules(100))


def measure_reload(out: Callable[[str], object]) -> None:
    """By the wall: see `tests.bench.policy_reload`."""
    out("reload, with a real gateway:\n")
    policy_reload.main()


MEASURES = {
    "decide": measure_decide,
    "load": measure_load,
    "simulate": measure_simulate,
    "simulate-cli": measure_simulate_command,
    "keys": policy_keys.measure,
    "reload": measure_reload,
}


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="What policies cost.")
    parser.add_argument("--only", choices=MEASURES, help="This figure alone.")
    only = parser.parse_args().only
    load = os.getloadavg()[0]
    sys.stdout.write(f"{os.cpu_count()} processors, load {load:.1f} at the beginning\n")
    for name, measure in MEASURES.items():
        if only in (None, name):
            measure(sys.stdout.write)
            sys.stdout.flush()


if __name__ == "__main__":
    main()
