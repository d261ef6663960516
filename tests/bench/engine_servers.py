"""The servers of the engine benchmark: started with the same model, threads and context, watched from outside, ended.

Everything listens on loopback or a unix socket, and nothing outlives the benchmark.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from router.models.catalogue import EMBEDDED, embedded_model
from tests.bench.engine_load import Target
from tests.bench.processes import family, free_port

ROOT = Path(__file__).resolve().parents[2]
_READY_S = 120.0
_END_S = 15.0

POLICY = f"""\
version: 1
models:
  home: {{locality: local, backend: engine, model: {EMBEDDED}}}
defaults: {{local: home}}
cache: {{mode: off}}
"""


@dataclass(frozen=True, slots=True)
class Setting:
    """What all servers share."""

    folder: Path
    threads: int
    context: int  # tokens of one request, prompt and answer
    slots: int  # requests at the same time

    @property
    def model(self) -> str:
        """The GGUF."""
        return str(embedded_model())


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers."""

    target: Target
    pid: int


def _environment(**more: str) -> dict[str, str]:
    """Ours, without what would configure a server behind the benchmark's back."""
    outside = ("GATEHOUSE_", "OTEL_", "LLAMA_", "OPENAI_", "XDG_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(outside)}
    return {**kept, "PYTHONPATH": str(ROOT), **more}


@contextmanager
def _process(command: Sequence[str], log: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """`command` until the block ends."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=environment, cwd=log.parent, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _status(target: Target, path: str) -> int:
    """Of a GET; 0 when nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=10)
    try:
        if target.socket:
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.connect(target.socket)
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


@contextmanager
def _server(
    target: Target, command: Sequence[str], path: str, setting: Setting, **environment: str
) -> Iterator[Running]:
    """`command`, once GET `path` says 200."""
    log = setting.folder / f"{target.name.replace(' ', '-')}.log"
    with _process(command, log, _environment(**environment)) as process:
        deadline = time.monotonic() + _READY_S
        while _status(target, path) != 200:
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{target.name} did not start:\n{log.read_text('utf-8', 'replace')[-2000:]}")
            time.sleep(0.05)
        yield Running(target, process.pid)


@contextmanager
def engine(setting: Setting, *options: str, name: str = "engine") -> Iterator[Running]:
    """Ours, alone."""
    path = str(setting.folder / f"{name}.sock")
    command = [sys.executable, "-P", "-m", "router.engine", "--model", setting.model, "--alias", EMBEDDED]
    command += ["--socket", path, "--threads", str(setting.threads), "--context", str(setting.context)]
    command += ["--slots", str(setting.slots), *options]
    salt = {"cache_salt": "benchmark"}  # one tenant: prefixes are reused, as llama-server reuses them among all
    target = Target(name, EMBEDDED, socket=path, extra=salt, busy_path="/stats")
    with _server(target, command, "/health", setting) as running:
        yield running


@contextmanager
def llama_server(setting: Setting, program: Path) -> Iterator[Running]:
    """llama.cpp's own server, as it is but for what all share."""
    port = free_port()
    command = [str(program), "-m", setting.model, "--host", "127.0.0.1", "--port", str(port), "--offline"]
    command += ["-t", str(setting.threads), "-tb", str(setting.threads), "--no-webui", "--log-disable"]
    command += ["-np", str(setting.slots), "-c", str(setting.slots * setting.context)]
    with _server(
        Target("llama-server", EMBEDDED, port=port, busy_path="/slots"), command, "/health", setting
    ) as running:
        yield running


@contextmanager
def llama_cpp_server(setting: Setting, python: Path) -> Iterator[Running]:
    """llama-cpp-python's server. Its own penalty is switched off; a new request does not cut off the one before."""
    port = free_port()
    command = [str(python), "-m", "llama_cpp.server", "--model", setting.model, "--model_alias", EMBEDDED]
    command += ["--host", "127.0.0.1", "--port", str(port), "--n_ctx", str(setting.context)]
    command += ["--n_threads", str(setting.threads), "--n_threads_batch", str(setting.threads)]
    command += ["--interrupt_requests", "false", "--verbose", "false"]
    target = Target("llama-cpp-python", EMBEDDED, port=port, extra={"repeat_penalty": 1.0}, gives_usage=False)
    with _server(target, command, "/v1/models", setting) as running:
        yield running


@contextmanager
def gateway(setting: Setting) -> Iterator[Running]:
    """`gatehouse serve` with an engine of its own, a policy that keeps everything at home, and no cache."""
    port, folder = free_port(), setting.folder / "gateway"
    folder.mkdir()
    (folder / "policy.yaml").write_text(POLICY, "utf-8")
    command = [sys.executable, "-P", "-m", "router.cli.main", "serve", "--policy", str(folder / "policy.yaml")]
    environment = {
        "GATEHOUSE_STATE_DIR": str(folder / "state"),
        "GATEHOUSE_RUNTIME_DIR": str(folder / "run"),
        "GATEHOUSE_LOG_LEVEL": "warning",
        "GATEHOUSE_ENGINE_THREADS": str(setting.threads),
        "GATEHOUSE_ENGINE_CONTEXT": str(setting.context),
        "GATEHOUSE_ENGINE_SLOTS": str(setting.slots),
    }
    target = Target("gateway", "auto", port=port)
    with _server(target, [*command, "--port", str(port)], "/readyz", setting, **environment) as running:
        yield running


def batched_bench(setting: Setting, program: Path, prompt: int, answer: int, batches: Sequence[int]) -> list[Any]:
    """llama.cpp's own benchmark: for each size of batch its figures (`speed_pp`, `speed_tg`: tokens a second)."""
    room = max(batches) * (prompt + answer)
    command = [str(program), "-m", setting.model, "-c", str(room), "-b", "2048", "-ub", "512", "-no-kvu"]
    command += ["-t", str(setting.threads), "-tb", str(setting.threads), "--output-format", "jsonl", "--offline"]
    command += ["-npp", str(prompt), "-ntg", str(answer), "-npl", ",".join(map(str, batches))]
    done = subprocess.run(
        command, env=_environment(), capture_output=True, text=True, errors="replace", timeout=600, check=False
    )
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or len(rows) != len(batches):
        raise SystemExit(f"llama-batched-bench failed:\n{done.stderr[-2000:]}")
    return rows


def thread_seconds(pid: int) -> tuple[float, float]:
    """Processor time of a process so far: of its main thread, and of all others together."""
    main = others = 0.0
    for task in Path(f"/proc/{pid}/task").iterdir():
        fields = (task / "stat").read_text().rpartition(")")[2].split()
        seconds = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        if task.name == str(pid):
            main += seconds
        else:
            others += seconds
    return main, others


_KINDS = {"router.engine": "engine", "router.app": "worker", "router.cli.server": "parent"}


def seconds_by_kind(pid: int) -> dict[str, float]:
    """Processor time so far of a server of ours and of all below it, by what each process is."""
    seconds: dict[str, float] = {}
    for member in family(pid):
        words = Path(f"/proc/{member}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")
        kind = next((_KINDS[word] for word in words if word in _KINDS), "other")
        seconds[kind] = seconds.get(kind, 0.0) + sum(thread_seconds(member))
    return seconds


def resident_bytes(pid: int) -> dict[str, int]:
    """RssAnon and RssFile of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return {name: int(fields[name].split()[0]) * 1024 for name in ("RssAnon", "RssFile")}


def model_header(setting: Setting) -> dict[str, Any]:
    """What the engine reads from the head of the GGUF."""
    command = [sys.executable, "-P", "-m", "router.engine", "--inspect", setting.model]
    done = subprocess.run(command, env=_environment(), capture_output=True, text=True, timeout=60, check=True)
    header: dict[str, Any] = json.loads(done.stdout)
    return header
