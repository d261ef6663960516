"""The embedded engine's speed beside llama-server, llama-cpp-python's server and llama.cpp's own limit.

    python -m tests.bench.engine [--rounds 5] [--only NAME ...] [--threads N] [--context 4096] [--json FILE]
        [--llama-server PATH] [--batched-bench PATH] [--llama-cpp-server PYTHON]

Same GGUF, threads, context and prompts for all; the servers take turns round by round while the others rest, after a
round that warms up. Every figure is the median of the rounds. `python -m deploy.peers` builds what is compared with.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import signal
import statistics
import sys
import tempfile
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from deploy import peers
from router.engine.process import usable_cpus
from tests.bench import engine_servers as servers
from tests.bench.engine_load import CROWD, BenchError, Caller, calling
from tests.bench.engine_servers import Running, Setting
from tests.bench.engine_time import where_time_goes

_LONG_TOKENS = 2000
_MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table. `value` is held against `target`; None: not measured, `note` says why."""

    name: str
    value: float | None
    target: float | None = None
    at_most: bool = False
    unit: str = "x"
    note: str = ""

    @property
    def is_met(self) -> bool | None:
        """None where there is nothing to meet, or nothing to meet it with."""
        if self.value is None or self.target is None:
            return None
        return self.value <= self.target if self.at_most else self.value >= self.target


@dataclass(slots=True)
class Bench:
    """What a part of the benchmark works with, and the raw rounds that it leaves."""

    folder: Path
    rounds: int
    threads: int
    context: int
    requests: int  # of a crowd's round
    tokens: int  # of an answer
    llama_server: Path | None
    batched_bench: Path | None
    llama_cpp_python: Path | None
    raw: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    def setting(self, slots: int) -> Setting:
        """Of a set of servers that run beside each other."""
        return Setting(Path(tempfile.mkdtemp(dir=self.folder)), self.threads, self.context, slots)

    def note(self, part: str, name: str, value: float) -> None:
        """Keep one round's figure."""
        self.raw.setdefault(part, {}).setdefault(name, []).append(round(value, 4))

    def median(self, part: str, name: str) -> float:
        """Of the rounds."""
        return statistics.median(self.raw[part][name])

    def ratio(self, part: str, one: str, other: str) -> float:
        """Of the medians."""
        return self.median(part, one) / self.median(part, other)


def _missing(name: str, target: float, what: str, *, at_most: bool = False) -> Figure:
    return Figure(name, None, target, at_most, note=f"{what} is not here: python -m deploy.peers")


async def _crowds(bench: Bench) -> list[Figure]:
    """Tokens a second and latency of eight callers, and of one alone."""
    setting = bench.setting(CROWD)
    async with AsyncExitStack() as stack:
        running = [stack.enter_context(servers.engine(setting))]
        if bench.llama_server:
            running.append(stack.enter_context(servers.llama_server(setting, bench.llama_server)))
        if bench.llama_cpp_python:
            running.append(stack.enter_context(servers.llama_cpp_server(setting, bench.llama_cpp_python)))
        callers = [await stack.enter_async_context(calling(each.target)) for each in running]
        for number in range(bench.rounds + 1):
            for caller in callers:
                await _crowd_round(bench, caller, number)
    return _crowd_figures(bench)


async def _crowd_round(bench: Bench, caller: Caller, number: int) -> None:
    name = caller.target.name
    requests = bench.requests if number else CROWD
    load = await caller.load(f"crowd {number}", callers=CROWD, requests=requests, tokens=bench.tokens)
    if number:  # the first warms up
        bench.note("crowd", f"{name} tokens/s", load.rate)
        bench.note("crowd", f"{name} p50 s", load.p50_s)
        bench.note("crowd", f"{name} tokens an answer", load.tokens / requests)
        prompts = statistics.mean(answer.prompt_tokens for answer in load.answers)
        bench.note("crowd", f"{name} tokens a prompt", prompts)
    if name != "llama-cpp-python":
        single = await caller.load(f"single {number}", callers=1, requests=3 if number else 1, tokens=bench.tokens)
        if number:
            bench.note("crowd", f"{name} alone tokens/s", single.rate)


def _crowd_figures(bench: Bench) -> list[Figure]:
    rate, p50 = bench.median("crowd", "engine tokens/s"), bench.median("crowd", "engine p50 s")
    alone = bench.median("crowd", "engine alone tokens/s")
    names = ("8 at once, tokens/s, against llama-server", "8 at once, p50 latency, against llama-server")
    single, slow = "1 alone, tokens/s, against llama-server", "8 at once, tokens/s, against llama-cpp-python"
    figures = []
    if bench.llama_server:
        peer = {what: bench.median("crowd", f"llama-server {what}") for what in ("tokens/s", "p50 s", "alone tokens/s")}
        figures += [
            Figure(names[0], rate / peer["tokens/s"], 1.0, note=f"{rate:.0f} / {peer['tokens/s']:.0f}"),
            Figure(names[1], p50 / peer["p50 s"], 1.0, at_most=True, note=f"{p50:.2f} s / {peer['p50 s']:.2f} s"),
            Figure(single, alone / peer["alone tokens/s"], 0.95, note=f"{alone:.0f} / {peer['alone tokens/s']:.0f}"),
        ]
    else:
        figures += [_missing(names[0], 1.0, "llama-server"), _missing(names[1], 1.0, "llama-server", at_most=True)]
        figures.append(_missing(single, 0.95, "llama-server"))
    if bench.llama_cpp_python:
        peer_rate = bench.median("crowd", "llama-cpp-python tokens/s")
        figures.append(Figure(slow, rate / peer_rate, 2.7, note=f"{rate:.0f} / {peer_rate:.0f}"))
    else:
        figures.append(_missing(slow, 2.7, "llama-cpp-python's server"))
    return figures


async def _newcomer(bench: Bench) -> list[Figure]:
    """Time to first token of a short request while eight talk and a long prompt is read."""
    setting = bench.setting(CROWD + 2)
    async with AsyncExitStack() as stack:
        running = [stack.enter_context(servers.engine(setting))]
        if bench.llama_server:
            running.append(stack.enter_context(servers.llama_server(setting, bench.llama_server)))
        callers = [await stack.enter_async_context(calling(each.target)) for each in running]
        words = _LONG_TOKENS
        words = words * _LONG_TOKENS // (await callers[0].read("measure", words)).prompt_tokens
        for caller in callers:
            await caller.load("warm", callers=CROWD, requests=CROWD, tokens=8)
        for number in range(1, bench.rounds + 1):
            for caller in callers:
                answer = await caller.newcomer(f"newcomer {number}", words)
                bench.note("newcomer", f"{caller.target.name} first token s", answer.first_s)
                await caller.settle()
    name = "first token of a newcomer, against llama-server"
    if not bench.llama_server:
        return [_missing(name, 1.0, "llama-server", at_most=True)]
    ours, theirs = (bench.median("newcomer", f"{each} first token s") for each in ("engine", "llama-server"))
    return [Figure(name, ours / theirs, 1.0, at_most=True, note=f"{ours:.2f} s / {theirs:.2f} s")]


async def _gateway(bench: Bench) -> list[Figure]:
    """Tokens a second through the whole gateway, plain and streamed, beside an engine of the same settings alone.

    Who goes first changes from round to round. Processor time is what a busy machine changes least.
    """
    setting = bench.setting(CROWD)
    async with AsyncExitStack() as stack:
        running = [stack.enter_context(servers.engine(setting)), stack.enter_context(servers.gateway(setting))]
        callers = [await stack.enter_async_context(calling(each.target)) for each in running]
        for number in range(bench.rounds + 1):
            for how, stream in (("streamed", True), ("plain", False)):
                turns = list(zip(running, callers, strict=True))
                for server, caller in turns if number % 2 else reversed(turns):
                    before = servers.seconds_by_kind(server.pid)
                    load = await caller.load(
                        f"gateway {number} {how}",
                        callers=CROWD,
                        requests=bench.requests if number else CROWD,
                        tokens=bench.tokens,
                        stream=stream,
                    )
                    if number:
                        name = f"{server.target.name} {how}"
                        bench.note("gateway", f"{name} tokens/s", load.rate)
                        for kind, seconds in servers.seconds_by_kind(server.pid).items():
                            used = (seconds - before.get(kind, 0.0)) / load.tokens
                            bench.note("gateway", f"{name} {kind} us a token", used * 1e6)
    return [figure for how in ("streamed", "plain") for figure in _gateway_figures(bench, how)]


def _gateway_figures(bench: Bench, how: str) -> list[Figure]:
    """The ratio of the medians; beside it those of the single rounds, and what a token costs each process."""
    through, alone = (f"{each} {how} tokens/s" for each in ("gateway", "engine"))
    what = f"through the gateway, {how}, against the engine alone"
    note = f"{bench.median('gateway', through):.0f} / {bench.median('gateway', alone):.0f}"
    raw = bench.raw["gateway"]
    ratios = sorted(one / other for one, other in zip(raw[through], raw[alone], strict=True))
    spread = f"of each round: {ratios[0]:.2f} to {ratios[-1]:.2f}"
    figures = [
        Figure(what, bench.ratio("gateway", through, alone), 0.95, note=note),
        Figure(f"the same, {how}, median of the rounds' ratios", statistics.median(ratios), note=spread),
    ]
    for server, kind in (("engine", "engine"), ("gateway", "engine"), ("gateway", "worker"), ("gateway", "parent")):
        value = bench.median("gateway", f"{server} {how} {kind} us a token")
        whose = "engine alone" if server == "engine" else f"gateway's {kind}"
        figures.append(Figure(f"processor time a token, {how}, {whose}", value, unit=" us"))
    return figures


async def _lookup(bench: Bench) -> list[Figure]:
    """A lone stream that edits its input lightly, with prompt lookup and without: how fast, and whether equal."""
    setting = bench.setting(1)
    equal = 0
    async with AsyncExitStack() as stack:
        names = {"on": "engine", "off": "engine-plain"}
        running: list[Running] = [
            stack.enter_context(servers.engine(setting, "--speculation", how, name=name)) for how, name in names.items()
        ]
        callers = [await stack.enter_async_context(calling(each.target)) for each in running]
        for number in range(bench.rounds + 1):
            answers = [await caller.edit(f"report {number}") for caller in callers]
            if number:
                equal += answers[0].text == answers[1].text
                for how, answer in zip(names, answers, strict=True):
                    bench.note("lookup", f"{how} whole tokens/s", answer.tokens / answer.whole_s)
                    rate = (answer.tokens - 1) / (answer.whole_s - answer.first_s)
                    bench.note("lookup", f"{how} tokens/s", rate)
                    bench.note("lookup", f"{how} tokens", answer.tokens)
    figures = []
    for name, what, target in (
        ("prompt lookup on a copy, tokens/s after the first", "tokens/s", 1.3),
        ("the same with the reading of the prompt", "whole tokens/s", None),
    ):
        fast, slow = bench.median("lookup", f"on {what}"), bench.median("lookup", f"off {what}")
        figures.append(Figure(name, fast / slow, target, note=f"{fast:.0f} / {slow:.0f} tokens/s"))
    return [*figures, Figure("the same greedy text, of all rounds", equal / bench.rounds, 1.0, unit="")]


async def _memory(bench: Bench) -> list[Figure]:
    """What the engine holds beyond weights and KV cache, after it has worked."""
    setting = bench.setting(CROWD)
    header = servers.model_header(setting)
    weights = os.stat(setting.model).st_size
    cache = setting.slots * min(setting.context, header["context_length"]) * header["kv_bytes_per_token"]
    with servers.engine(setting) as running:
        async with calling(running.target) as caller:
            for number in range(bench.rounds):
                await caller.load(f"memory {number}", callers=CROWD, requests=CROWD, tokens=bench.tokens)
                held = servers.resident_bytes(running.pid)
                bench.note("memory", "resident MB", sum(held.values()) / _MB)
                bench.note("memory", "RssFile MB", held["RssFile"] / _MB)
    resident = bench.median("memory", "resident MB")
    note = f"{resident:.0f} MB resident, {weights / _MB:.0f} MB weights, {cache / _MB:.0f} MB cache"
    beyond = resident - (weights + cache) / _MB
    return [Figure("memory beyond weights and cache", beyond, 150, at_most=True, unit=" MB", note=note)]


async def _time(bench: Bench) -> list[Figure]:
    """Where the time goes, and how far from llama.cpp's own batched benchmark it is: nothing here has a target."""
    shares = await where_time_goes(
        bench.setting(CROWD), bench.batched_bench, bench.rounds, bench.requests, bench.tokens, bench.note
    )
    figures = [Figure(name, bench.median("time", name), unit=unit) for name, unit in shares.items()]
    if not bench.batched_bench:
        figures.append(Figure("llama-batched-bench", None, note="it is not here: python -m deploy.peers"))
    return figures


PARTS: dict[str, Callable[[Bench], Coroutine[None, None, list[Figure]]]] = {
    "crowd": _crowds,
    "newcomer": _newcomer,
    "gateway": _gateway,
    "lookup": _lookup,
    "memory": _memory,
    "time": _time,
}


def _line(figure: Figure) -> str:
    value = "-" if figure.value is None else f"{figure.value:.2f}{figure.unit}"
    target = "" if figure.target is None else f"{'<=' if figure.at_most else '>='} {figure.target:g}{figure.unit}"
    verdict = {True: "met", False: "MISSED", None: ""}[figure.is_met]
    return f"{figure.name:<56}{value:>12}{target:>12}  {verdict:<8}{figure.note}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", action="append", choices=PARTS, help="one part; may be given again")
    parser.add_argument("--threads", type=int, default=usable_cpus(), help="of every server")
    parser.add_argument("--context", type=int, default=4096, help="tokens of one request, of every server")
    parser.add_argument("--requests", type=int, default=3 * CROWD, help="a round of eight callers")
    parser.add_argument("--tokens", type=int, default=64, help="of an answer")
    parser.add_argument("--llama-server", type=Path, help="the program")
    parser.add_argument("--batched-bench", type=Path, help="the program llama-batched-bench")
    parser.add_argument("--llama-cpp-server", type=Path, metavar="PYTHON", help="one with llama-cpp-python[server]")
    parser.add_argument("--json", type=Path, help="write the figures and every round to this file")
    return parser.parse_args()


def _program(given: Path | None, name: str) -> Path | None:
    """What the command line names, what `deploy.peers` has built, or what is on the PATH."""
    if given is not None:
        if not given.is_file():
            raise SystemExit(f"{given} is not a file")
        return given.absolute()
    found = peers.find(name) or shutil.which(name)
    return Path(found) if found else None


def _stop(_number: int, _frame: object) -> None:
    raise SystemExit("stopped")


def main() -> int:
    """Measure and print."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, _stop)  # what was started is ended then
    load_before = os.getloadavg()[0]
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="gh-bench-") as folder:
        bench = Bench(
            Path(folder),
            max(1, arguments.rounds),
            arguments.threads,
            arguments.context,
            max(CROWD, arguments.requests),
            arguments.tokens,
            _program(arguments.llama_server, "llama-server"),
            _program(arguments.batched_bench, "llama-batched-bench"),
            arguments.llama_cpp_server or peers.find("python"),
        )
        print(f"{bench.rounds} rounds, {bench.threads} threads, {bench.context} tokens of context a request")
        print(f"load before the start: {load_before:.2f} (above 0.5 the figures are of a busy machine)", flush=True)
        for name in arguments.only or PARTS:
            try:
                new = asyncio.run(PARTS[name](bench))
            except BenchError as error:
                print(f"{name}: {error}", file=sys.stderr)
                return 1
            figures += new
            print(*map(_line, new), sep="\n", flush=True)
    if arguments.json:
        rows: list[dict[str, Any]] = [{**asdict(figure), "met": figure.is_met} for figure in figures]
        result = {"load_before": load_before, "threads": bench.threads, "context": bench.context, "figures": rows}
        arguments.json.write_text(json.dumps({**result, "rounds": bench.raw}, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
