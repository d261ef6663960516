"""Engine processes on the real model, and a client that speaks to them as the gateway does."""

from __future__ import annotations

import asyncio
import http.client
import io
import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from router.models.catalogue import embedded_model

ALIAS = "smollm2-135m-instruct"
ROOT = Path(__file__).parents[2]
BFLOAT16 = 30  # GGML_TYPE_BF16: how the engine keeps keys, and the oracle must
READY_S = 180.0
PATIENCE_S = 60.0

Body = dict[str, Any]


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("engine", timeout=120)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self._path))


@dataclass
class EngineProcess:
    process: subprocess.Popen[bytes]
    socket: Path
    log: Path

    def health(self) -> Body | None:
        """What `/health` says when it says 200."""
        connection = UnixConnection(self.socket)
        try:
            connection.request("GET", "/health")
            response = connection.getresponse()
            body: Body = orjson.loads(response.read())
            return body if response.status == 200 else None
        except OSError:
            return None
        finally:
            connection.close()

    def wait(self) -> None:
        deadline = time.monotonic() + READY_S
        while self.health() is None:
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, "the engine did not become ready"
            time.sleep(0.02)


def child_environment() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8"}


def engine_argv(path: Path, *options: str) -> list[str]:
    """The embedded model is served, unless the options name another, by one thread, unless they say how many.

    A team waits at every layer for whichever of it has no processor: beside other work, and the tests run beside each
    other, that takes many times the processor time of one thread alone.
    """
    model = () if {"--model", "--manifest"} & {*options} else ("--model", str(embedded_model()))
    threads = () if "--threads" in options else ("--threads", "1")
    return [sys.executable, "-P", "-m", "router.engine", *model, *threads, "--socket", str(path), *options]


def start_engine(folder: Path, *options: str) -> EngineProcess:
    path, log = folder / "engine.sock", folder / "engine.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            engine_argv(path, *options), env=child_environment(), stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    return EngineProcess(process, path, log)


def end_engine(engine: EngineProcess) -> None:
    engine.process.kill()
    engine.process.wait()


class Client:
    """Speaks to an engine as the gateway does: aiohttp over a unix socket."""

    def __init__(self, path: Path) -> None:
        self.session = aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path)))

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.session.close()

    def post(self, body: Body | bytes) -> Any:
        raw = body if isinstance(body, bytes) else orjson.dumps({"model": ALIAS, **body})
        headers = {"content-type": "application/json"}
        return self.session.post("http://engine/v1/chat/completions", data=io.BytesIO(raw), headers=headers)

    async def ask(self, body: Body | bytes) -> tuple[int, Body]:
        async with self.post(body) as response:
            return response.status, orjson.loads(await response.read())

    async def answer(self, body: Body) -> Body:
        status, reply = await self.ask(body)
        assert status == 200, reply
        return reply

    async def text(self, body: Body) -> str:
        return str((await self.answer(body))["choices"][0]["message"]["content"])

    async def chunks(self, body: Body) -> list[Body]:
        """All events of a stream; the last must be [DONE]."""
        async with self.post({**body, "stream": True}) as response:
            raw = await response.read()
            assert response.status == 200, raw
            assert response.headers["content-type"].startswith("text/event-stream")
        events = raw.decode().strip().split("\n\n")
        assert events[-1] == "data: [DONE]"
        return [orjson.loads(event.removeprefix("data: ")) for event in events[:-1]]

    async def health(self) -> Body:
        async with self.session.get("http://engine/health") as response:
            return dict(orjson.loads(await response.read()))

    async def figures(self, name: str = ALIAS) -> dict[str, float]:
        """What `/stats` says of one model."""
        async with self.session.get("http://engine/stats") as response:
            return dict(orjson.loads(await response.read())["models"][name])

    async def until(self, **wanted: int) -> None:
        """Wait until `/health` shows these figures."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            state = await self.health()
            if all(state[name] == value for name, value in wanted.items()):
                return
            assert time.monotonic() < deadline, f"{wanted} never came: {state}"
            await asyncio.sleep(0.01)


def says(text: str, **fields: Any) -> Body:
    return {"messages": [{"role": "user", "content": text}], **fields}
