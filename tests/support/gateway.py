"""A real gateway for a test: `gatehouse serve` in a process of its own, on a free port, with its own state."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO

import httpx

from tests.support.forked import GUARD, ROOT, Forked

# The smallest policy of the tests: a local model, a recorded cloud, hard questions go out.
POLICY = """\
version: 1
models:
  home: {{locality: local, {home}}}
  cloud: {{locality: cloud, backend: openai, base_url: "{cloud}", model: scripted-cloud, region: us,
          capabilities: [tools, json_schema, json_mode, logprobs, n]}}
defaults: {{local: home, cloud: cloud}}
aliases: {{"gpt-*": auto}}
sensitivity:
  levels:
    restricted: [CREDIT_CARD, IBAN_CODE, US_SSN, SECRET]
    confidential: [EMAIL_ADDRESS, PHONE_NUMBER, IP_ADDRESS]
    internal: [ORGANIZATION, AGE]
    public: [LOCATION, DATE_TIME, NRP]
  dictionaries:
    - {{name: project-names, level: restricted, terms: [Bluebird]}}
egress:
  public: {{payload: full}}
  internal: {{payload: full}}
decisions:
  - {{name: hard-questions, priority: 50, when: {{all: [{{complexity: {{at_least: 0.7}}}}]}}, route: cloud}}
"""
ENGINE = "backend: engine, model: smollm2-135m-instruct"


def local_server(url: str, model: str = "scripted-local") -> str:
    """The part of `POLICY` for a local model on a loopback server or unix socket."""
    abilities = "capabilities: [tools, json_schema, json_mode, logprobs, n]"
    return f'backend: openai, base_url: "{url}", model: {model}, {abilities}'


class Gateway:
    """Starts on entry, stops on exit; `url` ends in /v1."""

    def __init__(
        self,
        folder: Path,
        policy: str,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        start_seconds: float = 180.0,
        typed: bool = False,
    ) -> None:
        """`typed`: by a Python of its own, as a shell would; else forked from one that has imported everything."""
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.policy_file = folder / "policy.yaml"
        if "\n" in policy:
            self.policy_file.write_text(policy, "utf-8")
            policy = str(self.policy_file)
        self.state_dir = folder / "state"
        self.log_file = folder / "gateway.log"
        self._arguments = ("serve", "--port", "0", "--policy", policy, *arguments)
        self._environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("GATEHOUSE_", "OTEL_", "OPENAI_"))},
            "PYTHONPATH": f"{GUARD}{os.pathsep}{ROOT}",
            "GATEHOUSE_TEST_GUARD_FILE": os.environ["GATEHOUSE_TEST_GUARD_FILE"],
            "GATEHOUSE_STATE_DIR": str(self.state_dir),
            "GATEHOUSE_RUNTIME_DIR": str(folder / "run"),
            "GATEHOUSE_SCAN_BUDGET_MS": "2000",  # the machine may be busy, and what took too long is held
            "GATEHOUSE_ADMIN_PORT": "0",
            "GATEHOUSE_ENGINE_THREADS": "1",  # in a team each waits for the others: tests/engine/driver.py
            **(environment or {}),
        }
        self._start_seconds = start_seconds
        self._typed = typed or "PYTHONPATH" in (environment or {})  # what is imported is another matter then
        self.announced = ""

    def start(self) -> Gateway:
        """Start, again after `stop` too; the port may be another one then."""
        self.announced = ""
        with self.log_file.open("ab") as log:
            reading, writing = os.pipe()
            self._output = os.fdopen(reading, "r", encoding="utf-8")
            with os.fdopen(writing, "wb") as output:
                self.process = self._launch(output, log)
        deadline = threading.Timer(self._start_seconds, self.process.kill)
        deadline.start()
        for line in self._output:
            self.announced += line
            if line.lstrip().startswith("try"):
                break
        deadline.cancel()
        if "  try" not in self.announced:
            self.process.wait(60)
            self._output.close()
            raise RuntimeError(f"the gateway did not start:\n{self.log()[-4000:]}")
        self.url = next(word for word in self.announced.split() if word.startswith("http"))
        self.root = self.url.removesuffix("/v1")
        return self

    def _launch(self, output: IO[bytes], log: IO[bytes]) -> subprocess.Popen[bytes] | Forked:
        if not self._typed:
            with open(os.devnull, "rb") as nothing:
                return Forked(self._arguments, self._environment, self.folder, nothing, output, log)
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "router.cli.main", *self._arguments],
            env=self._environment,
            stdout=output,
            stderr=log,
            cwd=self.folder,
        )

    def log(self) -> str:
        return self.log_file.read_text("utf-8", "replace")

    def children(self) -> dict[str, int]:
        """The process ids of engine and workers, by a word of their command line."""
        import psutil

        found = {}
        for child in psutil.Process(self.process.pid).children():
            try:
                line = " ".join(child.cmdline())
            except psutil.NoSuchProcess:  # it has ended, and its parent has not noticed yet
                continue
            for word in ("router.engine", "router.app"):
                if word in line:
                    found[word] = child.pid
        return found

    def wait_for(self, path: str, text: str, seconds: float = 60.0) -> str:
        """Ask for `path` until its answer holds `text`."""
        deadline = time.monotonic() + seconds
        seen = ""
        while time.monotonic() < deadline:
            seen = httpx.get(self.root + path, trust_env=False, timeout=60).text
            if text in seen:
                return seen
            time.sleep(0.05)
        raise AssertionError(f"{path} does not say {text!r} but {seen!r}")

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(120)
        finally:
            self.process.kill()
            self._output.close()
        return code

    def __enter__(self) -> Gateway:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def sequences_running(gateway: Gateway) -> float:
    """Sequences in the engine's batch, as `/metrics` says: a second old at most."""
    lines = httpx.get(f"{gateway.root}/metrics", trust_env=False, timeout=60).text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("gatehouse_engine_running"))


def until(happens: Callable[[], bool], seconds: float = 60.0) -> float:
    """Wait, with patience for a busy machine; returns how long it took."""
    began = time.monotonic()
    while not happens():
        assert time.monotonic() - began < seconds, "it did not happen in time"
        time.sleep(0.02)
    return time.monotonic() - began
