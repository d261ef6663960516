"""An hour of real arrival times against the model at home and one outside together: latency and refusals over time.

    python -m tests.bench.replay FILE.csv.gz [--seconds 600] [--load 0.7] [--calls N] [--picture FILE.svg] [--json FILE]

FILE has a row a request: TIMESTAMP, ContextTokens, GeneratedTokens. Its hour is played in `--seconds`. What the machine
can carry is measured first (the embedded engine, as many callers as it has slots), and of the rows so many are kept,
each with the same chance, that the model at home gets `--load` of it; bursts and lulls stay what they were. Texts are
made up: a quarter as long as a row says (the embedded model's window is small). Short ones are for the model at home,
longer ones for a scripted cloud with the pace of one; one in ten holds an address, and stays whatever its length.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import gzip
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp

from router.backends.scripted import Exchange
from router.backends.scripted_replies import Script
from router.settings import one_thread_for_arrays
from tests.bench.gateway_bodies import texts
from tests.bench.replay_picture import Seen, draw
from tests.support.gateway import ENGINE, Gateway
from tests.support.recorder import RecorderThread

_SHARE_OF_TOKENS = 0.25
_LONGEST_PROMPT, _LONGEST_ANSWER = 900, 120  # tokens, after scaling
_STAYS = 0.1  # of the requests, whatever they ask
_CALLERS = 8
_SHORT = 200  # tokens; longer ones are for the cloud
_FIRST_WORD_S, _WORD_S = 0.35, 0.012  # of the cloud
_PATIENCE_S = 120.0
_POLICY = """\
version: 1
models:
  home: {locality: local, %s}
  cloud: {locality: cloud, backend: openai, base_url: "%s", model: scripted-cloud, region: us, context: 128000}
defaults: {local: home, cloud: cloud}
sensitivity:
  levels: {restricted: [SECRET], confidential: [EMAIL_ADDRESS], public: [LOCATION, DATE_TIME, NRP, AGE]}
egress: {public: {payload: full}, confidential: {payload: none}}
decisions:
  - {name: long-ones, priority: 50, when: {all: [{context_length: {at_least: %d}}]}, route: cloud}
"""


@dataclass(frozen=True, slots=True)
class Call:
    """One row of the hour: when it is due, in seconds of the hour, and its tokens, scaled."""

    at: float
    prompt: int
    answer: int


def read_hour(path: Path) -> list[Call]:
    """The rows in their order."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    times = [datetime.fromisoformat(row["TIMESTAMP"][:26]) for row in rows]
    return [
        Call(
            (when - times[0]).total_seconds(),
            max(8, min(_LONGEST_PROMPT, int(int(row["ContextTokens"]) * _SHARE_OF_TOKENS))),
            max(4, min(_LONGEST_ANSWER, int(int(row["GeneratedTokens"]) * _SHARE_OF_TOKENS))),
        )
        for row, when in zip(rows, times, strict=True)
    ]


def thinned(calls: Sequence[Call], share: float, dice: random.Random) -> list[Call]:
    """Each with the same chance."""
    return [call for call in calls if dice.random() < share]


def body_of(call: Call, dice: random.Random) -> dict[str, Any]:
    """About so many tokens that nobody has sent before."""
    text = f"{texts(4 * call.prompt, 1, seed=dice.randrange(1 << 30))[0]} (question {dice.randrange(1 << 30)})"
    if dice.random() < _STAYS:
        text += " Answer to ana.lopez@mail.example.org please."
    messages = [{"role": "user", "content": text}]
    return {"model": "auto", "stream": True, "max_tokens": call.answer, "messages": messages}


def cloud(exchange: Exchange) -> Script:
    """A cloud's pace, and as many words as were asked for."""
    words = exchange.json.get("max_tokens") or 16
    return Script(answer="word " * words, first_delay=_FIRST_WORD_S, chunk_delay=_WORD_S)


class Player:
    """Sends requests to one gateway, each in its time."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/chat/completions"

    async def capacity(self, calls: Sequence[Call], seconds: float) -> float:
        """Requests a second of those that stay short enough for home, asked again and again by `_CALLERS`."""
        dice, done = random.Random(3), 0
        short = [call for call in calls if call.prompt < _SHORT]
        async with self._session() as session:
            until = time.monotonic() + seconds

            async def caller() -> int:
                count = 0
                while time.monotonic() < until:
                    seen = await self._ask(session, dice.choice(short), {"model": "local"}, dice)
                    count += seen.error is None
                return count

            began = time.monotonic()
            done = sum(await asyncio.gather(*(caller() for _ in range(_CALLERS))))
            return done / (time.monotonic() - began)

    async def play(self, calls: Sequence[Call], faster: float) -> list[Seen]:
        """All of them, `faster` times as fast as they came."""
        dice = random.Random(5)
        async with self._session() as session:
            began, tasks = time.monotonic(), []
            for call in calls:
                await asyncio.sleep(max(0.0, began + call.at / faster - time.monotonic()))
                tasks.append(asyncio.create_task(self._ask(session, call, {}, dice)))
            return await asyncio.gather(*tasks)

    def _session(self) -> aiohttp.ClientSession:
        timeout = aiohttp.ClientTimeout(total=_PATIENCE_S)
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout, trust_env=False)

    async def _ask(self, session: aiohttp.ClientSession, call: Call, more: dict[str, Any], dice: random.Random) -> Seen:
        asked = {**body_of(call, dice), **more}
        began, first, status, route, error = time.monotonic(), None, 0, "none", None
        try:
            async with session.post(self._url, json=asked) as response:
                status, route = response.status, response.headers["x-gatehouse-route"]
                if status != 200:
                    error = str((await response.json())["error"]["code"])
                async for line in response.content:
                    said = json.loads(line[6:]) if line.startswith(b"data: {") else {}
                    error = said["error"]["code"] if "error" in said else error
                    route = said.get("gatehouse", {}).get("route", route)  # of a stream whose headers could not wait
                    if first is None and any(choice["delta"].get("content") for choice in said.get("choices", ())):
                        first = time.monotonic() - began
        except (aiohttp.ClientError, TimeoutError) as fault:
            error = type(fault).__name__
        return Seen(call.at, status, route, error, first, time.monotonic() - began)


def quantile(values: Sequence[float], share: float) -> float | None:
    """The value below which that share lies; None of nothing."""
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 3) if ordered else None


def told(seen: Sequence[Seen]) -> dict[str, Any]:
    """By route: how many, and seconds to the first word and to the end; what was refused or broken off, by code."""
    rows: dict[str, Any] = {}
    for route in sorted({each.route for each in seen if each.error is None}):
        own = [each for each in seen if each.route == route and each.error is None]
        rows[route] = {
            "requests": len(own),
            **{
                f"{name}_p{int(share * 100)}_s": quantile(
                    [value for each in own if (value := getattr(each, name))], share
                )
                for name in ("first", "total")
                for share in (0.5, 0.95, 0.99)
            },
        }
    for name, is_one in (
        ("refused", lambda one: one.status not in (0, 200)),
        ("broken_off", lambda one: one.status in (0, 200)),
    ):
        own = [each for each in seen if each.error is not None and is_one(each)]
        codes = Counter(f"{each.status} {each.error}" for each in own)
        rows[name] = {"by_code": dict(codes), "p95_s": quantile([each.total for each in own], 0.95)}
    return rows


def run(given: argparse.Namespace, folder: Path) -> tuple[dict[str, Any], list[Seen]]:
    """The whole replay."""
    calls = read_hour(given.file)
    with RecorderThread(cloud) as outside, Gateway(folder, _POLICY % (ENGINE, outside.url, _SHORT)) as house:
        player = Player(house.url)
        carried = asyncio.run(player.capacity(calls, min(30.0, given.seconds / 4)))
        faster = max(each.at for each in calls) / given.seconds
        at_home = sum(call.prompt < _SHORT for call in calls) / given.seconds
        share = min(1.0, given.load * carried / at_home)
        if given.calls:
            share = min(1.0, given.calls / len(calls))
        kept = thinned(calls, share, random.Random(1))
        seen = asyncio.run(player.play(kept, faster))
    facts = {
        "rows": len(calls),
        "played": len(kept),
        "faster": round(faster, 2),
        "home_carries_per_s": round(carried, 2),
        "offered_to_home": round(share * at_home / carried, 2) if carried else None,
    }
    return {**facts, **told(seen)}, seen


def main() -> None:
    """Replay, print, and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="the hour")
    parser.add_argument("--seconds", type=float, default=600.0, help="in which it is played")
    parser.add_argument("--load", type=float, default=0.7, help="of what the model at home can carry")
    parser.add_argument("--calls", type=int, help="about so many instead, whatever the machine carries")
    parser.add_argument("--picture", type=Path, help="an SVG of the hour")
    parser.add_argument("--json", type=Path, help="everything that was seen")
    given = parser.parse_args()
    one_thread_for_arrays()
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="gh-") as folder, tempfile.NamedTemporaryFile() as note:
        os.environ.setdefault("GATEHOUSE_TEST_GUARD_FILE", note.name)
        facts, seen = run(given, Path(folder))
    result = {"load_before": round(before, 2), **facts}
    sys.stdout.write(json.dumps(result, indent=1) + "\n")
    if given.json:
        given.json.write_text(json.dumps({**result, "seen": [asdict(each) for each in seen]}), "utf-8")
    if given.picture:
        draw(seen, given.picture)


if __name__ == "__main__":
    main()
