"""The parent of `gatehouse serve`: owns the engine's supervisor, the policy watcher and the one writer of records.

It starts the workers, which only connect. It serves no request itself and never sees content.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

from policies.types import Policy
from router.admin.gate import ensure_admin_key
from router.admin.types import House
from router.api_keys.tokens import verifier_of
from router.api_keys.watch import KeyWatch
from router.approvals import strange
from router.backup import serving
from router.budgets.purse import shared_budgets
from router.budgets.watch import BudgetGauges
from router.calibration.watching import PromiseWatch
from router.costs.burning import Meter
from router.identity import ensure_start_key
from router.keys import ensure_private_folder, load_keys
from router.processes.control import ControlServer
from router.processes.engine_child import EngineChild
from router.processes.engine_models import EngineModels, find, with_engine_models
from router.processes.listening import listen, url_of
from router.processes.loop import end_tasks, settle_memory
from router.processes.supervisor import State, Supervisor
from router.processes.upkeep import Upkeep
from router.reasks import Reasks
from router.records.feedback import FeedbackDesk, Verdict
from router.records.store import RECORDS_FILE, SqliteStore
from router.records.writer import RecordWriter
from router.running import with_local_server
from router.settings import Settings, one_thread_for_arrays
from router.telemetry.metrics import forget_process, is_running, prepare_metrics_folder, remove_metrics_folder
from router.telemetry.telemetry import Telemetry
from router.types import JsonObject
from router.versions.candidate import CandidateWatch
from router.versions.source import VersionLog, open_policy
from router.versions.trail import PolicyTrail
from router.waiting.waits import load_of

if TYPE_CHECKING:
    from router.admin.listener import AdminListener

log = logging.getLogger("gatehouse.parent")

_HOUSEKEEPING_SECONDS = 1.0
_LAST_SECONDS = 15.0  # that a worker may take after its grace, to say so and to write everything down
_REMEMBERED = 3  # versions whose engine models are known, beside the newest


class Parent:
    """One gateway: `run` starts everything, waits for a signal, and takes everything down in order."""

    def __init__(self, settings: Settings, say: Callable[[Parent], None]) -> None:
        """`say` is called once, when the first worker is ready. Raises `PolicyError` for a policy that is not good."""
        self._say = say
        self._finds: dict[str, EngineModels] = {}
        self.store = open_policy(settings, lambda policy: self._find(policy, settings))
        self._in_force = self.store.in_force
        self._found = self._finds[self._in_force.policy.digest]
        self.policy: Policy = self._served(self._in_force.policy, settings)
        self._changing = asyncio.Lock()
        self._versions = VersionLog(settings)
        self._candidate = CandidateWatch(settings.candidate, self._find_message)
        # A folder of its own for each gateway of this user: two may run side by side.
        run = settings.runtime_dir / str(os.getpid())
        self.settings = settings.model_copy(update={"runtime_dir": run})
        self.listener = listen(settings.host, settings.port)
        self.address = url_of(self.listener)
        self._supervisors: list[Supervisor] = []
        self._ready = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._counted_drops = self._counted_written = 0
        self._records_failing: str | None = None
        self._locks_shared = "ok"
        self.admin: AdminListener | None = None

    async def run(self) -> int:
        """Serve until SIGTERM or SIGINT. Returns the exit code."""
        ensure_private_folder(self.settings.state_dir)
        with serving(self.settings.state_dir):
            return await self._serve()

    async def _serve(self) -> int:
        settings = self.settings
        ensure_private_folder(settings.runtime_dir.parent)
        _sweep(settings.runtime_dir.parent)
        ensure_private_folder(settings.runtime_dir)
        one_thread_for_arrays()
        load_keys(settings.state_dir)  # created here, before workers race for it
        verifier_of(settings)  # workers would only die of a file that cannot be used
        keys = KeyWatch(settings.state_dir)
        keys.look()
        self.start_key = ensure_start_key(settings, has_keys=keys.has_keys)
        self.has_keys = keys.has_keys
        metrics = prepare_metrics_folder(settings.runtime_dir)
        self._telemetry = Telemetry.from_settings(settings, exports_metrics=True)
        self._telemetry.start()
        self._meter = Meter(settings.local_watts)
        self._engine = EngineChild(
            settings,
            self._telemetry,
            on_change=lambda: self._spawn(self._publish_status()),
            on_stats=self._take_stats,
        )
        store = SqliteStore(settings.state_dir / RECORDS_FILE, settings.records_max_bytes)
        if store.damage:
            log.error("records: %s", store.damage)
        writer = RecordWriter(store, queue=settings.records_queue)
        await writer.start()
        self._writer, self._trail = writer, PolicyTrail(self.store)
        promises = self._promises = PromiseWatch(writer, self._telemetry, lambda: self._spawn(self._publish_status()))
        reasks = Reasks(promises, lambda _: self._telemetry.feedback_taken("bad", "reask"))
        desk = FeedbackDesk(settings.state_dir / RECORDS_FILE, writer, self._feedback_taken)
        self._control = ControlServer(settings.control_socket, reasks, self._take, desk.take)
        await self._control.start()
        await self._control.publish({"t": "settings", "settings": settings.model_dump(mode="json")})
        self._telemetry.policy_loaded(True)
        self._open_admin(settings)
        await self._publish_policy()
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._told_to_stop, stop)
        loop.add_signal_handler(signal.SIGHUP, lambda: self._spawn(self._reload()))
        upkeep = Upkeep(settings, lambda: self.policy)
        tasks = [
            loop.create_task(self.store.watch(self._changed)),
            loop.create_task(self._candidate.watch(self._control.publish, self._publish_status)),
            loop.create_task(self._housekeep(writer, upkeep)),
            loop.create_task(upkeep.watch_calibration(promises, self._control.publish)),
            loop.create_task(keys.watch(self._control.publish)),
            loop.create_task(upkeep.share_locks(writer.submit)),
            loop.create_task(upkeep.retain()),
            loop.create_task(self._gauges().watch()),
            loop.create_task(self._announce()),
        ]
        if self.admin is not None:
            tasks.append(loop.create_task(self.admin.run()))
        try:
            await self._start_children(metrics)
            settle_memory()
            await stop.wait()
        finally:
            await end_tasks(tasks)
            await self._stop_children()
            await self._control.close()
            await writer.close()
            self._telemetry.close()
            remove_metrics_folder(metrics)
            shutil.rmtree(settings.runtime_dir, ignore_errors=True)
        return 0

    # -- children --------------------------------------------------------------------------------------------------

    async def _start_children(self, metrics: Path) -> None:
        await self._engine.serve(self._found)
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
                grace_s=self.settings.grace_s + _LAST_SECONDS,
            )
            self._supervisors.append(worker)
            await worker.start()

    async def _stop_children(self) -> None:
        self.listener.close()  # the workers' is open until the last of them has ended
        await asyncio.gather(*(worker.stop() for worker in self._supervisors))
        await self._engine.stop()

    def _told_to_stop(self, stop: asyncio.Event) -> None:
        """SIGTERM or SIGINT: the first lets what is in flight finish, the next ends it."""
        if stop.is_set():
            for worker in self._supervisors:
                worker.hurry()
        stop.set()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _worker_changed(self, state: State) -> None:
        if state in ("restarting", "crash_loop"):
            self._telemetry.worker_restarted()

    # -- policy ----------------------------------------------------------------------------------------------------

    def _find(self, policy: Policy, settings: Settings) -> None:
        """Look for the engine's models of a version that is good in itself; one that is not here makes it a bad one."""
        found = find(with_local_server(policy, settings), settings)
        self._finds = {**dict([*self._finds.items()][-_REMEMBERED:]), policy.digest: found}

    def _served(self, policy: Policy, settings: Settings) -> Policy:
        return with_engine_models(with_local_server(policy, settings), self._found.known, settings)

    async def _changed(self, policy: Policy | None) -> None:
        """A new version of the file has been read: in force when it is good, reported when it is not.

        What is published is one whole, and in order, whatever is read meanwhile in other threads.
        """
        async with self._changing:
            self._telemetry.policy_loaded(policy is not None)
            entry = await asyncio.to_thread(self._trail.entry, is_good=policy is not None)
            if entry is not None:
                self._writer.submit(entry)
            if policy is not None and self.store.in_force is not self._in_force:
                self._in_force = self.store.in_force
                self._found = self._finds.get(self._in_force.policy.digest, self._found)
                self.policy = self._served(self._in_force.policy, self.settings)
                await self._engine.serve(self._found)
                await self._publish_policy()
            await self._publish_status()

    async def _reload(self) -> None:
        await self.reload()

    async def reload(self) -> bool:
        """Read the policy's file again; False for a bad one, after which the last good one stays in force."""
        policy = await self.store.reload_settled()
        await self._changed(policy)
        return policy is not None

    def _find_message(self, policy: Policy) -> JsonObject:
        return find(with_local_server(policy, self.settings), self.settings).message()

    async def _publish_policy(self) -> None:
        in_force = self._in_force
        self._telemetry.policy_in_force(self.policy.label)
        await self._control.publish(
            {
                "t": "policy",
                "parsed": in_force.policy.parsed,
                "source": self.policy.source,
                "today": in_force.day.isoformat(),
                "engine_models": self._found.message(),
            }
        )
        await asyncio.to_thread(self._versions.note, in_force)
        await self._publish_status()

    async def _publish_status(self) -> None:
        await self._control.publish(
            {
                "t": "status",
                "policy": self._policy_status(),
                "engine": self._engine.report(),
                "records_failing": self._records_failing,
                "locks_shared": self._locks_shared,
                "promises_broken": self._promises.broken,
                "admin": self.admin.state if self.admin is not None else "off",
            }
        )

    def _policy_status(self) -> JsonObject:
        status, in_force = self.store.status, self._in_force
        is_current = status.last_error is None and status.file_digest == in_force.file_digest
        self._telemetry.policy_is_current(is_current)
        return {
            "version": self.policy.version,
            "kept_in": self.policy.kept_in,
            "running_digest": self.policy.digest,
            "running_file_digest": in_force.file_digest,
            "file_digest": status.file_digest,
            "is_current": is_current,
            "last_error": status.last_error,
            "loaded_at": in_force.at,
            "versions_failing": self._versions.failing,
            "candidate": self._candidate.report,
            "warnings": [*self.policy.warnings, *strange(self.policy, self.settings)],
        }

    # -- the admin API ---------------------------------------------------------------------------------------------

    def _open_admin(self, settings: Settings) -> None:
        if settings.admin_port is None:
            return
        from router.admin.listener import AdminListener  # a server of its own: 4 MB where nobody wants one

        house, key = House(settings, self, self._writer), ensure_admin_key(settings.state_dir)
        self.admin = AdminListener(house, key, lambda: self._spawn(self._publish_status()))
        self.admin.open()

    def report(self) -> JsonObject:
        """How the gateway stands, as the parent knows it: plain JSON without content."""
        return {
            "ready": self._ready.is_set(),
            "address": self.address,
            "policy": self._policy_status(),
            "engine": self._engine.report(),
            "workers": [worker.state for worker in self._supervisors],
            "records": {
                "queued": self._writer.queued,
                "written": self._writer.written,
                "dropped": self._writer.drops,
                "failing": self._writer.failing,
            },
            "promises_broken": self._promises.broken,
        }

    # -- the rest --------------------------------------------------------------------------------------------------

    def _take(self, event: JsonObject) -> None:
        if event["t"] == "ready":
            self._ready.set()

    def _take_stats(self, stats: JsonObject) -> None:
        self._spawn(self._control.publish({"t": "load", "models": load_of(stats)}))
        burn = self._meter.take(stats)
        if burn is not None:
            self._spawn(self._control.publish({"t": "burn", **burn.message()}))

    def _feedback_taken(self, request_id: str, verdict: Verdict) -> None:
        self._telemetry.feedback_taken(verdict, "feedback")
        self._promises.take_feedback(request_id, verdict == "good")

    async def _announce(self) -> None:
        await self._ready.wait()
        self._say(self)

    def _gauges(self) -> BudgetGauges:
        shared = shared_budgets(self.settings)
        return BudgetGauges(self.settings.state_dir, lambda: self.policy, self._telemetry.budget_left, shared)

    async def _housekeep(self, writer: RecordWriter, upkeep: Upkeep) -> None:
        while True:
            await asyncio.sleep(_HOUSEKEEPING_SECONDS)
            self._telemetry.records_written(writer.written - self._counted_written)
            self._telemetry.records_dropped(writer.drops - self._counted_drops)
            self._counted_written, self._counted_drops = writer.written, writer.drops
            if writer.failing != self._records_failing:
                self._records_failing = writer.failing
                await self._publish_status()
            if upkeep.locks_shared != self._locks_shared:
                self._locks_shared = upkeep.locks_shared
                await self._publish_status()


def _sweep(folder: Path) -> None:
    """Remove what gateways that were killed have left behind."""
    for left in folder.iterdir():
        if left.name.isdecimal() and not is_running(int(left.name)):
            shutil.rmtree(left, ignore_errors=True)
