"""An environment with what the SDK's wheel asks for and nothing else, for tests/sdk: openai and what that needs.

In the versions of our own lock, checked against their hashes. It lies in the user's cache folder, for every clone with
that lock; nothing of it is part of Gatehouse.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from deploy import toolchain
from deploy.console import Console
from deploy.engine_wheel import cache_folder
from deploy.environment import Environment, digest, lock_entries

_NAME = re.compile(r"^[A-Za-z0-9._-]+")


def closure(roots: tuple[str, ...], entries: Mapping[str, str]) -> dict[str, str]:
    """The lock's entries of these packages and of all that they need by their installed metadata, without extras."""
    found: dict[str, str] = {}
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name in found or name not in entries:  # what the lock has not is for another platform
            continue
        found[name] = entries[name]
        try:
            needed = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue  # for another platform too
        waiting += [_plain(each) for each in needed if "extra ==" not in each]
    return dict(sorted(found.items()))


class SdkEnvironment:
    """Where it lies and how it comes there. Asked in our own environment, which knows who needs whom."""

    def __init__(self, root: Path, console: Console, cache: Path | None = None) -> None:
        entries = lock_entries((root / "requirements.lock").read_text("utf-8"))
        self._console = console
        self._lock = "\n".join(closure(("openai",), entries).values()) + "\n"
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        self.folder = (cache or cache_folder().parent / "sdk") / digest(self._lock, python)
        self._environment = Environment(root, self.folder / "venv", console)

    @property
    def python(self) -> Path:
        """The interpreter that has them."""
        return self._environment.python

    def is_complete(self) -> bool:
        """Whether nothing is missing, by the stamp."""
        return self._environment.has("sdk", digest(self._lock))

    def require(self) -> None:
        """Install what is missing. Raises `SetupError`."""
        if self.is_complete():
            return
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with toolchain.only_one(self.folder, self._console.say):
            self._environment.create()
            self._environment.install_lock("sdk", "What the SDK needs, and nothing else", self._lock)


def _plain(requirement: str) -> str:
    match = _NAME.match(requirement)
    return re.sub(r"[-_.]+", "-", match[0]).lower() if match else ""


def here(root: Path) -> SdkEnvironment:
    """That of a clone."""
    return SdkEnvironment(root, Console(root / ".cache" / "sdk.log", sys.stderr))
