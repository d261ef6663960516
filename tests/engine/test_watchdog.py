"""A native call that does not return ends its process, and nothing else does: neither work, nor rest, nor a pause."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from router.engine.watchdog import HUNG
from tests.engine.driver import child_environment
from tests.engine.hanging_child import LIMIT_S


def start(kind: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.engine.hanging_child", kind],
        env=child_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "watched\n"
    return process


def test_a_call_into_native_code_that_never_returns_ends_the_process_with_four_and_one_line_that_names_it() -> None:
    started = time.monotonic()
    with start("pause") as process:
        _, said = process.communicate(timeout=120)
    assert process.returncode == HUNG == 4
    assert time.monotonic() - started >= LIMIT_S
    assert said.count("\n") == 1
    assert "a native call in _decode, line " in said
    assert "has not returned for 2.5 s" in said


@pytest.mark.parametrize("kind", ["work", "idle"])
def test_a_process_whose_calls_return_or_that_has_nothing_to_do_is_left_alone(kind: str) -> None:
    with start(kind) as process:
        _, said = process.communicate(timeout=120)
    assert (process.returncode, said) == (0, "")


def test_the_time_in_which_the_process_itself_was_stopped_does_not_count() -> None:
    """The call in progress looks far too old when the process goes on; it is not, and returns."""
    with start("work") as process:
        process.send_signal(signal.SIGSTOP)
        time.sleep(2 * LIMIT_S)
        process.send_signal(signal.SIGCONT)
        _, said = process.communicate(timeout=120)
    assert (process.returncode, said) == (0, "")
