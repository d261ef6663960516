"""The commit point on the real embedded model: what is decided before the first byte, and what waiting for that costs.

    python -m tests.bench.routing_commit [--questions 80] [--threshold 0.55] [--tokens 16] [--json FILE]

A real gateway, the real model, a scripted cloud over loopback. Each question is streamed three times in a row: once
from a model that is asked for by name (nothing is held; the baseline), then as `auto` in commit mode, then once more by
name, so that what the machine does meanwhile falls on both. Temperature 0: the answers are the same, and the confidence
of the whole answer, which the record of the first has, says what a judgement of all of it would have decided.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from classifiers.rates import Rate
from router.backends.scripted_replies import Script
from router.records.store import RECORDS_FILE, RecordReader
from tests.bench.figures import Figure, as_json, as_table, of_rate, resampled
from tests.support.gateway import ENGINE, POLICY, ROOT, Gateway, until
from tests.support.recorder import RecorderThread

QUESTIONS = ROOT / "router" / "calibration" / "everyday.jsonl"
# However slow the machine is: nothing is sent out for it, and headers wait for the route.
PATIENT = "headers_after: 300\n"
HOME = f"{ENGINE}, timeout_seconds: 3600"
RULE = "escalation: {{threshold: {threshold}, stream: commit, hold_tokens: {tokens}, hold_ms: 60000}}\n"
MOST_TOKENS = 48


@dataclass(frozen=True)
class Seen:
    """One question. Times in milliseconds from the request to a chunk with text."""

    first: float  # asked for by name: the first text …
    held: float  # … and the text of the last token that commit mode would hold back, or of the last there is
    first_auto: float
    route: str
    judged: float | None  # confidence at the commit point
    whole: float | None  # of the whole answer

    @property
    def added(self) -> float:
        return self.first_auto - self.first

    @property
    def hold(self) -> float:
        return self.held - self.first


def stream(http: httpx.Client, url: str, text: str, model: str) -> tuple[dict[str, str], list[float]]:
    """Headers, and when each chunk with text came."""
    body = {"model": model, "messages": [{"role": "user", "content": text}], "stream": True}
    body |= {"temperature": 0, "max_tokens": MOST_TOKENS}
    began = time.perf_counter()
    with http.stream("POST", f"{url}/chat/completions", json=body) as answer:
        answer.raise_for_status()
        lines = (line[6:] for line in answer.iter_lines() if line.startswith("data: {"))
        times = [(time.perf_counter() - began) * 1000 for line in lines if _has_text(json.loads(line))]
        return dict(answer.headers), times or [(time.perf_counter() - began) * 1000]


def _has_text(chunk: dict[str, Any]) -> bool:
    return any(choice["delta"].get("content") for choice in chunk["choices"])


def record_of(gateway: Gateway, headers: dict[str, str]) -> dict[str, Any]:
    found: list[dict[str, Any]] = []

    def is_there() -> bool:
        with RecordReader(gateway.state_dir / RECORDS_FILE) as reader:
            record = reader.get_record(headers["x-gatehouse-request-id"])
        found.extend([record] if record is not None else [])
        return bool(found)

    until(is_there, 30)
    return dict(found[0]["outcome"])


def measure(gateway: Gateway, http: httpx.Client, text: str, tokens: int) -> Seen | None:
    """Ask one question three times; None for one that may not leave, and so is not judged.

    The engine's prefix is warm from a request before, alike for all three.
    """
    stream(http, gateway.url, text, "local")
    named, before = stream(http, gateway.url, text, "local")
    routed, auto = stream(http, gateway.url, text, "auto")
    _, after = stream(http, gateway.url, text, "local")
    outcome = record_of(gateway, routed)
    if outcome["judgement"] is None:
        return None
    place = min(tokens, len(before), len(after)) - 1
    return Seen(
        first=(before[0] + after[0]) / 2,
        held=(before[place] + after[place]) / 2,
        first_auto=auto[0],
        route=routed["x-gatehouse-route"],
        judged=outcome["judgement"]["confidence"],
        whole=record_of(gateway, named)["confidence"],
    )


def figures(rows: Sequence[Seen], threshold: float) -> list[Figure]:
    """The table. An answer that is over before `hold_tokens` is judged whole and counts like any other."""
    doubtful = [row for row in rows if row.whole is not None and row.whole < threshold]
    sure = [row for row in rows if row.whole is not None and row.whole >= threshold]
    kept = [row for row in rows if row.route == "local"]

    def caught(these: Sequence[Seen]) -> Rate:
        return Rate(sum(row.route == "cloud" for row in these), len(these))

    return [
        of_rate("escalated", caught(rows), None, "at_least", note="of all questions"),
        of_rate(
            "escalations decided before the first byte",
            caught(doubtful),
            None,
            "at_least",
            baseline="stream: before 0; hold 1, and no byte before the end",
            note="of the answers whose whole confidence is below the threshold",
        ),
        of_rate("escalated although sure as a whole", caught(sure), None, "at_most"),
        _median("time to the first text, nothing held", kept, lambda row: row.first),
        _median("time to the first text, released", kept, lambda row: row.first_auto),
        _median("added to it when released", kept, lambda row: row.added),
        _median("time of the tokens held", kept, lambda row: row.hold),
        _median("added less the time of the tokens held", kept, lambda row: row.added - row.hold),
    ]


def _median(name: str, rows: Sequence[Seen], value: Callable[[Seen], float]) -> Figure:
    def middle(these: Sequence[Seen]) -> float:
        return statistics.median(value(row) for row in these)

    if not rows:
        return Figure(name, None, unit="ms")
    low, high = resampled(rows, middle)
    return Figure(name, middle(rows), None, "at_most", low, high, len(rows), "ms", note="median")


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=80)
    parser.add_argument("--threshold", type=float, default=0.55)
    parser.add_argument("--tokens", type=int, default=16)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = [json.loads(line) for line in QUESTIONS.read_text("utf-8").splitlines()]
    chosen = random.Random(1).sample(rows, min(options.questions, len(rows)))
    os.environ.setdefault("GATEHOUSE_TEST_GUARD_FILE", os.devnull)
    with tempfile.TemporaryDirectory() as folder, RecorderThread(Script(answer="The cloud answers.")) as cloud:
        rule = RULE.format(threshold=options.threshold, tokens=options.tokens)
        policy = POLICY.partition("decisions:")[0].format(home=HOME, cloud=cloud.url) + PATIENT + rule
        with (
            Gateway(Path(folder), policy, start_seconds=300.0) as gateway,
            httpx.Client(trust_env=False, timeout=300) as http,
        ):
            asked = [measure(gateway, http, row["prompt"], options.tokens) for row in chosen]
    seen = [each for each in asked if each is not None]
    print(f"{len(asked)} questions, of which {len(asked) - len(seen)} may not leave and are not judged\n")
    made = figures(seen, options.threshold)
    print(as_table(made, markdown=True))
    if options.json:
        options.json.write_text(json.dumps(as_json(made), indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
