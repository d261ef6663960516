"""Processor time of each stage of classification, by the compiled kernels and by the Python beside them, in one run.

    python -m tests.bench.classify [--prompts FILE.jsonl.gz --field prompt] [--sizes 150 1024] [--rounds 5]

Bodies differ, nothing is remembered. A process decides once whether it uses the kernels, so both are measured in
processes of their own, in turns; of each stage the fastest counts. "Alone" is a loop over one stage, whose code and
tables stay in the processor's caches; "in a request" is what `Pipeline.run` spends on it among all others.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from classifiers.detectors.base import Piece
from classifiers.detectors.language import LanguageDetector
from classifiers.detectors.meaning import MeaningDetector
from classifiers.detectors.names import NameDetector
from classifiers.kernels import KERNELS
from classifiers.pipeline import Pipeline
from classifiers.registry import SIGNALS
from classifiers.types import ScanRules
from classifiers.views.triggers import Triggers
from tests.bench.scan import prose, sentences

_BODIES = 200
_ALONE = ("complexity", "injection", "language", "domain", "task", "background")
_KINDS = ("native", "reference")


def fastest(call: Callable[[Any], object], given: Sequence[Any], rounds: int) -> float:
    """Microseconds of processor time a call, of the fastest of some rounds over all that is given."""
    best = float("inf")
    for _ in range(rounds):
        began = time.thread_time_ns()
        for each in given:
            call(each)
        best = min(best, time.thread_time_ns() - began)
    return best / len(given) / 1000


async def requests(pipeline: Pipeline, bodies: Sequence[Any], rounds: int) -> dict[str, float]:
    """What the whole pipeline spends on a request, what of it on the scan, and what on the signals before an answer."""
    whole, scan = float("inf"), float("inf")
    for _ in range(rounds):
        began = time.thread_time_ns()
        for body in bodies:
            await pipeline.run(body, ScanRules(), "", ())
        middle = time.thread_time_ns()
        for body in bodies:
            await pipeline.scan_body(body, ScanRules(), "")
        whole, scan = min(whole, middle - began), min(scan, time.thread_time_ns() - middle)
    each = 1 / len(bodies) / 1000
    return {
        "in a request: all": whole * each,
        "in a request: scan": scan * each,
        "in a request: signals": (whole - scan) * each,
    }


async def measure(texts: Sequence[str], rounds: int, compiled: bool) -> dict[str, float]:
    """Stage -> microseconds, in this process."""
    pipeline = Pipeline(memory_bytes=0, compiled=compiled)
    bodies = [{"model": "auto", "messages": [{"role": "user", "content": text}]} for text in texts]
    raw = [text.encode() for text in texts]
    pieces = [Piece(data, 0, len(data), ()) for data in raw]
    await pipeline.warm()
    found = {}
    for name in _ALONE:
        module, _, member = str(SIGNALS[name].where).partition(":")
        signal = getattr(__import__(module, fromlist=[member]), member)()
        found[f"alone: signal {name}"] = fastest(signal.measure, bodies, rounds)
    for detector in (MeaningDetector(), LanguageDetector(), NameDetector()):
        call = lambda piece, detect=detector.detect: list(detect(piece, ()))  # noqa: E731
        found[f"alone: detector {detector.name}"] = fastest(call, pieces, rounds)
    found["alone: triggers of detectors"] = fastest(pipeline._scanner._bank.called, raw, rounds)
    found["alone: triggers of views"] = fastest(Triggers().wanted, raw, rounds)
    return found | await requests(pipeline, bodies, rounds)


def child(given: argparse.Namespace, size: int, kind: str) -> dict[str, float]:
    """The stages as a process of this kind measures them."""
    command = [sys.executable, "-m", "tests.bench.classify", "--only", kind, "--sizes", str(size)]
    command += ["--rounds", str(given.rounds), "--field", given.field]
    command += ["--prompts", str(given.prompts)] if given.prompts else []
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    stages: dict[str, float] = json.loads(done.stdout)
    return stages


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=Path)
    parser.add_argument("--field", default="prompt")
    parser.add_argument("--sizes", type=int, nargs="+", default=[150, 1024])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--only", choices=_KINDS, help="measure one kind, in this process, as JSON")
    given = parser.parse_args()
    if given.only:
        source, chance = list(sentences(given.prompts, given.field)), random.Random(given.sizes[0])
        texts = [prose(source, given.sizes[0], chance) for _ in range(_BODIES)]
        stages = asyncio.run(measure(texts, given.rounds, given.only == "native"))
        print(json.dumps(stages))
        return
    print(f"kernels: {KERNELS.describe()}")
    for size in given.sizes:
        turns = {kind: [] for kind in _KINDS}
        for _ in range(given.turns):
            for kind in _KINDS:
                turns[kind].append(child(given, size, kind))
        print(f"\n| {size} characters | native, µs | reference, µs | |\n| --- | --- | --- | --- |")
        for stage in turns["native"][0]:
            native, reference = (min(turn[stage] for turn in turns[kind]) for kind in _KINDS)
            print(f"| {stage} | {native:.1f} | {reference:.1f} | {reference / native:.1f}× |")


if __name__ == "__main__":
    main()
