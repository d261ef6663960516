"""The compiler and cmake: are they there, what do they take, how many at a time, what to install if they are missing.

It never installs anything into the system: a missing cmake comes from the lock, into the clone's own environment.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from deploy.console import SetupError
from deploy.environment import Environment

_CMAKE = (3, 21)
_GIB = 1 << 30
_PACKAGES = {
    "debian": "sudo apt-get install build-essential cmake",
    "fedora": "sudo dnf install gcc gcc-c++ make cmake",
    "arch": "sudo pacman -S base-devel cmake",
    "alpine": "sudo apk add build-base cmake linux-headers",
    "suse": "sudo zypper install gcc gcc-c++ make cmake",
}


def install_hint() -> str:
    """The command that installs a compiler and cmake on this system."""
    if sys.platform == "darwin":
        return "xcode-select --install   (and, for cmake: brew install cmake)"
    try:
        text = Path("/etc/os-release").read_text("utf-8")
    except OSError:
        text = ""
    for name, command in _PACKAGES.items():
        if name in text.lower():
            return command
    return "install a C and C++ compiler, make and cmake"


def compiler(variable: str, *names: str) -> str | None:
    """The compiler that cmake would take: the variable's (CC, CXX), or the first name on the PATH."""
    chosen = os.environ.get(variable, "").split()
    return shutil.which(chosen[0]) if chosen else next(filter(None, map(shutil.which, names)), None)


@lru_cache(maxsize=64)
def accepts(flags: tuple[str, ...]) -> bool:
    """Whether the C compiler takes these flags (True when there is none: then the question does not arise)."""
    program = compiler("CC", "cc", "gcc", "clang")
    if program is None:
        return True
    command = [program, "-Werror", *flags, "-fsyntax-only", "-x", "c", os.devnull]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def parallel_jobs() -> int:
    """How many compilers to run: the cores that this process may use, and 1 GiB of memory for each."""
    if os.environ.get("CMAKE_BUILD_PARALLEL_LEVEL", "").isdigit():
        return max(1, int(os.environ["CMAKE_BUILD_PARALLEL_LEVEL"]))
    cores = len(os.sched_getaffinity(0)) if sys.platform.startswith("linux") else os.cpu_count() or 1
    quota = _first_numbers(Path("/sys/fs/cgroup/cpu.max"))
    if len(quota) == 2 and quota[1]:
        cores = min(cores, -(-quota[0] // quota[1]))
    memory = [*_first_numbers(Path("/sys/fs/cgroup/memory.max"))]
    memory += [number * 1024 for number in _first_numbers(Path("/proc/meminfo"), "MemAvailable")]
    return max(1, min([cores, *(limit // _GIB for limit in memory)]))


def _first_numbers(path: Path, key: str = "") -> list[int]:
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError:
        return []
    line = next((line for line in lines if line.startswith(key)), "")
    return [int(number) for number in re.findall(r"\d+", line)]


def require(environment: Environment) -> dict[str, str]:
    """The variables for a build, once compiler and cmake are known to be there. Raises `SetupError` naming the fix."""
    c, cxx = compiler("CC", "cc", "gcc", "clang"), compiler("CXX", "c++", "g++", "clang++")
    usable = (
        sys.platform != "darwin"
        or subprocess.run(["xcode-select", "-p"], capture_output=True, check=False).returncode == 0
    )
    if c is None or cxx is None or not usable:
        raise SetupError(
            "No C and C++ compiler was found, and the embedded model's engine (llama.cpp) has to be compiled.\n"
            f"Install one:  {install_hint()}\n"
            "Or compile nothing and use a model server that is there already (Ollama, LM Studio, llama-server, vLLM):\n"
            '  make serve ARGS="--local-url http://127.0.0.1:11434/v1 --local-model NAME"'
        )
    environment.install_lock("build", "Build tools", _lock(environment, "build"))
    if not _cmake_is_new_enough():
        environment.install_lock(
            "cmake", "No cmake 3.21 or newer here, so it comes as a package", _lock(environment, "cmake")
        )
    return environment.variables


def _lock(environment: Environment, name: str) -> str:
    return (environment.root / f"requirements-{name}.lock").read_text("utf-8")


def _cmake_is_new_enough() -> bool:
    program = shutil.which("cmake")
    if program is None or not (shutil.which("ninja") or shutil.which("make") or shutil.which("gmake")):
        return False
    text = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"version (\d+)\.(\d+)", text)
    return found is not None and (int(found[1]), int(found[2])) >= _CMAKE


@contextmanager
def only_one(folder: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Hold the folder's lock, so that two set-ups never do the same work at the same time."""
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("     Another set-up is at this already; waiting for it.")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
