"""`gatehouse policy probe`: does a policy decide as its probes say? The live classifiers, no gateway, no model.

Prints names, types and reasons, never a probe's text.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text

from classifiers.pipeline import Pipeline
from classifiers.registry import detectors_with
from policies.errors import PolicyError
from policies.probes import Miss, Probe, judge
from policies.reading.probes import load_probes
from policies.schema import load_policy
from policies.tenants import view_of
from policies.types import Policy
from router.api.explain import explanation
from router.approvals import approval_key
from router.cli.explain import show_explanation
from router.cli.show_problems import show_problems
from router.errors import GatehouseError
from router.planning import Planner
from router.processes.engine_models import known_models, with_engine_models
from router.settings import Settings, from_environment
from router.types import ChatRequest, JsonObject, Principal
from router.waiting.line import Ask
from router.waiting.waits import Waits

BUDGET_MS = 60_000.0  # a busy machine must not turn a probe into a timeout


@dataclass(frozen=True, slots=True)
class Probed:
    """What came of one probe. `explanation` is what `POST /v1/route` would answer; `error`: it was no request."""

    probe: Probe
    misses: tuple[Miss, ...]
    explanation: JsonObject
    error: str = ""

    @property
    def passed(self) -> bool:
        return not self.misses and not self.error


def probe(
    file: Annotated[
        str | None,
        typer.Argument(
            help="A policy file, or a recipe's name; default: the policy that is served.", show_default=False
        ),
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="NAME", help="Only this probe; may stand several times.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object, with the reasoning of every probe.")
    ] = False,
) -> None:
    """Run the probes of FILE, its own and those of NAME.probes.yaml beside it, and show why what failed did.

    Every model counts as there unless the probe says otherwise. Exit 0: all pass; 1: one fails; 2: the policy or its
    probes are bad, or there are none.
    """
    settings = from_environment(policy=file)
    try:
        policy = load_policy(settings.policy)
        probes = load_probes(settings.policy, policy)
        policy = with_engine_models(policy, known_models(policy, settings), settings)
    except PolicyError as error:
        show_problems(error)
        raise typer.Exit(2) from None
    probes = _chosen(probes, only, settings.policy)
    done = asyncio.run(_probe_all(policy, probes, settings))
    if as_json:
        typer.echo(orjson.dumps(_as_json(policy, done), option=orjson.OPT_INDENT_2).decode())
    else:
        _show(policy, done)
    if not all(each.passed for each in done):
        raise typer.Exit(1)


def _chosen(probes: tuple[Probe, ...], only: Sequence[str] | None, source: str) -> tuple[Probe, ...]:
    if not probes:
        typer.echo(f"{source} has no probes: write `probes:` into it, or a file NAME.probes.yaml beside it", err=True)
        raise typer.Exit(2)
    unknown = set(only or ()) - {each.name for each in probes}
    if unknown:
        typer.echo(f"{source} has no probe {', '.join(sorted(unknown))}", err=True)
        raise typer.Exit(2)
    return tuple(each for each in probes if not only or each.name in only)


async def _probe_all(policy: Policy, probes: Sequence[Probe], settings: Settings) -> list[Probed]:
    pipeline = Pipeline(
        budget_ms=BUDGET_MS,
        detectors=detectors_with(settings.extra_detectors),
        approval_key=approval_key(policy, settings),
        compiled=settings.compiled_kernels,
    )
    shown = track(probes, "probing", console=Console(stderr=True), transient=True, disable=len(probes) < 50)
    try:
        return await run_probes(policy, shown, pipeline)
    finally:
        await pipeline.close()


async def run_probes(policy: Policy, probes: Iterable[Probe], pipeline: Pipeline) -> list[Probed]:
    """Decide about each probe as the gateway would, under its tenant's view of the policy, and judge it."""
    return [await _run(each, view_of(policy, each.tenant), pipeline) for each in probes]


async def _run(probe: Probe, policy: Policy, pipeline: Pipeline) -> Probed:
    request = ChatRequest(
        id="probe",
        body=dict(probe.body),
        model=str(probe.body.get("model", "auto")),
        principal=Principal(tenant=probe.tenant),
        stream=probe.body.get("stream") is True,
        include_usage=False,
        local_only=probe.local_only,
        no_store=False,
        received=time.perf_counter(),
    )
    planner = Planner(pipeline, waits=_Wait(probe.local_wait_ms) if probe.local_wait_ms is not None else None)
    try:
        plan = await planner.plan(request, policy, dict.fromkeys(probe.unavailable, "missing_key"), explains=True)
    except GatehouseError as error:
        return Probed(probe, (), {}, str(error))
    misses = judge(probe, policy, plan.facts, plan.signals, plan.decision)
    return Probed(probe, misses, explanation(plan, policy))


class _Wait(Waits):
    """A home that takes as long as a probe says."""

    def __init__(self, milliseconds: float) -> None:
        super().__init__()
        self._milliseconds = milliseconds

    @property
    def knows_nothing(self) -> bool:
        return False

    def before(self, policy: Policy, ask: Ask) -> dict[str, float]:
        return {policy.default_local: self._milliseconds}


def _show(policy: Policy, done: Sequence[Probed]) -> None:
    console = Console(highlight=False, width=max(Console().width, 120))
    for each in done:
        if each.passed:
            console.print(f"[green]pass[/green] {each.probe.name}")
            continue
        console.print(f"[bold red]FAIL[/bold red] {each.probe.name} (line {each.probe.line})")
        table = Table("", "expected", "got", box=None)
        for miss in each.misses:
            table.add_row(miss.what, Text(miss.expected), Text(miss.got))
        if each.error:
            table.add_row("request", "a request that can be decided", Text(each.error))
        console.print(table)
        if each.explanation:
            show_explanation(console, each.explanation)
        console.print()
    failed = sum(not each.passed for each in done)
    verdict = f"{len(done) - failed} of {len(done)} probes pass"
    typer.secho(f"{policy.source} ({policy.label}): {verdict}", fg="red" if failed else "green")


def _as_json(policy: Policy, done: Sequence[Probed]) -> JsonObject:
    return {
        "policy": policy.label,
        "probes": len(done),
        "failed": sum(not each.passed for each in done),
        "results": [
            {
                "name": each.probe.name,
                "line": each.probe.line,
                "passed": each.passed,
                "misses": [{"what": miss.what, "expected": miss.expected, "got": miss.got} for miss in each.misses],
                "error": each.error or None,
                "explanation": each.explanation or None,
            }
            for each in done
        ],
    }
