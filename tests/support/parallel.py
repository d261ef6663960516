"""Which tests stay together when several processes run them, and in which order the processes take them.

A file is never split. Files that share a gateway or an engine of the session (in a folder's conftest) are one unit in
`TOGETHER`, or each process would start its own: `test_parallel.py` says when one is missing there.

A new test is safe beside others if all that it shares is its own: a folder of `tmp_path`, a port that was asked for as
0, what `Gateway`, `RedisServer` and `start_engine` give it. It counts its own children, never all processes. It waits
until something happens, not for a time. What it measures is a ratio of one run or processor time, or has a bound that a
busy machine keeps. What it leaves for later runs, below `~/.cache`, it makes under a lock, whole or not at all. The
parameters of a test are the same in each process: no order of a set, no clock, no random number, no port.
"""

from __future__ import annotations

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from router.engine.process import usable_cpus

MOST_PROCESSES = 4  # more would wait for the longest unit

# In the order in which they begin, the longest first.
TOGETHER = (
    ("tests/engine/",),
    ("tests/egress/",),
    tuple(f"tests/e2e/test_{name}.py" for name in ("answers", "sdk", "wait")),
    ("tests/hostile/",),
    ("tests/clients/",),
    ("tests/admin/",),
)
# Files that take their time, each by itself: they begin before the many that take none.
SOON = ("tests/e2e/", "tests/overload/", "tests/cli/", "tests/deploy/", "tests/sdk/", "tests/budgets/", "tests/models/")


def unit_of(nodeid: str) -> str:
    """What a test stays together with: the first name of a unit, or its file."""
    return next((unit[0] for unit in TOGETHER if nodeid.startswith(unit)), nodeid.split("::", 1)[0])


def turn_of(nodeid: str) -> int:
    """When its unit begins: the longest first, the others as they come."""
    first = [*(unit[0] for unit in TOGETHER), *SOON]
    return next((turn for turn, name in enumerate(first) if unit_of(nodeid).startswith(name)), len(first))


def processes() -> int:
    """How many run the tests. 0: this one alone, where there is one processor."""
    return min(usable_cpus(), MOST_PROCESSES) if usable_cpus() > 1 else 0


class Together(LoadScopeScheduling):
    """Hands out what stays together, in the order in which it was collected."""

    def __init__(self, config: pytest.Config, log: Any) -> None:
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)
