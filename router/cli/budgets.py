"""`gatehouse budgets`: how much of each budget is spent, held and left, on all hosts that share it. No content."""

from __future__ import annotations

import asyncio
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
from router.budgets.ledger import LedgerError
from router.budgets.purse import shared_budgets
from router.budgets.report import BudgetRow, budget_rows, read_elsewhere, read_ledger, report_json
from router.cli.show_problems import show_problems
from router.records.store import StoreError
from router.settings import Settings, from_environment
from router.versions.versions import read_active

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

    Spent and held are this host's. With a common Redis (GATEHOUSE_REDIS_URL) what the other hosts have is shown too.
    """
    settings, now = from_environment(state_dir=state_dir), datetime.now(UTC)
    folder, is_shared = settings.state_dir, settings.redis_url is not None
    try:
        held_to, ledger = _policy(policy, folder), read_ledger(folder)
    except PolicyError as error:
        show_problems(error)
        raise typer.Exit(1) from None
    except (StoreError, LedgerError) as error:
        typer.echo(f"{error}", err=True)
        raise typer.Exit(1) from None
    elsewhere = asyncio.run(_elsewhere(settings, ledger.host, now))
    rows = budget_rows(held_to.budgets, ledger.balances, now, elsewhere=elsewhere)
    if elsewhere is None:
        typer.echo("Redis does not answer: what other hosts have spent is not counted here.", err=True)
    if as_json:
        shown = report_json(held_to.label, rows, is_shared=is_shared, elsewhere=elsewhere)
        typer.echo(orjson.dumps(shown, option=orjson.OPT_INDENT_2).decode())
    elif not rows:
        typer.echo("The policy has no budgets: models outside may cost what they cost (policies/README.md#budgets).")
    else:
        Console(width=max(Console().width, _LEAST_WIDTH)).print(_table(rows, is_shared=is_shared))


async def _elsewhere(settings: Settings, host: str, now: datetime) -> dict[str, int] | None:
    shared = shared_budgets(settings)
    try:
        return await read_elsewhere(shared, host, now)
    finally:
        if shared is not None:
            await shared.close()


def _policy(named: str | None, state_dir: Path) -> Policy:
    if named is not None:
        return load_policy(named)
    version = read_active(state_dir)
    if version is None:
        typer.echo(f"No gateway has put a policy in force in {state_dir}: name one with --policy.", err=True)
        raise typer.Exit(1)
    return version.compiled()


def _table(rows: list[BudgetRow], *, is_shared: bool) -> Table:
    others = ("other hosts",) if is_shared else ()
    table = Table("scope", "period", "limit", "spent", "held", *others, "left", "resets (UTC)", box=None)
    for column in table.columns[2:-1]:
        column.justify = "right"
    for row in rows:
        elsewhere = (row.elsewhere,) if is_shared else ()
        amounts = (_usd(value) for value in (row.limit, row.spent, row.held, *elsewhere, row.left))
        style = "red" if not row.left else ""
        table.add_row(row.scope, row.period, *amounts, row.resets.strftime("%Y-%m-%d"), style=style)
    return table


def _usd(amount: int) -> str:
    return f"${amount / PICO:,.4f}"
