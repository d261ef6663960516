"""The gateway's latency and throughput against a static upstream, beside a plain pass-through and the upstream alone.

    python -m tests.bench.gateway [--peers] [--rounds 5] [--seconds 4] [--characters 150] [--model cloud] [--json FILE]

The server under test (for the gateway: all of its processes) is pinned to the first core, wrk and nginx to the second.
No two bodies are alike and the cache is off. Every figure is the median of the rounds, which go through the servers in
turn. `--peers` has LiteLLM's proxy and Portkey's gateway stand in the same line, on the same core (`python -m
deploy.peer_gateways` installs them once). Needs `wrk`, `nginx` and `taskset` in the PATH, and two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from policies.schema import compile_policy
from tests.bench.gateway_bodies import public_texts
from tests.bench.peer_gateways import peers
from tests.bench.processes import cpu_seconds, free_port, memory_mb, running, wait_for

TEXTS = 3000  # different ones; each is sent with a number behind it
ROOT = Path(__file__).resolve().parents[2]
DEBIAN_PACKAGES = {"wrk": "wrk", "nginx": "nginx-light", "taskset": "util-linux"}
_START_SECONDS = 60.0
PATH_OF_CHAT = "/v1/chat/completions"
ANSWER = {
    "id": "chatcmpl-static",
    "object": "chat.completion",
    "created": 1760000000,
    "model": "static",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Paris is the capital of France."},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 40, "completion_tokens": 8, "total_tokens": 48},
}

NGINX = """\
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log error;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  keepalive_requests 100000000;
  keepalive_timeout 600s;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    client_max_body_size 64m;
    location /stream/ {{ error_page 418 =200 /events; return 418; }}
    location = /events {{ internal; default_type text/event-stream; alias {folder}/events; }}
    location / {{ default_type application/json; return 200 '{answer}'; }}
  }}
}}
"""

POLICY = """\
version: 1
models:
  home: {{locality: local, backend: openai, base_url: "http://127.0.0.1:{port}/v1", model: static, context: 4000000}}
  cloud: {{locality: cloud, context: 4000000, backend: openai, base_url: "http://127.0.0.1:{port}/v1", model: static,
    region: us}}
defaults: {{local: home, cloud: cloud}}
sensitivity:
  levels:
    restricted: [CREDIT_CARD, IBAN_CODE, US_SSN, SECRET]
    confidential: [EMAIL_ADDRESS, PHONE_NUMBER, IP_ADDRESS]
    internal: [ORGANIZATION, AGE]
    public: [LOCATION, DATE_TIME, NRP]
egress:
  public: {{payload: full}}
  internal: {{payload: full}}
decisions:
  - {{name: hard-questions, priority: 50, when: {{all: [{{complexity: {{at_least: 0.7}}}}]}}, route: cloud}}
cache: {{mode: off}}
"""

# One line of a file after the other; the counter makes every body another.
WRK = """\
local texts = {{}}
for line in io.lines("{texts}") do texts[#texts + 1] = line end
local count = 0
math.randomseed(os.time())
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
request = function()
  count = count + 1
  local text = texts[math.random(#texts)] .. " q" .. count
  return wrk.format(nil, nil, nil, '{{"model":"{model}","messages":[{{"role":"user","content":"' .. text .. '"}}]}}')
end
done = function(summary, latency, requests)
  local failed = summary.errors.connect + summary.errors.read + summary.errors.write
    + summary.errors.status + summary.errors.timeout
  io.write(string.format('RESULT {{"p50": %f, "p99": %f, "requests": %d, "seconds": %f, "failed": %d}}\\n',
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, summary.requests, summary.duration / 1e6, failed))
end
"""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of wrk: milliseconds, requests a second, microseconds of processor time a request, failures."""

    p50: float
    p99: float
    rate: float
    cpu: float
    failed: int


def stream_of(chunks: int) -> str:
    """An answer of so many chunks as the upstream streams it, all of them ready at once."""
    piece = {**ANSWER, "object": "chat.completion.chunk", "usage": None}
    events = [
        {**piece, "choices": [{"index": 0, "delta": {"content": f"word{number} "}, "finish_reason": None}]}
        for number in range(chunks)
    ]
    events.append({**piece, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    return "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"


@contextmanager
def static_upstream(core: int, folder: Path) -> Iterator[tuple[int, int]]:
    """nginx with its one answer, and below /stream/ 500 chunks of one: its port and pid."""
    port = free_port()
    folder.chmod(0o755)  # nginx reads the file as another user
    (folder / "events").write_text(stream_of(500), "utf-8")
    text = NGINX.format(folder=folder, port=port, answer=json.dumps(ANSWER))
    (folder / "nginx.conf").write_text(text, encoding="utf-8")
    command = ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "nginx.log")]
    with running(core, command, dict(os.environ), folder) as process:
        wait_for(port)
        yield port, process.pid


@contextmanager
def passthrough(core: int, upstream: int) -> Iterator[tuple[int, int]]:
    """The limit: its port and pid."""
    port = free_port()
    command = [sys.executable, "-m", "tests.bench.passthrough", "--port", str(port)]
    command += ["--upstream", f"http://127.0.0.1:{upstream}{PATH_OF_CHAT}"]
    with running(core, command, dict(os.environ), ROOT) as process:
        wait_for(port)
        yield port, process.pid


def require_programs() -> None:
    """Exit with one line that says what to install."""
    missing = [program for program in DEBIAN_PACKAGES if shutil.which(program) is None]
    if missing:
        packages = " ".join(DEBIAN_PACKAGES[program] for program in missing)
        raise SystemExit(f"This needs {', '.join(missing)} in the PATH. On Debian: apt-get install {packages}")
    if len(os.sched_getaffinity(0)) < 2:
        raise SystemExit("This needs two cores: one for the server under test, one for wrk and nginx.")


def ask(port: int, model: str) -> dict[str, str]:
    """One request, as wrk sends it; the headers of the answer."""
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "Please compare river and market"}]})
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{PATH_OF_CHAT}", body.encode(), {"content-type": "application/json"}
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=30) as response:
        answer = json.loads(response.read())
        assert answer["choices"][0]["message"] == ANSWER["choices"][0]["message"]  # type: ignore[index]
        return {name.lower(): value for name, value in response.headers.items()}


def with_lines(script: Path, name: str, lines: str) -> Path:
    """The same script with these lines behind it, for the server of that name."""
    path = script.with_name(f"{name}.lua")
    path.write_text(script.read_text("utf-8") + lines, "utf-8")
    return path


def load(core: int, script: Path, port: int, pid: int, connections: int, seconds: int) -> Run:
    """wrk for `seconds`."""
    before = cpu_seconds(pid)
    done = subprocess.run(
        [
            *("taskset", "-c", str(core), "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s"),
            *("-s", str(script), f"http://127.0.0.1:{port}{PATH_OF_CHAT}"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT "))
    result = json.loads(line.removeprefix("RESULT "))
    spent = (cpu_seconds(pid) - before) / max(1, result["requests"])
    rate = result["requests"] / result["seconds"]
    return Run(result["p50"], result["p99"], rate, spent * 1e6, result["failed"])


@contextmanager
def gateway(
    core: int, folder: Path, upstream: int, *, policy: str = POLICY, workers: int = 1, **more: str
) -> Iterator[tuple[int, int, float]]:
    """A gateway: its port, its pid and the seconds from its start to its first word. `more` goes to its environment."""
    port, file = free_port(), folder / "policy.yaml"
    file.write_text(policy.format(port=upstream), "utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("GATEHOUSE_", "OTEL_"))}
    environment |= {
        "PYTHONPATH": str(ROOT),
        "GATEHOUSE_STATE_DIR": str(folder / "state"),
        "GATEHOUSE_RUNTIME_DIR": str(folder / "run"),
        "GATEHOUSE_LOG_LEVEL": "warning",
        **more,
    }
    command = [sys.executable, "-P", "-m", "router.cli.main", "serve", "--policy", str(file), "--port", str(port)]
    command += ["--workers", str(workers), "--admin-port", "off"]
    started = time.monotonic()
    with running(core, command, environment, folder) as process:
        assert process.stdout is not None
        too_late = threading.Timer(_START_SECONDS, process.terminate)
        too_late.start()
        has_started = any(line.lstrip().startswith("try") for line in process.stdout)
        too_late.cancel()
        if not has_started:
            raise SystemExit("the gateway did not start")
        yield port, process.pid, time.monotonic() - started


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """All rounds; the medians."""
    under_test, others = sorted(os.sched_getaffinity(0))[:2]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gatehouse-bench-")))
        upstream, static = stack.enter_context(static_upstream(others, folder))
        script = folder / "load.lua"
        made = public_texts(arguments.characters - 6, TEXTS, compile_policy(POLICY.format(port=upstream), "bench"))
        (folder / "texts").write_text("".join(f"{text}\n" for text in made), encoding="utf-8")
        script.write_text(WRK.format(texts=folder / "texts", model=arguments.model), encoding="utf-8")
        plain, limit = stack.enter_context(passthrough(under_test, upstream))
        port, pid, start_up = stack.enter_context(gateway(under_test, folder, upstream))
        headers = ask(port, arguments.model)
        ask(plain, arguments.model)
        if arguments.model == "cloud":
            assert headers["x-gatehouse-route"] == "cloud", headers
        fresh = memory_mb(pid)
        beside = stack.enter_context(peers(under_test, folder, upstream)) if arguments.peers else {}
        servers = {
            "nginx alone": (upstream, static),
            "pass-through": (plain, limit),
            "gatehouse": (port, pid),
            **{name: (peer.port, peer.pid) for name, peer in beside.items()},
        }
        scripts = {name: with_lines(script, name, peer.lines) for name, peer in beside.items()}
        rounds: dict[tuple[str, int], list[Run]] = {}
        for number in range(arguments.rounds + 1):
            for name, (target, process) in servers.items():
                for connections in (1, 64):
                    own = scripts.get(name, script)
                    run = load(others, own, target, process, connections, arguments.seconds if number else 1)
                    if number:  # the first warms up
                        rounds.setdefault((name, connections), []).append(run)
        return {
            "route": headers["x-gatehouse-route"],
            "start_up_seconds": start_up,
            "memory_mb": {"fresh": fresh, "after": memory_mb(pid)},
            "memory_of_others_mb": {name: memory_mb(process)["pss"] for name, (_, process) in servers.items()},
            "figures": {
                name: {
                    "p50_ms": _median(rounds[name, 1], "p50"),
                    "p99_ms": _median(rounds[name, 1], "p99"),
                    "p50_ms_at_64": _median(rounds[name, 64], "p50"),
                    "p99_ms_at_64": _median(rounds[name, 64], "p99"),
                    "requests_per_second_at_64": _median(rounds[name, 64], "rate"),
                    "cpu_us_per_request_at_64": _median(rounds[name, 64], "cpu"),
                    "failed": sum(run.failed for run in (*rounds[name, 1], *rounds[name, 64])),
                    "rounds": [round(run.rate) for run in rounds[name, 64]],
                }
                for name in servers
            },
        }


def _median(runs: list[Run], member: str) -> float:
    return round(statistics.median(float(getattr(run, member)) for run in runs), 3)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4, help="of each run of wrk")
    parser.add_argument("--characters", type=int, default=150, help="of the question")
    parser.add_argument("--model", default="cloud", help="cloud: pinned, through egress; home; auto")
    parser.add_argument("--peers", action="store_true", help="LiteLLM's proxy and Portkey's gateway too")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    require_programs()
    before = os.getloadavg()[0]
    result: dict[str, Any] = {"load_before": before, "model": arguments.model, **measure(arguments)}
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1), encoding="utf-8")
    print(f"model {arguments.model} ({result['route']}), {arguments.characters} characters, {arguments.rounds} rounds")
    print(f"load before the start: {before:.2f} (above 0.5 the figures are of a busy machine)")
    print(f"{'':<14}{'p50':>9}{'p99':>9}   {'p50 @64':>9}{'p99 @64':>9}{'requests/s @64':>16}{'CPU a request':>16}")
    figures: dict[str, dict[str, float]] = result["figures"]
    for name, row in figures.items():
        print(
            f"{name:<14}{row['p50_ms']:>6.3f} ms{row['p99_ms']:>6.3f} ms   {row['p50_ms_at_64']:>6.2f} ms"
            f"{row['p99_ms_at_64']:>6.2f} ms{row['requests_per_second_at_64']:>16,.0f}"
            f"{row['cpu_us_per_request_at_64']:>13,.0f} us   {row['rounds']}"
        )
        if row["failed"]:
            print(f"  {row['failed']} REQUESTS FAILED: these figures do not count")
    print(f"start-up {result['start_up_seconds']:.2f} s (pinned to one core)")
    others: dict[str, float] = result["memory_of_others_mb"]
    print("PSS after the load, MB: " + ", ".join(f"{name} {size:.0f}" for name, size in others.items()))
    memory: dict[str, dict[str, float]] = result["memory_mb"]
    for when, sizes in memory.items():
        print(
            f"memory, {when}: USS {sizes['uss']:.0f} MB, PSS {sizes['pss']:.0f} MB, {sizes['processes']:.0f} processes"
        )


if __name__ == "__main__":
    main()
