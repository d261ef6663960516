"""The gateway's table: one row a function, against the static upstream and the pass-through of the same run.

    python -m tests.bench.gateway_rows [--seconds 3] [--only short long same …] [--requests 20000] [--json FILE]

Pinned as in `tests.bench.gateway`. Latencies of the open loop count from when a request was due.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from policies.schema import compile_policy
from tests.bench import gateway as bench
from tests.bench.gateway_bodies import public_texts, texts
from tests.bench.gateway_client import Connection, chat, open_loop
from tests.bench.processes import family, memory_mb

Figures = dict[str, float]
_CHUNKS = 500
_TURNS = 36
_LAST_TURNS = 8  # of 10,000 tokens: 40,000 characters and more
_OPEN_SECONDS = 8
_LARGE = 4 << 20


@dataclass(frozen=True, slots=True)
class Bench:
    """What every row needs: where things listen, who may use which core, and wrk's scripts by name."""

    folder: Path
    under_test: int
    others: int
    upstream: int
    plain: tuple[int, int]  # port and pid of the pass-through
    seconds: int
    requests: int

    def script(self, name: str, characters: int = 150, model: str = "cloud", source: str = bench.WRK) -> Path:
        """A script for wrk whose bodies hold so many characters."""
        path, lines = self.folder / f"{name}.lua", self.folder / f"texts-{characters}"
        if not lines.exists():
            policy = compile_policy(bench.POLICY.format(port=self.upstream), "bench")
            lines.write_text("\n".join(public_texts(characters - 6, 1000, policy)) + "\n", "utf-8")
        path.write_text(source.format(texts=lines, model=model), "utf-8")
        return path

    def load(self, script: Path, at: tuple[int, int], connections: int) -> bench.Run:
        bench.load(self.others, script, *at, connections, 1)  # warms up
        return bench.load(self.others, script, *at, connections, self.seconds)

    @contextmanager
    def gateway(self, *, policy: str = bench.POLICY, workers: int = 1, **environment: str) -> Iterator[tuple[int, int]]:
        """A gateway of its own: port and pid."""
        folder = Path(tempfile.mkdtemp(prefix="", dir=self.folder))
        with bench.gateway(
            self.under_test, folder, self.upstream, policy=policy, workers=workers, **environment
        ) as one:
            yield one[0], one[1]


# The same body again and again.
_SAME = bench.WRK.replace('texts[math.random(#texts)] .. " q" .. count', "texts[1]")
_CACHED = bench.POLICY.replace("cache: {{mode: off}}", "cache: {{mode: exact, ttl_seconds: 3600}}")
_AT = 'cloud: {{locality: cloud, context: 4000000, backend: openai, base_url: "http://127.0.0.1:{port}'
_STREAMING = bench.POLICY.replace(_AT, _AT + "/stream")


def compared(at: Bench, script: Path, connections: int = 64, **options: str) -> Figures:
    """One load on the gateway and on the pass-through."""
    with at.gateway(**options) as ours:  # type: ignore[arg-type]
        run, limit = at.load(script, ours, connections), at.load(script, at.plain, connections)
    return {
        "requests_per_second": run.rate,
        "of_the_pass_through": run.rate / limit.rate,
        "cpu_us": run.cpu,
        "cpu_us_pass_through": limit.cpu,
        "p50_ms": run.p50,
        "p99_ms": run.p99,
        "p99_to_p50": run.p99 / run.p50,
        "p99_to_p50_pass_through": limit.p99 / limit.p50,
        "failed": run.failed,
    }


def cached(at: Bench) -> Figures:
    """Every request but the first of each run is a hit."""
    script = at.script("same", source=_SAME)
    with at.gateway(policy=_CACHED) as ours:
        run, alone = at.load(script, ours, 64), at.load(script, ours, 1)
    return {"requests_per_second": run.rate, "cpu_us": run.cpu, "p50_ms_at_1": alone.p50, "failed": run.failed}


def tracing(at: Bench) -> Figures:
    """Spans of every request exported, to the static upstream, and not."""
    script = at.script("short")
    with at.gateway() as off, at.gateway(OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{at.upstream}") as on:
        without, with_spans = at.load(script, off, 64), at.load(script, on, 64)
    return {"off": without.rate, "on": with_spans.rate, "off_cpu_us": without.cpu, "on_cpu_us": with_spans.cpu}


def open_loops(at: Bench) -> Figures:
    """Latency at 60 % of the peak that this run measured."""
    with at.gateway() as ours:
        peak = at.load(at.script("short"), ours, 64).rate
        taken = asyncio.run(open_loop(ours[0], 0.6 * peak, _OPEN_SECONDS, [chat(text) for text in texts(150, 2000)]))
    return {"peak": peak, "p50_ms": _share(taken, 0.5), "p99_ms": _share(taken, 0.99)}


def beside_large(at: Bench) -> Figures:
    """Bodies of 1 KB, 20 a second, while one caller after the other sends 4 MB, and while nobody does."""
    small = [chat(text, "home") for text in texts(1024, 500)]
    large = chat(" ".join(texts(4000, 1100))[:_LARGE], "home")

    async def both(port: int) -> tuple[list[float], list[float], int]:
        await open_loop(port, 20, 1, small)
        alone = await open_loop(port, 20, _OPEN_SECONDS, small)
        sending = asyncio.create_task(_again(port, large))
        beside = await open_loop(port, 20, _OPEN_SECONDS, small)
        if sending.done():
            sending.result()  # it ends only by an error
        sending.cancel()
        return alone, beside, _sent[0]

    _sent = [0]

    async def _again(port: int, body: bytes) -> None:
        connection = await Connection.open(port)
        while True:
            await connection.ask(body)
            _sent[0] += 1

    with at.gateway() as ours:
        alone, beside, large_ones = asyncio.run(both(ours[0]))
    before, after = _share(alone, 0.99), _share(beside, 0.99)
    return {"p99_ms_alone": before, "p99_ms_beside": after, "ratio": after / before, "large_bodies": large_ones}


def streams(at: Bench) -> Figures:
    """500 chunks that the upstream has ready: what each adds, and what the first does, against the upstream itself."""

    async def each(port: int, path: str) -> tuple[float, float]:
        connection = await Connection.open(port)
        told = [
            await connection.ask(chat(f"How do birds find their way? {number}", stream=True), path)
            for number in range(60)
        ][10:]
        return statistics.median(one.first for one in told), statistics.median(one.total for one in told)

    with at.gateway(policy=_STREAMING) as ours:
        ours_first, ours_total = asyncio.run(each(ours[0], bench.PATH_OF_CHAT))
        first, total = asyncio.run(each(at.upstream, "/stream" + bench.PATH_OF_CHAT))
    added = (ours_total - ours_first) - (total - first)
    return {"added_ms_a_chunk": added / _CHUNKS, "added_ms_first_chunk": ours_first - first, "total_ms": ours_total}


def conversation(at: Bench) -> Figures:
    """A conversation that grows to 10,000 tokens, sent whole with every turn: the last ones, against the upstream."""
    said = texts(600, 2 * _TURNS + 1)

    async def turns(port: int) -> float:
        connection, taken = await Connection.open(port), []
        for turn in range(_TURNS + 1):
            messages = [
                {"role": "assistant" if index % 2 else "user", "content": text}
                for index, text in enumerate(said[: 2 * turn + 1])
            ]
            body = json.dumps({"model": "home", "messages": messages}).encode()
            taken.append((await connection.ask(body)).total)
        return statistics.median(taken[-_LAST_TURNS:])

    with at.gateway() as ours:
        ours_p50, upstream_p50 = asyncio.run(turns(ours[0])), asyncio.run(turns(at.upstream))
    return {"p50_ms": ours_p50, "upstream_p50_ms": upstream_p50, "added_ms": ours_p50 - upstream_p50}


def memory(at: Bench) -> Figures:
    """Resident memory of all processes after so many requests, and how it grows in the second half of them."""
    script, sizes, done = at.script("short"), [], 0.0
    with at.gateway() as ours:
        fresh = memory_mb(ours[1])
        while done < at.requests:
            run = bench.load(at.others, script, *ours, 64, at.seconds)
            done += run.rate * at.seconds
            sizes.append((done, memory_mb(ours[1])["pss"]))
        after = memory_mb(ours[1])
    half = [pair for pair in sizes if pair[0] >= done / 2]
    slope = (half[-1][1] - half[0][1]) / max(1.0, half[-1][0] - half[0][0]) * 10_000
    return {
        "fresh_pss_mb": fresh["pss"],
        "after_pss_mb": after["pss"],
        "after_uss_mb": after["uss"],
        "mb_per_10000": slope,
        "requests": done,
    }


def workers(at: Bench) -> Figures:
    """Two workers on both cores beside the load generator, and one there."""
    script, cores = at.script("short"), ",".join(str(core) for core in sorted(os.sched_getaffinity(0))[:2])
    rates = []
    for count in (1, 2):
        with at.gateway(workers=count) as ours:
            for pid in family(ours[1]):
                os.system(f"taskset -apc {cores} {pid} >/dev/null")
            rates.append(at.load(script, ours, 64).rate)
    return {"one": rates[0], "two": rates[1], "ratio": rates[1] / rates[0]}


ROWS: dict[str, Callable[[Bench], Figures]] = {
    "short": lambda at: compared(at, at.script("short")),
    "long": lambda at: compared(at, at.script("long", 1024)),
    "same": lambda at: compared(at, at.script("same", source=_SAME)),
    "alone": lambda at: compared(at, at.script("short"), 1),
    "cached": cached,
    "tracing": tracing,
    "open": open_loops,
    "large": beside_large,
    "stream": streams,
    "conversation": conversation,
    "memory": memory,
    "workers": workers,
}


def _share(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=3, help="of each run of wrk")
    parser.add_argument("--requests", type=int, default=20_000, help="of the row `memory`")
    parser.add_argument("--only", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    given = parser.parse_args()
    bench.require_programs()
    under_test, others = sorted(os.sched_getaffinity(0))[:2]
    found: dict[str, Figures] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gh-")))
        upstream, _ = stack.enter_context(bench.static_upstream(others, folder))
        plain = stack.enter_context(bench.passthrough(under_test, upstream))
        at = Bench(folder, under_test, others, upstream, plain, given.seconds, given.requests)
        for name in given.only:
            before, began = os.getloadavg()[0], time.monotonic()
            found[name] = {"load_before": before, **ROWS[name](at)}
            row = ", ".join(f"{key} {value:,.3f}" for key, value in found[name].items())
            print(f"{name}: {row} ({time.monotonic() - began:.0f} s)", file=sys.stdout, flush=True)
    if given.json:
        given.json.write_text(json.dumps(found, indent=1), "utf-8")


if __name__ == "__main__":
    main()
