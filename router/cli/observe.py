"""`gatehouse observe FILE.jsonl`: what a policy would have held of requests that were sent elsewhere. Offline.

It prints counts, types, rules and line numbers, never content. What cannot be read counts as what cannot be checked.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from classifiers.pipeline import Pipeline
from classifiers.registry import detectors_with
from policies.causes import Cause, causes
from policies.errors import PolicyError
from policies.schema import load_policy
from policies.tenants import view_of
from policies.types import Level, Policy
from router.approvals import approval_key
from router.cli.exported import NotARequest, request_of
from router.cli.show_problems import show_problems
from router.errors import GatehouseError
from router.planning import Plan, Planner
from router.processes.engine_models import known_models, with_engine_models
from router.settings import Settings, from_environment
from router.types import ChatRequest, JsonObject, Principal

_BUDGET_MS = 60_000.0  # a busy machine must not turn observing into timeouts
_SHOWN_LINES = 6
_KEPT_LINES = 1_000


@dataclass(slots=True)
class Tally:
    """One level, or one cause, with how many requests it has and where they stand."""

    requests: int = 0
    held: int = 0
    hidden: int = 0  # may leave with placeholders only
    alone: int = 0  # of a cause: the requests that nothing else holds
    lines: list[int] = field(default_factory=list)  # of the first thousand that are held

    def note(self, line: int) -> None:
        if len(self.lines) < _KEPT_LINES:
            self.lines.append(line)


@dataclass(slots=True)
class Observed:
    """What became of all lines."""

    unreadable: Counter[str] = field(default_factory=Counter)
    unreadable_lines: list[int] = field(default_factory=list)
    levels: dict[Level, Tally] = field(default_factory=lambda: {level: Tally() for level in Level})
    found: Counter[str] = field(default_factory=Counter)  # requests, by entity type or kind of unknown
    by: dict[tuple[str, str], Tally] = field(default_factory=dict)  # (kind, name) of what holds
    routes: Counter[tuple[str, str]] = field(default_factory=Counter)  # (route, reason) of `auto`

    @property
    def requests(self) -> int:
        return sum(tally.requests for tally in self.levels.values())

    @property
    def held(self) -> int:
        return sum(tally.held for tally in self.levels.values())


def observe(
    file: Annotated[Path, typer.Argument(help="Exported requests, one JSON object a line.")],
    policy: Annotated[
        str | None, typer.Option(help="A policy file or a recipe's name.", show_default="default")
    ] = None,
    tenant: Annotated[str, typer.Option(help="As requests of this tenant.")] = "default",
    fail_on: Annotated[
        str | None, typer.Option("--fail-on", metavar="held", help="Exit 1 when anything would have been held.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, with up to 1,000 lines each.")] = False,
) -> None:
    """Replay exported requests through a policy, in this process, and count what it would have held at home.

    A line is a chat-completions body; or an object with one in `request` or `body` (OpenAI's batches); or a log line of
    LiteLLM or OpenAI. `held`: no model outside may have it, whoever asks. Models count as there whose key is missing.
    Exit 2: the policy is bad, or the file holds no request. A line that cannot be read counts as held for --fail-on.
    """
    if fail_on not in (None, "held"):
        raise typer.BadParameter("there is only: --fail-on held")
    settings = from_environment(policy=policy)
    try:
        loaded = load_policy(settings.policy)
        loaded = with_engine_models(loaded, known_models(loaded, settings), settings)
        observed = asyncio.run(_observe(file, view_of(loaded, tenant), settings, tenant))
    except PolicyError as error:
        show_problems(error)
        raise typer.Exit(2) from None
    except OSError as error:
        typer.echo(f"error: {file} cannot be read: {error.strerror}", err=True)
        raise typer.Exit(2) from None
    if as_json:
        typer.echo(orjson.dumps(_as_json(observed, loaded), option=orjson.OPT_INDENT_2).decode())
    else:
        _show(observed, loaded)
    if not observed.requests:
        typer.echo(f"{file} holds no request that could be read", err=True)
        raise typer.Exit(2)
    if fail_on is not None and (observed.held or observed.unreadable):
        raise typer.Exit(1)


async def _observe(file: Path, policy: Policy, settings: Settings, tenant: str) -> Observed:
    pipeline = Pipeline(
        budget_ms=_BUDGET_MS,
        detectors=detectors_with(settings.extra_detectors),
        approval_key=approval_key(policy, settings),
        compiled=settings.compiled_kernels,
    )
    observed = Observed()
    try:
        await pipeline.start()
        planner = Planner(pipeline)
        for number, line in _lines(file):
            try:
                if len(line) > settings.max_body_bytes:
                    raise NotARequest("longer than a request may be (GATEHOUSE_MAX_BODY_BYTES)")
                body = request_of(line, settings.max_json_depth)
                plan = await planner.plan(_request(body, tenant), policy, {})
            except (NotARequest, GatehouseError) as error:
                _note_unreadable(observed, number, error)
            else:
                _note(observed, number, plan, policy)
    finally:
        await pipeline.close()
    return observed


def _lines(file: Path) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank, with their numbers from 1; a bar follows the bytes."""
    with file.open("rb") as data, Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("observing", total=file.stat().st_size)
        for number, line in enumerate(data, start=1):
            progress.advance(task, len(line))
            if line.strip():
                yield number, line.removeprefix(b"\xef\xbb\xbf")


def _request(body: JsonObject, tenant: str) -> ChatRequest:
    return ChatRequest(
        id="observe",
        body=body,
        model="auto",
        principal=Principal(tenant),
        stream=body.get("stream") is True,
        include_usage=False,
        local_only=False,
        no_store=False,
        received=time.perf_counter(),
    )


def _note_unreadable(observed: Observed, number: int, error: Exception) -> None:
    observed.unreadable[str(error)] += 1
    if len(observed.unreadable_lines) < _KEPT_LINES:
        observed.unreadable_lines.append(number)


def _note(observed: Observed, number: int, plan: Plan, policy: Policy) -> None:
    decision, scan = plan.decision, plan.signals.scan
    tally = observed.levels[decision.sensitivity]
    tally.requests += 1
    observed.found.update({finding.entity_type for finding in scan.findings})
    observed.found.update({f"unreadable: {unknown.kind}" for unknown in scan.unknowns})
    observed.routes[decision.route, decision.reason] += 1
    outside = [each for each in decision.candidates if policy.models[each.model].locality != "local"]
    if any(each.lawful for each in outside):
        tally.hidden += policy.egress[decision.sensitivity].payload == "pseudonymized"
        return
    tally.held += 1
    tally.note(number)
    held_by = causes(policy, decision, scan) or (Cause("rule", "egress"),)
    for cause in held_by:
        holder = observed.by.setdefault((cause.kind, cause.name), Tally())
        holder.requests += 1
        holder.alone += len(held_by) == 1
        holder.note(number)


def _show(observed: Observed, policy: Policy) -> None:
    console = Console(highlight=False, width=max(Console().width, 120))
    total = observed.requests
    share = f" ({observed.held / total:.1%})" if total else ""
    console.print(
        f"{total:,} requests under {policy.source} ({policy.label}): {observed.held:,} would have been held{share}",
        markup=False,
    )
    for why, count in observed.unreadable.most_common():
        console.print(f"{count:,} lines could not be read, so not checked: {why}", markup=False)
    if observed.unreadable_lines:
        console.print(f"  lines {_listed(observed.unreadable_lines)}")
    levels = Table("sensitivity", "requests", "held", "with placeholders only", "lines that are held", box=None)
    for level, tally in observed.levels.items():
        levels.add_row(level.word, f"{tally.requests:,}", f"{tally.held:,}", f"{tally.hidden:,}", _listed(tally.lines))
    console.print(levels)
    if observed.by:
        holders = Table("held by", "kind", "requests", "alone", "lines", box=None)
        for (kind, name), tally in _ranked(observed):
            holders.add_row(
                name, kind.replace("_", " "), f"{tally.requests:,}", f"{tally.alone:,}", _listed(tally.lines)
            )
        console.print(holders)
    if observed.found:
        console.print("found, in requests: " + ", ".join(f"{name} {n:,}" for name, n in observed.found.most_common()))
    routes = (f"{route} {n:,} ({reason})" for (route, reason), n in observed.routes.most_common(12))
    console.print("`auto` would have gone: " + ", ".join(routes))


def _listed(lines: list[int]) -> str:
    shown = ", ".join(str(line) for line in lines[:_SHOWN_LINES])
    return shown + (" …" if len(lines) > _SHOWN_LINES else "") or "-"


def _ranked(observed: Observed) -> Iterator[tuple[tuple[str, str], Tally]]:
    yield from sorted(observed.by.items(), key=lambda each: (-each[1].requests, -each[1].alone, each[0]))


def _as_json(observed: Observed, policy: Policy) -> JsonObject:
    return {
        "policy": policy.label,
        "requests": observed.requests,
        "held": observed.held,
        "unreadable": {"lines": observed.unreadable_lines, "why": dict(observed.unreadable.most_common())},
        "levels": {
            level.word: {
                "requests": tally.requests,
                "held": tally.held,
                "with_placeholders": tally.hidden,
                "lines": tally.lines,
            }
            for level, tally in observed.levels.items()
        },
        "held_by": [
            {"kind": kind, "name": name, "requests": tally.requests, "alone": tally.alone, "lines": tally.lines}
            for (kind, name), tally in _ranked(observed)
        ],
        "found": dict(observed.found.most_common()),
        "routes": [
            {"route": route, "reason": reason, "requests": n} for (route, reason), n in observed.routes.most_common()
        ],
    }
