"""Tries a model in an engine process of its own: loads it, asks one question, measures how fast it answers.

Nothing of the answer is shown or kept; the process ends with the trial, and has none of our secrets.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from router.models.catalogue import ModelFileError
from router.models.local import manifest_entries
from router.settings import Settings, engine_environment

_START_S = 300.0  # some gigabytes from a slow disk
_ANSWER_S = 300.0
_LOOK_S = 0.05
_GRACE_S = 5.0
_QUESTION = "Tell me a story about a lighthouse."
_TOKENS = 48
_REASON = re.compile(r'message=("(?:[^"\\]|\\.)*")')  # in a line of the engine's log


@dataclass(frozen=True, slots=True)
class Trial:
    """What a model did. `tokens_per_second` is the speed of one answer, from its first words on."""

    seconds_to_ready: float
    tokens: int
    tokens_per_second: float


async def try_model(name: str, context: int, settings: Settings) -> Trial:
    """Serve `name` alone, with `context` tokens, for one question. Raises ModelFileError when it does not answer."""
    entries = manifest_entries([name], settings.state_dir)
    with tempfile.TemporaryDirectory(prefix="gh-") as folder:  # short: a unix socket's path may have 107 bytes
        socket = Path(folder) / "engine.sock"
        argv = [sys.executable, "-P", "-m", "router.engine", "--socket", str(socket)]
        argv += ["--threads", str(settings.engine_threads), "--context", str(context), "--slots", "1"]
        argv += _models(entries, Path(folder))
        with (Path(folder) / "log").open("w+b") as log:
            engine = await asyncio.create_subprocess_exec(
                *argv, env=engine_environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
            try:
                return await _ask(name, socket, engine)
            except _EngineEndedError:
                log.seek(0)
                raise ModelFileError(f"{name} does not run here: {_last_reason(log.read())}") from None
            except (aiohttp.ClientError, TimeoutError, KeyError, ValueError, TypeError) as error:
                raise ModelFileError(f"{name} loads, but does not answer ({type(error).__name__})") from None
            finally:
                await _end(engine)


class _EngineEndedError(Exception):
    pass


def _models(entries: list[dict[str, Any]], folder: Path) -> list[str]:
    """The engine's options for one model; an adapter needs its base, and so a manifest."""
    if len(entries) == 1:
        return ["--model", entries[0]["path"], "--alias", entries[0]["name"]]
    manifest = folder / "models.json"
    manifest.write_text(json.dumps({"version": 1, "models": entries}), "utf-8")
    return ["--manifest", str(manifest)]


async def _ask(name: str, socket: Path, engine: asyncio.subprocess.Process) -> Trial:
    began = time.monotonic()
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(socket)), trust_env=False) as session:
        await asyncio.wait_for(_until_ready(session, engine), _START_S)
        ready = time.monotonic() - began
        body = {
            "model": name,
            "messages": [{"role": "user", "content": _QUESTION}],
            "max_tokens": _TOKENS,
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        timeout = aiohttp.ClientTimeout(total=_ANSWER_S)
        async with session.post("http://engine/v1/chat/completions", json=body, timeout=timeout) as response:
            if response.status != 200:
                raise ModelFileError(f"{name} does not answer: {(await response.json())['error']['message']}")
            tokens, seconds = await _read(response)
    if tokens < 2 or seconds <= 0:
        raise ModelFileError(f"{name} answers with nothing")
    return Trial(ready, tokens, (tokens - 1) / seconds)


async def _read(response: aiohttp.ClientResponse) -> tuple[int, float]:
    """The answer's tokens, and the seconds between its first words and its end. Raises KeyError for an error event."""
    tokens, first, last = 0, 0.0, 0.0
    async for line in response.content:
        data = line.removeprefix(b"data: ").strip()
        if not data.startswith(b"{"):
            continue
        event = json.loads(data)
        if event.get("usage"):
            tokens = int(event["usage"]["completion_tokens"])
        elif event["choices"][0]["delta"].get("content"):
            last = time.monotonic()
            first = first or last
    return tokens, last - first


async def _until_ready(session: aiohttp.ClientSession, engine: asyncio.subprocess.Process) -> None:
    while engine.returncode is None:
        with contextlib.suppress(aiohttp.ClientError):
            async with session.get("http://engine/health") as response:
                if response.status == 200:
                    return
        await asyncio.sleep(_LOOK_S)
    raise _EngineEndedError


async def _end(engine: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        engine.terminate()
    try:
        await asyncio.wait_for(engine.wait(), _GRACE_S)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            engine.kill()
        await engine.wait()


def _last_reason(log: bytes) -> str:
    """The message of the last line of an engine's log; the engine never writes content there."""
    lines = log.decode("utf-8", "replace").strip().splitlines()
    if not lines:
        return "the engine ended without a word"
    found = _REASON.search(lines[-1])
    return str(json.loads(found[1])) if found else lines[-1][:200]
