"""The gateway in the foreground, as `gatehouse serve` starts it: `python -P -m router.cli.server OPTIONS`, in JSON."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from pydantic import ValidationError

from policies.schema import PolicyError
from router.api_keys.tokens import TokenKeysError
from router.keys import StateFolderError
from router.models.catalogue import EMBEDDED
from router.parent import Parent
from router.processes.loop import loop_factory, save_memory
from router.records.store import StoreError
from router.settings import Settings, from_environment
from router.telemetry.logs import configure_logging


def serve(options: dict[str, Any]) -> int:
    """Serve until told to stop; the exit code. `options` are settings that stand above the environment's."""
    try:
        settings = from_environment(**options)
    except (ValidationError, OSError) as error:
        return _failed(2, f"A setting cannot be used: {error}")
    configure_logging(settings.log_level)
    save_memory()
    try:
        parent = Parent(settings, announce)
    except PolicyError as error:
        return _failed(1, f"The policy does not load, so the gateway does not start:\n{error}")
    except (StateFolderError, StoreError) as error:
        return _failed(1, f"Cannot start: {error}")
    except OSError as error:
        return _failed(1, f"Cannot listen on {settings.host}:{settings.port}: {error.strerror}. Try --port.")
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            return runner.run(parent.run())
    except (StateFolderError, TokenKeysError, OSError) as error:
        return _failed(1, f"Cannot start: {error}")


def _failed(code: int, message: str) -> int:
    sys.stderr.write(message + "\n")
    return code


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


if __name__ == "__main__":
    sys.exit(serve(json.loads(sys.argv[1])))
