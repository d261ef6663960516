"""How long the scan takes with all detectors and nothing remembered, and admin patterns on adversarial text."""

from __future__ import annotations

import importlib.util
import re
import statistics
import subprocess
import sys
from argparse import Namespace
from collections.abc import Iterator

from classifiers.pipeline import Pipeline
from tests.bench import scan
from tests.bench.figures import Figure

_ROUNDS = 300


async def speed(given: Namespace) -> Iterator[Figure]:
    """Median of a 150-character prompt and of 1 KB, 99th percentile of 4 KB, in milliseconds of wall time."""
    source = list(scan.sentences(given.data / "traffic/awesome_prompts.jsonl.gz", "prompt"))
    pipeline, figures = Pipeline(signals={}, memory_bytes=0), []
    try:
        await pipeline.start()
        await scan.measure(pipeline, source, 1024, 100)
        for size, target, share in ((150, 0.15, 0.5), (1024, 0.8, 0.5), (4096, 4.0, 0.99)):
            times = sorted(await scan.measure(pipeline, source, size, _ROUNDS))
            value = statistics.median(times) if share == 0.5 else times[int(len(times) * share)]
            name = f"scan of {size} characters, {'p50' if share == 0.5 else 'p99'}"
            figures.append(
                Figure(name, value, target, "at_most", n=len(times), unit="ms", baseline=f"fastest {times[0]:.3f}")
            )
    finally:
        await pipeline.close()
    return iter(figures)


def patterns(given: Namespace) -> Iterator[Figure]:
    """1 MiB against 100 admin patterns, as `tests.bench.patterns admin` measures it in a process of its own."""
    name = "1 MiB of adversarial text, 100 admin patterns"
    if importlib.util.find_spec("tests.bench.patterns") is None:
        yield Figure(name, None, 50.0, "at_most", unit="ms", note="tests.bench.patterns is not there")
        return
    command = [sys.executable, "-m", "tests.bench.patterns", "admin"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    times = [(int(first), int(again)) for first, again in re.findall(r"first (\d+) ms, then (\d+) ms", done.stdout)]
    yield Figure(
        f"{name}, the worst of {len(times)} texts",
        float(max(again for _, again in times)),
        50.0,
        "at_most",
        unit="ms",
        note=f"the first time, while automata are built: {max(first for first, _ in times)} ms",
    )
