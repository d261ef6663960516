"""`gatehouse doctor`: looks at all that the gateway needs, says what is wrong and how to mend it, changes nothing."""

from __future__ import annotations

import asyncio
import importlib.util
import platform
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import aiohttp
import typer
from rich.console import Console

from classifiers.kernels import KERNELS
from classifiers.registry import producible_entities
from policies.schema import PolicyError, load_policy
from policies.types import Policy
from router.approvals import strange
from router.backends.table import make_backend
from router.calibration.standing import Promises, targets_of
from router.calibration.targets import describe_target
from router.errors import GatehouseError
from router.processes.engine_child import engine_command, what_to_serve
from router.processes.engine_models import EngineModels, find
from router.processes.engine_stats import read_stats
from router.processes.supervisor import Supervisor, health_check
from router.running import unavailable_models, with_local_server
from router.settings import Settings, engine_environment, from_environment
from router.types import JsonObject

_ENGINE_START_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report."""

    name: str
    state: Literal["ok", "warn", "fail"]
    text: str


def doctor(
    policy: Annotated[
        str | None, typer.Option(help="A policy file or a recipe's name.", show_default="default")
    ] = None,
    local_url: Annotated[str | None, typer.Option(help="As for `gatehouse serve`.")] = None,
    local_model: Annotated[str | None, typer.Option(help="As for `gatehouse serve`.")] = None,
) -> None:
    """Compiler, model, engine self-test, policy, Redis, collector, and every address this configuration may contact."""
    settings = from_environment(policy=policy, local_url=local_url, local_model=local_model)
    console = Console(highlight=False, soft_wrap=True)
    failed = False
    for check in _checks(settings):
        failed = failed or check.state == "fail"
        console.print(f"  {check.state:<5}{check.name:<12}{check.text}", markup=False)
    raise typer.Exit(1 if failed else 0)


def _checks(settings: Settings) -> Iterator[Check]:
    yield Check("python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    yield from _compiler(settings)
    yield _kernels(settings)
    try:
        policy = with_local_server(load_policy(settings.policy), settings)
    except PolicyError as error:
        yield Check("policy", "fail", str(error))
        return
    yield from _policy(policy, settings)
    yield from _local_model(policy, settings)
    yield asyncio.run(_redis(settings))
    yield asyncio.run(_collector(settings))
    yield from _addresses(policy, settings)


def _compiler(settings: Settings) -> Iterator[Check]:
    found = [name for name in ("cc", "cmake") if shutil.which(name)]
    if importlib.util.find_spec("llama_cpp") is not None:
        yield Check("compiler", "ok", f"the engine is built ({', '.join(found) or 'no compiler'} here)")
    elif len(found) == 2:
        yield Check("compiler", "ok", "cc and cmake are here; `make serve` builds the engine")
    else:
        missing = {"cc", "cmake"} - set(found)
        state: Literal["ok", "fail"] = "ok" if settings.local_url else "fail"
        yield Check("compiler", state, f"{' and '.join(sorted(missing))} missing: install it, or use --local-url")


def _kernels(settings: Settings) -> Check:
    if not settings.compiled_kernels:
        return Check("kernels", "ok", "switched off: the classifiers run in Python")
    standing = KERNELS.describe()
    fix = "" if standing == "native" else ": python -m deploy.kernels compiles them in a clone"
    return Check("kernels", "warn" if fix else "ok", f"the classifiers' arithmetic is {standing}{fix}")


def _policy(policy: Policy, settings: Settings) -> Iterator[Check]:
    yield Check(
        "policy", "ok", f"{policy.source}: version {policy.version}, digest {policy.digest[:12]}, {policy.mode}"
    )
    for warning in policy.warnings:
        yield Check("policy", "warn", warning)
    for warning in strange(policy, settings):
        yield Check("policy", "warn", warning)
    yield from _calibration(policy, settings)
    for name, why in unavailable_models(policy).items():
        model = policy.models[name]
        yield Check(
            "policy", "warn", f"model {name} is not available ({why}): set {model.api_key_env or 'its key file'}"
        )
    yield Check(
        "detectors", "ok", f"{len(producible_entities())} entity types: {', '.join(sorted(producible_entities()))}"
    )


def _calibration(policy: Policy, settings: Settings) -> Iterator[Check]:
    stated = targets_of(policy)
    if not stated:
        return
    found = Promises.of(settings).complaints(policy)
    for line in found:
        yield Check("calibration", "warn", f"{line}; run gatehouse calibrate")
    if not found:
        named = ", ".join(dict.fromkeys(describe_target(target.kind, target.value) for target in stated))
        yield Check("calibration", "ok", f"a card carries the target {named}")


def _local_model(policy: Policy, settings: Settings) -> Iterator[Check]:
    home = policy.models[policy.default_local]
    if home.backend != "engine":
        yield asyncio.run(_server(policy, settings))
    try:
        models = find(policy, settings)
    except PolicyError as error:
        yield Check("model", "fail", str(error))
        return
    for entry in models.manifest:
        size = Path(entry["path"]).stat().st_size
        kind = f", an adapter of {entry['adapter_of']}" if entry["adapter_of"] else ""
        yield Check("model", "ok", f"{entry['name']}: {size / 1e6:,.0f} MB, digest as recorded{kind}")
    if settings.engine_socket_path is not None and models.known:
        yield asyncio.run(_other_engine(settings))
    elif models.manifest:
        yield asyncio.run(_engine(models, settings))


async def _server(policy: Policy, settings: Settings) -> Check:
    home = policy.models[policy.default_local]
    backend = make_backend(home, settings)
    try:
        await backend.self_test()
    except GatehouseError as error:
        return Check("model", "fail", f"{home.model} at {home.base_url}: {error.message}")
    finally:
        await backend.close()
    return Check("model", "ok", f"{home.model} at {home.base_url} answers")


async def _engine(models: EngineModels, settings: Settings) -> Check:
    """Start an engine of our own with the operator's settings, let it answer its self-test prompt, and stop it."""
    with tempfile.TemporaryDirectory(prefix="gatehouse-doctor-") as folder:
        socket = Path(folder) / "engine.sock"
        what = what_to_serve(models.manifest, Path(folder) / "engine.json")
        engine = Supervisor(
            name="engine",
            argv=engine_command(settings, socket, what),
            env=engine_environment(),
            ready=health_check(socket),
        )
        await engine.start()
        try:
            answered = await engine.wait_ready(_ENGINE_START_SECONDS)
            said = await read_stats(socket, path="/health") if answered else None
        finally:
            await engine.stop()
    if answered:
        return Check("engine", "ok", f"answered its self-test prompt{_described(said or {})}")
    return Check("engine", "fail", "no answer to the self-test prompt; `make serve` builds the engine anew")


async def _other_engine(settings: Settings) -> Check:
    where = f"the engine at {settings.engine_socket_path}"
    said = await read_stats(settings.engine_socket, path="/health")
    if said is None:
        return Check("engine", "fail", f"{where} does not answer: start it with `gatehouse engine`")
    return Check("engine", "ok", f"{where} answers{_described(said)}")


def _described(said: JsonObject) -> str:
    """How an engine runs, from what its `/health` says."""
    words = []
    if isinstance(said.get("threads"), int):
        words.append(f"{said['threads']} threads")
    if isinstance(said.get("accelerator"), str):
        words.append(f"on {said['accelerator']}")
    if isinstance(said.get("confined"), bool):
        words.append("confined" if said["confined"] else "not fully confined: its log says what is missing")
    return f" ({', '.join(words)})" if words else ""


async def _redis(settings: Settings) -> Check:
    if settings.redis_url is None:
        return Check("redis", "ok", "not configured: the cache is in memory (GATEHOUSE_REDIS_URL)")
    from router.cache.redis import RedisBytes  # only where it is configured

    place = RedisBytes(settings.redis_url, settings.redis_timeout_ms)
    try:
        alive = await place.ping()
    finally:
        await place.close()
    if alive:
        return Check("redis", "ok", "answers")
    return Check("redis", "warn", "does not answer: every lookup is a miss, nothing else suffers")


async def _collector(settings: Settings) -> Check:
    if settings.otlp_endpoint is None:
        return Check("collector", "ok", "not configured: nothing is exported (OTEL_EXPORTER_OTLP_ENDPOINT)")
    try:
        async with asyncio.timeout(3), aiohttp.ClientSession(trust_env=False) as session:
            response = await session.post(f"{settings.otlp_endpoint.rstrip('/')}/v1/traces", data=b"")
            return Check("collector", "ok", f"{settings.otlp_endpoint} answers ({response.status})")
    except (aiohttp.ClientError, TimeoutError):
        return Check("collector", "warn", f"{settings.otlp_endpoint} does not answer: spans and metrics are lost")


def _addresses(policy: Policy, settings: Settings) -> Iterator[Check]:
    """Everything that this configuration may ever open a connection to."""
    yield Check("contacts", "ok", "this configuration may open connections to these addresses and no others:")
    for name, model in policy.models.items():
        where = _origin(model.base_url) if model.backend != "engine" else f"the unix socket {_engine_place(settings)}"
        through = f" through {_origin(model.proxy)}" if model.proxy else ""
        yield Check("", "ok", f"{where}{through} ({model.locality}, model {name})")
    for name, url in (("Redis", settings.redis_url), ("telemetry", settings.otlp_endpoint)):
        if url:
            yield Check("", "ok", f"{_origin(url)} ({name})")


def _engine_place(settings: Settings) -> str:
    return "of this gateway" if settings.engine_socket_path is None else str(settings.engine_socket_path)


def _origin(url: str | None) -> str:
    if url is None:
        return "the provider's own address (litellm)"
    parts = urlsplit(url)
    if parts.hostname is None:
        return f"{parts.scheme}://{parts.path}"
    return f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")
