"""How well `local_wait_ms`, said before a request is sent to the model at home, foretells when its answer is complete.

    nice -n 19 python -m tests.bench.routing_wait [--seconds 240] [--callers 1 2 4 8 16] [--threads 0] [--seed 1]
        [--json FILE]

A real gateway with the embedded engine, and callers who ask anew as soon as they are answered: short and long prompts,
limits of 16 to 256 tokens, streams and whole answers, conversations that are sent again with one more turn. What was
foreseen is read from the decision records; what it took is measured by the caller. The baseline is the mean of the ten
answers that were complete last. Figures are of the machine that it runs on, with whatever else that has to do.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import statistics
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp

from router.records.store import RECORDS_FILE, RecordReader
from tests.bench.engine_load import BenchError, question
from tests.bench.figures import Figure, as_table, resampled
from tests.support.gateway import ENGINE, Gateway

TARGET = 0.25
_START_SECONDS = 240.0  # the machine may be busy
_LIMITS = (16, 32, 64, 128, 256)
_BASELINE_ANSWERS = 10
_WARM = 20  # answers of each run's beginning that the baseline may not be asked about, nor the forecast
_POLICY = f"""\
version: 1
models:
  home: {{locality: local, {ENGINE}}}
defaults: {{local: home}}
sensitivity: {{levels: {{restricted: [SECRET]}}}}
egress: {{public: {{payload: full}}}}
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """One request. Seconds; `at` and `ended` on one clock, `foreseen` None where nothing was known."""

    id: str
    callers: int
    limit: int
    is_long: bool
    is_resent: bool
    at: float
    ended: float
    foreseen: float | None = None
    baseline: float | None = None

    @property
    def took(self) -> float:
        return self.ended - self.at


def _prompt(dice: random.Random) -> tuple[str, bool]:
    """A text that nobody has sent before, of about 30 tokens or of 300 to 1,500; whether it is long."""
    name = f"{dice.random()}"
    if dice.random() < 0.6:
        return question(name), False
    return " ".join(question(f"{name} {number}") for number in range(dice.randrange(10, 45))), True


async def _ask(session: aiohttp.ClientSession, url: str, body: dict[str, Any]) -> tuple[str, str]:
    """The request's id, and the text of the whole answer."""
    async with session.post(f"{url}/chat/completions", json=body) as response:
        if response.status != 200:
            raise BenchError(f"{response.status}: {(await response.text())[:300]}")
        request_id = response.headers["x-gatehouse-request-id"]
        if not body["stream"]:
            return request_id, (await response.json())["choices"][0]["message"]["content"] or ""
        text = ""
        async for line in response.content:
            if line.startswith(b"data: {"):
                choices = json.loads(line[6:]).get("choices") or [{}]
                text += choices[0].get("delta", {}).get("content") or ""
        return request_id, text


async def _caller(url: str, callers: int, until: float, dice: random.Random, seen: list[Seen]) -> None:
    async with aiohttp.ClientSession(trust_env=False, timeout=aiohttp.ClientTimeout(600)) as session:
        history: list[dict[str, str]] = []
        while time.perf_counter() < until:
            if len(history) > 5 or dice.random() > 0.3:
                history = []
            is_resent = bool(history)
            text, is_long = (question(f"{dice.random()}"), False) if is_resent else _prompt(dice)
            history.append({"role": "user", "content": text})
            limit, streams = dice.choice(_LIMITS), dice.random() < 0.5
            began = time.perf_counter()
            body = {"model": "auto", "messages": history, "max_tokens": limit, "stream": streams}
            try:
                request_id, answer = await _ask(session, url, body)
            except BenchError as error:
                print(f"not answered, not counted: {error}", flush=True)
                history = []
                continue
            seen.append(Seen(request_id, callers, limit, is_long, is_resent, began, time.perf_counter()))
            history = [*history, {"role": "assistant", "content": answer}]


def _with_forecasts(seen: list[Seen], state: Path) -> list[Seen]:
    """What the records say was foreseen, and what the baseline would have said at that moment."""
    told = []
    with RecordReader(state / RECORDS_FILE) as reader:
        for each in seen:
            record = reader.get_record(each.id) or {}
            foreseen = record.get("facts", {}).get("waits", {}).get("home")
            before = sorted((other for other in seen if other.ended <= each.at), key=lambda other: other.ended)
            last = [other.took for other in before[-_BASELINE_ANSWERS:]]
            told.append(
                replace(
                    each,
                    foreseen=None if foreseen is None else foreseen / 1000,
                    baseline=statistics.fmean(last) if last else None,
                )
            )
    return told


def _error(said: float | None, took: float) -> float:
    """The relative error; a forecast that was not there is as wrong as nothing at all."""
    return 1.0 if said is None else abs(said - took) / took


def _median(rows: Any, of: str) -> float:
    return statistics.median(_error(getattr(row, of), row.took) for row in rows)


def _figure(name: str, rows: list[Seen], target: float | None = None) -> Figure:
    if not rows:
        return Figure(name, None, target, "at_most")
    low, high = resampled(rows, lambda some: _median(some, "foreseen"))
    base_low, base_high = resampled(rows, lambda some: _median(some, "baseline"))
    baseline = f"{_median(rows, 'baseline'):.3f} ({base_low:.3f} to {base_high:.3f})"
    over = statistics.median((row.foreseen or 0.0) / row.took for row in rows)
    note = f"took {statistics.median(row.took for row in rows):.1f} s; foreseen / took {over:.2f}"
    return Figure(
        name, _median(rows, "foreseen"), target, "at_most", low, high, len(rows), baseline=baseline, note=note
    )


def figures(seen: list[Seen]) -> list[Figure]:
    """The median relative error, over all requests but the first ones, and by kind."""
    counted = sorted(seen, key=lambda row: row.at)[_WARM:]
    parts = {f"{number} at once": [row for row in counted if row.callers == number] for number in _callers(counted)}
    parts |= {"short prompts": [row for row in counted if not row.is_long and not row.is_resent]}
    parts |= {"long prompts": [row for row in counted if row.is_long]}
    parts |= {"resent conversations": [row for row in counted if row.is_resent]}
    parts |= {f"limit {limit}": [row for row in counted if row.limit == limit] for limit in _LIMITS}
    return [
        _figure("median error of local_wait_ms", counted, TARGET),
        *(_figure(name, rows) for name, rows in parts.items()),
    ]


def _callers(seen: list[Seen]) -> list[int]:
    return sorted({row.callers for row in seen})


async def _measure(url: str, crowds: list[int], seconds: float, dice: random.Random) -> list[Seen]:
    """Every number of callers gets the same time, in two turns, in an order that is drawn."""
    seen: list[Seen] = []
    turns = crowds * 2
    dice.shuffle(turns)
    for callers in turns:
        until = time.perf_counter() + seconds / len(turns)
        each = [random.Random(dice.random()) for _ in range(callers)]
        await asyncio.gather(*(_caller(url, callers, until, own, seen) for own in each))
    return seen


def _stop(_number: int, _frame: object) -> None:
    raise SystemExit("stopped")


def main() -> None:
    """Measure and print."""
    signal.signal(signal.SIGTERM, _stop)  # the gateway that was started is ended then
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=240.0)
    parser.add_argument("--callers", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    parser.add_argument("--threads", type=int, default=0, help="of the engine; 0: what it may use")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    own = {"GATEHOUSE_ENGINE_THREADS": str(arguments.threads)}
    with tempfile.TemporaryDirectory(prefix="gh-wait-") as folder:
        os.environ.setdefault("GATEHOUSE_TEST_GUARD_FILE", str(Path(folder) / "guard"))
        with Gateway(Path(folder), _POLICY, environment=own, start_seconds=_START_SECONDS) as gateway:
            seen = asyncio.run(
                _measure(gateway.url, arguments.callers, arguments.seconds, random.Random(arguments.seed))
            )
        told = _with_forecasts(seen, gateway.state_dir)  # the records are whole when the gateway has stopped
    print(f"{len(told)} answers; load before the start {load:.2f}, at the end {os.getloadavg()[0]:.2f}")
    print(as_table(figures(told), markdown=False))
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(row) for row in told]), "utf-8")


if __name__ == "__main__":
    main()
