"""The clone's `.venv`: made once, filled from the hash locks in layers, each remembered by the digest of what made it.

pip's own configuration says where packages come from: nothing here names a registry, or installs without a hash.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from deploy.console import Console, SetupError

_STAMP = "gatehouse-setup.json"
_ENTRY = re.compile(r"^(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^]]*\])?==(?P<version>\S+)")


def digest(*parts: bytes | str) -> str:
    """A short digest over parts, each with its length, so that no two lists of parts run together."""
    total = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        total.update(len(data).to_bytes(8, "big") + data)
    return total.hexdigest()[:24]


def lock_entries(text: str) -> dict[str, str]:
    """Name -> the whole entry (requirement and hashes) of a lock file."""
    entries: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        if match := _ENTRY.match(line):
            name = match["name"].lower()
            entries[name] = f"{entries[name]}\n{line}" if name in entries else line  # two, when markers differ
        elif name and line.startswith(" "):
            entries[name] += "\n" + line
    return entries


def project_digest(folder: Path, *, editable: bool) -> str:
    """What an installed distribution of this clone depends on: its metadata and where it lies."""
    return digest((folder / "pyproject.toml").read_bytes(), str(folder), str(editable))


class Environment:
    """A virtual environment and the stamp that says which layers stand in it."""

    byte_compile = False  # it takes half of the time, and Python does it for what is imported; an image wants it all

    def __init__(self, root: Path, path: Path, console: Console) -> None:
        self.root, self.path, self.console = root, path, console
        self.python = path / "bin" / "python"
        self._stamp = path / _STAMP

    def bin(self, name: str) -> Path:
        return self.path / "bin" / name

    @property
    def variables(self) -> dict[str, str]:
        """The environment for child commands: ours first on the PATH, nobody's PYTHONPATH."""
        kept = {key: value for key, value in os.environ.items() if key not in {"PYTHONPATH", "PYTHONHOME", "PIP_USER"}}
        path = f"{self.path / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        return {**kept, "PATH": path, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONUNBUFFERED": "1"}

    def read(self) -> dict[str, str]:
        """The stamp: layer -> digest; empty when there is none, or when it is not for this interpreter at this path."""
        try:
            stamp = json.loads(self._stamp.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        if not isinstance(stamp, dict) or stamp.get("interpreter") != self._interpreter() or not self.python.exists():
            return {}
        return {str(key): str(value) for key, value in stamp.items()}

    def has(self, layer: str, value: str) -> bool:
        return self.read().get(layer) == value

    def remember(self, **layers: str) -> None:
        """Write these layers into the stamp, at once and whole."""
        stamp = {**self.read(), **layers, "interpreter": self._interpreter()}
        handle, name = tempfile.mkstemp(dir=self.path, prefix=_STAMP)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(stamp, file, indent=1, sort_keys=True)
        Path(name).replace(self._stamp)

    def _interpreter(self) -> str:
        return f"{sys.version_info.major}.{sys.version_info.minor} at {self.path}"

    def create(self) -> None:
        """Make the environment unless a working one of this Python version is there. Raises `SetupError`."""
        if self._works():
            return
        with self.console.step(f"Making {self.path.name} with Python {sys.version.split()[0]}") as step:
            if self.path.exists():
                if not (self.path / "pyvenv.cfg").is_file() and any(self.path.iterdir()):
                    raise SetupError(f"{self.path} exists and is no virtual environment: move it away and try again.")
                shutil.rmtree(self.path)
            try:
                self.console.run(step, [sys.executable, "-m", "venv", self.path], dict(os.environ))
            except SetupError as error:
                version = f"{sys.version_info.major}.{sys.version_info.minor}"
                fix = f"On Debian and Ubuntu venv is a package of its own: sudo apt-get install python{version}-venv"
                raise SetupError(f"{error}\n{fix}") from error

    def _works(self) -> bool:
        probe = "import sys; print('%d.%d' % sys.version_info[:2]); import pip"
        try:
            answer = subprocess.run(
                [self.python, "-I", "-c", probe], capture_output=True, text=True, timeout=60, check=False
            )
        except OSError:
            return False
        return answer.returncode == 0 and answer.stdout.strip() == "{}.{}".format(*sys.version_info[:2])

    def install_lock(self, layer: str, title: str, text: str, *options: str) -> None:
        """Install a lock's entries, every file checked against its hash, unless the stamp says that they stand."""
        value = digest(text, *options)
        if self.has(layer, value):
            return
        count = len(lock_entries(text))
        with (
            self.console.step(f"{title} ({count}, each checked against its hash)" if count > 1 else title) as step,
            tempfile.TemporaryDirectory() as folder,
        ):
            lock = Path(folder) / "requirements.lock"
            lock.write_text(text, "utf-8")
            seen: set[str] = set()

            def watch(line: str) -> str | None:
                if line.startswith(("Collecting ", "Requirement already satisfied: ")):
                    seen.add(re.split(r"[=<>;\[( ]", line.split(": " if ": " in line else "Collecting ", 1)[1])[0])
                    return f"{len(seen)} of {count}"
                return "writing them to disk" if line.startswith("Installing collected") else None

            command = [*self.pip("install"), *([] if self.byte_compile else ["--no-compile"]), "--require-hashes"]
            self.console.run(step, [*command, *options, "-r", lock], self.variables, watch)
        self.remember(**{layer: value})

    def install_project(self, layer: str, folder: Path, title: str, *, editable: bool = True) -> None:
        """Install a distribution of this clone with the build backend from the lock."""
        value = project_digest(folder, editable=editable)
        if self.has(layer, value):
            return
        with self.console.step(title) as step:
            command = [*self.pip("install"), "--no-deps", "--no-index", "--no-build-isolation"]
            self.console.run(step, [*command, *(["-e"] if editable else []), folder], self.variables)
        self.remember(**{layer: value})

    def pip(self, verb: str) -> list[str | Path]:
        """The beginning of a pip command for this environment."""
        return [self.python, "-m", "pip", verb, "--no-input", "--progress-bar", "off"]
