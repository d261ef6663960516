"""`python -m deploy.peer_gateways`: installs the gateways that tests/bench/gateway.py compares with.

LiteLLM's proxy (its extra `proxy`, in the version of our own lock) has a virtual environment of its own, Portkey's
gateway a folder of npm packages. Both lie in the user's cache folder; nothing of them is part of Gatehouse, and
`gatehouse` never starts them. What they need besides themselves stands in no lock of ours.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from deploy import toolchain
from deploy.clients import Clients
from deploy.console import Console, SetupError
from deploy.engine_wheel import cache_folder
from deploy.environment import Environment, digest, lock_entries

PORTKEY = "@portkey-ai/gateway@1.15.2"


class PeerGateways:
    """Where they lie once they are there, and how they come there."""

    def __init__(self, root: Path, console: Console, cache: Path | None = None) -> None:
        self._console = console
        self._clients = Clients(root, console)  # Node is theirs
        entry = lock_entries((root / "requirements.lock").read_text("utf-8"))["litellm"]
        self._litellm = f"litellm[proxy]=={entry.split('==')[1].split()[0]}"
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        self.folder = (cache or cache_folder().parent / "peers") / f"gateways-{digest(self._litellm, PORTKEY, python)}"
        self._environment = Environment(root, self.folder / "litellm", console)

    @property
    def litellm(self) -> Path:
        """LiteLLM's command."""
        return self._environment.bin("litellm")

    @property
    def node(self) -> Path:
        """The Node that runs Portkey's gateway."""
        return self._clients.node

    @property
    def portkey(self) -> Path:
        """The script of Portkey's gateway."""
        return self.folder / "portkey" / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"

    def is_complete(self) -> bool:
        """Whether nothing is missing, by the stamp."""
        wanted = {"litellm": digest(self._litellm), "portkey": digest(PORTKEY)}
        return wanted.items() <= self._environment.read().items() and self._clients.is_complete()

    def require(self) -> None:
        """Install what is missing. Raises `SetupError`."""
        self._clients.require()
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with toolchain.only_one(self.folder, self._console.say):
            if self.is_complete():
                return
            self._environment.create()
            with self._console.step(f"{self._litellm}, in an environment of its own") as step:
                command = [*self._environment.pip("install"), self._litellm]
                self._console.run(step, command, self._environment.variables)
            self._environment.remember(litellm=digest(self._litellm))
            self._install_portkey()

    def _install_portkey(self) -> None:
        place = self.folder / "portkey"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        (place / "package.json").write_text('{"name": "gatehouse-peer", "private": true}\n', "utf-8")
        with self._console.step(PORTKEY) as step:
            npm = self.node.with_name("npm")
            command: list[str | Path] = [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", PORTKEY]
            variables = {
                **self._environment.variables,
                "PATH": f"{self.node.parent}:{os.environ.get('PATH', os.defpath)}",
            }
            self._console.run(step, command, variables, cwd=place)
        self._environment.remember(portkey=digest(PORTKEY))


def here() -> PeerGateways:
    """Those of this clone."""
    root = Path(__file__).resolve().parent.parent
    return PeerGateways(root, Console(root / ".cache" / "peers.log", sys.stderr))


def main() -> int:
    """Install what is missing, and say where it lies."""
    peers = here()
    try:
        peers.require()
    except SetupError as error:
        sys.stderr.write(f"\nThis stopped.\n{error}\n")
        return 1
    sys.stderr.write(f"The other gateways are in {peers.folder}; python -m tests.bench.gateway --peers uses them.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
