"""`python -m router.backends.scripted`: the scripted backend as a process of its own, until a signal ends it."""

from __future__ import annotations

import argparse
import asyncio
import signal
from pathlib import Path
from typing import get_args

from router.backends.scripted import ScriptedServer
from router.backends.scripted_replies import Fault, Script


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m router.backends.scripted", description="A scripted chat upstream.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--socket", type=Path, help="a unix socket instead of a port")
    parser.add_argument("--record", type=Path, help="append every request to this file, one JSON line each")
    parser.add_argument("--no-keep", action="store_true", help="hold no requests in memory (for benchmarks)")
    parser.add_argument("--model", action="append", default=[], help="a name for GET /v1/models")
    parser.add_argument("--answer", default=Script().answer)
    parser.add_argument("--confidence", type=float, help="the probability of each token, for logprobs")
    parser.add_argument("--status", type=int, default=200)
    parser.add_argument("--retry-after")
    parser.add_argument("--fault", choices=get_args(Fault), default="none")
    parser.add_argument("--after", type=int, default=1)
    parser.add_argument("--location", default="/elsewhere")
    parser.add_argument("--first-delay", type=float, default=0.0)
    parser.add_argument("--chunk-delay", type=float, default=0.0)
    return parser


async def _serve(arguments: argparse.Namespace) -> None:
    script = Script(
        answer=arguments.answer,
        confidence=arguments.confidence,
        status=arguments.status,
        headers=(("Retry-After", arguments.retry_after),) if arguments.retry_after else (),
        fault=arguments.fault,
        after=arguments.after,
        location=arguments.location,
        first_delay=arguments.first_delay,
        chunk_delay=arguments.chunk_delay,
    )
    server = ScriptedServer(
        script,
        host=arguments.host,
        port=arguments.port,
        socket=arguments.socket,
        record=arguments.record,
        keep=not arguments.no_keep,
        models=tuple(arguments.model) or ("scripted",),
    )
    done = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, done.set)
    async with server:
        print(server.url, flush=True)  # noqa: T201 - the address is this command's output
        await done.wait()


def main() -> None:
    """Serve until SIGINT or SIGTERM; the first line on stdout is the base URL."""
    asyncio.run(_serve(_parser().parse_args()))
