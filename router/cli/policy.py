"""`gatehouse policy`: check a policy file before it is switched on, and what helps to write one."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from policies.proof import reachable
from policies.schema import PolicyError, load_policy
from policies.types import Policy
from router.approvals import strange
from router.calibration.standing import Promises
from router.cli.approve_text import approve_text
from router.cli.hash_value import hash_value
from router.cli.policy_changes import diff, simulate_command
from router.cli.policy_fmt import fmt
from router.cli.policy_probe import probe
from router.cli.show_problems import show_problems
from router.settings import from_environment

policy = typer.Typer(help="Check policy files, and write the parts of them that need a machine.", no_args_is_help=True)


policy.command("approve-text")(approve_text)
policy.command("hash")(hash_value)
policy.command("diff")(diff)
policy.command("fmt")(fmt)
policy.command("probe")(probe)
policy.command("simulate")(simulate_command)


@policy.command()
def validate(
    file: Annotated[str, typer.Argument(help="A policy file, or the name of a recipe such as `default`.")],
) -> None:
    """Load FILE, or say with file:line:column what is wrong. Exit 1 if bad.

    Then show what may reach which model, and everything that the policy loosens, with its reason.
    """
    try:
        loaded = load_policy(file)
    except PolicyError as error:
        show_problems(error)
        raise typer.Exit(1) from None
    for warning in loaded.warnings:
        typer.echo(f"warning: {warning}", err=True)
    settings = from_environment()
    for warning in (*strange(loaded, settings), *Promises.of(settings).complaints(loaded)):
        typer.echo(f"warning: {warning}", err=True)
    Console().print(_table(loaded))
    for view in loaded.tenants.values():
        Console().print(_of_tenant(loaded, view))
    if loaded.loosenings:
        Console().print(_loosenings(loaded))
    typer.echo(f"{loaded.source}: version {loaded.version}, digest {loaded.digest[:12]}, mode {loaded.mode}: good")


def _table(loaded: Policy) -> Table:
    table = Table("sensitivity", "model", "locality", "region", "payload", box=None)
    for reach in reachable(loaded):
        table.add_row(
            reach.level.word, reach.model, loaded.models[reach.model].locality, reach.region or "-", reach.payload
        )
    return table


def _of_tenant(loaded: Policy, view: Policy) -> Table:
    """What a tenant's requests may reach less than all others."""
    table = Table(f"tenant {view.tenant}", "model", "payload", "for others", box=None)
    usual = {(reach.level, reach.model): reach.payload for reach in reachable(loaded)}
    own = {(reach.level, reach.model): reach.payload for reach in reachable(view)}
    for (level, model), payload in usual.items():
        less = own.get((level, model), "no such model")
        if less != payload:
            table.add_row(level.word, model, less, payload)
    return table


def _loosenings(loaded: Policy) -> Table:
    """What lets pass what would be held back otherwise: the other half of the proof."""
    table = Table("loosened by", "what", "until", "reason", box=None)
    for each in loaded.loosenings:
        until = each.expires.isoformat() if each.expires is not None else "-"
        table.add_row(each.path, each.what, until, each.reason or "-")
    return table
