"""Asks the engine for its figures once a second, and shows them as metrics of the gateway.

What the engine does not say is not shown: a figure from before it went away is none of now. Names and numbers only.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from router.telemetry.metrics import MetricStore
from router.types import JsonObject

_MOST_BYTES = 256 * 1024
_MOST_MODELS = 64
_NOT_KNOWN = math.nan
_MEGABYTE = 1_000_000
_PREFIX = "gatehouse.engine."

# The engine's word for a figure -> our metric, both of one model.
_GAUGES = {"waiting": "queue.depth", "queue_tokens": "queue.tokens", "running": "running", "slots": "slots"}
_COUNTERS = {
    "requests_total": "requests",
    "cancelled_total": "cancelled",
    "refused_total": "refused",
    "expired_total": "expired",
    "wait_seconds_total": "queue.wait",
    "first_token_seconds_total": "first_token",
    "first_tokens_total": "first_tokens",
    "prompt_tokens_total": "prefill.tokens",
    "prefill_seconds_total": "prefill",
    "decoded_tokens_total": "decode.tokens",
    "decode_seconds_total": "decode",
    "sampling_seconds_total": "sampling",
    "steps_total": "steps",
    "batched_tokens_total": "batched.tokens",
    "prefix_hits_total": "prefix.hits",
    "prefix_tokens_total": "prefix.tokens",
    "speculated_total": "speculated",
    "accepted_total": "accepted",
}
_OF_THE_LAST_SECOND = ("batch.occupancy", "prefill.rate", "decode.rate")
_OF_A_MODEL = (*_GAUGES.values(), *_OF_THE_LAST_SECOND, "loaded", "model.memory")


async def read_stats(socket: Path, timeout_s: float = 0.9, path: str = "/stats") -> JsonObject | None:
    """What a GET on the engine's unix socket says, as one JSON object; None when it cannot be had in time."""
    try:
        async with asyncio.timeout(timeout_s):
            answer = await _get(socket, path.encode())
    except (OSError, TimeoutError):
        return None
    head, _, body = answer.partition(b"\r\n\r\n")
    if head.split(b" ")[1:2] != [b"200"] or len(answer) > _MOST_BYTES:
        return None
    try:
        value: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


async def _get(socket: Path, path: bytes) -> bytes:
    """A whole HTTP/1.0 answer, and one byte more than may be read of one that is too long."""
    reader, writer = await asyncio.open_unix_connection(str(socket))
    try:
        writer.write(b"GET " + path + b" HTTP/1.0\r\nhost: localhost\r\n\r\n")
        parts, size = [], 0
        while size <= _MOST_BYTES and (part := await reader.read(_MOST_BYTES)):
            parts.append(part)
            size += len(part)
        return b"".join(parts)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


class EngineMetrics:
    """The engine's figures in the gateway's metric store. Counters go on where an engine that restarts begins anew."""

    def __init__(self, store: MetricStore) -> None:
        self._store = store
        self._before: dict[str, Mapping[str, float]] = {}  # model -> its counters when last read
        self._read_at = 0.0
        self._shown: set[str] = set()

    def take(self, stats: JsonObject) -> None:
        """One answer of the engine's. What is not a number there is passed over."""
        now = time.monotonic()
        listed = stats.get("models")
        models = list(listed.items())[:_MOST_MODELS] if isinstance(listed, dict) else []
        memory = _memory(stats.get("loaded"))
        seconds = now - self._read_at
        for name, figures in models:
            if isinstance(figures, dict):
                self._take_model(name, _numbers(figures), seconds)
        for name in (present := {name for name, _ in models} | set(memory)):
            self._set("loaded", int(name in memory), name)
            self._set("model.memory", memory.get(name, _NOT_KNOWN), name)
        self._hide(self._shown - present)
        self._shown = present
        self._set("memory", _numbers(stats).get("memory_mb", _NOT_KNOWN) * _MEGABYTE)
        self._read_at = now

    def gone(self) -> None:
        """The engine does not answer: nothing is known of it now."""
        self._hide(self._shown)
        self._shown = set()
        self._set("memory", _NOT_KNOWN)

    def restarted(self) -> None:
        """The next figures are another process's, which began at zero."""
        self._before.clear()

    def _take_model(self, name: str, figures: Mapping[str, float], seconds: float) -> None:
        before = self._before.get(name, {})
        self._before[name] = figures
        grown: dict[str, float] = {}
        for figure, metric in _COUNTERS.items():
            value, last = figures.get(figure, 0.0), before.get(figure, 0.0)
            grown[figure] = value - last if value >= last else value
            if grown[figure] > 0:
                self._store.counter(_PREFIX + metric, name).inc(grown[figure])
        for figure, metric in _GAUGES.items():
            self._set(metric, figures.get(figure, _NOT_KNOWN), name)
        steps = grown["steps_total"]
        self._set("batch.occupancy", grown["batched_tokens_total"] / steps if steps else 0.0, name)
        per_second = 1 / seconds if before and seconds > 0 else _NOT_KNOWN
        self._set("prefill.rate", grown["prompt_tokens_total"] * per_second, name)
        self._set("decode.rate", grown["decoded_tokens_total"] * per_second, name)

    def _hide(self, names: set[str]) -> None:
        for name in names:
            for metric in _OF_A_MODEL:
                self._set(metric, _NOT_KNOWN, name)

    def _set(self, metric: str, value: float, *labels: str) -> None:
        self._store.gauge(_PREFIX + metric, *labels).set(value)


def _numbers(figures: JsonObject) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in figures.items()
        if isinstance(value, int | float) and math.isfinite(value) and value >= 0
    }


def _memory(loaded: Any) -> dict[str, float]:
    """Bytes by model, of `loaded`: names, or objects with a `name` and its `memory_mb`."""
    found: dict[str, float] = {}
    for entry in (loaded if isinstance(loaded, list) else [])[:_MOST_MODELS]:
        named = entry if isinstance(entry, dict) else {"name": entry}
        if isinstance(named.get("name"), str):
            found[named["name"]] = _numbers(named).get("memory_mb", _NOT_KNOWN) * _MEGABYTE
    return found
