"""`gatehouse serve`: reads its options, then becomes the gateway, which keeps no parser of command lines in memory."""

from __future__ import annotations

import json
import os
import sys
from typing import Annotated

import typer


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
    options = {
        "policy": policy,
        "candidate": candidate,
        "host": host,
        "port": port,
        "admin_port": admin_port,
        "workers": workers,
        "local_url": local_url,
        "local_model": local_model,
    }
    sys.stdout.flush()
    sys.stderr.flush()
    given = {name: value for name, value in options.items() if value is not None}
    arguments = (sys.executable, "-P", "-m", "router.cli.server", json.dumps(given))
    os.execv(sys.executable, arguments)  # noqa: S606 - this very Python, on our own module
