"""The engine of one gateway: started, told its models, watched and asked for its figures; or another's, only watched.

It never loads a model itself, and hands the engine nothing of the environment that could hold a secret.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import orjson

from router.keys import replace_whole
from router.processes.engine_models import EngineModels, manifest_file
from router.processes.engine_stats import EngineMetrics, read_stats
from router.processes.liveness import answer_check
from router.processes.supervisor import State, Supervisor, health_check
from router.settings import Settings, engine_environment
from router.telemetry.recorder import EngineState
from router.telemetry.telemetry import Telemetry
from router.types import JsonObject

log = logging.getLogger("gatehouse.engine")

_LOOK_SECONDS = 1.0
_EXITS = {3: "unusable", 4: "hang"}  # what the engine's own exit codes stand for
_SHOWN: dict[State, EngineState] = {
    "starting": "starting",
    "ready": "ready",
    "restarting": "restarting",
    "crash_loop": "crash_loop",
    "stopped": "off",
}


def engine_command(settings: Settings, socket: Path, what: Sequence[str]) -> list[str]:
    """The command line of an engine with the operator's settings. `what` is its model or its manifest."""
    choices = {
        "--threads": settings.engine_threads,
        "--context": settings.engine_context,
        "--slots": settings.engine_slots,
        "--memory": settings.engine_memory_mb,
        "--queue": settings.engine_queue,
        "--queue-tokens": settings.engine_queue_tokens,
        "--gpu-layers": "" if settings.engine_gpu_layers == "auto" else settings.engine_gpu_layers,
    }
    made = [text for flag, value in choices.items() if value for text in (flag, str(value))]
    return [sys.executable, "-P", "-m", "router.engine", *what, "--socket", str(socket), *made]


def write_manifest(path: Path, models: Sequence[JsonObject]) -> None:
    """Put the manifest in its place, whole or not at all, for its owner alone. Raises OSError."""
    replace_whole(path, orjson.dumps({"version": 1, "models": list(models)}, option=orjson.OPT_INDENT_2))


def what_to_serve(models: Sequence[JsonObject], path: Path) -> tuple[str, ...]:
    """The engine's arguments for these manifest entries: one plain model by itself, others by the manifest `path`.

    Writes the manifest in the second case. Raises OSError.
    """
    if len(models) == 1 and not models[0].get("embedding"):
        return ("--model", models[0]["path"], "--alias", models[0]["name"])
    write_manifest(path, models)
    return ("--manifest", str(path))


class EngineChild:
    """Nothing until a policy names a model of the engine's; then `serve` starts it, and tells it of each change."""

    def __init__(
        self,
        settings: Settings,
        telemetry: Telemetry,
        on_change: Callable[[], None],
        on_stats: Callable[[JsonObject], None] = lambda stats: None,
    ) -> None:
        """`on_change` is called when what `report` says may have changed, `on_stats` with what the engine says.

        That is once a second, and empty while it does not answer.
        """
        self._settings = settings
        self._telemetry = telemetry
        self._on_change = on_change
        self._on_stats = on_stats
        self._metrics = EngineMetrics(telemetry.store)
        self._engine: Supervisor | Neighbour | None = None
        self._looking: asyncio.Task[None] | None = None
        self._manifest: tuple[JsonObject, ...] = ()
        self._is_stopping = False

    def report(self) -> JsonObject:
        """State, restarts and what the last end was of; empty while no engine is needed."""
        if self._engine is None:
            return {}
        reason = _reason(self._engine) if isinstance(self._engine, Supervisor) else ""
        return {"state": self._engine.state, "restarts": self._engine.restarts, "reason": reason or None}

    async def serve(self, models: EngineModels) -> None:
        """See to it that these are served. A manifest that cannot be written leaves the one before in force."""
        if not models.known:
            return  # an engine that runs goes on: a policy that wants it back finds it warm
        if self._settings.engine_socket_path is None and models.manifest != self._manifest:
            try:
                write_manifest(manifest_file(self._settings), models.manifest)
                self._manifest = models.manifest
            except OSError as error:
                log.error("the engine's manifest cannot be written: %s", error.strerror)
        if self._engine is None:
            self._engine = self._make()
            await self._engine.start()
            self._looking = asyncio.get_running_loop().create_task(self._look())

    async def stop(self) -> None:
        """End the engine if it is ours, and the looking after it."""
        self._is_stopping = True
        if self._looking is not None:
            self._looking.cancel()
        if self._engine is not None:
            await self._engine.stop()

    def _make(self) -> Supervisor | Neighbour:
        settings = self._settings
        if settings.engine_socket_path is not None:
            return Neighbour(settings.engine_socket_path, self._neighbour_changed)
        return Supervisor(
            name="engine",
            argv=engine_command(settings, settings.engine_socket, ("--manifest", str(manifest_file(settings)))),
            env=engine_environment(),
            ready=health_check(settings.engine_socket),
            alive=answer_check(settings.engine_socket),
            on_change=self._changed,
            on_exit=self._ended,
        )

    def _changed(self, state: State) -> None:
        self._telemetry.engine_state(_SHOWN[state])
        self._on_change()

    def _neighbour_changed(self, state: EngineState) -> None:
        self._telemetry.engine_state(state)
        self._on_change()

    def _ended(self, pid: int) -> None:
        self._metrics.restarted()
        self._metrics.gone()
        if not self._is_stopping and isinstance(self._engine, Supervisor):
            self._telemetry.engine_ended(_reason(self._engine))

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            stats = await read_stats(self._settings.engine_socket)
            if stats is None:
                self._metrics.gone()
            else:
                self._metrics.take(stats)
            self._on_stats(stats or {})


def _reason(engine: Supervisor) -> str:
    """Why it ended the last time, in one word; empty while it has not."""
    if engine.reason != "exited":
        return engine.reason or ""
    status = engine.last_exit
    if status is not None and status < 0:
        return "killed" if status == -signal.SIGKILL else "crash"
    return _EXITS.get(status or 0, "exited")


class Neighbour:
    """An engine that somebody else runs: its health is watched, and no more. It has the words of a supervised one."""

    def __init__(self, socket: Path, on_change: Callable[[EngineState], None]) -> None:
        self.state: Literal["starting", "ready", "unreachable", "off"] = "starting"
        self.restarts = 0  # times that it was gone and came back
        self._check = health_check(socket)
        self._on_change = on_change
        self._watching: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to look."""
        self._on_change(self.state)
        self._watching = asyncio.get_running_loop().create_task(self._watch())

    async def stop(self) -> None:
        """Look no more; the engine goes on."""
        if self._watching is not None:
            self._watching.cancel()
        self.state = "off"

    async def _watch(self) -> None:
        while True:
            answers = await self._check()
            if answers and self.state != "ready":
                self.restarts += self.state == "unreachable"
                self.state = "ready"
                self._on_change(self.state)
            elif not answers and self.state == "ready":
                self.state = "unreachable"
                self._on_change(self.state)
            await asyncio.sleep(_LOOK_SECONDS)
