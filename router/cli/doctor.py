"""`gatehouse doctor`: looks at all that the gateway needs, says what is wrong and how to mend it, changes nothing."""

from __future__ import annotations

import asyncio
import importlib.util
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import aiohttp
import typer
from rich.console import Console

from classifiers.registry import producible_entities
from policies.schema import PolicyError, load_policy
from policies.types import Policy
from router.backends.local import LocalBackend
from router.errors import GatehouseError
from router.models.catalogue import ModelFileError, embedded_model
from router.running import unavailable_models, with_local_server
from router.settings import Settings, from_environment
from router.supervisor import Supervisor, health_check

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
    try:
        policy = with_local_server(load_policy(settings.policy), settings)
    except PolicyError as error:
        yield Check("policy", "fail", str(error))
        return
    yield from _policy(policy)
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


def _policy(policy: Policy) -> Iterator[Check]:
    yield Check(
        "policy", "ok", f"{policy.source}: version {policy.version}, digest {policy.digest[:12]}, {policy.mode}"
    )
    for warning in policy.warnings:
        yield Check("policy", "warn", warning)
    for name, why in unavailable_models(policy).items():
        model = policy.models[name]
        yield Check(
            "policy", "warn", f"model {name} is not available ({why}): set {model.api_key_env or 'its key file'}"
        )
    yield Check(
        "detectors", "ok", f"{len(producible_entities())} entity types: {', '.join(sorted(producible_entities()))}"
    )


def _local_model(policy: Policy, settings: Settings) -> Iterator[Check]:
    home = policy.models[policy.default_local]
    if home.backend != "engine":
        yield asyncio.run(_server(policy, settings))
        return
    try:
        path = embedded_model(home.model)
    except ModelFileError as error:
        yield Check("model", "fail", str(error))
        return
    yield Check("model", "ok", f"{home.model}: {path.stat().st_size / 1e6:.0f} MB, digest as published")
    yield asyncio.run(_engine(path, home.model, settings))


async def _server(policy: Policy, settings: Settings) -> Check:
    home = policy.models[policy.default_local]
    backend = LocalBackend(home, settings)
    try:
        await backend.self_test()
    except GatehouseError as error:
        return Check("model", "fail", f"{home.model} at {home.base_url}: {error.message}")
    finally:
        await backend.close()
    return Check("model", "ok", f"{home.model} at {home.base_url} answers")


async def _engine(path: Path, name: str, settings: Settings) -> Check:
    """Start an engine of our own, let it answer its self-test prompt, and stop it."""
    with tempfile.TemporaryDirectory(prefix="gatehouse-doctor-") as folder:
        socket = Path(folder) / "engine.sock"
        argv = [sys.executable, "-P", "-m", "router.engine", "--model", str(path), "--socket", str(socket)]
        engine = Supervisor(name="engine", argv=[*argv, "--alias", name], ready=health_check(socket))
        await engine.start()
        try:
            answered = await engine.wait_ready(_ENGINE_START_SECONDS)
        finally:
            await engine.stop()
    if answered:
        return Check("engine", "ok", "answered its self-test prompt")
    return Check("engine", "fail", "no answer to the self-test prompt; `make serve` builds the engine anew")


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
        where = "a unix socket of this gateway" if model.backend == "engine" else _origin(model.base_url)
        through = f" through {_origin(model.proxy)}" if model.proxy else ""
        yield Check("", "ok", f"{where}{through} ({model.locality}, model {name})")
    for name, url in (("Redis", settings.redis_url), ("telemetry", settings.otlp_endpoint)):
        if url:
            yield Check("", "ok", f"{_origin(url)} ({name})")


def _origin(url: str | None) -> str:
    if url is None:
        return "the provider's own address (litellm)"
    parts = urlsplit(url)
    if parts.hostname is None:
        return f"{parts.scheme}://{parts.path}"
    return f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")
