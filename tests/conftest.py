"""For every test: no connection leaves this machine, neither from the tests nor from any process that they start."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from classifiers.native.compiling import CannotCompile, compile_kernels
from deploy import kernels
from router.settings import one_thread_for_arrays
from tests.support.forked import end_host
from tests.support.guard import sitecustomize  # noqa: F401 - installs the guard in this process too

ROOT = Path(__file__).parents[1]

# The same examples in every run, which is about the change and not about chance; `GATEHOUSE_TEST_RANDOM=1` looks for
# others.
settings.register_profile(
    "suite",
    deadline=None,
    derandomize=not os.environ.get("GATEHOUSE_TEST_RANDOM"),
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("suite")
if not kernels.is_current(ROOT) and (compiler := kernels.find_compiler()) is not None:
    with contextlib.suppress(CannotCompile):  # tests/classifiers/test_kernels.py says why
        compile_kernels(compiler, kernels.sources(ROOT))
one_thread_for_arrays()  # before anything imports numpy: the tests' own detectors run as the workers' do


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """`-n auto`, as `make test` runs pytest."""
    from tests.support.parallel import processes

    return processes()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With any `-n`: see `tests/support/parallel.py`."""
    from tests.support.parallel import Together

    return Together(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        from tests.support.parallel import turn_of

        items.sort(key=lambda item: turn_of(item.nodeid))


@pytest.fixture(scope="session", autouse=True)
def guard() -> Iterator[Path]:
    """Fails the run at its end when any process tried to reach an address outside this machine."""
    with tempfile.NamedTemporaryFile("r", prefix="gatehouse-guard-") as note:
        os.environ["GATEHOUSE_TEST_GUARD_FILE"] = note.name
        yield Path(note.name)
        end_host()
        attempts = note.read()
    assert not attempts, f"connections left this machine:\n{attempts}"
