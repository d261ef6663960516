"""What a token takes: CPU seconds while the engine decoded, and watts by a method that has a name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from router.costs.burning import Counter, Meter
from router.costs.energy import DEFAULT_WATTS, Energy, total

NOWHERE = Path("/nonexistent")


def stats(cpu: float, prompt: tuple[float, int], answer: tuple[float, int], name: str = "tiny") -> dict[str, Any]:
    figures = {
        "prefill_seconds_total": prompt[0],
        "prompt_tokens_total": prompt[1],
        "decode_seconds_total": answer[0],
        "decoded_tokens_total": answer[1],
    }
    return {"models": {name: figures}, "cpu_seconds": cpu}


def test_cpu_seconds_a_token_are_those_of_the_steps() -> None:
    meter = Meter(powercap=NOWHERE)
    assert meter.take(stats(50.0, (1.0, 100), (1.0, 10))) is None  # what loading took is nobody's token
    burn = meter.take(stats(54.0, (2.0, 200), (2.0, 20)))  # two seconds of steps on two cores
    assert burn is not None
    assert (burn.watts, burn.method) == (DEFAULT_WATTS, "default_watts")
    assert burn.rates["tiny"].prompt == pytest.approx(0.02)
    assert burn.rates["tiny"].answer == pytest.approx(0.2)
    assert burn.of("tiny", 50, 10) == Energy(15.0, "default_watts")
    assert burn.of("unknown", 50, 10) is None
    assert meter.take(stats(54.1, (2.0, 200), (2.0, 20))) is None  # idle time is no token's
    assert meter.take(stats(58.15, (3.0, 300), (3.0, 30))) is None  # no news


def test_what_is_missing_or_began_anew_is_left_out() -> None:
    meter = Meter(powercap=NOWHERE)
    meter.take(stats(50.0, (1.0, 100), (1.0, 10)))
    assert meter.take({}) is None
    assert meter.take(stats(1.0, (0.1, 10), (0.1, 1))) is None
    assert meter.take(stats(0.5, (1.1, 110), (1.1, 11))) is None  # restarted between two looks
    assert meter.take({"models": {"tiny": {}}, "cpu_seconds": 9.0}) is None
    assert meter.take({"models": None}) is None
    meter.take(stats(10.0, (1.0, 100), (1.0, 10), "one"))
    assert meter.take(stats(20.0, (2.0, 200), (2.0, 20), "two")) is None  # another model was loaded meanwhile


def test_the_operators_watts_come_first() -> None:
    meter = Meter(7.5, NOWHERE)
    meter.take(stats(0.0, (0.0, 0), (0.0, 0)))
    burn = meter.take(stats(1.0, (0.5, 10), (0.5, 10)))
    assert burn is not None
    assert (burn.watts, burn.method) == (7.5, "stated_watts")


class Machine:
    """Files as the kernel shows them: two packages, one of them with a part, and the busy time of all cores."""

    def __init__(self, folder: Path) -> None:
        self.powercap, self.stat = folder / "powercap", folder / "stat"
        for zone in ("intel-rapl:0", "intel-rapl:1", "intel-rapl:0:0", "other"):
            (self.powercap / zone).mkdir(parents=True)
            (self.powercap / zone / "max_energy_range_uj").write_text("1000000000\n")
        self.show(0, 0, 0)

    def show(self, first: int, second: int, ticks: int) -> None:
        for zone, value in (("intel-rapl:0", first), ("intel-rapl:1", second), ("intel-rapl:0:0", 99), ("other", 99)):
            (self.powercap / zone / "energy_uj").write_text(f"{value}\n")
        self.stat.write_text(f"cpu  {ticks} 0 0 777 777 0 0 0 0 0\ncpu0 1 1 1 1\n")


def test_the_processors_counter_is_used_where_it_can_be_read(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    meter = Meter(powercap=machine.powercap, stat=machine.stat)
    meter.take(stats(0.0, (0.0, 0), (0.0, 0)))
    machine.show(20_000_000, 4_000_000, 200)  # 24 J in two busy core seconds
    burn = meter.take(stats(2.0, (0.5, 100), (0.5, 10)))
    assert burn is not None
    assert (burn.watts, burn.method) == (12.0, "rapl")
    machine.show(90_000_000, 4_000_000, 1200)  # others worked: their joules are not the engine's
    assert meter.take(stats(2.1, (0.55, 110), (0.55, 11))) is None


def test_a_counter_that_wraps_round_goes_on(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    counter = Counter(machine.powercap, machine.stat)
    machine.show(999_000_000, 0, 100)
    assert counter.read() == (999.0, 1.0)
    machine.show(1_000_000, 0, 100)
    assert counter.read() == (1001.0, 1.0)


def test_a_counter_that_is_not_there_or_nonsense_says_nothing(tmp_path: Path) -> None:
    assert Counter(NOWHERE, NOWHERE).read() is None
    machine = Machine(tmp_path)
    counter = Counter(machine.powercap, machine.stat)
    (machine.powercap / "intel-rapl:1" / "energy_uj").write_text("secret")
    assert counter.read() is None


def test_parts_that_are_not_known_leave_the_whole_unknown() -> None:
    one = Energy(1.5, "rapl")
    assert total([one, one]) == Energy(3.0, "rapl")
    assert total([one, None]) is None
    assert total([]) is None
