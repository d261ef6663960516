"""What a reload costs those who are being answered meanwhile: the 99th percentile of whole requests, with and without.

    python -m tests.bench.policy_reload

A real gateway with one worker over loopback, a scripted upstream, four callers at once. Quiet windows and windows with
two reloads a second (three files in ten are broken) take turns, so that whatever else the machine does falls on both.
The callers and the upstream share the machine with the gateway. Needs no data and about two minutes.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import tempfile
from pathlib import Path
from statistics import median, quantiles

import aiohttp

from router.backends.scripted_replies import Script
from tests.support.gateway import Gateway
from tests.support.recorder import RecorderThread
from tests.support.reloading import Seen, ask_until, broken_text, named_model, save_and_wait, version_text

PAIRS = 10
WINDOW_SECONDS = 5.0
RELOADS_A_SECOND = 2
CALLERS = 4
_RESAMPLED = 2000


def p99(values: list[float]) -> float:
    """The 99th percentile."""
    return quantiles(values, n=100)[98]


def interval(quiet: list[list[float]], reloading: list[list[float]]) -> tuple[float, float]:
    """95 % of the difference of both percentiles, by drawing pairs of windows again (they are what is independent)."""
    draw = random.Random(6)
    found = []
    for _ in range(_RESAMPLED):
        chosen = [draw.randrange(len(quiet)) for _ in quiet]
        before = p99([each for index in chosen for each in quiet[index]])
        found.append(p99([each for index in chosen for each in reloading[index]]) - before)
    found.sort()
    return found[int(_RESAMPLED * 0.025)], found[int(_RESAMPLED * 0.975)]


async def window(gateway: Gateway, home: str, cloud: str, first: int) -> tuple[list[float], int]:
    """One window's milliseconds, and the next version's number; `first` 0: without reloads."""
    seen, stop, number = Seen(), asyncio.Event(), first
    callers = [asyncio.create_task(ask_until(stop, gateway, seen)) for _ in range(CALLERS)]
    loop = asyncio.get_running_loop()
    end = loop.time() + WINDOW_SECONDS
    async with aiohttp.ClientSession() as session:
        while first and loop.time() < end:
            due = loop.time() + 1 / RELOADS_A_SECOND
            text = version_text(number, home, cloud)
            await save_and_wait(session, gateway, broken_text(number, text) if number % 10 in (3, 6, 9) else text)
            number += 1
            await asyncio.sleep(max(due - loop.time(), 0))
        await asyncio.sleep(max(end - loop.time(), 0))
    stop.set()
    await asyncio.gather(*callers)
    if seen.failed or seen.mixed:
        raise SystemExit(f"{len(seen.failed)} requests failed, {len(seen.mixed)} saw two versions")
    return seen.milliseconds, number


async def measure(gateway: Gateway, home: str, cloud: str) -> str:
    """The figures in words."""
    quiet: list[list[float]] = []
    reloading: list[list[float]] = []
    number = 2
    await window(gateway, home, cloud, 0)  # warms up
    for _ in range(PAIRS):
        quiet.append((await window(gateway, home, cloud, 0))[0])
        taken, number = await window(gateway, home, cloud, number)
        reloading.append(taken)
    still, moved = [x for each in quiet for x in each], [x for each in reloading for x in each]
    low, high = interval(quiet, reloading)
    return (
        f"quiet: {len(still):,} requests, p50 {median(still):.2f} ms, p99 {p99(still):.2f} ms\n"
        f"{number - 2} reloads: {len(moved):,} requests, p50 {median(moved):.2f} ms, p99 {p99(moved):.2f} ms\n"
        f"reload under load adds to p99: {p99(moved) - p99(still):+.2f} ms "
        f"(95 %: {low:+.2f} to {high:+.2f}; target <= 5)\n"
    )


def main() -> None:
    """The command."""
    with (
        tempfile.TemporaryDirectory() as folder,
        RecorderThread(named_model) as home,
        RecorderThread(Script()) as cloud,
    ):
        os.environ.setdefault("GATEHOUSE_TEST_GUARD_FILE", str(Path(folder) / "guard"))
        with Gateway(Path(folder) / "gateway", version_text(1, home.url, cloud.url)) as gateway:
            sys.stdout.write(asyncio.run(measure(gateway, home.url, cloud.url)))


if __name__ == "__main__":
    main()
