"""What a process may use is read from the machine and from every control group around it, old and new."""

from __future__ import annotations

from pathlib import Path

import pytest

from router.models.catalogue import catalogue
from router.models.machine import Machine, this_machine

GB = 10**9
MEMINFO = "MemTotal:       16000000 kB\nMemFree:         1000000 kB\nMemAvailable:    8000000 kB\n"


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in {"proc/meminfo": MEMINFO, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_this_very_machine_has_a_processor_and_memory() -> None:
    machine = this_machine()
    assert machine.cores >= 1
    assert 0 < machine.memory_free <= machine.memory_limit


def test_without_control_groups_the_machine_itself_is_the_limit(tmp_path: Path) -> None:
    machine = this_machine(tree(tmp_path, {}))
    assert (machine.memory_limit, machine.memory_free) == (16_000_000 * 1024, 8_000_000 * 1024)


def test_the_strictest_control_group_around_us_counts_and_what_can_be_dropped_is_free(tmp_path: Path) -> None:
    """cgroup v2: a limit of 4 GB two levels up, half of the use is file cache; and one processor and a half."""
    machine = this_machine(
        tree(
            tmp_path,
            {
                "proc/self/cgroup": "0::/pod/box\n",
                "sys/fs/cgroup/pod/memory.max": f"{4 * GB}\n",
                "sys/fs/cgroup/pod/memory.current": f"{2 * GB}\n",
                "sys/fs/cgroup/pod/memory.stat": f"anon {GB}\ninactive_file {GB}\n",
                "sys/fs/cgroup/pod/box/memory.max": "max\n",
                "sys/fs/cgroup/pod/box/memory.current": f"{2 * GB}\n",
                "sys/fs/cgroup/pod/box/memory.stat": "anon 0\n",
                "sys/fs/cgroup/pod/box/cpu.max": "150000 100000\n",
            },
        )
    )
    assert (machine.memory_limit, machine.memory_free, machine.cores) == (4 * GB, 3 * GB, 1)


def test_old_control_groups_count_too(tmp_path: Path) -> None:
    machine = this_machine(
        tree(
            tmp_path,
            {
                "proc/self/cgroup": "4:memory:/box\n3:cpu,cpuacct:/box\n",
                "sys/fs/cgroup/memory/box/memory.limit_in_bytes": f"{2 * GB}\n",
                "sys/fs/cgroup/memory/box/memory.usage_in_bytes": f"{GB}\n",
                "sys/fs/cgroup/memory/box/memory.stat": "inactive_file 0\n",
                "sys/fs/cgroup/cpu/box/cpu.cfs_quota_us": "100000\n",
                "sys/fs/cgroup/cpu/box/cpu.cfs_period_us": "100000\n",
            },
        )
    )
    assert (machine.memory_limit, machine.memory_free, machine.cores) == (2 * GB, GB, 1)


@pytest.mark.parametrize(
    ("machine", "name", "fit"),
    [
        (Machine(2, 16 * GB, 8 * GB), "smollm2-135m-instruct", "well"),
        (Machine(2, 16 * GB, 8 * GB), "qwen3-4b", "slowly"),
        (Machine(8, 16 * GB, 8 * GB), "qwen3-4b", "well"),
        (Machine(8, 16 * GB, 3 * GB), "qwen3-4b", "tight"),
        (Machine(8, 3 * GB, 3 * GB), "qwen3-4b", "no"),
    ],
)
def test_how_well_a_model_would_run(machine: Machine, name: str, fit: str) -> None:
    model = catalogue()[name]
    assert machine.fit(model.memory_bytes(8192), model.size_bytes) == fit
