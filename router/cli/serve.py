"""`gatehouse serve`: the gateway, in the foreground."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated

import typer
from pydantic import ValidationError

from policies.schema import PolicyError
from router.keys import StateFolderError
from router.logs import configure_logging
from router.loop import loop_factory, save_memory
from router.models.catalogue import EMBEDDED
from router.parent import Parent
from router.settings import Settings, from_environment
from router.store import StoreError
from router.tokens import TokenKeysError


def serve(
    policy: Annotated[
        str | None, typer.Option(help="A policy file, or a recipe's name.", show_default="default")
    ] = None,
    candidate: Annotated[
        str | None, typer.Option(help="A second policy, evaluated beside the first: records say where it differs.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")] = None,
    port: Annotated[
        int | None, typer.Option(help="Port to listen on; 0 takes a free one.", show_default="8080")
    ] = None,
    admin_port: Annotated[
        str | None,
        typer.Option(
            help="Port of the admin API on loopback; 0 takes a free one, `off` has none.", show_default="8081"
        ),
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that answer.", show_default="1")] = None,
    local_url: Annotated[
        str | None,
        typer.Option(help="An OpenAI-compatible server on this machine (Ollama, llama-server, …) as the local model."),
    ] = None,
    local_model: Annotated[str | None, typer.Option(help="The model's name on that server.")] = None,
) -> None:
    """Start the gateway. Every option has an environment variable too: GATEHOUSE_PORT, GATEHOUSE_POLICY, …

    Reloads the policy when its file changes, and on SIGHUP; a bad file keeps the last good policy in force.
    """
    try:
        settings = from_environment(
            policy=policy,
            candidate=candidate,
            host=host,
            port=port,
            admin_port=admin_port,
            workers=workers,
            local_url=local_url,
            local_model=local_model,
        )
    except (ValidationError, OSError) as error:
        typer.echo(f"A setting cannot be used: {error}", err=True)
        raise typer.Exit(2) from None
    configure_logging(settings.log_level)
    save_memory()
    try:
        parent = Parent(settings, announce)
    except PolicyError as error:
        typer.echo(f"The policy does not load, so the gateway does not start:\n{error}", err=True)
        raise typer.Exit(1) from None
    except (StateFolderError, StoreError) as error:
        typer.echo(f"Cannot start: {error}", err=True)
        raise typer.Exit(1) from None
    except OSError as error:
        typer.echo(f"Cannot listen on {settings.host}:{settings.port}: {error.strerror}. Try --port.", err=True)
        raise typer.Exit(1) from None
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            code = runner.run(parent.run())
    except (StateFolderError, TokenKeysError, OSError) as error:
        typer.echo(f"Cannot start: {error}", err=True)
        raise typer.Exit(1) from None
    raise typer.Exit(code)


def announce(parent: Parent) -> None:
    """Say what is running, once it answers."""
    settings, policy = parent.settings, parent.policy
    home = policy.models[policy.default_local]
    lines = [f"Gatehouse answers on {parent.address}/v1"]
    if home.backend == "engine" and home.model == EMBEDDED:
        lines.append(
            f"  model   {home.model}: demonstration model, 135M, English, no tools; for real work take a bigger one:\n"
            "          gatehouse models list; or run Ollama, llama-server, LM Studio or vLLM here and start with\n"
            "          --local-url URL --local-model NAME"
        )
    elif home.backend == "engine":
        tools = "tools" if "tools" in home.capabilities else "no tools"
        lines.append(f"  model   {home.model}: {home.context:,} tokens of context, {tools}")
    else:
        lines.append(f"  model   {home.model} at {home.base_url}")
    lines.append(f"  policy  {policy.source} (version {policy.version}, {policy.mode}, {policy.digest[:12]})")
    lines.extend(f"          warning: {warning}" for warning in policy.warnings)
    lines.extend(_key_lines(parent, settings))
    if parent.admin is not None and parent.admin.address is not None:
        lines.append(f"  admin   {parent.admin.address}/admin/v1; its key: {parent.admin.how_to_read_key}")
    lines.append("  try     " + _curl(parent))
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def _key_lines(parent: Parent, settings: Settings) -> list[str]:
    if parent.start_key is not None:
        return [f"  key     needed on this address; read it with: {parent.start_key.how_to_read}"]
    if parent.has_keys:
        return ["  key     needed; gatehouse keys list shows which there are"]
    return ["  key     as GATEHOUSE_API_KEY says"] if settings.api_key else ["  key     none is needed on loopback"]


def _curl(parent: Parent) -> str:
    key = ""
    if parent.start_key is not None:
        key = f' -H "Authorization: Bearer $({parent.start_key.how_to_read})"'
    elif parent.settings.api_key:
        key = ' -H "Authorization: Bearer $GATEHOUSE_API_KEY"'
    body = '{"model":"auto","temperature":0,"messages":[{"role":"user","content":"What is the capital of France?"}]}'
    return f"curl -i {parent.address}/v1/chat/completions -H 'content-type: application/json'{key} -d '{body}'"
