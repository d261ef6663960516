"""What a gateway does when it is offered ten times what it can carry: `python -m tests.bench.overload`.

First the best throughput, with as many callers as it serves at the same time; then an open loop at ten times that.
Everything runs on loopback and shares this machine's processors, the load generator (its own, asyncio) included.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil

from router.processes.loop import loop_factory
from router.settings import one_thread_for_arrays
from tests.bench.offered_load import Load, Outcome, Run
from tests.support.gateway import ENGINE, POLICY, Gateway, local_server

_TIMES = 10
_MOST_CONNECTIONS = 3000


@dataclass(frozen=True, slots=True)
class Case:
    """One gateway and what is asked of it. `callers`: how many it serves at the same time, its queue included."""

    name: str
    home: str  # of the policy; empty: a scripted upstream
    delay: float  # seconds that the scripted upstream takes
    callers: int
    environment: dict[str, str]
    max_tokens: int
    longest: float = 1e9  # no more requests a second than the generator can send


CASES = (
    Case("upstream of 250 ms, 32 at the same time", "", 0.25, 32, {"GATEHOUSE_MAX_CONCURRENT": "32"}, 16),
    Case("upstream of 0 ms: the processor is the limit", "", 0.0, 64, {"GATEHOUSE_MAX_CONCURRENT": "64"}, 16, 6000),
    Case("the embedded engine, 8 in its line", ENGINE, 0.0, 12, {"GATEHOUSE_ENGINE_QUEUE": "8"}, 16),
)


@contextmanager
def scripted(delay: float) -> Iterator[str]:
    """The address of an upstream in a process of its own."""
    command = [sys.executable, "-m", "router.backends.scripted", "--no-keep", "--first-delay", str(delay)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def requests_of(case: Case) -> Iterator[bytes]:
    """Requests of about 150 characters, no two alike."""
    for number in itertools.count():
        text = f"Question {number}: what should I see in the old town of Lisbon on a rainy day in {1900 + number % 99}?"
        asked = {"model": "local", "max_tokens": case.max_tokens, "messages": [{"role": "user", "content": text}]}
        raw = json.dumps(asked).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: bench\r\ncontent-length: {len(raw)}\r\n\r\n"
        yield head.encode() + raw


def own_processes(house: Gateway) -> list[psutil.Process]:
    """Parent, workers and scan processes; not the engine."""
    processes = [psutil.Process(house.process.pid), *psutil.Process(house.process.pid).children(recursive=True)]
    return [each for each in processes if "router.engine" not in " ".join(each.cmdline())]


def memory_mb(house: Gateway) -> float:
    """Unique memory."""
    return sum(each.memory_full_info().uss for each in own_processes(house)) / 1e6


def processor_s(house: Gateway) -> float:
    """Processor time so far: what others on this machine do moves it little."""
    return sum(sum(each.cpu_times()[:2]) for each in own_processes(house))


def quantile(outcomes: list[Outcome], share: float) -> float | None:
    """Milliseconds."""
    times = sorted(each.seconds for each in outcomes)
    return round(times[min(len(times) - 1, int(share * len(times)))] * 1000, 1) if times else None


def told(run: Run) -> dict[str, Any]:
    served, refused = run.served(), run.refused()
    return {
        "offered_per_s": round(run.offered / run.seconds, 1),
        "served_per_s": round(len(served) / run.seconds, 1),
        "served_p50_ms": quantile(served, 0.5),
        "served_p99_ms": quantile(served, 0.99),
        "refused": len(refused),
        "refused_p50_ms": quantile(refused, 0.5),
        "refused_p99_ms": quantile(refused, 0.99),
        "refused_within_50_ms": round(sum(e.seconds <= 0.05 for e in refused) / len(refused), 4) if refused else None,
        "without_retry_after": sum(not each.has_retry_after for each in refused),
        "other_outcomes": len(run.others()),
        "unsent": run.unsent,
        "unanswered": run.unanswered,
        "generator_late_ms": round(run.late * 1000, 1),
    }


async def measure(case: Case, house: Gateway, seconds: float, rounds: int) -> dict[str, Any]:
    address = urlsplit(house.root)
    assert address.hostname is not None
    assert address.port is not None
    load = Load(address.hostname, address.port, requests_of(case), _MOST_CONNECTIONS)
    await load.closed(case.callers, min(5.0, seconds))  # warm
    best, overloaded, memory = [], [], [memory_mb(house)]
    for _ in range(rounds):
        used = processor_s(house)
        best.append(told(await load.closed(case.callers, seconds)))
        if not best[-1]["served_per_s"]:
            raise SystemExit(f"{case.name}: nothing was served; the machine is too busy to measure: {best[-1]}")
        best[-1]["processor_s"] = round(processor_s(house) - used, 2)
        rate = min(_TIMES * best[-1]["served_per_s"], case.longest)
        used = processor_s(house)
        overloaded.append(told(await load.opened(rate, seconds)))
        overloaded[-1]["processor_s"] = round(processor_s(house) - used, 2)
        for name, of in (("of_best", "served_per_s"), ("times", "offered_per_s")):
            overloaded[-1][name] = round(overloaded[-1][of] / best[-1]["served_per_s"], 3)
        memory.append(round(memory_mb(house), 1))
    return {"case": case.name, "best": best, "overloaded": overloaded, "memory_mb": [round(mb, 1) for mb in memory]}


def run_case(case: Case, seconds: float, rounds: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder, scripted(case.delay) as url:
        policy = POLICY.format(home=case.home or local_server(url), cloud=url)
        with Gateway(Path(folder), policy, environment=case.environment) as house:
            httpx.get(f"{house.root}/readyz", trust_env=False).raise_for_status()
            with asyncio.Runner(loop_factory=loop_factory()) as runner:
                return runner.run(measure(case, house, seconds, rounds))


def main() -> None:
    """Prints one JSON object a case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each stretch")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", type=int, choices=range(len(CASES)), help="the number of one case")
    arguments = parser.parse_args()
    one_thread_for_arrays()  # what a started gateway is forked from has no threads
    with tempfile.NamedTemporaryFile() as note:
        os.environ.setdefault("GATEHOUSE_TEST_GUARD_FILE", note.name)
        for index, case in enumerate(CASES):
            if arguments.only in (None, index):
                sys.stdout.write(json.dumps({"load_before": os.getloadavg()[0]}) + "\n")
                sys.stdout.write(json.dumps(run_case(case, arguments.seconds, arguments.rounds), indent=1) + "\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
