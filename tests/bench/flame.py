"""Where a worker's processor time goes: a flame graph and a table by stage, from samples of its stack under load.

    python -m tests.bench.flame [--seconds 15] [--connections 64] [--characters 150]
        [--svg docs/pictures/gateway-flame.svg]

Pinned as in `tests.bench.gateway`, the sampler on the second core. Needs `py-spy` (`pip install py-spy`) in the PATH
beside wrk, nginx and taskset. The worker is not stopped for a sample, so that a few of them cannot be read and are left
out; microseconds are shares of what the worker used in the same run.
"""

from __future__ import annotations

import argparse
import html
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench import gateway as bench
from tests.bench.gateway_rows import Bench
from tests.bench.processes import cpu_seconds, family

Stack = tuple[str, ...]  # outermost first, each `function (file`
_RATE = 250  # samples a second
_WIDTH, _ROW, _LEAST = 1200.0, 16, 0.0025  # narrower frames are left out

# The innermost frame that is named here says what a sample was about.
STAGES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("classification", ("classifiers/",)),
    ("decision (pure)", ("policies/",)),
    ("reading the request", ("read_body", "Endpoint._read", "router/api/parse.py", "router/api/openai_chat.py")),
    ("who asks", ("router/identity.py", "router/api_keys/store.py", "router/api_keys/key.py")),
    ("kill switch", ("router/lockdown/exits.py", "router/lockdown/lockdown.py")),
    ("egress, digest, permit", ("router/egress.py", "router/backends/permits.py", "router/fields.py")),
    ("taint, affinity, rates", ("router/taint/", "router/affinity.py", "router/following.py", "router/rates/")),
    (
        "metrics",
        (
            "router/telemetry/recorder.py",
            "router/telemetry/tally.py",
            "router/telemetry/metrics.py",
            "prometheus_client/",
        ),
    ),
    (
        "account and record",
        (
            "router/accounting.py",
            "router/records/record.py",
            "router/costs/cost.py",
            "router/reasks.py",
            "router/processes/control.py",
        ),
    ),
    ("call to the model", ("router/backends/", "aiohttp/", "yarl/", "multidict/")),
    ("planning", ("router/planning.py", "router/waiting/", "router/rates/limiting.py", "router/offered.py")),
    ("endpoint, headers, answer", ("router/api/",)),
    ("the line between them", ("router/",)),
    ("HTTP server", ("uvicorn/",)),
)
_OUTERMOST = "router/app.py"  # of the thread that serves
_REST = "event loop and system"
_COLOURS = {"classifiers/": "#d9a441", "policies/": "#7fb069", "router/": "#e07a5f", "aiohttp/": "#81b2d9"}


def folded(text: str) -> Counter[Stack]:
    """Stacks of py-spy's raw format, counted; line numbers and what stands before our own files are dropped."""
    stacks: Counter[Stack] = Counter()
    for line in text.splitlines():
        frames, _, count = line.rpartition(" ")
        names = tuple(_name(frame) for frame in frames.split(";"))
        if any(_OUTERMOST in name for name in names):
            stacks[names[next(at for at, name in enumerate(names) if _OUTERMOST in name) :]] += int(count)
    return stacks


def _name(frame: str) -> str:
    name = frame.rpartition(":")[0] or frame
    function, _, path = name.partition(" (")
    for own in ("classifiers/", "policies/", "router/", "site-packages/", "python3."):
        if own in path:
            path = path[path.index(own) :].removeprefix("site-packages/")
            break
    return f"{function} ({path}" if path else function


def stage_of(stack: Stack) -> str:
    """What a sample was about."""
    for frame in reversed(stack):
        if _OUTERMOST in frame:
            break
        for stage, marks in STAGES:
            if any(mark in frame for mark in marks):
                return stage
    return _REST


def by_stage(stacks: Counter[Stack]) -> list[tuple[str, float]]:
    """Shares, the largest first."""
    counted: Counter[str] = Counter()
    for stack, count in stacks.items():
        counted[stage_of(stack)] += count
    total = counted.total()
    return [(stage, count / total) for stage, count in counted.most_common()]


@dataclass(slots=True)
class _Frame:
    name: str
    samples: int = 0
    inner: dict[str, _Frame] = field(default_factory=dict)


def _tree(stacks: Counter[Stack]) -> _Frame:
    root = _Frame("all")
    for stack, count in stacks.items():
        root.samples += count
        at = root
        for name in stack:
            at = at.inner.setdefault(name, _Frame(name))
            at.samples += count
    return root


def svg(stacks: Counter[Stack]) -> str:
    """The flame graph, outermost frames above. Hovering over one names it."""
    root = _tree(stacks)
    drawn: list[str] = []
    depth = _draw(root, 0.0, 0, root.samples, drawn)
    height = (depth + 1) * _ROW
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH:.0f} {height}" font-family="monospace" '
        f'font-size="11">\n<rect width="100%" height="100%" fill="#fdfbf7"/>\n' + "\n".join(drawn) + "\n</svg>\n"
    )


def _draw(frame: _Frame, left: float, depth: int, total: int, drawn: list[str]) -> int:
    share = frame.samples / total
    width = share * _WIDTH
    colour = next((colour for mark, colour in _COLOURS.items() if f"({mark}" in frame.name), "#c9c5ba")
    label = frame.name.partition(" (")[0][: int(width / 7)] if width > 30 else ""
    drawn.append(
        f'<g><title>{html.escape(frame.name)}): {share:.1%}</title><rect x="{left:.1f}" y="{depth * _ROW}" '
        f'width="{width:.1f}" height="{_ROW - 1}" fill="{colour}"/>'
        f'<text x="{left + 2:.1f}" y="{depth * _ROW + 11}">{html.escape(label)}</text></g>'
    )
    deepest = depth
    for inner in sorted(frame.inner.values(), key=lambda each: each.name):
        if inner.samples / total >= _LEAST:
            deepest = max(deepest, _draw(inner, left, depth + 1, total, drawn))
        left += inner.samples / total * _WIDTH
    return deepest


def sampled(pid: int, core: int, seconds: int, raw: Path) -> subprocess.Popen[bytes]:
    """The sampler, at work."""
    command = [
        "taskset",
        "-c",
        str(core),
        "py-spy",
        "record",
        "-p",
        str(pid),
        "-d",
        str(seconds),
        "-r",
        str(_RATE),
        "--nonblocking",
    ]
    return subprocess.Popen(
        [*command, "--format", "raw", "-o", str(raw)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def worker_of(pids: Iterable[int]) -> int:
    """The process that answers requests."""
    return next(pid for pid in pids if b"router.app" in Path(f"/proc/{pid}/cmdline").read_bytes())


def measure(seconds: int, connections: int, characters: int) -> tuple[Counter[Stack], bench.Run, float]:
    """The samples, the run of wrk they were taken in, and the worker's microseconds a request in it."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gh-")))
        upstream, _ = stack.enter_context(bench.static_upstream(1, folder))
        at = Bench(folder, 0, 1, upstream, (0, 0), seconds, 0)
        ours = stack.enter_context(at.gateway())
        script = at.script("short", characters)
        bench.load(at.others, script, *ours, connections, 2)
        worker, raw = worker_of(family(ours[1])), folder / "raw"
        sampler = sampled(worker, at.others, seconds, raw)
        before = cpu_seconds(worker)
        run = bench.load(at.others, script, *ours, connections, seconds)
        used = (cpu_seconds(worker) - before) / max(1.0, run.rate * seconds)
        sampler.wait()
        return folded(raw.read_text("utf-8")), run, used * 1e6


def table(shares: Sequence[tuple[str, float]], microseconds: float) -> str:
    """As `docs/benchmarks.md` has it."""
    lines = ["| stage | share | µs |", "| --- | --- | --- |"]
    lines += [f"| {stage} | {share:.1%} | {share * microseconds:.0f} |" for stage, share in shares]
    return "\n".join(lines)


def main() -> None:
    """Measure, print the table, write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=15)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--characters", type=int, default=150, help="of the question")
    parser.add_argument("--svg", type=Path, help="write the flame graph to this file")
    given = parser.parse_args()
    bench.require_programs()
    if shutil.which("py-spy") is None:
        sys.exit("This needs py-spy in the PATH: pip install py-spy")
    stacks, run, microseconds = measure(given.seconds, given.connections, given.characters)
    print(table(by_stage(stacks), microseconds))
    print(f"{stacks.total():,} samples; {microseconds:,.0f} µs of the worker's processor time a request, sampled; "
          f"{run.rate:,.0f} requests/s, {run.failed} failed")  # fmt: skip
    if given.svg:
        given.svg.write_text(svg(stacks), "utf-8")


if __name__ == "__main__":
    main()
