"""The parent of `gatehouse serve`: owns the engine's supervisor, the policy watcher and the one writer of records.

It starts the workers, which only connect. It serves no request itself and never sees content.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from policies.errors import PolicyError, Problem
from policies.store import PolicyStore
from policies.types import Policy
from router.control import ControlServer
from router.identity import ensure_start_key
from router.keys import ensure_private_folder, load_keys
from router.metrics import forget_process, is_running, prepare_metrics_folder, remove_metrics_folder
from router.models.catalogue import ModelFileError, embedded_model
from router.record_writer import RecordWriter
from router.recorder import EngineState
from router.running import with_local_server
from router.settings import Settings
from router.store import RECORDS_FILE, SqliteStore
from router.supervisor import State, Supervisor, health_check
from router.telemetry import Telemetry
from router.types import JsonObject

log = logging.getLogger("gatehouse.parent")

# What an engine may see of the environment: nothing that could hold a secret.
_ENGINE_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "PYTHONPATH", "OMP_NUM_THREADS")
_SHOWN_STATES: dict[State, EngineState] = {
    "starting": "starting",
    "ready": "ready",
    "restarting": "restarting",
    "crash_loop": "failed",
    "stopped": "off",
}
_HOUSEKEEPING_SECONDS = 1.0


class Parent:
    """One gateway: `run` starts everything, waits for a signal, and takes everything down in order."""

    def __init__(self, settings: Settings, say: Callable[[Parent], None]) -> None:
        """`say` is called once, when the first worker is ready. Raises `PolicyError` for a policy that is not good."""
        self._say = say
        self.store = PolicyStore(settings.policy, lambda policy: _check_engine(with_local_server(policy, settings)))
        self.policy: Policy = with_local_server(self.store.load(), settings)
        # A folder of its own for each gateway of this user: two may run side by side.
        run = settings.runtime_dir / str(os.getpid())
        self.settings = settings.model_copy(update={"runtime_dir": run})
        self.listener = _listen(settings.host, settings.port)
        self.address = _url(self.listener)
        self._supervisors: list[Supervisor] = []
        self._engine: Supervisor | None = None
        self._ready = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._counted_drops = self._counted_written = 0
        self._records_failing: str | None = None

    @property
    def needs_engine(self) -> bool:
        """Whether any model of the policy is served by the embedded engine."""
        return any(model.backend == "engine" for model in self.policy.models.values())

    async def run(self) -> int:
        """Serve until SIGTERM or SIGINT. Returns the exit code."""
        settings = self.settings
        ensure_private_folder(settings.state_dir)
        ensure_private_folder(settings.runtime_dir.parent)
        _sweep(settings.runtime_dir.parent)
        ensure_private_folder(settings.runtime_dir)
        load_keys(settings.state_dir)  # created here, before workers race for it
        self.start_key = ensure_start_key(settings)
        metrics = prepare_metrics_folder(settings.runtime_dir)
        self._telemetry = Telemetry.from_settings(settings, exports_metrics=True)
        self._telemetry.start()
        store = SqliteStore(settings.state_dir / RECORDS_FILE, settings.records_max_bytes)
        if store.damage:
            log.error("records: %s", store.damage)
        writer = RecordWriter(store, queue=settings.records_queue)
        await writer.start()
        self._control = ControlServer(settings.control_socket, writer, self._take)
        await self._control.start()
        await self._control.publish({"t": "settings", "settings": settings.model_dump(mode="json")})
        self._telemetry.policy_loaded(True)
        await self._publish_policy()
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        loop.add_signal_handler(signal.SIGHUP, lambda: self._spawn(self._reload()))
        tasks = [
            loop.create_task(self.store.watch(self._changed)),
            loop.create_task(self._housekeep(writer)),
            loop.create_task(self._announce()),
        ]
        try:
            await self._start_children(metrics)
            await stop.wait()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._stop_children()
            await self._control.close()
            await writer.close()
            self._telemetry.close()
            remove_metrics_folder(metrics)
            shutil.rmtree(settings.runtime_dir, ignore_errors=True)
        return 0

    # -- children --------------------------------------------------------------------------------------------------

    async def _start_children(self, metrics: Path) -> None:
        if self.needs_engine:
            self._engine = self._make_engine()
            await self._engine.start()
        for number in range(self.settings.workers):
            worker = Supervisor(
                name=f"worker-{number}",
                argv=[
                    *(sys.executable, "-P", "-m", "router.app"),
                    *("--control", str(self.settings.control_socket)),
                    *("--listener", str(self.listener.fileno())),
                ],
                pass_fds=[self.listener.fileno()],
                on_exit=lambda pid: forget_process(metrics, pid),
                on_change=self._worker_changed,
                grace_s=self.settings.grace_s + 2,
            )
            self._supervisors.append(worker)
            await worker.start()

    def _make_engine(self) -> Supervisor:
        settings = self.settings
        home = next(model for model in self.policy.models.values() if model.backend == "engine")
        return Supervisor(
            name="engine",
            argv=[
                *(sys.executable, "-P", "-m", "router.engine"),
                *("--model", str(embedded_model(home.model))),
                *("--socket", str(settings.engine_socket)),
                *("--alias", home.model),
                *("--threads", str(settings.engine_threads)),
                *("--context", str(settings.engine_context)),
                *("--queue", str(settings.engine_queue)),
            ],
            env={name: os.environ[name] for name in _ENGINE_ENVIRONMENT if name in os.environ},
            ready=health_check(settings.engine_socket),
            on_change=self._engine_changed,
        )

    async def _stop_children(self) -> None:
        await asyncio.gather(*(worker.stop() for worker in self._supervisors))
        if self._engine is not None:
            await self._engine.stop()
        self.listener.close()

    def _engine_changed(self, state: State) -> None:
        self._telemetry.engine_state(_SHOWN_STATES[state])
        if state in ("restarting", "crash_loop"):
            self._telemetry.engine_restarted()
        self._spawn(self._publish_status())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _worker_changed(self, state: State) -> None:
        if state in ("restarting", "crash_loop"):
            self._telemetry.worker_restarted()

    # -- policy ----------------------------------------------------------------------------------------------------

    async def _changed(self, policy: Policy | None) -> None:
        """A new version of the file has been read: in force when it is good, reported when it is not."""
        self._telemetry.policy_loaded(policy is not None)
        if policy is not None:
            self.policy = with_local_server(policy, self.settings)
            if self.needs_engine and self._engine is None:
                self._engine = self._make_engine()
                await self._engine.start()
            await self._publish_policy()
        await self._publish_status()

    async def _reload(self) -> None:
        await self._changed(await asyncio.to_thread(self.store.reload))

    async def _publish_policy(self) -> None:
        self._telemetry.policy_in_force(self.policy.label)
        await self._control.publish({"t": "policy", "text": self.store.text, "source": self.policy.source})
        await self._publish_status()

    async def _publish_status(self) -> None:
        status = self.store.status
        policy: JsonObject = {
            "version": self.policy.version,
            "running_digest": status.running_digest,
            "file_digest": status.file_digest,
            "last_error": status.last_error,
            "loaded_at": status.loaded_at,
        }
        engine: JsonObject = {}
        if self._engine is not None:
            engine = {"state": self._engine.state, "restarts": self._engine.restarts}
        await self._control.publish(
            {"t": "status", "policy": policy, "engine": engine, "records_failing": self._records_failing}
        )

    # -- the rest --------------------------------------------------------------------------------------------------

    def _take(self, event: JsonObject) -> None:
        if event["t"] == "ready":
            self._ready.set()

    async def _announce(self) -> None:
        await self._ready.wait()
        self._say(self)

    async def _housekeep(self, writer: RecordWriter) -> None:
        while True:
            await asyncio.sleep(_HOUSEKEEPING_SECONDS)
            self._telemetry.records_written(writer.written - self._counted_written)
            self._telemetry.records_dropped(writer.drops - self._counted_drops)
            self._counted_written, self._counted_drops = writer.written, writer.drops
            if writer.failing != self._records_failing:
                self._records_failing = writer.failing
                await self._publish_status()


def _check_engine(policy: Policy) -> None:
    """Raise `PolicyError` for a model of the embedded engine that is not on this machine."""
    for model in policy.models.values():
        if model.backend == "engine":
            try:
                embedded_model(model.model)
            except ModelFileError as error:
                raise PolicyError(policy.source, [Problem(0, 0, f"models.{model.name}: {error}")]) from None


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(2048)
    listener.set_inheritable(True)
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _sweep(folder: Path) -> None:
    """Remove what gateways that were killed have left behind."""
    for left in folder.iterdir():
        if left.name.isdecimal() and not is_running(int(left.name)):
            shutil.rmtree(left, ignore_errors=True)
