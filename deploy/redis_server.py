"""`redis-server` for the tests: from the PATH, or from the Debian package where this user may install it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from deploy.console import Console, SetupError

_APT = ("redis-server", "sudo apt-get install redis-server")
_ELSEWHERE = {"darwin": "brew install redis"}


def require(console: Console) -> None:
    """Return once `redis-server` is on the PATH, installed now if need be. Raises `SetupError`: what to install."""
    if shutil.which("redis-server"):
        return
    prefix = _may_install()
    if prefix is None:
        how = _ELSEWHERE.get(sys.platform, _APT[1] if shutil.which("apt-get") else "your system's redis package")
        raise SetupError(f"The tests start a real redis-server, and there is none on the PATH. Install it: {how}")
    variables = {
        **os.environ,
        "DEBIAN_FRONTEND": "noninteractive",
        "RUNLEVEL": "1",
    }  # RUNLEVEL: install it, do not start it
    with console.step("Installing redis-server (Debian package, for the tests)") as step:
        console.run(step, [*prefix, "apt-get", "update", "-q"], variables)
        console.run(step, [*prefix, "apt-get", "install", "-q", "-y", "--no-install-recommends", _APT[0]], variables)
    if not shutil.which("redis-server"):
        raise SetupError(
            "The package redis-server is installed, but the command is not on the PATH: check its installation."
        )


def _may_install() -> list[str] | None:
    if not shutil.which("apt-get"):
        return None
    if os.geteuid() == 0:
        return []
    if (
        shutil.which("sudo")
        and subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode == 0
    ):
        return ["sudo", "-n", "--preserve-env=DEBIAN_FRONTEND,RUNLEVEL"]
    return None
