"""`gatehouse savings`: cost against "everything to the cloud model", net of what was wasted, from the records alone."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

import orjson
import typer
from rich.console import Console
from rich.table import Table

from router.costs import amount
from router.settings import from_environment
from router.store import RECORDS_FILE, RecordReader, StoreError
from router.types import JsonObject

By = Literal["rule", "key", "model", "day"]

_LEAST_WIDTH = 132
_METHOD = (
    "saved = what the default cloud model would have cost for the same request and an answer of the same length, less",
    "the cost of all calls (both models of an escalation, dropped answers, lost races, failed and cancelled calls)",
    "and of energy where the policy gives `energy.price_per_kwh`. Prices are the policy's.",
)


@dataclass(slots=True)
class Sums:
    """What some requests cost. Amounts in USD, exact; joules are an estimate."""

    requests: int = 0
    at_home: int = 0
    compared: int = 0  # both sides of the comparison are known
    estimated: int = 0  # … and some of their tokens were not reported by the model that is priced
    unknown: int = 0  # a price is not known, or there is no default cloud model
    unmeasured: int = 0  # answered at home, energy not known
    cost: Decimal = field(default_factory=Decimal)
    wasted: Decimal = field(default_factory=Decimal)
    baseline: Decimal = field(default_factory=Decimal)
    saved: Decimal = field(default_factory=Decimal)
    saved_unlawful: Decimal = field(default_factory=Decimal)  # part of `saved`: the policy would not have let it out
    joules: float = 0.0
    energy_cost: Decimal = field(default_factory=Decimal)


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
    total = groups.pop("")
    if as_json:
        shown = {
            "since": begin,
            "by": by,
            "total": _as_json(total),
            "groups": {k: _as_json(v) for k, v in groups.items()},
        }
        typer.echo(orjson.dumps(shown, option=orjson.OPT_INDENT_2).decode())
        return
    console = Console(width=max(Console().width, _LEAST_WIDTH))
    console.print(_table(groups, total, by))
    for line in (*_METHOD, *_notes(total)):
        typer.echo(line)


def parse_since(text: str, now: datetime) -> str | None:
    """The moment (ISO 8601, UTC) that `30d` or `2026-05-01` means; None for anything else."""
    if re.fullmatch(r"[0-9]{1,5}d", text):
        return (now - timedelta(days=int(text[:-1]))).isoformat(timespec="milliseconds")
    try:
        return f"{date.fromisoformat(text).isoformat()}T00:00:00.000+00:00"
    except ValueError:
        return None


def tally(records: Iterable[JsonObject], by: By) -> dict[str, Sums]:
    """The sums of each group, the dearest baseline first, and of all requests under the empty name."""
    groups: dict[str, Sums] = {}
    total = Sums()
    for record in records:
        for sums in (groups.setdefault(_group_of(record, by), Sums()), total):
            _add(sums, record)
    ordered = sorted(groups.items(), key=lambda item: (-item[1].baseline, -item[1].cost, item[0]))
    return {**dict(sorted(groups.items()) if by == "day" else ordered), "": total}


def _group_of(record: JsonObject, by: By) -> str:
    if by == "day":
        return str(record.get("time", ""))[:10]
    if by == "key":
        principal = record.get("principal") or {}
        return f"{principal.get('tenant', '-')}/{principal.get('key_id') or '-'}"
    if by == "model":
        return str((record.get("outcome") or {}).get("model") or "-")
    decision = record.get("decision") or {}
    return str(decision.get("rule") or decision.get("reason") or "-")


def _add(sums: Sums, record: JsonObject) -> None:
    sums.requests += 1
    is_home = (record.get("outcome") or {}).get("route") == "local"
    sums.at_home += is_home
    costs = record.get("costs")
    if not isinstance(costs, dict):  # a record of an older gateway
        sums.unknown += 1
        return
    cost, saved = amount(costs["usd"]), amount(costs["saved_usd"])
    sums.cost += cost or Decimal(0)
    sums.wasted += amount(costs["wasted_usd"]) or Decimal(0)
    _add_energy(sums, costs, is_home)
    if saved is None:
        sums.unknown += 1
        return
    sums.compared += 1
    baseline = costs["baseline"]
    sums.baseline += amount(baseline["usd"]) or Decimal(0)
    sums.saved += saved
    if not baseline["lawful"]:
        sums.saved_unlawful += saved
    methods = {baseline["method"], *(call["method"] for call in costs["calls"])}
    sums.estimated += not methods <= {"reported", "none"}


def _add_energy(sums: Sums, costs: JsonObject, is_home: bool) -> None:
    energy = costs["energy"]
    if isinstance(energy, dict):
        sums.joules += energy["joules"]
        sums.energy_cost += amount(energy["usd"]) or Decimal(0)
    else:
        sums.unmeasured += is_home


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


def _as_json(sums: Sums) -> JsonObject:
    """Amounts as text: a decimal is exact, a JSON number of many of them added is not."""
    return {
        "requests": sums.requests,
        "at_home": sums.at_home,
        "compared": sums.compared,
        "estimated": sums.estimated,
        "unknown": sums.unknown,
        "energy_unknown": sums.unmeasured,
        "baseline_usd": f"{sums.baseline:f}",
        "cost_usd": f"{sums.cost:f}",
        "wasted_usd": f"{sums.wasted:f}",
        "saved_usd": f"{sums.saved:f}",
        "saved_not_lawful_usd": f"{sums.saved_unlawful:f}",
        "energy_joules": round(sums.joules, 3),
        "energy_usd": f"{sums.energy_cost:f}",
    }
