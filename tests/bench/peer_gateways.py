"""LiteLLM's proxy and Portkey's gateway as servers under test: before the same upstream, pinned to the same core.

Both with one worker, nothing logged, nothing kept, no key and no database: the least that each of them does.
"""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.peer_gateways import PeerGateways, here
from tests.bench.processes import free_port, running, wait_for

_START_SECONDS = 180.0  # LiteLLM's takes 20 on a quiet core
LITELLM, PORTKEY = "LiteLLM", "Portkey"

# The names that the bodies of this bench ask for, all of them the static model.
_LITELLM_CONFIG = """\
model_list:
{models}
litellm_settings: {{telemetry: false, callbacks: [], cache: false, num_retries: 0, set_verbose: false}}
general_settings: {{disable_spend_logs: true, disable_error_logs: true}}
"""
_LITELLM_MODEL = """\
  - model_name: {name}
    litellm_params: {{model: openai/static, api_base: "http://127.0.0.1:{port}/v1", api_key: none}}"""


@dataclass(frozen=True, slots=True)
class Peer:
    """A server under test, and what wrk's script must say for it beside what it says for all."""

    port: int
    pid: int
    lines: str = ""


@contextmanager
def peers(core: int, folder: Path, upstream: int) -> Iterator[dict[str, Peer]]:
    """Both, by name. Exits with one line where they are not installed."""
    installed = here()
    if not installed.is_complete():
        raise SystemExit("The other gateways are not installed: python -m deploy.peer_gateways")
    with litellm(installed, core, folder, upstream) as first, portkey(installed, core, folder, upstream) as second:
        yield {LITELLM: first, PORTKEY: second}


@contextmanager
def litellm(installed: PeerGateways, core: int, folder: Path, upstream: int) -> Iterator[Peer]:
    """LiteLLM's proxy."""
    port, config = free_port(), folder / "litellm.yaml"
    models = "\n".join(_LITELLM_MODEL.format(name=name, port=upstream) for name in ("cloud", "home", "auto"))
    config.write_text(_LITELLM_CONFIG.format(models=models), "utf-8")
    variables = {
        **_variables(),
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_LOG": "ERROR",
        "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",  # it listens on loopback, for this bench
    }
    command = [str(installed.litellm), "--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
    command += ["--num_workers", "1", "--telemetry", "False"]
    with _serving(core, command, variables, folder / "litellm.log", port) as pid:
        _ask(port, {})
        yield Peer(port, pid)


@contextmanager
def portkey(installed: PeerGateways, core: int, folder: Path, upstream: int) -> Iterator[Peer]:
    """Portkey's gateway, which is told by headers where the model stands."""
    port = free_port()
    headers = {
        "x-portkey-provider": "openai",
        "x-portkey-custom-host": f"http://127.0.0.1:{upstream}/v1",
        "authorization": "Bearer none",
    }
    command = [str(installed.node), str(installed.portkey), f"--port={port}", "--headless"]
    with _serving(core, command, {**_variables(), "NODE_ENV": "production"}, folder / "portkey.log", port) as pid:
        _ask(port, headers)
        yield Peer(port, pid, "".join(f'wrk.headers["{name}"] = "{value}"\n' for name, value in headers.items()))


def _variables() -> dict[str, str]:
    """No key, no proxy and no setting of whoever runs the bench."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}


@contextmanager
def _serving(core: int, command: list[str], variables: dict[str, str], log: Path, port: int) -> Iterator[int]:
    """The pid, once it listens. What it prints goes into a file: a pipe that nobody reads would stop it."""
    shell = ["sh", "-c", 'exec "$@" > "$0" 2>&1', str(log), *command]
    with running(core, shell, variables, log.parent) as process:
        try:
            wait_for(port, _START_SECONDS, process)
        except SystemExit as error:
            raise SystemExit(f"{error}\n{log.read_text('utf-8', 'replace')[-2000:]}") from error
        yield process.pid


def _ask(port: int, headers: dict[str, str]) -> None:
    """One question, whose answer is that of the static upstream."""
    body = json.dumps({"model": "cloud", "messages": [{"role": "user", "content": "Say hello."}]})
    url = f"http://127.0.0.1:{port}/v1/chat/completions"
    request = urllib.request.Request(url, body.encode(), {"content-type": "application/json", **headers})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=60) as response:
        answer = json.loads(response.read())
    said = answer["choices"][0]["message"]["content"]
    if said != "Paris is the capital of France.":
        raise SystemExit(f"port {port} answers something else: {said!r}")
