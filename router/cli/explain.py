"""`gatehouse explain "…"`: where a request would go and why, decided in this process; no model, no network."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from classifiers.pipeline import Pipeline
from classifiers.registry import detectors_with
from policies.schema import PolicyError, load_policy
from policies.tenants import view_of
from policies.types import Policy
from router.api.explain import explanation
from router.api.parse import parse_json_object
from router.approvals import approval_key
from router.calibration.standing import Promises
from router.cli.highlight import show_highlighted
from router.errors import GatehouseError
from router.planning import Planner
from router.processes.engine_models import known_models, with_engine_models
from router.running import unavailable_models
from router.settings import Settings, from_environment
from router.types import ChatRequest, JsonObject, Principal

_TEXT_FILES = (".txt", ".md", ".text")


def explain(
    text: Annotated[
        str | None, typer.Argument(help="The user's message, or a file with it, or with a body.", show_default=False)
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", "-f", help="A chat-completions body (JSON), or a text that is the user's message."),
    ] = None,
    policy: Annotated[
        str | None, typer.Option(help="A policy file or a recipe's name.", show_default="default")
    ] = None,
    model: Annotated[str, typer.Option(help="The model's name as a caller would write it.")] = "auto",
    tenant: Annotated[
        str, typer.Option(help="As a request of this tenant; the policy's `tenants` says more.")
    ] = "default",
    as_json: Annotated[bool, typer.Option("--json", help="What POST /v1/route answers.")] = False,
    highlight: Annotated[
        bool | None,
        typer.Option(
            "--highlight/--no-highlight", help="Show a file's text with what was found.", show_default="on a terminal"
        ),
    ] = None,
) -> None:
    """Where a request would go and why: route, rule, what was found (types and places, never text), every reason.

    With a file, and on a terminal, what was found is shown in its text, by type; nowhere else, and never in JSON.
    """
    settings = from_environment(policy=policy)
    try:
        loaded = load_policy(settings.policy)
        loaded = with_engine_models(loaded, known_models(loaded, settings), settings)
        if file is None and text is not None and _is_file(text):
            file, text = Path(text), None
        body = _body(text, file, model, settings)
        answer = asyncio.run(_explain(body, view_of(loaded, tenant), settings, tenant))
    except PolicyError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    except (GatehouseError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None
    if as_json:
        typer.echo(orjson.dumps(answer, option=orjson.OPT_INDENT_2).decode())
    else:
        show_explanation(Console(highlight=False), answer)
        if answer["findings"] and (highlight or (highlight is None and file is not None and sys.stdout.isatty())):
            show_highlighted(Console(highlight=False, force_terminal=True), body, answer["findings"], loaded)


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # a message is longer than a path, or holds what no path may
        return False


def _body(text: str | None, file: Path | None, model: str, settings: Settings) -> JsonObject:
    if (text is None) == (file is None):
        raise typer.BadParameter('give either a message, as in `gatehouse explain "…"`, or --file BODY.json')
    if file is not None:
        data = file.read_bytes()
        if file.suffix.lower() not in _TEXT_FILES and (file.suffix.lower() == ".json" or data.lstrip()[:1] == b"{"):
            return parse_json_object(data, settings.max_json_depth)
        text = data.decode("utf-8", "replace")
    return {"model": model, "messages": [{"role": "user", "content": text}]}


async def _explain(body: JsonObject, policy: Policy, settings: Settings, tenant: str) -> JsonObject:
    pipeline = Pipeline(
        budget_ms=settings.scan_budget_ms,
        per_kb_ms=settings.scan_budget_ms_per_kb,
        detectors=detectors_with(settings.extra_detectors),
        approval_key=approval_key(policy, settings),
        compiled=settings.compiled_kernels,
    )
    request = ChatRequest(
        id="explain",
        body=body,
        model=str(body.get("model", "auto")),
        principal=Principal(tenant),
        stream=body.get("stream") is True,
        include_usage=False,
        local_only=False,
        no_store=False,
        received=time.perf_counter(),
    )
    try:
        planner = Planner(pipeline, promises=Promises.of(settings))
        made = await planner.plan(request, policy, unavailable_models(policy), explains=True)
    finally:
        await pipeline.close()
    return explanation(made, policy)


def _release_line(release: JsonObject) -> str:
    if release["state"] == "released":
        return f"released to {release['model']} as {release['id']}"
    whose = "its user" if release["by"] == "user" else "an approver"
    return f"it may be released to {release['model']}, once, with the consent of {whose}"


def show_explanation(console: Console, answer: JsonObject) -> None:
    """The whole reasoning, as tables."""
    model = f" ({answer['model']})" if answer["model"] else ""
    console.print(f"[bold]{answer['route']}[/bold]{model}: {answer['reason']}; sensitivity {answer['sensitivity']}")
    if answer["held"]:
        console.print(f"held at home although `{answer['held']}` would have sent it out")
    if answer["release"] is not None:
        console.print(_release_line(answer["release"]))
    if "refusal" in answer:
        console.print(
            f"refused: {answer['refusal']['status']} {answer['refusal']['code']}: {answer['refusal']['message']}"
        )
    if answer["findings"] or answer["unknowns"]:
        table = Table("found", "where", "from", "to", "score", "detector", box=None)
        for found in answer["findings"]:
            span = (str(found["start"]), str(found["end"]))
            table.add_row(found["entity_type"], found["pointer"], *span, str(found["score"]), found["detector"])
        for unknown in answer["unknowns"]:
            table.add_row(f"unreadable: {unknown['kind']}", unknown["pointer"], "", "", "", unknown["detail"])
        console.print(table)
    signals = Table("signal", "value", box=None)
    for name, signal in answer["signals"].items():
        value = signal.get("error", signal.get("value"))
        shown = ", ".join(value) if isinstance(value, list) else str(value).replace("_", " ")
        signals.add_row(name, shown + (f" ({signal['band']})" if "band" in signal else ""))
    console.print(signals)
    reasons = Table("rule", "matched", "why", box=None)
    for reason in answer["reasons"]:
        reasons.add_row(
            reason["rule"], {True: "yes", False: "no", None: "unknown"}[reason["matched"]], Text(reason["why"])
        )
    console.print(reasons)
