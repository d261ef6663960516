"""How much of the machine this process may use: its control groups' limits count, of either version."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from router.engine.process import group_folders, usable_memory


@pytest.mark.parametrize(
    ("lines", "controller", "folders"),
    [
        (["0::/"], "", [""]),
        (["0::/a/b"], "", ["a/b", "a", ""]),
        (["9:name=systemd:/", "4:memory:/x/y", "0::/"], "memory", ["memory/x/y", "memory/x", "memory"]),
        (["3:cpu,cpuacct:/c"], "cpuacct", ["cpuacct/c", "cpuacct"]),
        (["0::/a:b"], "", ["a:b", ""]),
        (["4:memory:/x"], "", []),
        ([], "memory", []),
    ],
)
def test_the_limit_of_every_group_up_to_the_root_counts(lines: list[str], controller: str, folders: list[str]) -> None:
    assert group_folders(lines, controller, Path("/r")) == [Path("/r") / folder for folder in folders]


def test_usable_memory_is_positive_and_no_more_than_the_machines() -> None:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 64 * 1024 * 1024 < usable_memory() <= total
