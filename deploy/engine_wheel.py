"""llama-cpp-python: compiled from hash-checked source for this processor, kept for other clones, proven by a prompt.

It never trusts a build that it has not seen answer: a crash in the self-test goes one step down the ladder of builds.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import sys
import tempfile
from pathlib import Path

from deploy import engine_proof, toolchain
from deploy.console import SetupError
from deploy.environment import Environment, digest, lock_entries
from deploy.processor import Build, Processor, detect, ladder, portable

PACKAGE = "llama-cpp-python"
_CMAKE_HOOK = Path(__file__).with_name("llama_cpp.cmake")
_PROGRESS = re.compile(r"^\s*\[\s*(\d+)(?:/(\d+)\]|%\])")


def cache_folder() -> Path:
    """Where compiled wheels are kept for every clone of this user."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(home) if home.startswith("/") else Path.home() / ".cache") / "gatehouse" / "wheels"


def wheel_key(entry: str, build: Build) -> str:
    """The cache folder's name: the source (version and hashes), the options, the system, the machine and the C library.

    Not the Python version: the package talks to its library through ctypes, and its wheel is tagged `py3-none`.
    """
    version = entry.split("==", 1)[1].split()[0]
    libc = "-".join(platform.libc_ver()) if sys.platform.startswith("linux") else platform.mac_ver()[0].split(".")[0]
    return f"{version}-{digest(entry, *build.cmake, _CMAKE_HOOK.read_bytes(), sys.platform, platform.machine(), libc)}"


def percent(line: str) -> str | None:
    """How far the compiler is, from a line of ninja (`[12/340]`) or make (`[ 12%]`)."""
    match = _PROGRESS.match(line)
    if match is None:
        return "configuring" if "Configuring CMake" in line else None
    done, total = int(match[1]), int(match[2]) if match[2] else 100
    return f"compiled {100 * done // max(total, 1)} %"


class EngineWheel:
    """Builds, keeps, installs and proves llama-cpp-python in one environment."""

    def __init__(self, environment: Environment, lock: str, processor: Processor | None = None) -> None:
        self._environment = environment
        self._console = environment.console
        self._entry = lock_entries(lock)[PACKAGE]
        self._processor = processor or detect()
        self._cache = cache_folder()

    @property
    def digest(self) -> str:
        """Changes with the source, the processor or what this file would build for it."""
        flags = (option for build in ladder(self._processor) for option in build.cmake)
        return digest(self._entry, *sorted(self._processor.flags), *flags)

    def ready(self) -> bool:
        return self._environment.has("engine", self.digest)

    def needs_compiling(self) -> bool:
        """Whether the next `install` will have to compile, as far as can be said before looking for a compiler."""
        return not any(self._kept(build) for build in self._candidates()[:1])

    def install(self) -> None:
        """The fastest build that answers a prompt here, installed. Raises `SetupError` when none does."""
        for build in self._candidates():
            self._install(self.wheel(build))
            with self._console.step(f"Asking the {build.name} build a first question (self-test)"):
                answered = engine_proof.answers(self._environment)
            if answered:
                self._environment.remember(
                    engine=self.digest, engine_build=build.name, engine_options=" ".join(build.cmake)
                )
                return
            self._crashed(build).touch()
            self._console.say(f"     The {build.name} build crashed on its first prompt here; trying a plainer one.")
        raise SetupError(
            "No build of llama.cpp answered a prompt on this processor.\n"
            'Use a model server that is there already instead: make serve ARGS="--local-url URL --local-model NAME"'
        )

    def install_portable(self) -> None:
        """The build for an image, which runs on other processors: installed, not asked (this may be an emulator)."""
        build = portable(self._processor)
        self._install(self.wheel(build))
        self._environment.remember(engine=self.digest, engine_build=build.name, engine_options=" ".join(build.cmake))

    def _candidates(self) -> list[Build]:
        """The builds that have not crashed on this processor, fastest first; the plainest gets another chance."""
        builds = ladder(self._processor, toolchain.accepts)
        return [build for build in builds if not self._crashed(build).exists()] or [builds[-1]]

    def chosen(self) -> Build:
        """The build that stands in the environment, or the one that `install` would try first."""
        known = self._environment.read()
        if known.get("engine") == self.digest:
            return Build(known["engine_build"], tuple(known["engine_options"].split()))
        return self._candidates()[0]

    def wheel(self, build: Build) -> Path:
        """The wheel of this build: from the cache, or compiled now."""
        kept = self._kept(build)
        if kept:
            return kept
        folder = self._folder(build)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with toolchain.only_one(folder, self._console.say):
            return self._kept(build) or self._compile(build, folder)

    def _folder(self, build: Build) -> Path:
        return self._cache / wheel_key(self._entry, build)

    def _crashed(self, build: Build) -> Path:
        return self._folder(build) / f"crashed-{digest(*sorted(self._processor.flags))}"

    def _kept(self, build: Build) -> Path | None:
        folder = self._folder(build)
        try:
            note = json.loads((folder / "wheel.json").read_text("utf-8"))
            wheel = folder / str(note["file"])
            intact = hashlib.sha256(wheel.read_bytes()).hexdigest() == note["sha256"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return wheel if intact else None

    def _compile(self, build: Build, folder: Path) -> Path:
        variables = toolchain.require(self._environment)
        jobs = toolchain.parallel_jobs()
        with tempfile.TemporaryDirectory(prefix="gatehouse-build-") as name:
            work = Path(name)
            source = self.source(work, variables)
            title = f"Compiling llama.cpp ({build.name}) on {jobs} cores; about 3 minutes of one core's time"
            with self._console.step(title) as step:
                command = [
                    *self._environment.pip("wheel"),
                    "-v",
                    "--no-deps",
                    "--no-index",
                    "--no-cache-dir",
                    "--no-build-isolation",
                ]
                hook = f"-DCMAKE_PROJECT_llama.cpp_INCLUDE={shutil.copy(_CMAKE_HOOK, work)}"  # a path without spaces
                options = {"CMAKE_ARGS": " ".join([*build.cmake, hook]), "CMAKE_BUILD_PARALLEL_LEVEL": str(jobs)}
                self._console.run(step, [*command, "-w", work, source], {**variables, **options}, percent)
            made = next(work.glob("*.whl"))
            return self._keep(made, folder, build)

    def source(self, work: Path, variables: dict[str, str]) -> Path:
        """The source distribution, fetched into `work` and checked against the lock."""
        with self._console.step("Fetching the source of llama-cpp-python (77 MB), checked against its hash") as step:
            lock = work / "source.lock"
            lock.write_text(self._entry + "\n", "utf-8")
            command = [*self._environment.pip("download"), "--require-hashes", "--no-deps", "--no-build-isolation"]
            self._console.run(step, [*command, "--no-binary", PACKAGE, "-d", work, "-r", lock], variables)
        return next(work.glob("*.tar.gz"))

    def _keep(self, made: Path, folder: Path, build: Build) -> Path:
        wheel = folder / made.name
        partial = folder / (made.name + ".partial")
        shutil.copyfile(made, partial)
        partial.replace(wheel)
        note = {
            "file": wheel.name,
            "sha256": hashlib.sha256(wheel.read_bytes()).hexdigest(),
            "build": build.name,
            "cmake": build.cmake,
        }
        (folder / "wheel.json").write_text(json.dumps(note, indent=1), "utf-8")
        return wheel

    def _install(self, wheel: Path) -> None:
        with self._console.step(f"Installing {wheel.name}") as step:
            command = [*self._environment.pip("install"), "--no-deps", "--no-index", "--force-reinstall", wheel]
            self._console.run(step, command, self._environment.variables)
