"""What this machine has for models (memory, processors), and how well a model of a given size would run on it.

The speed is a rough estimate from the size of the weights; only a measurement (`gatehouse models use`) tells.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Fit = Literal["well", "slowly", "tight", "no"]

# Every token of an answer reads all weights once. Measured with the embedded model (98 MB, 171 tokens/s) on 2 cores:
# 8.4 GB/s a core; more than about five cores wait for memory on common machines.
_BYTES_PER_SECOND_PER_CORE = 8.4e9
_CORES_THAT_HELP = 5
_WELL = 10.0  # tokens/s: faster than most people read


@dataclass(frozen=True, slots=True)
class Machine:
    """What this process may use. Memory in bytes; `memory_limit` is the smaller of the machine's and the cgroups'."""

    cores: int
    memory_limit: int
    memory_free: int

    def tokens_per_second(self, size_bytes: int) -> float:
        """A rough estimate of one answer's speed with weights of `size_bytes`, on the processor alone."""
        return _BYTES_PER_SECOND_PER_CORE * min(self.cores, _CORES_THAT_HELP) / size_bytes

    def fit(self, memory_bytes: int, size_bytes: int) -> Fit:
        """`no`: more than there is. `tight`: more than is free now. Else by the estimated speed."""
        if memory_bytes > self.memory_limit:
            return "no"
        if memory_bytes > self.memory_free:
            return "tight"
        return "well" if self.tokens_per_second(size_bytes) >= _WELL else "slowly"


def this_machine(root: Path = Path("/")) -> Machine:
    """The limits of this process: processor affinity, cgroup v2 and v1 limits, the machine's memory.

    `root` is where `proc` and `sys` are.
    """
    total, available = _host_memory(root)
    limit, free = total, available
    folders = _cgroup_folders(root)
    for folder in folders:
        allowed, used = _cgroup_memory(folder)
        if allowed is not None and allowed < total:
            limit = min(limit, allowed)
            free = min(free, max(0, allowed - used))
    return Machine(_cores(folders), limit, free)


def _cores(folders: list[Path]) -> int:
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [quota for quota in map(_cpu_quota, folders) if quota is not None]
    return max(1, min([affinity, *(int(quota) for quota in quotas)]))


def _host_memory(root: Path) -> tuple[int, int]:
    """Total and available memory in bytes."""
    try:
        lines = dict(
            line.split(":", 1) for line in (root / "proc/meminfo").read_text("utf-8").splitlines() if ":" in line
        )
        return _kilobytes(lines["MemTotal"]), _kilobytes(lines["MemAvailable"])
    except (OSError, KeyError, ValueError):
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return total, total // 2  # no word on what is free: half is a fair guess


def _kilobytes(value: str) -> int:
    return int(value.split()[0]) * 1024


def _cgroup_folders(root: Path) -> list[Path]:
    """Our cgroups and those around them, v2 and v1."""
    try:
        lines = (root / "proc/self/cgroup").read_text("utf-8").splitlines()
    except OSError:
        return []
    folders = []
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, own = rest.partition(":")
        for controller in controllers.split(","):  # empty for v2
            top = root / "sys/fs/cgroup" / controller
            within = (top / own.strip("/"), *(top / own.strip("/")).parents)
            folders += [folder for folder in within if folder.is_relative_to(top)]
    return list(dict.fromkeys(folder for folder in folders if folder.is_dir()))


def _cgroup_memory(folder: Path) -> tuple[int | None, int]:
    """The limit, None for none, and what is used of it beyond files that can be dropped."""
    for limit, usage in (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")):
        try:
            allowed = (folder / limit).read_text("utf-8").strip()
            used = int((folder / usage).read_text("utf-8"))
            figures = dict(line.split() for line in (folder / "memory.stat").read_text("utf-8").splitlines())
            return (None if allowed == "max" else int(allowed)), max(0, used - int(figures.get("inactive_file", 0)))
        except (OSError, ValueError):
            continue
    return None, 0


def _cpu_quota(folder: Path) -> float | None:
    try:
        quota, period = (folder / "cpu.max").read_text("utf-8").split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        pass
    try:
        quota_us = int((folder / "cpu.cfs_quota_us").read_text("utf-8"))
        period_us = int((folder / "cpu.cfs_period_us").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return quota_us / period_us if quota_us > 0 and period_us > 0 else None
