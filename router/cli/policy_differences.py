"""`gatehouse policy differences`: where the candidate of `gatehouse serve --candidate` would have decided otherwise."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.table import Table

from policies.beside import Summary, summarise
from router.cli.policy_history import AsJson, StateDir
from router.records.store import RECORDS_FILE, RecordReader, StoreError
from router.settings import from_environment


def differences(
    days: Annotated[int, typer.Option(min=1, max=3650, help="How far back.")] = 30,
    as_json: AsJson = False,
    state_dir: StateDir = None,
) -> None:
    """What the records say of a policy that was evaluated beside the one in force, by candidate."""
    since = (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="milliseconds")
    folder = from_environment(state_dir=state_dir).state_dir
    try:
        with RecordReader(folder / RECORDS_FILE) as reader:
            found = summarise(reader.decisions_since(since))
    except StoreError as error:
        typer.echo(f"No records can be read: {error}", err=True)
        raise typer.Exit(1) from None
    if as_json:
        rows = [{**asdict(each), "groups": _groups(each)} for each in found.values()]
        typer.echo(orjson.dumps(rows, option=orjson.OPT_INDENT_2).decode())
        return
    if not found:
        typer.echo("No record speaks of a candidate: start the gateway with --candidate FILE.")
    for each in found.values():
        _show(each)


def _groups(summary: Summary) -> list[dict[str, object]]:
    names = ("rule", "route", "candidate_rule", "candidate_route", "differs")
    return [{**dict(zip(names, key, strict=True)), "requests": n} for key, n in summary.groups.most_common()]


def _show(summary: Summary) -> None:
    typer.echo(
        f"candidate {summary.digest[:12]}: {summary.requests:,} requests, {summary.differing:,} decided otherwise"
    )
    if summary.groups:
        table = Table("requests", "rule", "route", "candidate's rule", "route", "differs", box=None)
        for key, count in summary.groups.most_common(40):
            table.add_row(f"{count:,}", *key)
        Console(width=max(Console().width, 120)).print(table)
    colour = "red" if summary.newly_leaving else "green"
    typer.secho(f"{summary.newly_leaving:,} requests would newly leave, or might", fg=colour)
