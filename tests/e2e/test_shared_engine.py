"""One engine for several gateways: `gatehouse engine` alone, and two gateways with state of their own that use it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from tests.support.gateway import ENGINE, GUARD, POLICY, ROOT, Gateway, until
from tests.support.recorder import Recorder

SECRET = "sk-not-for-the-engine"


class LoneEngine:
    """`gatehouse engine` in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "engine.sock"
        self._folder = folder
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("GATEHOUSE_")}
        given = {"GATEHOUSE_STATE_DIR": str(self._folder / "state"), "OPENAI_API_KEY": SECRET}
        given["GATEHOUSE_TEST_GUARD_FILE"] = os.environ["GATEHOUSE_TEST_GUARD_FILE"]
        command = ("engine", "--model", "smollm2-135m-instruct", "--socket", str(self.socket), "--threads", "1")
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "router.cli.main", *command],
            env={**clean, **given, "PYTHONPATH": f"{GUARD}{os.pathsep}{ROOT}"},
            stderr=subprocess.DEVNULL,
        )

    def health(self) -> int:
        """The status of `GET /health`; 0 when nobody answers."""
        with socket.socket(socket.AF_UNIX) as asking:
            asking.settimeout(60)
            try:
                asking.connect(str(self.socket))
                asking.sendall(b"GET /health HTTP/1.0\r\nhost: localhost\r\n\r\n")
                return int(asking.recv(64).split()[1])
            except (OSError, IndexError):
                return 0

    def again(self) -> None:
        self.process = self._start()

    def end(self) -> None:
        self.process.kill()
        self.process.wait(60)


@pytest.fixture(scope="module")
def alone() -> Iterator[LoneEngine]:
    with tempfile.TemporaryDirectory(prefix="gh-") as folder:
        engine = LoneEngine(Path(folder))
        try:
            until(lambda: engine.health() == 200, 60)
            yield engine
        finally:
            engine.end()


def ask(gateway: Gateway, text: str = "Say hello.") -> httpx.Response:
    body = {"messages": [{"role": "user", "content": text}], "max_tokens": 8, "temperature": 0}
    return httpx.post(f"{gateway.url}/chat/completions", json=body, trust_env=False, timeout=60)


def degraded(gateway: Gateway) -> list[str]:
    named: list[str] = httpx.get(f"{gateway.root}/readyz", trust_env=False, timeout=60).json()["degraded"]
    return named


def test_two_gateways_share_one_engine_that_neither_of_them_started(
    alone: LoneEngine, cloud: Recorder, tmp_path: Path
) -> None:
    """Both answer; when it is killed both say so and refuse; when it is back both answer again."""
    shared = {"GATEHOUSE_ENGINE_SOCKET_PATH": str(alone.socket)}
    policy = POLICY.format(home=ENGINE, cloud=cloud.url)
    with (
        Gateway(tmp_path / "one", policy, environment=shared) as one,
        Gateway(tmp_path / "two", policy, environment=shared) as two,
    ):
        assert "router.engine" not in one.children() | two.children()
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda number: ask((one, two)[number % 2]), range(8)))
        assert {answer.status_code for answer in answers} == {200}
        assert {answer.headers["x-gatehouse-route"] for answer in answers} == {"local"}
        os.kill(alone.process.pid, signal.SIGKILL)
        alone.process.wait(60)
        for gateway in (one, two):
            gateway.wait_for("/readyz", "engine_unreachable")
            held = ask(gateway, "Write to bob@corp-mail.com.")
            assert (held.status_code, held.json()["error"]["code"]) == (503, "sensitive_data_local_unavailable")
            assert httpx.get(f"{gateway.root}/readyz", trust_env=False, timeout=60).status_code == 200
        alone.again()
        for gateway in (one, two):
            until(lambda gateway=gateway: not degraded(gateway), 60)  # type: ignore[misc]
            assert ask(gateway).status_code == 200
        assert not cloud.exchanges


def test_the_engine_alone_sees_no_secret_of_the_one_who_starts_it(alone: LoneEngine) -> None:
    environment = psutil.Process(alone.process.pid).environ()
    assert SECRET not in environment.values()
    assert not [name for name in environment if "KEY" in name or name == "GATEHOUSE_STATE_DIR"]


def test_the_engines_socket_is_its_owners_alone(alone: LoneEngine) -> None:
    assert alone.socket.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--socket", "/tmp/gh.sock"), "either --model"),
        (("--socket", "/tmp/gh.sock", "--model", "absent-9b"), "absent-9b"),
        (("--socket", "/tmp/gh.sock", "--model", "./absent.gguf"), "no file"),
        (("--socket", "/tmp/gh.sock", "--model", "m", "--gpu-layers", "many"), "gpu_layers"),
        (("--socket", "/tmp/gh.sock", "--model", "m", "--context", "5"), "256"),
    ],
)
def test_what_cannot_be_served_is_said_and_is_no_start(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "router.cli.main", "engine", *arguments],
        env={**os.environ, "PYTHONPATH": f"{GUARD}{os.pathsep}{ROOT}", "GATEHOUSE_STATE_DIR": str(tmp_path / "state")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode in (1, 2)
    assert said in done.stderr
