"""What telemetry costs a request: microseconds a call, one process and several, with and without a collector.

    python -m tests.bench.telemetry

Each figure is the median of 7 rounds. Nothing is asserted: it prints.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROUNDS = 7
MODES = ("one process", "several processes", "one process, collector up", "one process, collector down")


def _microseconds(work: Callable[[], object], calls: int) -> float:
    rounds = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for _ in range(calls):
            work()
        rounds.append((time.perf_counter() - started) / calls * 1e6)
    return statistics.median(rounds)


def _measure_mode(mode: str) -> None:
    if mode.endswith("up"):
        from tests.support.otlp_collector import OtlpCollector

        with OtlpCollector() as collector:
            _measure(mode, collector.url)
    else:
        _measure(mode, "http://127.0.0.1:9" if mode.endswith("down") else None)


def _measure(mode: str, endpoint: str | None) -> None:
    if mode == "several processes":
        from router.telemetry.metrics import prepare_metrics_folder

        prepare_metrics_folder(Path(tempfile.mkdtemp()))
    from classifiers.types import Finding, Scan, Signals
    from policies.types import Model
    from router.telemetry.recorder import ChunkClock
    from router.telemetry.telemetry import Telemetry
    from router.types import Outcome, Usage

    telemetry = Telemetry(otlp_endpoint=endpoint)
    model = Model("cloud", "cloud", "openai", "gpt-4o-mini", base_url="https://api.openai.com/v1")
    plain = Outcome("cloud", "cloud", "hard-questions", "public", "1-abc", usage={"cloud": Usage(12, 34)})
    quiet = Signals({}, Scan(), elapsed_ms=0.3)
    finding = Finding("EMAIL_ADDRESS", "/messages/0/content", "value", 0, 5, 1.0, "patterns", 0)
    loud = Signals({}, Scan((finding,) * 3), elapsed_ms=0.3)
    clock = ChunkClock()

    def finish(signals: Signals) -> None:
        telemetry.request_finished(plain, status=200, seconds=0.03, waited=0.02, signals=signals)

    def call() -> None:
        telemetry.upstream_call(model, seconds=0.03, usage=plain.usage["cloud"])

    def spans() -> None:
        with telemetry.span_request("/v1/chat/completions", request_id="req-1") as root:
            with telemetry.span_upstream(root, model) as span:
                span.upstream_finished(model, usage=plain.usage["cloud"], finish_reasons=("stop",))
            root.request_finished(plain, 200)

    def gauge() -> None:
        telemetry.in_flight(3)

    rows: list[tuple[str, float]] = [
        ("request_finished", _microseconds(lambda: finish(quiet), 20_000)),
        ("request_finished, 3 findings", _microseconds(lambda: finish(loud), 20_000)),
        ("upstream_call", _microseconds(call, 20_000)),
        ("ChunkClock.tick", _microseconds(clock.tick, 100_000)),
        ("in_flight", _microseconds(gauge, 50_000)),
        ("both spans of a request", _microseconds(spans, 2_000)),
    ]
    for name, figure in rows:
        print(f"  {name:<32} {figure:8.2f} us")
    for number in range(40):
        outcome = Outcome("local", "home", f"rule-{number}", "public", "1-abc")
        telemetry.request_finished(outcome, status=200, seconds=0.03)
    page = telemetry.render()
    print(f"  {'render':<32} {_microseconds(telemetry.render, 20):8.0f} us, {len(page):,} bytes")
    telemetry.close(timeout_s=1.0)


def main() -> None:
    """Each mode in a process of its own: prometheus_client chooses at its import where values live."""
    if len(sys.argv) > 1:
        _measure_mode(sys.argv[1])
        return
    for mode in MODES:
        print(mode, flush=True)
        subprocess.run([sys.executable, "-m", "tests.bench.telemetry", mode], check=True)


if __name__ == "__main__":
    main()
