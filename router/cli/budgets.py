"""`gatehouse budgets`: how much of each budget is spent, held and left on this host. No content."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.table import Table

from policies.allowances import PICO
from policies.schema import PolicyError, load_policy
from policies.types import Policy
from router.budget_ledger import LedgerError
from router.budget_report import BudgetRow, budget_rows, read_balances, row_json
from router.cli.show_problems import show_problems
from router.settings import from_environment
from router.store import StoreError
from router.versions import read_active

_LEAST_WIDTH = 110


def budgets(
    policy: Annotated[
        str | None, typer.Option(help="Whose budgets: a file or a recipe. Default: what the gateway has in force.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    state_dir: Annotated[
        Path | None,
        typer.Option("--state-dir", help="The gateway's state folder (GATEHOUSE_STATE_DIR).", show_default=False),
    ] = None,
) -> None:
    """What each budget allows in a day or month, what is spent, held for calls under way, and left; when it resets.

    Of this host: with a common Redis the others' part counts too when a call is made, and is not shown here.
    """
    folder = from_environment(state_dir=state_dir).state_dir
    try:
        held_to, balances = _policy(policy, folder), read_balances(folder)
    except PolicyError as error:
        show_problems(error)
        raise typer.Exit(1) from None
    except (StoreError, LedgerError) as error:
        typer.echo(f"{error}", err=True)
        raise typer.Exit(1) from None
    rows = budget_rows(held_to.budgets, balances, datetime.now(UTC))
    if as_json:
        shown = {"policy": held_to.label, "budgets": [row_json(row) for row in rows]}
        typer.echo(orjson.dumps(shown, option=orjson.OPT_INDENT_2).decode())
    elif not rows:
        typer.echo("The policy has no budgets: models outside may cost what they cost (policies/README.md#budgets).")
    else:
        Console(width=max(Console().width, _LEAST_WIDTH)).print(_table(rows))


def _policy(named: str | None, state_dir: Path) -> Policy:
    if named is not None:
        return load_policy(named)
    version = read_active(state_dir)
    if version is None:
        typer.echo(f"No gateway has put a policy in force in {state_dir}: name one with --policy.", err=True)
        raise typer.Exit(1)
    return version.compiled()


def _table(rows: list[BudgetRow]) -> Table:
    table = Table("scope", "period", "limit", "spent", "held", "left", "resets (UTC)", box=None)
    for column in table.columns[2:6]:
        column.justify = "right"
    for row in rows:
        amounts = (_usd(value) for value in (row.limit, row.spent, row.held, row.left))
        style = "red" if not row.left else ""
        table.add_row(row.scope, row.period, *amounts, row.resets.strftime("%Y-%m-%d"), style=style)
    return table


def _usd(amount: int) -> str:
    return f"${amount / PICO:,.4f}"
