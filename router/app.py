"""A worker: the composition root of the data path, and the process that serves it (`python -P -m router.app`).

It only connects: policy, settings and the engine's state come from the parent over the control socket, records go back.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import socket
import sys
from datetime import date
from pathlib import Path

from classifiers.kernels import KERNELS
from classifiers.pipeline import Pipeline
from classifiers.registry import detectors_with
from policies.schema import PolicyError, compile_parsed
from policies.types import Model, Policy
from router.accounting import Accounts
from router.answering import Answering
from router.api.admission import Admission
from router.api.application import Surroundings, application, door
from router.api.feedback import FeedbackSending
from router.api.serving import DrainingServer, make_server, most_connections
from router.api_keys.tokens import verifier_of
from router.backends.base import Backend
from router.backends.circuit import State
from router.backends.table import make_backend
from router.cache.key import CacheKeys
from router.cache.sealed import Sealer
from router.caching import ReplyCache
from router.calibration.standing import FOLDER as CARDS
from router.calibration.standing import Promises
from router.calling import Calls
from router.confidence.confidence import CalibrationError, Confidence
from router.confidence.judging import Judging
from router.costs.energy import Burn, read_burn
from router.egress import Egress
from router.errors import GatehouseError
from router.following import Following
from router.gateway import Gateway
from router.identity import Identity
from router.keys import load_keys
from router.lockdown.exits import Exits, degraded_words
from router.memories import make_affinity, make_cache, make_ledger, make_purse, make_rates
from router.outside import Outside
from router.partitions import Partitions
from router.planning import Planner
from router.processes.control import ControlClient
from router.processes.engine_models import read_message, with_engine_models
from router.processes.loop import end_tasks, loop_factory, save_memory, settle_memory
from router.rates.limiting import Limiting
from router.records.record import RecordSink
from router.releases.releases import make_releases
from router.response_states import STATES_FILE, ResponseStateFile
from router.running import Running, RunningPolicy, with_local_server
from router.settings import Settings
from router.similar import SimilarQuestions
from router.status import Status
from router.telemetry.logs import configure_logging
from router.telemetry.telemetry import Telemetry
from router.types import JsonObject
from router.upstreams import Upstreams
from router.waiting.waits import Waits

log = logging.getLogger("gatehouse.worker")

_SWITCH_SECONDS = 0.0002
_SELF_TEST_SECONDS = (0.2, 5.0)  # between tries while starting, and between looks at a target that failed


class Worker:
    """Everything one worker is made of, wired together."""

    def __init__(self, settings: Settings, policy: Policy, sink: RecordSink, desk: FeedbackSending) -> None:
        self.settings = settings
        self.status = Status()
        self.ready = asyncio.Event()
        self.telemetry = Telemetry.from_settings(settings)
        self.telemetry.start()
        keys = load_keys(settings.state_dir)
        self.exits = Exits(settings.state_dir)
        self._cut = 0
        self.exits.on_change = self._tell_locks
        self._tell_locks()
        self.upstreams = Upstreams(self._tell_breaker)
        self.releases = make_releases(settings, keys)
        self.releases.on_event = self.telemetry.release_event
        self.running = RunningPolicy(policy, self._backend)
        self.telemetry.policy_in_force(policy.label)
        self.pipeline = Pipeline(
            budget_ms=settings.scan_budget_ms,
            per_kb_ms=settings.scan_budget_ms_per_kb,
            detectors=detectors_with(settings.extra_detectors),
            approval_key=keys.subkey("approvals"),
            compiled=settings.compiled_kernels,
        )
        self.status.classifiers = KERNELS.describe()
        self.promises, self.confidence = Promises.of(settings), Confidence(made=settings.state_dir / CARDS)
        self._tell_uncalibrated()
        self.cache, similar, self._cache_state = make_cache(settings, keys)
        is_lone = settings.workers == 1 and settings.engine_socket_path is None
        self.waits = Waits(shares_engine=not is_lone)
        self.ledger = make_ledger(settings, keys, self.telemetry)
        self._burn: Burn | None = None
        self._candidate: Policy | None = None  # evaluated beside the one in force; only the accounts see it
        self.affinity = make_affinity(settings, keys)
        self._accounts = accounts = Accounts(
            sink=sink,
            keys=keys,
            telemetry=self.telemetry,
            artifacts={"classifiers": self.pipeline.digest},
            burn=lambda: self._burn,
            candidate=lambda: self._candidate,
        )
        self.purse = make_purse(settings, self.telemetry)
        self.rates = make_rates(settings, self.telemetry)
        cache_keys = CacheKeys(keys)
        questions = SimilarQuestions(similar, cache_keys)
        replies = ReplyCache(self.cache, cache_keys, self.pipeline.digest, self.telemetry, questions)
        calls = Calls(self.telemetry, self.waits)
        answering = Answering(
            outside=Outside(
                egress=Egress(self.pipeline, self.exits),
                calls=calls,
                cache=replies,
                accounts=accounts,
                telemetry=self.telemetry,
                purse=self.purse,
                upstreams=self.upstreams,
                releases=self.releases,
            ),
            calls=calls,
            cache=replies,
            judging=Judging(self.confidence),
            telemetry=self.telemetry,
            partitions=Partitions(keys),
        )
        gateway = Gateway(
            running=self.running,
            planner=Planner(self.pipeline, self.ledger, self.promises, self.affinity, self.waits, self.exits),
            answering=answering,
            cache=replies,
            following=Following(self.ledger),
            affinity=self.affinity,
            accounts=accounts,
            purse=self.purse,
            limiting=Limiting(self.rates),
            upstreams=self.upstreams,
            releases=self.releases,
        )
        self.identity = Identity(settings, keys, tokens=verifier_of(settings))
        self.states = ResponseStateFile(
            settings.state_dir / STATES_FILE,
            Sealer(keys, name="state"),
            settings.responses_ttl_s,
            settings.responses_max_bytes,
        )
        self.admission = Admission(settings.max_concurrent, settings.max_bodies_bytes, self.telemetry)
        surroundings = Surroundings(
            settings, self.running, self.status, self.telemetry, self.states, desk, self.admission
        )
        self.app = application(gateway, self.identity, surroundings)
        self.door = door(surroundings, most_connections(settings.max_connections))

    def _backend(self, model: Model, policy: Policy) -> Backend:
        circuit = None if model.backend == "engine" else self.upstreams.of(model).circuit
        if circuit is not None:
            self.telemetry.breaker_is(model.name, circuit.state, has_changed=False)
        return make_backend(model, self.settings, policy.lan_networks, self.exits, circuit, self.releases)

    def _tell_breaker(self, name: str, state: State) -> None:
        self.telemetry.breaker_is(name, state)
        log.warning("the circuit breaker of model %s is %s", name, state)
        self._tell_breakers()

    def _tell_breakers(self) -> None:
        """Those that are not closed, of the models in force: in `/readyz`."""
        self.status.breakers = self.upstreams.states(self.running.current.policy.models)

    def _tell_locks(self) -> None:
        """How the kill switch stands: in `/readyz` and in the metrics."""
        locks, cut = self.exits.locks, self.exits.cut - self._cut
        self._cut += cut
        self.status.locked = degraded_words(locks)
        self.telemetry.exits_locked(locks.holds_all, len(locks.tenants), cut)

    async def take(self, message: JsonObject) -> None:
        """What the parent tells: a new policy, or the state of policy file and engine."""
        if message["t"] == "policy":
            try:
                policy = await asyncio.to_thread(effective_policy, message, self.settings)
            except PolicyError as error:  # the parent has compiled it too: never expected, and no reason to end
                log.error("the policy was not taken over, the last good one stays in force: %s", error)
                return
            self.running.swap(policy)
            self._tell_breakers()
            self.telemetry.policy_in_force(self.running.current.policy.label)
            self._tell_uncalibrated()
        elif message["t"] == "candidate":
            await self._take_candidate(message)
        elif message["t"] == "calibration":
            await asyncio.to_thread(self._take_cards)
            self._tell_uncalibrated()
        elif message["t"] == "keys":
            await asyncio.to_thread(self.identity.reload)
        elif message["t"] == "burn":
            self._burn = read_burn(message)
        elif message["t"] == "budget":
            self.promises.budgets_used_up = frozenset(message["used_up"])
        elif message["t"] == "load":
            self.waits.tell(message["models"])
        elif message["t"] == "status":
            self.status.policy, self.status.engine = message["policy"], message["engine"]
            self.status.records_failing = message["records_failing"]
            self.status.locks_shared = message["locks_shared"]
            self.status.admin = message["admin"]
            self.status.promises_broken = list(message["promises_broken"])

    async def _take_candidate(self, message: JsonObject) -> None:
        self._candidate = None
        if message["parsed"] is not None:
            with contextlib.suppress(PolicyError):  # the parent has said so already
                self._candidate = await asyncio.to_thread(effective_policy, message, self.settings)

    def _take_cards(self) -> None:
        """Read the calibration cards anew; with one that cannot be read, confidence goes on by those before."""
        try:
            self.confidence.reload()
        except CalibrationError as error:
            log.warning("%s", error)
        self.promises.reload()

    def _tell_uncalibrated(self) -> None:
        """What the policy in force targets and no card can promise: in `/readyz`, and once in the log."""
        found = self.promises.complaints(self.running.current.policy)
        for line in found:
            if line not in self.status.uncalibrated:
                log.warning("%s", line)
        self.status.uncalibrated = found

    async def watch_targets(self) -> None:
        """Self-test every model of the policy in force until each has answered once; then look again at what fails."""
        while True:
            await self.ledger.beat()
            self.purse.wake(self.running.current.policy)
            if self.identity.is_failing:
                await asyncio.to_thread(self.identity.reload)
            running = self.running.current
            due = [name for name in running.backends if name not in self.status.answered]
            await asyncio.gather(*(self._self_test(running, name) for name in due))
            self.status.cache_state = self._cache_state()
            self.status.taint_state = self.ledger.state
            await asyncio.sleep(_SELF_TEST_SECONDS[self.status.ready])

    async def _self_test(self, running: Running, name: str) -> None:
        if running.policy.models[name].locality != "local":
            return  # a self-test of ours is no reason for anything to leave
        try:
            await running.backends[name].self_test()
        except GatehouseError as error:
            if self.status.failing.get(name) != error.code and running.policy.models[name].backend != "engine":
                log.warning("model %s does not answer yet: %s", name, error.message)
            self.status.failing[name] = error.code
        else:
            self.status.failing.pop(name, None)
            self.status.answered.add(name)
            self.ready.set()

    def drain(self) -> None:
        """The process is about to end: `/readyz` says so."""
        self.status.draining = True

    async def close(self) -> None:
        self._accounts.close()
        await self.purse.close()
        await self.rates.close()
        await self.releases.close()
        await self.running.close()
        await self.cache.close()
        await self.ledger.close()
        await self.affinity.close()
        self.states.close()
        await self.pipeline.close()
        self.telemetry.close()


def effective_policy(message: JsonObject, settings: Settings) -> Policy:
    """The policy in a `policy` message, as this process serves it."""
    today = date.fromisoformat(message["today"])
    own = compile_parsed(message["parsed"], message["source"], today=today)
    policy = with_local_server(own, settings)
    return with_engine_models(policy, read_message(message["engine_models"]), settings)


async def serve(control: Path, listener: socket.socket) -> None:
    """Connect to the parent, build the worker from what it says, serve until told to stop or the parent has gone."""
    told: asyncio.Queue[JsonObject] = asyncio.Queue()
    stop = asyncio.Event()
    client = ControlClient(control, on_message=told.put, on_lost=stop.set)
    await client.start()
    settings = Settings.model_validate((await told.get())["settings"])
    client.limit(settings.records_queue)
    configure_logging(settings.log_level)
    worker = Worker(settings, effective_policy(await told.get(), settings), client, client)
    client.on_drop = worker.telemetry.records_dropped
    await worker.pipeline.warm(worker.running.current.policy.reads)
    settle_memory()
    _share_interpreter()
    server = make_server(worker.app, worker.door, settings.grace_s, worker.drain, is_alone=settings.workers == 1)
    tasks = [
        asyncio.create_task(_follow(told, worker)),
        asyncio.create_task(worker.watch_targets()),
        asyncio.create_task(worker.exits.watch()),
        asyncio.create_task(_announce(worker, client)),
        asyncio.create_task(_stop_with_parent(stop, server)),
    ]
    try:
        await server.serve(sockets=[listener])
    finally:
        await end_tasks(tasks)
        await worker.close()
        await client.close()


def _share_interpreter() -> None:
    """Have threads that work on large bodies hand the interpreter to the event loop sooner than after Python's 5 ms."""
    sys.setswitchinterval(_SWITCH_SECONDS)


async def _follow(told: asyncio.Queue[JsonObject], worker: Worker) -> None:
    while True:
        await worker.take(await told.get())


async def _announce(worker: Worker, client: ControlClient) -> None:
    await worker.ready.wait()
    client.tell({"t": "ready", "pid": os.getpid()})


async def _stop_with_parent(stop: asyncio.Event, server: DrainingServer) -> None:
    await stop.wait()
    server.hurry()


def main() -> None:
    """Entry of a worker process; the parent passes the control socket's path and the listening socket's number."""
    parser = argparse.ArgumentParser(description="A Gatehouse worker; started by `gatehouse serve`.")
    parser.add_argument("--control", type=Path, required=True)
    parser.add_argument("--listener", type=int, required=True, help="file descriptor of the listening socket")
    arguments = parser.parse_args()
    save_memory()
    listener = socket.socket(fileno=arguments.listener)
    with contextlib.suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(serve(arguments.control, listener))


if __name__ == "__main__":
    main()
