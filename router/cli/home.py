"""The local model of a policy for a command: the engine of a gateway that runs here, another server, or one of our own.

An engine that was started for the command ends with it. Nothing here reaches another machine.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from policies.types import Model, Policy
from router.backends.base import Backend
from router.backends.table import make_backend
from router.errors import Unavailable
from router.processes.engine_child import engine_command, what_to_serve
from router.processes.engine_models import find
from router.processes.engine_stats import read_stats
from router.processes.supervisor import Supervisor, health_check
from router.settings import Settings, engine_environment

_START_SECONDS = 300.0  # some gigabytes from a slow disk


@asynccontextmanager
async def local_backend(policy: Policy, model: Model, settings: Settings) -> AsyncIterator[Backend]:
    """A backend that answers for `model`, closed at the end. Raises `PolicyError` for a model that is not here.

    Raises `Unavailable` when the engine or the server does not answer.
    """
    if model.backend != "engine":
        async with _opened(model, settings) as backend:
            yield backend
        return
    socket = await _running(model.model, settings)
    if socket is not None:
        async with _opened(model, settings.model_copy(update={"engine_socket_path": socket})) as backend:
            yield backend
        return
    with tempfile.TemporaryDirectory(prefix="gh-") as folder:  # short: a unix socket's path may have 107 bytes
        socket = Path(folder) / "engine.sock"
        entries = find(policy, settings).manifest
        engine = Supervisor(
            name="engine",
            argv=engine_command(settings, socket, what_to_serve(entries, Path(folder) / "engine.json")),
            env=engine_environment(),
            ready=health_check(socket),
        )
        await engine.start()
        try:
            if not await engine.wait_ready(_START_SECONDS):
                raise Unavailable("the engine did not answer its self-test prompt; see gatehouse doctor")
            async with _opened(model, settings.model_copy(update={"engine_socket_path": socket})) as backend:
                yield backend
        finally:
            await engine.stop()


@asynccontextmanager
async def _opened(model: Model, settings: Settings) -> AsyncIterator[Backend]:
    backend = make_backend(model, settings)
    try:
        await backend.self_test()
        yield backend
    finally:
        await backend.close()


async def _running(name: str, settings: Settings) -> Path | None:
    """The socket of an engine that serves this model already: the one that is named, or a running gateway's."""
    if settings.engine_socket_path is not None:
        return settings.engine_socket_path
    for socket in sorted(settings.runtime_dir.glob("*/engine.sock")):
        said = await read_stats(socket, path="/v1/models")
        served = said.get("data") if said is not None else None
        if isinstance(served, list) and any(isinstance(each, dict) and each.get("id") == name for each in served):
            return socket
    return None
