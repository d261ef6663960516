"""`gatehouse demo`: five requests through a real gateway, with a recording server on loopback in the cloud's place."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import aiohttp
import orjson
import typer
from rich.console import Console

from router.backends.scripted import ScriptedServer
from router.backends.scripted_replies import Script
from router.types import JsonObject

_START_SECONDS = 120.0
_HARD = (
    "Prove that there are infinitely many primes congruent to 3 modulo 4, then explain with full rigour why the same "
    "elementary argument fails for primes congruent to 1 modulo 4, and give a proof that works there."
)
_POLICY = """\
version: 1
models:
  home: {{locality: local, backend: engine, model: smollm2-135m-instruct}}
  cloud: {{locality: cloud, backend: openai, base_url: "{url}", model: recording-cloud, region: demo}}
defaults: {{local: home, cloud: cloud}}
sensitivity:
  levels:
    restricted: [CREDIT_CARD, IBAN_CODE, US_SSN, SECRET]
    confidential: [EMAIL_ADDRESS, PHONE_NUMBER]
    internal: [ORGANIZATION, AGE]
    public: [LOCATION, DATE_TIME, NRP]
egress:
  public: {{payload: full}}
decisions:
  - {{name: hard-questions, priority: 50, when: {{all: [{{complexity: {{at_least: 0.7}}}}]}}, route: cloud}}
cache: {{mode: exact, ttl_seconds: 600}}
"""


def _asks(model: str, text: str) -> JsonObject:
    return {
        "model": model,
        "messages": [{"role": "user", "content": text}],
        "max_tokens": 40,
        "temperature": 0,
    }


# The card number is a published test number; the key has the form of one and belongs to nobody.
_STEPS = (
    ("a card number", _asks("auto", f"My card 4111 1111 1111 1111 was charged twice. {_HARD}")),
    ("an easy question", _asks("auto", "What is the capital of France?")),
    ("a hard public question", _asks("auto", _HARD)),
    ("the same again", _asks("auto", _HARD)),
    ("a secret, with the cloud asked for by name", _asks("cloud", "Why does AKIAZ7QX4LMN2PRS5TUV not work in S3?")),
)


def demo(
    local_url: Annotated[
        str | None, typer.Option(help="An OpenAI-compatible server on this machine, in place of the embedded model.")
    ] = None,
    local_model: Annotated[str | None, typer.Option(help="The model's name on that server.")] = None,
) -> None:
    """Five requests, where each went and why, and the exact bytes that the cloud saw. Needs no key and no network."""
    try:
        code = asyncio.run(_demo(local_url, local_model))
    except KeyboardInterrupt:
        code = 130
    raise typer.Exit(code)


async def _demo(local_url: str | None, local_model: str | None) -> int:
    console = Console(highlight=False, soft_wrap=True)
    with tempfile.TemporaryDirectory(prefix="gatehouse-demo-") as folder:
        async with ScriptedServer(Script(answer="This is the recording cloud's answer.")) as cloud:
            policy = Path(folder) / "policy.yaml"
            policy.write_text(_POLICY.format(url=cloud.url), "utf-8")
            console.print(f"A recording server plays the cloud on {cloud.url}. Starting the gateway …")
            local = ["--local-url", local_url, "--local-model", local_model or ""] if local_url else []
            gateway = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "router.cli.main", "serve", "--port", "0", "--policy", str(policy)),
                *local,
                stdout=asyncio.subprocess.PIPE,
                env={**os.environ, "GATEHOUSE_STATE_DIR": f"{folder}/state", "GATEHOUSE_RUNTIME_DIR": f"{folder}/run"},
            )
            try:
                address = await _address(gateway)
                if address is None:
                    console.print("The gateway did not start; its messages stand above.")
                    return 1
                await _walk(console, address, cloud)
            finally:
                if gateway.returncode is None:
                    gateway.send_signal(signal.SIGTERM)
                await gateway.wait()
    return 0


async def _address(gateway: asyncio.subprocess.Process) -> str | None:
    """The URL that the gateway announces; None when it ends, or says nothing in time."""
    assert gateway.stdout is not None
    try:
        async with asyncio.timeout(_START_SECONDS):
            while line := (await gateway.stdout.readline()).decode():
                if " http" in line:
                    return line.split()[-1]
    except TimeoutError:
        pass
    return None


async def _walk(console: Console, address: str, cloud: ScriptedServer) -> None:
    async with aiohttp.ClientSession(trust_env=False) as session:
        for number, (title, body) in enumerate(_STEPS, 1):
            cloud.forget()
            async with session.post(f"{address}/chat/completions", json=body) as response:
                answer = orjson.loads(await response.read())
                headers = response.headers
            console.rule(f"{number}. {title}", align="left")
            console.print(f"  asked     {body['messages'][0]['content']}", markup=False)
            line = ", ".join(
                f"{name} {headers[f'x-gatehouse-{name}']}"
                for name in ("route", "model", "reason", "sensitivity", "held", "complexity", "confidence")
                if f"x-gatehouse-{name}" in headers
            )
            console.print(f"  decided   {line}", markup=False)
            console.print(f"  answer    {response.status} {_said(answer)}", markup=False)
            console.print(f"  the cloud saw {_seen(cloud)}", markup=False)
    console.rule()
    console.print('What a request was decided by: gatehouse explain "…". Your own gateway: gatehouse serve.')


def _said(answer: JsonObject) -> str:
    if "error" in answer:
        return f"{answer['error']['code']}: {answer['error']['message']}"
    return " ".join(str(answer["choices"][0]["message"]["content"]).split())


def _seen(cloud: ScriptedServer) -> str:
    if not cloud.exchanges:
        return "nothing" if not cloud.received.strip() else "bytes that are no request"
    raw = cloud.exchanges[-1].raw.decode("utf-8", "replace")
    return f"these {len(cloud.exchanges[-1].raw)} bytes:\n" + "\n".join(f"    {line}" for line in raw.splitlines())
