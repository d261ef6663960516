"""Where the engine's time goes under eight callers, and how its steps compare with llama.cpp's own batched benchmark.

It only reads counters that the engine keeps anyway, and the processor time that the kernel counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from tests.bench import engine_servers as servers
from tests.bench.engine_load import CROWD, Caller, calling
from tests.bench.engine_servers import Running, Setting

_PROMPT = 48  # tokens of a short prompt with its template, as the benchmark of llama.cpp is told
_LONG = 512
_LONG_WORDS = 440  # about as many tokens

Note = Callable[[str, str, float], None]
Counters = dict[str, float]


async def where_time_goes(
    setting: Setting, batched_bench: Path | None, rounds: int, requests: int, tokens: int, note: Note
) -> dict[str, str]:
    """Notes each round, of so many requests for `tokens`, under "time". Returns the figures' names and units."""
    units: dict[str, str] = {}

    def put(name: str, value: float, unit: str) -> None:
        units[name] = unit
        note("time", name, value)

    with servers.engine(setting) as running:
        async with calling(running.target) as caller:
            await caller.load("warm", callers=CROWD, requests=CROWD, tokens=tokens)
            for number in range(rounds):
                await _crowd(caller, running, (f"time {number}", requests, tokens), put)
                await _alone(caller, number, tokens, put)
                if batched_bench is not None:
                    _limit(setting, batched_bench, tokens, put)
    return units


Put = Callable[[str, float, str], None]


async def _counters(caller: Caller) -> Counters:
    models = (await caller.get("/stats"))["models"]
    figures: Counters = models[caller.target.model]
    return figures


def _decode_rate(spent: Counters) -> float:
    """Tokens that a decode step gave, a second of such steps: an answer's first comes from its prompt."""
    return (spent["decoded_tokens_total"] - spent["first_tokens_total"]) / spent["decode_seconds_total"]


async def _spent(caller: Caller, before: Counters) -> Counters:
    after = await _counters(caller)
    return {name: after[name] - before[name] for name in before}


async def _crowd(caller: Caller, running: Running, work: tuple[str, int, int], put: Put) -> None:
    name, requests, tokens = work
    before, cpu, began = await _counters(caller), servers.thread_seconds(running.pid), time.perf_counter()
    load = await caller.load(name, callers=CROWD, requests=requests, tokens=tokens)
    wall = time.perf_counter() - began
    main, others = (after - at for after, at in zip(servers.thread_seconds(running.pid), cpu, strict=True))
    spent = await _spent(caller, before)
    parts = {name: spent[f"{name}_seconds_total"] for name in ("prefill", "decode", "sampling")}
    for part, seconds in parts.items():
        put(f"8 at once: {part}", 100 * seconds / wall, " %")
    put("8 at once: the rest of the decode thread", 100 * (wall - sum(parts.values())) / wall, " %")
    put("8 at once: processor, HTTP thread (beside it)", 100 * main / wall, " %")
    put("8 at once: processor, all other threads", 100 * others / wall, " %")
    put("8 at once: tokens/s", load.rate, "")
    put("8 at once: tokens a step", spent["batched_tokens_total"] / spent["steps_total"], "")
    put("8 at once: decode steps, tokens/s", _decode_rate(spent), "")


async def _alone(caller: Caller, number: int, tokens: int, put: Put) -> None:
    before = await _counters(caller)
    await caller.load(f"alone {number}", callers=1, requests=2, tokens=tokens)
    put("1 alone: decode steps, tokens/s", _decode_rate(await _spent(caller, before)), "")
    before = await _counters(caller)
    await caller.read(f"long {number}", _LONG_WORDS)
    spent = await _spent(caller, before)
    put("1 alone: a long prompt, tokens/s", spent["prompt_tokens_total"] / spent["prefill_seconds_total"], "")


def _limit(setting: Setting, program: Path, tokens: int, put: Put) -> None:
    one, eight = servers.batched_bench(setting, program, _PROMPT, tokens, (1, CROWD))
    (long,) = servers.batched_bench(setting, program, _LONG, 1, (1,))
    put("llama-batched-bench: decode of 8, tokens/s", eight["speed_tg"], "")
    put("llama-batched-bench: decode of 1, tokens/s", one["speed_tg"], "")
    put("llama-batched-bench: a long prompt, tokens/s", long["speed_pp"], "")
