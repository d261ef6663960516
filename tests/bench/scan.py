"""How long the scan takes for bodies that differ, nothing remembered: medians and tails by size.

    python -m tests.bench.scan [--prompts FILE.jsonl.gz --field prompt] [--rounds 400]

Without a file of prompts it writes its own prose, with an item to find in every fifth body.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import random
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from classifiers.pipeline import Pipeline
from classifiers.registry import SIGNALS
from classifiers.types import ScanRules

SIZES = (150, 1024, 4096, 16384, 32000, 131072)
ITEMS = (
    "Call me at (212) 555-2368.",
    "The card is 4111 1111 1111 1111.",
    "Write to jo.doe@corp.example.com.",
    "GB82 WEST 1234 5698 7654 32 is the account.",
    "api_key = q8Zr2LkPw9Xt4Vn7Yb1M",
)


def prose(source: list[str], size: int, chance: random.Random) -> str:
    """Text of about `size` characters that no other body holds, every fifth with an item."""
    parts: list[str] = []
    if chance.random() < 0.2:
        parts.append(chance.choice(ITEMS))
    while sum(len(part) + 1 for part in parts) < size:
        parts.append(chance.choice(source))
    return (f"{chance.randrange(10**6)} " + " ".join(parts))[:size]


def sentences(path: Path | None, member: str) -> Iterator[str]:
    """Stretches of text to make bodies of."""
    if path is None:
        words = Path(__file__).read_text("utf-8").replace("\n", " ").split()
        chance = random.Random(7)
        yield from (" ".join(chance.choices(words, k=12)) for _ in range(400))
        return
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield from json.loads(line)[member].split(". ")


async def measure(pipeline: Pipeline, source: list[str], size: int, rounds: int) -> list[float]:
    """Milliseconds of each of `rounds` scans."""
    chance = random.Random(size)
    times = []
    for _ in range(rounds):
        body = {"model": "auto", "messages": [{"role": "user", "content": prose(source, size, chance)}]}
        began = time.perf_counter()
        signals = await pipeline.run(body, ScanRules(), "bench")
        times.append((time.perf_counter() - began) * 1000)
        if any(unknown.kind not in ("timeout", "unsupported_language") for unknown in signals.scan.unknowns):
            raise SystemExit(f"unexpected: {signals.scan.unknowns}")
    return times


async def run(arguments: argparse.Namespace) -> None:
    source = list(sentences(arguments.prompts, arguments.field))
    facts = {name: spec for name, spec in SIGNALS.items() if spec.where is None}
    for label, signals in (("scan alone", facts), ("with all signals", SIGNALS)):
        pipeline = Pipeline(signals=signals, memory_bytes=0)
        await pipeline.start()
        await measure(pipeline, source, 1024, 100)
        print(label)
        for size in SIZES:
            times = sorted(await measure(pipeline, source, size, max(20, min(arguments.rounds, 4_000_000 // size))))
            p50, p99 = statistics.median(times), times[int(len(times) * 0.99)]
            print(f"  {size:>7} characters: p50 {p50:.3f} ms, p99 {p99:.3f} ms, n {len(times)}")
        await pipeline.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=Path)
    parser.add_argument("--field", default="prompt")
    parser.add_argument("--rounds", type=int, default=400)
    asyncio.run(run(parser.parse_args()))
