"""`gatehouse findings`: what holds requests back most, from the content-free records, and what can be done about it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.table import Table

from router.records.held import Ranking, hint, is_of, rank, ranking_json
from router.records.store import RECORDS_FILE, RecordReader, StoreError
from router.settings import from_environment

findings = typer.Typer(
    help="What holds requests back, from the records. They never hold content.", no_args_is_help=True
)


@findings.callback()
def _group() -> None:
    """Keeps `top` a command of its own while it is the only one."""


@findings.command()
def top(
    days: Annotated[int, typer.Option(min=1, max=3650, help="How far back.")] = 7,
    policy: Annotated[
        str | None, typer.Option(help="Only what this version decided: as x-gatehouse-policy says, or its digest.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    state_dir: Annotated[
        Path | None,
        typer.Option("--state-dir", help="The gateway's state folder (GATEHOUSE_STATE_DIR).", show_default=False),
    ] = None,
) -> None:
    """Which entity types, unknowns and rules hold requests back, how many, whose, at which places, and what helps.

    `alone`: requests that nothing else held back: what an exception or an approved text for it would free.
    """
    since = (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="milliseconds")
    folder = from_environment(state_dir=state_dir).state_dir
    try:
        with RecordReader(folder / RECORDS_FILE) as reader:
            ranking = rank(each for each in reader.decisions_since(since) if is_of(each, policy))
    except StoreError as error:
        typer.echo(f"No records can be read: {error}. Has `gatehouse serve` answered a request?", err=True)
        raise typer.Exit(1) from None
    if as_json:
        typer.echo(orjson.dumps(ranking_json(ranking, limit), option=orjson.OPT_INDENT_2).decode())
        return
    share = f" ({ranking.held / ranking.requests:.1%})" if ranking.requests else ""
    typer.echo(f"{ranking.requests:,} requests in {days} days, {ranking.held:,} of them held back by the policy{share}")
    if ranking.holders:
        Console(width=max(Console().width, 132)).print(_table(ranking, limit))


def _table(ranking: Ranking, limit: int) -> Table:
    table = Table("held by", "kind", "requests", "share", "alone", "tenants", "mostly at", "what helps", box=None)
    for holder in ranking.holders[:limit]:
        table.add_row(
            holder.name,
            holder.kind.replace("_", " "),
            f"{holder.requests:,}",
            f"{holder.requests / ranking.requests:.1%}",
            f"{holder.alone:,}",
            ", ".join(f"{name} {count:,}" for name, count in holder.tenants.most_common(3)),
            ", ".join(name for name, _ in holder.places.most_common(2)) or "-",
            hint(holder),
        )
    return table
