"""`gatehouse policy`: check a policy file before it is switched on."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from policies.proof import reachable
from policies.schema import PolicyError, load_policy
from policies.types import Policy

policy = typer.Typer(help="Check policy files.", no_args_is_help=True)


@policy.callback()
def _group() -> None:
    """Keeps `validate` a command of its own while it is the only one."""


@policy.command()
def validate(
    file: Annotated[str, typer.Argument(help="A policy file, or the name of a recipe such as `default`.")],
) -> None:
    """Load FILE, or say with file:line:column what is wrong; then show what may reach which model. Exit 1 if bad."""
    try:
        loaded = load_policy(file)
    except PolicyError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    for warning in loaded.warnings:
        typer.echo(f"warning: {warning}", err=True)
    Console().print(_table(loaded))
    typer.echo(f"{loaded.source}: version {loaded.version}, digest {loaded.digest[:12]}, mode {loaded.mode}: good")


def _table(loaded: Policy) -> Table:
    table = Table("sensitivity", "model", "locality", "region", "payload", box=None)
    for reach in reachable(loaded):
        table.add_row(
            reach.level.word, reach.model, loaded.models[reach.model].locality, reach.region or "-", reach.payload
        )
    return table
