"""`gatehouse savings`: cost against "everything to the cloud model", net of what was wasted, from the records alone."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.table import Table

from router.costs.saving import By, Sums, groups_json, parse_since, tally
from router.records.store import RECORDS_FILE, RecordReader, StoreError
from router.settings import from_environment

_LEAST_WIDTH = 132
_METHOD = (
    "saved = what the default cloud model would have cost for the same request and an answer of the same length, less",
    "the cost of all calls (both models of an escalation, dropped answers, lost races, failed and cancelled calls)",
    "and of energy where the policy gives `energy.price_per_kwh`. Prices are the policy's.",
)


def savings(
    by: Annotated[By, typer.Option(help="What to group by.")] = "rule",
    since: Annotated[str, typer.Option(help="From this day on (2026-05-01), or the last days (30d).")] = "30d",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    state_dir: Annotated[
        Path | None,
        typer.Option("--state-dir", help="The gateway's state folder (GATEHOUSE_STATE_DIR).", show_default=False),
    ] = None,
) -> None:
    """What was spent and saved against sending everything to the default cloud model, net of what was wasted."""
    begin = parse_since(since, datetime.now(UTC))
    if begin is None:
        typer.echo("--since takes a day, such as 2026-05-01, or a number of days, such as 30d.", err=True)
        raise typer.Exit(2)
    folder = from_environment(state_dir=state_dir).state_dir
    try:
        with RecordReader(folder / RECORDS_FILE) as reader:
            groups = tally(reader.decisions_since(begin), by)
    except StoreError as error:
        typer.echo(f"No records can be read: {error}. Has `gatehouse serve` answered a request?", err=True)
        raise typer.Exit(1) from None
    if as_json:
        typer.echo(orjson.dumps(groups_json(begin, by, groups), option=orjson.OPT_INDENT_2).decode())
        return
    total = groups.pop("")
    console = Console(width=max(Console().width, _LEAST_WIDTH))
    console.print(_table(groups, total, by))
    for line in (*_METHOD, *_notes(total)):
        typer.echo(line)


def _notes(total: Sums) -> list[str]:
    notes = [
        f"{total.compared:,} of {total.requests:,} requests are compared; {total.estimated:,} of them with tokens that "
        "the priced model did not report itself (another tokenizer's count, or an estimate)."
    ]
    if total.unknown:
        notes.append(f"{total.unknown:,} are not: no price is known for a model, or there is no default cloud model.")
    if total.saved_unlawful:
        notes.append(
            f"{_usd(total.saved_unlawful)} of what was saved is of requests that the policy keeps from that model."
        )
    if total.unmeasured:
        notes.append(f"The energy of {total.unmeasured:,} answers at home is not known, and not subtracted.")
    return notes


def _table(groups: dict[str, Sums], total: Sums, by: By) -> Table:
    table = Table(by, "requests", "at home", "to the cloud", "cost", "wasted", "energy", "saved", "", box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    for name, sums in (*groups.items(), ("total", total)):
        table.add_row(
            name,
            f"{sums.requests:,}",
            f"{sums.at_home:,}",
            _usd(sums.baseline),
            _usd(sums.cost),
            _usd(sums.wasted),
            f"{sums.joules / 3600:,.3f} Wh" + (f" {_usd(sums.energy_cost)}" if sums.energy_cost else ""),
            _usd(sums.saved),
            f"{sums.saved / sums.baseline:.1%}" if sums.baseline else "-",
        )
    return table


def _usd(value: Decimal) -> str:
    return f"{'-' if value < 0 else ''}${abs(value):,.6f}"
