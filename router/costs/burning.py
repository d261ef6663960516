"""Measures what a token of the embedded engine takes, once a second, from its own figures and the processor's counter.

CPU seconds are the engine's process's, while it decoded; watts are the operator's, else the processor's counter's
(RAPL, where this user may read it), else an assumption. A figure that cannot be had is left out, never made up.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from router.costs.energy import DEFAULT_WATTS, Burn, Method, Rate
from router.types import JsonObject

POWERCAP = Path("/sys/class/powercap")
PROC_STAT = Path("/proc/stat")

_PACKAGES = "intel-rapl:[0-9]*"  # AMD's have this name too; parts of a package have a second colon
_REMEMBERED_SECONDS = 600.0  # of decoding; from then on the older half counts half
_LEAST_SECONDS = 0.2  # of decoding, before anything is said
_TOLD = 0.05  # a change by less is not worth telling
_BUSY_FIELDS = (0, 1, 2, 5, 6, 7)  # user, nice, system, irq, softirq, steal


@dataclass(slots=True)
class _Sums:
    """Of one model: seconds in steps by their share, and tokens."""

    values: dict[str, float] = field(default_factory=dict)

    def rate(self, seconds: str, tokens: str) -> float | None:
        count = self.values.get(tokens, 0.0)
        return self.values.get(seconds, 0.0) / count if count else None


_FIGURES = ("prefill_seconds_total", "prompt_tokens_total", "decode_seconds_total", "decoded_tokens_total")


class Meter:
    """Takes the engine's answers to `/stats`, and says when what it knows has changed."""

    def __init__(self, watts: float = 0.0, powercap: Path = POWERCAP, stat: Path = PROC_STAT) -> None:
        """`watts` of one busy core, as the operator states them; 0: not stated."""
        self._stated = watts
        self._counter = Counter(powercap, stat)
        self._before: JsonObject = {}
        self._machine: tuple[float, float] | None = None
        self._models: dict[str, _Sums] = {}
        self._cpu = self._steps = self._joules = self._busy = 0.0
        self._told: Burn | None = None

    def take(self, stats: JsonObject) -> Burn | None:
        """What is known now, if that is something else than the last time; `stats` empty: the engine is away."""
        before, self._before = self._before, stats
        machine, self._machine = self._machine, self._counter.read()
        if not before or not stats:
            return None
        cpu = _grown(before, stats, "cpu_seconds")
        steps = self._take_models(before, stats)
        if cpu is None or steps is None:
            return None  # another process's figures, or none
        if steps > 0:
            self._cpu, self._steps = self._cpu + cpu, self._steps + steps
            self._take_machine(machine, cpu)
            self._forget_some()
        return self._news()

    def _take_models(self, before: JsonObject, stats: JsonObject) -> float | None:
        """Seconds in steps since the last time, over all models."""
        steps, added = 0.0, []
        for name, figures in _models(stats).items():
            last = _models(before).get(name)
            if last is None:
                return None  # it was loaded meanwhile: that took time of the processor which no token did
            grown = {figure: _grown(last, figures, figure) for figure in _FIGURES}
            if any(value is None for value in grown.values()):
                return None
            added.append((name, {figure: value or 0.0 for figure, value in grown.items()}))
        for name, values in added:
            sums = self._models.setdefault(name, _Sums())
            for figure, value in values.items():
                sums.values[figure] = sums.values.get(figure, 0.0) + value
            steps += values["prefill_seconds_total"] + values["decode_seconds_total"]
        return steps

    def _take_machine(self, before: tuple[float, float] | None, cpu: float) -> None:
        """The counter's joules of seconds in which the machine worked mostly for the engine."""
        if before is None or self._machine is None:
            return
        joules, busy = self._machine[0] - before[0], self._machine[1] - before[1]
        if joules > 0 and busy > 0 and cpu >= busy / 2:
            self._joules, self._busy = self._joules + joules, self._busy + busy

    def _forget_some(self) -> None:
        if self._steps <= _REMEMBERED_SECONDS:
            return
        self._cpu, self._steps = self._cpu / 2, self._steps / 2
        self._joules, self._busy = self._joules / 2, self._busy / 2
        for sums in self._models.values():
            sums.values = {figure: value / 2 for figure, value in sums.values.items()}

    def _news(self) -> Burn | None:
        if self._steps < _LEAST_SECONDS:
            return None
        cores = self._cpu / self._steps
        rates = {}
        for name, sums in self._models.items():
            prompt = sums.rate("prefill_seconds_total", "prompt_tokens_total")
            answer = sums.rate("decode_seconds_total", "decoded_tokens_total")
            if prompt is not None and answer is not None:
                rates[name] = Rate(prompt * cores, answer * cores)
        watts, method = self._watts()
        burn = Burn(rates, watts, method)
        if not rates or (self._told is not None and not _differs(self._told, burn)):
            return None
        self._told = burn
        return burn

    def _watts(self) -> tuple[float, Method]:
        if self._stated:
            return self._stated, "stated_watts"
        if self._busy >= 1.0:
            return self._joules / self._busy, "rapl"
        return DEFAULT_WATTS, "default_watts"


class Counter:
    """The processors' energy counters and the machine's busy seconds, both since some time long ago."""

    def __init__(self, powercap: Path, stat: Path) -> None:
        self._zones = sorted(zone for zone in powercap.glob(_PACKAGES) if zone.name.count(":") == 1)
        self._stat = stat
        self._last: dict[Path, int] = {}
        self._turns: dict[Path, int] = {}  # what wrapping round has added

    def read(self) -> tuple[float, float] | None:
        """(joules, seconds of busy cores); None where the counters are not there, or not for this user to read."""
        if not self._zones:
            return None
        try:
            joules = sum(self._read_zone(zone) for zone in self._zones) / 1e6
            ticks = self._stat.read_text("ascii").split("\n", 1)[0].split()[1:]
            busy = sum(int(ticks[at]) for at in _BUSY_FIELDS) / os.sysconf("SC_CLK_TCK")
        except (OSError, ValueError, IndexError):
            self._zones = []  # it will not be readable the next second either
            return None
        return joules, busy

    def _read_zone(self, zone: Path) -> int:
        value = int((zone / "energy_uj").read_text("ascii"))
        if value < self._last.get(zone, 0):
            self._turns[zone] = self._turns.get(zone, 0) + int((zone / "max_energy_range_uj").read_text("ascii"))
        self._last[zone] = value
        return value + self._turns.get(zone, 0)


def _models(stats: JsonObject) -> dict[str, JsonObject]:
    models = stats.get("models")
    return {name: figures for name, figures in models.items() if isinstance(figures, dict)} if models else {}


def _grown(before: JsonObject, now: JsonObject, name: str) -> float | None:
    """How much a counter has grown; None when it is not there, or another one that began anew."""
    value, last = now.get(name), before.get(name, 0.0)
    if not isinstance(value, int | float) or not isinstance(last, int | float) or value < last:
        return None
    return float(value - last)


def _differs(one: Burn, other: Burn) -> bool:
    if one.method != other.method or one.rates.keys() != other.rates.keys() or _is_far(one.watts, other.watts):
        return True
    pairs = ((one.rates[name], other.rates[name]) for name in one.rates)
    return any(_is_far(a.prompt, b.prompt) or _is_far(a.answer, b.answer) for a, b in pairs)


def _is_far(one: float, other: float) -> bool:
    return abs(one - other) > _TOLD * max(abs(one), abs(other))
