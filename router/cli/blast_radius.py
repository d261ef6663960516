"""How `gatehouse policy simulate` tells what a change of policy would do to recorded requests. Never content."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Literal

import typer
from rich.console import Console
from rich.table import Table

from policies.comparing.reports import most
from policies.simulate import LEAVING, Change, Group, Radius
from policies.types import Policy

_ROWS = 40
_IDS = 3
_PARTS: tuple[Literal["rule", "tenant", "sensitivity"], ...] = ("rule", "tenant", "sensitivity")


def show_radius(radius: Radius, policy: Policy) -> None:
    """Counts, then what changes: by rule, by tenant, by sensitivity, by all of it; then the verdict."""
    skipped = f" ({radius.not_replayable:,} hold no decision)" if radius.not_replayable else ""
    typer.echo(f"{radius.requests:,} requests replayed{skipped} through {policy.label}")
    counts: Counter[str] = Counter(radius.changes)
    for change, count in counts.most_common():
        typer.echo(f"  {count:>9,}  {change}")
    if radius.groups:
        console = Console(width=max(Console().width, 132))
        for part in _PARTS:
            console.print(_by(radius.by(part), part))
        console.print(_whole(radius))
    unknown = f" ({radius.cost_unknown:,} without a known price)" if radius.cost_unknown else ""
    typer.echo(f"cost: {radius.cost_delta_usd:+,.4f} USD{unknown}")
    latency = radius.latency_delta_ms
    if latency is not None:
        typer.echo(f"latency of what changes: {latency:+,.0f} ms (median of {len(radius.latency_deltas_ms):,})")
    verdict = "nothing would newly leave" if not radius.leaving else f"{radius.leaving:,} requests would newly leave"
    typer.secho(verdict, fg="red" if radius.leaving else "green")


def _by(groups: Mapping[tuple[Change, str], Group], part: str) -> Table:
    table = Table("requests", "change", part, "cost USD", "latency ms", "requests' ids", box=None)
    for (change, name), group in list(groups.items())[:_ROWS]:
        table.add_row(f"{group.requests:,}", change, name, *_deltas(group), style=_style(change))
    return table


def _whole(radius: Radius) -> Table:
    table = Table("requests", "change", "rule", "tenant", "level", "was", "becomes", "cost USD", "latency ms", box=None)
    for key, group in most(radius)[:_ROWS]:
        table.add_row(f"{group.requests:,}", *key, *_deltas(group)[:2], style=_style(key[0]))
    return table


def _style(change: Change) -> str:
    return "red" if change in LEAVING else ""


def _deltas(group: Group) -> tuple[str, str, str]:
    known = group.cost_unknown < group.requests
    cost = f"{group.cost_delta_usd:+,.4f}{'' if not group.cost_unknown else ' +?'}" if known else "?"
    latency = group.latency_delta_ms
    more = " …" if group.requests > _IDS else ""
    return cost, "?" if latency is None else f"{latency:+,.0f}", ", ".join(group.ids[:_IDS]) + more
