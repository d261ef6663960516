"""The clients of others that tests/clients runs against the gateway, in an environment of their own.

Python packages from requirements-clients.lock (Node and npm among them), and the npm packages of tests/clients/node by
name, version and hash; where they come from is what pip and npm are configured for. It lies in the user's cache folder,
for every clone with these locks; nothing of it is part of Gatehouse.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from deploy import toolchain
from deploy.console import Console
from deploy.engine_wheel import cache_folder
from deploy.environment import Environment, digest

OFFLINE = "GATEHOUSE_TEST_OFFLINE"  # set: install nothing, and skip the tests of what is not there
_NPM_FILES = ("package.json", "package-lock.json")


def is_offline(variables: Mapping[str, str]) -> bool:
    """Whether the user asked that nothing be fetched."""
    return variables.get(OFFLINE, "") not in ("", "0")


class Clients:
    """Where they lie once they are there, and how they come there."""

    def __init__(self, root: Path, console: Console, cache: Path | None = None) -> None:
        self._console = console
        self._lock = (root / "requirements-clients.lock").read_text("utf-8")
        self._npm = [root / "tests" / "clients" / "node" / name for name in _NPM_FILES]
        self._npm_digest = digest(*(file.read_bytes() for file in self._npm))
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        name = digest(self._lock, self._npm_digest, python)
        self.folder = (cache or cache_folder().parent / "clients") / name
        self._environment = Environment(root, self.folder / "venv", console)

    @property
    def python(self) -> Path:
        """The interpreter that has the Python packages."""
        return self._environment.python

    @property
    def node(self) -> Path:
        """Node, from the same environment."""
        return self._environment.bin("node")

    @property
    def node_modules(self) -> Path:
        """The npm packages; a script finds them through a link beside it."""
        return self.folder / "node" / "node_modules"

    def is_complete(self) -> bool:
        """Whether nothing is missing, by the stamp."""
        wanted = {"clients": digest(self._lock), "npm": self._npm_digest}
        return wanted.items() <= self._environment.read().items()

    def require(self) -> None:
        """Install what is missing. Raises `SetupError`."""
        if self.is_complete():
            return
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with toolchain.only_one(self.folder, self._console.say):
            if self.is_complete():
                return
            self._environment.create()
            self._environment.install_lock("clients", "Clients to test with, and Node", self._lock)
            self._install_npm()

    def _install_npm(self) -> None:
        place = self.node_modules.parent
        place.mkdir(exist_ok=True)
        for file in self._npm:
            shutil.copy(file, place)
        with self._console.step("The openai package for Node, checked against its hash") as step:
            command: list[str | Path] = [
                self._environment.bin("npm"),
                "ci",
                "--ignore-scripts",
                "--no-audit",
                "--no-fund",
            ]
            variables = {**self._environment.variables, "npm_config_omit_lockfile_registry_resolved": "true"}
            self._console.run(step, command, variables, cwd=place)
        self._environment.remember(npm=self._npm_digest)


def here(root: Path) -> Clients:
    """Those of a clone."""
    return Clients(root, Console(root / ".cache" / "clients.log", sys.stderr))


def prepare(root: Path, console: Console) -> None:
    """Install them unless the user is offline. Raises `SetupError`."""
    if not is_offline(os.environ):
        Clients(root, console).require()
